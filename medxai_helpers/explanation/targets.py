"""What is explained: one class score per image, a difference of two, or a sum of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray


def contrast(wanted: int, rival: int, classes: int) -> NDArray[np.float32]:
    """Return the target "why ``wanted`` rather than ``rival``": weights +1 and -1. Introduced in chapter 18.

    Parameters
    ----------
    wanted, rival : int
        Two different class indices.
    classes : int
        Number of classes.

    Raises
    ------
    ValueError
        If the two are the same or no classes.

    Examples
    --------
    >>> contrast(2, 0, classes=4)
    array([-1.,  0.,  1.,  0.], dtype=float32)
    """
    if wanted == rival or not (0 <= wanted < classes and 0 <= rival < classes):
        raise ValueError(f"Expected two different classes from 0 to {classes - 1}, but got {wanted} and {rival}.")
    weights = np.zeros(classes, dtype=np.float32)
    weights[wanted], weights[rival] = 1, -1
    return weights


def weigh(logits: torch.Tensor, targets: ArrayLike | None) -> tuple[torch.Tensor, NDArray[Any]]:
    """Turn any way of naming targets into weights of the logits, (b, k), and what is kept of them in ``Heatmaps``.

    Parameters
    ----------
    logits : tensor
        Shape (b, k).
    targets : optional
        ``None`` for the predicted class; one class index for all images or one per image; or weights of the classes,
        (k,) floats or (b, k), as :func:`contrast` and the targets of a many-label cohort give them.

    Raises
    ------
    ValueError
        If the targets do not fit the logits.
    """
    count, classes = logits.shape
    given = logits.detach().argmax(dim=1).cpu().numpy() if targets is None else np.asarray(targets)
    if given.ndim == 2 or (given.ndim == 1 and np.issubdtype(given.dtype, np.floating)):
        return _weights(logits, given)
    if given.ndim == 1 and len(given) != count:
        raise ValueError(f"Expected one target per image ({count}), but got {len(given)}.")
    if given.ndim > 1 or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"Expected class indices or weights of classes as targets, but got {given!r}.")
    index = np.broadcast_to(given, count).astype(np.int64)
    if index.min(initial=0) < 0 or index.max(initial=0) >= classes:
        raise ValueError(f"Expected targets from 0 to {classes - 1}, but got {index.min()} to {index.max()}.")
    chosen = torch.from_numpy(index).to(logits.device)
    return torch.nn.functional.one_hot(chosen, classes).float(), index


def _weights(logits: torch.Tensor, given: NDArray[Any]) -> tuple[torch.Tensor, NDArray[Any]]:
    shape = tuple(logits.shape)
    if given.shape not in (shape, shape[1:]) or not np.isfinite(given).all():
        raise ValueError(f"Expected finite weights of shape {shape} or {shape[1:]}, but got {given.shape}.")
    kept = np.broadcast_to(given, shape).astype(np.float32)
    return torch.from_numpy(kept).to(logits.device), kept
