"""Random changes to training images that keep the label: one draw per image, seeded, on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AugmentationPolicy:
    """Flips, rotation and zoom, drawn anew for every image. Introduced in chapter 05.

    Parameters
    ----------
    name : str
        Goes into the run record.
    rotation : float
        Largest angle in degrees, either way; uniform.
    zoom : float
        Largest relative change of scale, either way: 0.1 draws from 0.9 to 1.1; uniform.
    horizontal_flip, vertical_flip : float
        Probability of each flip.
    """

    name: str
    rotation: float = 0.0
    zoom: float = 0.0
    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.rotation <= 180 and 0 <= self.zoom < 1):
            raise ValueError(f"Expected 0 <= rotation <= 180 and 0 <= zoom < 1, but got {self.rotation}, {self.zoom}.")
        if not (0 <= self.horizontal_flip <= 1 and 0 <= self.vertical_flip <= 1):
            raise ValueError(
                f"Expected flip probabilities in [0, 1], but got {self.horizontal_flip}, {self.vertical_flip}."
            )


SANDOVAL2024 = AugmentationPolicy("sandoval2024", rotation=10.0, zoom=0.1, horizontal_flip=0.5, vertical_flip=0.5)
"""Zoom, rotation and flips (sandoval2024); the paper does not state the ranges, so these are ours."""


def augment_batch(images: torch.Tensor, policy: AugmentationPolicy, generator: torch.Generator) -> torch.Tensor:
    """Return a changed copy of a batch, one draw per image. Introduced in chapter 05.

    Parameters
    ----------
    images : tensor
        Float, (b, C, H, W), on any device.
    policy : AugmentationPolicy
        What may be drawn.
    generator : torch.Generator
        CPU generator: the same seed gives the same draws on every device.

    Returns
    -------
    tensor
        Same shape and type; what comes in from outside the image repeats its border.
    """
    import torch

    matrices = _draw(len(images), policy, generator).to(images.device, images.dtype)
    size = [len(images), *images.shape[1:]]
    grid = torch.nn.functional.affine_grid(matrices, size, align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _draw(count: int, policy: AugmentationPolicy, generator: torch.Generator) -> torch.Tensor:
    """Draw one output-to-input map per image, (count, 2, 3): rotation and scale, then the flips."""
    import torch

    uniform = torch.rand(4, count, generator=generator)
    angle = torch.deg2rad((2 * uniform[0] - 1) * policy.rotation)
    scale = 1 / (1 + (2 * uniform[1] - 1) * policy.zoom)
    flip_x = 1 - 2 * (uniform[2] < policy.horizontal_flip).float()
    flip_y = 1 - 2 * (uniform[3] < policy.vertical_flip).float()
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    zero = torch.zeros_like(angle)
    top = torch.stack([cosine * flip_x, -sine * flip_y, zero], dim=1)
    bottom = torch.stack([sine * flip_x, cosine * flip_y, zero], dim=1)
    return torch.stack([top, bottom], dim=1)
