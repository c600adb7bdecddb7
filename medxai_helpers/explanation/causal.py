"""The causal grade: with a lesion-free twin of each image, what a lesion does to a score is known, not guessed.

A twin shows the same patient, pose, film and noise without the lesion. Only phantoms have twins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.localisation import energy_in_mask
from medxai_helpers.explanation.passes import plain, undisturbed
from medxai_helpers.explanation.sanity import similarity
from medxai_helpers.explanation.targets import weigh

Values = NDArray[np.float64]
BATCH = 64


def lesion_effect(model: nn.Module, images: torch.Tensor, twins: torch.Tensor, targets: ArrayLike) -> Values:
    """Return the score of each image minus that of its twin, (b,): what the lesion is worth to the model.

    Parameters
    ----------
    model : Module
        Maps images to logits (b, classes).
    images, twins : tensor
        (b, C, H, W), standardised, row for row the same patients with and without the lesion.
    targets
        As in :func:`medxai_helpers.explanation.explain`, but not ``None``: both are scored for one class.

    Introduced in chapter 20.
    """
    _check(images, twins)
    return _scores(model, images, targets) - _scores(model, twins, targets)


def change_in_mask(maps: Heatmaps, twin_maps: Heatmaps, masks: NDArray[np.bool_]) -> Values:
    """Return the share of all change between the maps of image and twin that lies in the mask, (b,).

    The images differ in the mask and nowhere else. A map that moves where, and only where, the image did scores 1; one
    that changes evenly scores the mask's share of the image; a map that does not change at all gives NaN, as does an
    empty mask. Coarse maps cannot reach 1: a cell is wider than a lesion's edge. Introduced in chapter 20.
    """
    size = masks.shape[1]
    return energy_in_mask(np.abs(maps.enlarged(size) - twin_maps.enlarged(size)), masks)


def region_effects(
    model: nn.Module, images: torch.Tensor, twins: torch.Tensor, targets: ArrayLike, *, cells: int = 6
) -> Values:
    """Return what each region of the lesion is worth to the model, (b, cells, cells).

    The image is cut into ``cells`` x ``cells`` squares. One after the other is replaced by the twin's, which heals the
    part of the lesion that lies there and nothing else; the fall of the score is the region's effect. Unlike occlusion,
    nothing unnatural is pasted in. Introduced in chapter 20.
    """
    _check(images, twins)
    whole = _scores(model, images, targets)
    edges = np.linspace(0, images.shape[-1], cells + 1).round().astype(int)
    effects = np.empty((len(images), cells, cells))
    for row in range(cells):
        for column in range(cells):
            square = (..., slice(*edges[row : row + 2]), slice(*edges[column : column + 2]))
            healed = images.clone()
            healed[square] = twins[square]
            effects[:, row, column] = whole - _scores(model, healed, targets)
    return effects


def rank_agreement(maps: Heatmaps, effects: Values) -> Values:
    """Return the rank correlation between the heat of the regions and their effects, (b,); NaN where one is flat.

    Parameters
    ----------
    maps : Heatmaps
        Of the same images and targets.
    effects : array
        From :func:`region_effects`.

    Introduced in chapter 20.
    """
    from torch.nn import functional

    cells = effects.shape[-1]
    heat = torch.from_numpy(maps.enlarged(cells * 12))[:, None]
    return similarity(functional.avg_pool2d(heat, 12)[:, 0].numpy(), effects)


def _scores(model: nn.Module, images: torch.Tensor, targets: ArrayLike) -> Values:
    with undisturbed(model):
        logits = torch.cat([model(plain(part)).float() for part in images.split(BATCH)])
    weights, _ = weigh(logits, targets)
    return np.asarray((logits * weights).sum(dim=1).double().cpu().numpy())


def _check(images: torch.Tensor, twins: torch.Tensor) -> Any:
    if images.shape != twins.shape:
        raise ValueError(f"Expected a twin for every image, but got {tuple(images.shape)} and {tuple(twins.shape)}.")
