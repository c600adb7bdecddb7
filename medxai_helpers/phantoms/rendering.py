"""What a phantom renderer hands back: one image with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Attributes = dict[str, str | int | float]
Box = tuple[str, int, int, int, int]
"""Class name, left edge, top edge, width, height in pixels."""


@dataclass(frozen=True)
class Rendering:
    """One phantom image with everything known about it. Introduced in chapter 05.

    Parameters
    ----------
    image : uint8 array, (H, W) or (H, W, 3)
        The picture.
    mask : bool array, (H, W)
        The lesion that the label names; all ``False`` where it names none.
    twin : uint8 array, shape of ``image``
        Same patient, pose, film and noise without the lesion; equal to ``image`` where there is none.
    attributes : dict
        Further facts, one table column each; every rendering of a phantom has the same keys.
    boxes : tuple of Box
        The smallest box round each visible lesion, where a phantom tells them apart.
    """

    image: Pixels
    mask: Mask
    twin: Pixels
    attributes: Attributes
    boxes: tuple[Box, ...] = ()


def without_lesion(image: Pixels, attributes: Attributes) -> Rendering:
    """Wrap an image whose label names no lesion: empty mask, the twin is the image. Introduced in chapter 05."""
    return Rendering(image, np.zeros(image.shape[:2], np.bool_), image, attributes)
