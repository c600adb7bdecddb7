"""What the tests of training share, also those that run in processes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

import medxai_helpers as mx
from medxai_helpers.augmentation import SANDOVAL2024
from medxai_helpers.pixels import PixelStore

SIZE, COUNT, CLASSES = 24, 60, 3
NAMES = ("left", "middle", "right")
CHOSEN = mx.TrainingSettings(
    epochs=3,
    batch_size=8,
    augmentation=SANDOVAL2024,
    optimizer="adamw",
    weight_decay=0.01,
    schedule="cosine",
    ema_decay=0.9,
    seed=5,
)
TOGETHER = mx.TrainingSettings(epochs=2, batch_size=8, optimizer="adamw", clip_norm=1.0, seed=1)


def tiny_store(channels: int = 1, seed: int = 0) -> tuple[PixelStore, np.ndarray]:
    """Return a store of 60 noisy images, whose classes differ in the place of a bright square, and the classes."""
    rng = np.random.default_rng(seed)
    targets = np.arange(COUNT) % CLASSES
    pixels = rng.integers(0, 120, (COUNT, SIZE, SIZE))
    for image, target in zip(pixels, targets, strict=True):
        left = 1 + 8 * target
        image[8:15, left : left + 6] += 110
    if channels == 3:
        pixels = np.stack([pixels] * 3, axis=-1)
    return PixelStore(Path(), pixels.astype(np.uint8), {"key": f"tiny {channels} {seed}"}), targets


def network(name: str = "compact-cnn", seed: int = 0) -> nn.Module:
    return mx.build_model(name, classes=CLASSES, channels=1, size=24, seed=seed)


def parts_of() -> dict[str, np.ndarray]:
    rows = np.random.default_rng(1).permutation(COUNT)
    return {"train": rows[:45], "validation": rows[45:]}
