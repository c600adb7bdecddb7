"""Convolutional networks of the papers, written out."""

from __future__ import annotations

import torch
from torch import nn


class CompactCNN(nn.Module):
    """The CNN of sandoval2024, layer by layer. Introduced in chapter 05.

    Three unpadded 3 x 3 convolutions (32, 64, 128 filters), each with ReLU and 2 x 2 max pooling, then dense layers of
    128, 64 and one unit per class; dropout 0.3 after the first block and 0.5 after the first two dense layers. Weights
    start from the Glorot uniform distribution and zero biases, as in Keras. With one channel, 64 x 64 pixels and six
    classes it has 691,270 parameters.

    Parameters
    ----------
    classes : int
        Number of outputs (logits; the softmax belongs to the loss).
    channels : int
        1 (grey) or 3 (RGB).
    size : int
        Side of the images in pixels, at least 22.
    dropout : float
        Before the second and the third dense layer.

    Source: sandoval2024; Glorot and Bengio 2010 for the initialisation.
    """

    penalty_weight = 0.01

    def __init__(self, classes: int, channels: int = 1, size: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        side = _side_after_blocks(size)
        self.block1 = _block(channels, 32)
        self.dropout = nn.Dropout(0.3)
        self.block2 = _block(32, 64)
        self.block3 = _block(64, 128)
        self.dense1 = nn.Linear(128 * side * side, 128)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, classes)
        )
        self.apply(_glorot)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (b, C, size, size) to logits (b, classes)."""
        features = self.block3(self.block2(self.dropout(self.block1(images))))
        logits: torch.Tensor = self.head(self.dense1(features.flatten(1)))
        return logits

    def penalty(self) -> torch.Tensor:
        """Return the L2 term of the paper: 0.01 times the squared weights of the first dense layer, no biases."""
        return self.penalty_weight * self.dense1.weight.square().sum()


class SimpleCNN(nn.Module):
    """The "SimpleCNN" of abboud2025, layer by layer. Introduced in chapter 08.

    Four padded 3 x 3 convolutions (32, 64, 128, 256 filters), each with ReLU and 2 x 2 max pooling, then dense layers
    of 512 and one unit per class with dropout between them. With three channels, 224 x 224 pixels and four classes it
    has 26,081,092 parameters, nearly all in the first dense layer; at another input size it is a variant, not the
    paper's network.

    Parameters
    ----------
    classes, channels, size : int
        Outputs, input channels and side of the images in pixels, at least 16.
    dropout : float
        Between the dense layers.

    Source: abboud2025; the input size follows from the size of its first dense layer.
    """

    def __init__(self, classes: int, channels: int = 3, size: int = 224, dropout: float = 0.5) -> None:
        super().__init__()
        side = size // 16
        self.block1 = _block(channels, 32, padding=1)
        self.block2 = _block(32, 64, padding=1)
        self.block3 = _block(64, 128, padding=1)
        self.block4 = _block(128, 256, padding=1)
        self.dense = nn.Linear(256 * side * side, 512)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(512, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (b, C, size, size) to logits (b, classes)."""
        features = self.block4(self.block3(self.block2(self.block1(images))))
        logits: torch.Tensor = self.head(self.dense(features.flatten(1)))
        return logits


def _block(inputs: int, outputs: int, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=3, padding=padding), nn.ReLU(), nn.MaxPool2d(2))


def _side_after_blocks(size: int) -> int:
    side = size
    for _ in range(3):
        side = (side - 2) // 2
    if side < 1:
        raise ValueError(f"Expected images of at least 22 pixels, but got {size}: nothing is left after three blocks.")
    return side


def _glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
