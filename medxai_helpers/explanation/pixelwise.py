"""Explaining pixel by pixel, through captum: integrated gradients and occlusion. Evidence against is negative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.passes import plain, undisturbed
from medxai_helpers.explanation.targets import weigh


def integrated_gradients(
    model: nn.Module,
    images: torch.Tensor,
    targets: ArrayLike | None = None,
    *,
    steps: int = 32,
    baseline: float = 0.0,
    batch_size: int = 64,
) -> Heatmaps:
    """Add up the gradient along the way from a uniform image to the image. Introduced in chapter 18.

    The values of a map add up to the score of the image minus that of the baseline, up to the error of so many steps.

    Parameters
    ----------
    model, images, targets
        As in :func:`medxai_helpers.explanation.grad_cam`.
    steps : int
        Points on the way (Gauss-Legendre), at least 1.
    baseline : float
        Value of every pixel of the uniform image, in the model's standardised units.
    batch_size : int
        Images per model call.

    Source: Sundararajan, Taly and Yan 2017, as computed by captum.
    """
    from captum.attr import IntegratedGradients

    with undisturbed(model):
        score, kept, weights = _scored(model, images, targets)
        found = IntegratedGradients(score).attribute(
            plain(images).clone(),
            baselines=baseline,
            additional_forward_args=(weights,),
            n_steps=steps,
            internal_batch_size=max(batch_size, len(images)),
        )
    return Heatmaps(found.detach().sum(dim=1).float().cpu().numpy(), kept, "pixels", "integrated-gradients")


def occlusion(
    model: nn.Module,
    images: torch.Tensor,
    targets: ArrayLike | None = None,
    *,
    window: int | None = None,
    stride: int | None = None,
    baseline: float = 0.0,
) -> Heatmaps:
    """Cover a square, note how far the score falls, move on: no gradient at all. Introduced in chapter 18.

    Parameters
    ----------
    model, images, targets
        As in :func:`medxai_helpers.explanation.grad_cam`.
    window, stride : int, optional
        Side of the square and its step in pixels; default: a sixth of the image, and half of that.
    baseline : float
        What the square is filled with, in the model's standardised units.

    Source: Zeiler and Fergus 2014, as computed by captum.
    """
    from captum.attr import Occlusion

    channels, height, width = images.shape[1:]
    window = window or max(1, min(height, width) // 6)
    stride = stride or max(1, window // 2)
    if not 1 <= stride <= window <= min(height, width):
        raise ValueError(f"Expected 1 <= stride <= window <= {min(height, width)}, but got {stride} and {window}.")
    with undisturbed(model):
        score, kept, weights = _scored(model, images, targets)
        found = Occlusion(score).attribute(
            plain(images),
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            baselines=baseline,
            additional_forward_args=(weights,),
        )
    return Heatmaps(found.detach().mean(dim=1).float().cpu().numpy(), kept, "pixels", "occlusion")


Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _scored(
    model: nn.Module, images: torch.Tensor, targets: ArrayLike | None
) -> tuple[Score, NDArray[Any], torch.Tensor]:
    """Return a function from images and weights to target scores (b,), what is kept of the targets, and the weights."""
    weights, kept = weigh(model(plain(images)), targets)

    def score(changed: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = (model(changed).float() * factors).sum(dim=1)
        return scores

    return score, kept, weights
