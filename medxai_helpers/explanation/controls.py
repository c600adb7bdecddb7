"""Maps that know nothing of the model: what every explanation has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.explanation.heatmaps import Heatmaps

CONTROLS = ("random map", "centre", "image edges")
"""Names of the three controls."""


def control_maps(name: str, pixels: NDArray[np.uint8], *, cells: int = 8, seed: int = 0) -> Heatmaps:
    """Return one control map per image. Introduced in chapter 20.

    Parameters
    ----------
    name : {"random map", "centre", "image edges"}
        Even noise of ``cells`` x ``cells`` values; a Gaussian in the middle, a quarter of the image wide; or the
        gradient of the grey levels, blurred over a twentieth of the image.
    pixels : array
        uint8, (b, H, W) or (b, H, W, 3), square.
    cells : int
        Side of the random map, best that of the maps it is compared with.
    seed : int
        Of the random map.

    Raises
    ------
    ValueError
        If there is no such control.
    """
    if name not in CONTROLS:
        raise ValueError(f"Expected a control among {CONTROLS}, but got {name!r}.")
    count, size = pixels.shape[:2]
    if name == "random map":
        raw = np.random.default_rng(seed).random((count, cells, cells), dtype=np.float32)
    elif name == "centre":
        raw = np.repeat(_gaussian(size)[None], count, axis=0)
    else:
        raw = np.stack([_edges(image) for image in pixels])
    return Heatmaps(raw, np.full(count, -1), "control", name)


def _gaussian(size: int) -> NDArray[np.float32]:
    offset = (np.arange(size) - (size - 1) / 2) / (size / 4)
    return np.exp(-0.5 * (offset[:, None] ** 2 + offset[None] ** 2)).astype(np.float32)


def _edges(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    grey = image.astype(np.float32) if image.ndim == 2 else image.mean(axis=2, dtype=np.float32)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return np.asarray(cv2.GaussianBlur(slope, (0, 0), max(len(grey) / 20, 0.5)), dtype=np.float32)
