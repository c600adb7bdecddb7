"""What happens to an image once, before any training: small pure functions on uint8 arrays, and a recipe of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def resize(image: Pixels, size: int) -> Pixels:
    """Return the image at ``size`` x ``size`` pixels: area averaging down, cubic up. Introduced in chapter 05.

    Parameters
    ----------
    image : array
        uint8, (H, W) or (H, W, 3).
    size : int
        Side of the square result in pixels; an image that has it already is returned as it is.

    Raises
    ------
    ValueError
        If the image is empty or the size is not positive.
    """
    import cv2

    if size < 1 or image.size == 0:
        raise ValueError(f"Expected a non-empty image and a size of at least 1, but got {image.shape} and {size}.")
    if image.shape[:2] == (size, size):
        return image
    shrinks = max(image.shape[:2]) > size
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)


@dataclass(frozen=True)
class Preprocessing:
    """A named, hashable recipe, applied once when the pixel store is built. Introduced in chapter 05.

    Parameters
    ----------
    size : int
        Side of the square image in pixels.
    """

    size: int

    def __call__(self, image: Pixels) -> Pixels:
        """Apply the recipe to one uint8 image, (H, W) or (H, W, 3)."""
        return resize(image, self.size)

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values, for keys and run records."""
        return asdict(self)
