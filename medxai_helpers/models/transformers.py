"""Transformers for images: a small ViT for CPUs, and a hybrid that puts encoder blocks on a CNN."""

from __future__ import annotations

import torch
from torch import nn

from medxai_helpers.models.attention import Encoder


class SmallViT(nn.Module):
    """A Vision Transformer that a laptop can train. Introduced in chapter 11.

    The image is cut into patches of 8 x 8 pixels; each becomes a token of length 192, and six encoder blocks with three
    heads let the tokens exchange what they hold. With three channels, 64 pixels and 1,000 classes it has 2,912,296
    parameters.

    Parameters
    ----------
    classes, channels, size : int
        Outputs, input channels and side of the images in pixels, a multiple of 8.
    dropout : float
        In every encoder block.

    Source: Dosovitskiy et al. 2021; width and heads are those of the smallest model of Touvron et al. 2021.
    """

    patch, width, depth, heads = 8, 192, 6, 3

    def __init__(self, classes: int, channels: int = 3, size: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.grid = (size // self.patch, size // self.patch)
        self.patches = nn.Conv2d(channels, self.width, kernel_size=self.patch, stride=self.patch)
        self.encoder = Encoder(self.grid, self.width, self.depth, self.heads, dropout)
        self.head = nn.Linear(self.width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (b, C, size, size) to logits (b, classes)."""
        logits: torch.Tensor = self.head(self.encoder(self.patches(images)))
        return logits


class Hybrid(nn.Module):
    """The feature maps of a CNN, read as tokens by encoder blocks. Introduced in chapter 12.

    Every place of the last feature maps is one token: a 1 x 1 convolution gives it the encoder's width, positions and
    a class token are added, and the class token's final state is classified. Batch norm after the convolution takes
    away what all places share (feature maps after a ReLU are positive); without it the encoder hardly learns.

    Parameters
    ----------
    backbone : Module
        Maps images (b, C, size, size) to feature maps (b, K, h, w).
    backbone_name : str
        Its row of the table.
    classes, channels, size : int
        Outputs, input channels and side of the images in pixels.
    width, depth, heads : int
        Of the encoder.
    dropout : float
        In every encoder block.

    Source: verma2023 in words only, so sizes are ours; Dosovitskiy et al. 2021 for the idea.
    """

    def __init__(
        self,
        backbone: nn.Module,
        backbone_name: str,
        classes: int,
        channels: int,
        size: int,
        *,
        width: int,
        depth: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.backbone_name = backbone_name
        maps = _shape_of_maps(backbone, channels, size)
        self.grid = (maps[1], maps[2])
        self.project = nn.Sequential(nn.Conv2d(maps[0], width, kernel_size=1), nn.BatchNorm2d(width))
        self.encoder = Encoder(self.grid, width, depth, heads, dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (b, C, size, size) to logits (b, classes)."""
        logits: torch.Tensor = self.head(self.encoder(self.project(self.backbone(images))))
        return logits


@torch.no_grad()
def _shape_of_maps(backbone: nn.Module, channels: int, size: int) -> tuple[int, int, int]:
    was_training = backbone.training
    shape = backbone.eval()(torch.zeros(1, channels, size, size)).shape
    backbone.train(was_training)
    return shape[1], shape[2], shape[3]
