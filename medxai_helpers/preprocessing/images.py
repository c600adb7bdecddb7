"""What counts as an image here, and how functions that work on bytes take float images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Pixels = NDArray[np.uint8]


def check_image(image: Image) -> None:
    """Refuse whatever is no grey or RGB image of uint8, or of floats in [0, 1].

    Raises
    ------
    TypeError
        If it is no array, or of another type of number.
    ValueError
        If it is empty, has another shape, or holds NaN or values outside [0, 1].
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"Expected a NumPy array, but got {type(image).__name__}: convert it with numpy.asarray.")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(
            f"Expected a grey image (H, W) or RGB (H, W, 3), but got shape {image.shape}: "
            "move the channels last, drop transparency, or take one image out of the batch."
        )
    if image.size == 0:
        raise ValueError(f"Expected a non-empty image, but got shape {image.shape}.")
    if image.dtype == np.uint8:
        return
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"Expected uint8 or float pixels, but got {image.dtype}: see ct_window for other ranges.")
    _check_range(image)


def _check_range(image: Image) -> None:
    low, high = float(image.min()), float(image.max())
    if np.isnan(low) or np.isnan(high):
        raise ValueError("Expected numbers, but the image holds NaN: replace them, for example by numpy.nan_to_num.")
    if low < 0 or high > 1:
        raise ValueError(
            f"Expected a float image within [0, 1], but got values from {low:g} to {high:g}: "
            "divide by 255, or bring other units into range with ct_window or normalise."
        )


def on_bytes(function: Callable[[Pixels], Pixels], image: Image) -> Image:
    """Apply a function of uint8 images; a float image is rounded to 256 levels and comes back as floats in [0, 1]."""
    check_image(image)
    if image.dtype == np.uint8:
        return function(image)
    result = function(np.rint(255 * image).astype(np.uint8))
    return (result / 255).astype(image.dtype)
