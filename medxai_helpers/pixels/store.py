"""The pixel store: every image decoded and prepared once, then read from one memory-mapped array.

Opening a finished store and reading batches from it needs NumPy alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

PIXELS_FILE, MASKS_FILE, FACTS_FILE = "pixels.npy", "masks.npy", "store.json"


@dataclass(frozen=True)
class PixelStore:
    """Decoded images on disk, mapped into memory. Introduced in chapter 05.

    Parameters
    ----------
    folder : Path
        Where the store lies.
    pixels : array
        uint8 memory map, (n, size, size) for grey images or (n, size, size, 3) for RGB.
    facts : dict
        Key, data set, recipe and build time.
    masks : array, optional
        bool memory map, (n, size, size): the masks of the images, taken through the same geometry.
    resident : dict
        Copies of all pixels on a device, by its name; :func:`stream` fills it, and it goes when the store goes.
    """

    folder: Path
    pixels: NDArray[np.uint8]
    facts: dict[str, object]
    masks: NDArray[np.bool_] | None = None
    resident: dict[str, torch.Tensor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> PixelStore:
        """Map a finished store; nothing is read until it is asked for."""
        try:
            facts = json.loads((folder / FACTS_FILE).read_text())
            pixels = np.load(folder / PIXELS_FILE, mmap_mode="r", allow_pickle=False)
            place = folder / MASKS_FILE
            masks = np.load(place, mmap_mode="r", allow_pickle=False) if place.is_file() else None
        except (OSError, ValueError) as error:
            raise ValueError(
                f"Expected a finished pixel store in {folder}. Delete it and build it again. ({error})"
            ) from error
        return cls(folder, pixels, facts, masks)

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        return 1 if self.pixels.ndim == 3 else 3

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.pixels.shape[1])

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy these rows out of the map: uint8, (b, C, size, size)."""
        block = np.take(self.pixels, rows, axis=0)
        return block[:, None] if block.ndim == 3 else np.ascontiguousarray(block.transpose(0, 3, 1, 2))

    def __len__(self) -> int:
        return len(self.pixels)

    def __str__(self) -> str:
        megabytes = self.pixels.nbytes / 1e6
        return f"{len(self):,} images of {self.size} x {self.size} x {self.channels}, {megabytes:,.1f} MB"
