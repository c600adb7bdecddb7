"""What the numbers of a pixel mean: CT windows, percentiles, and the mean and spread that a model expects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.decoding import window
from medxai_helpers.preprocessing.images import Image, Pixels, check_image

CT_WINDOWS = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (40.0, 400.0),
    "abdomen": (60.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
"""Customary display windows in Hounsfield units, (centre, width). Sites differ by some tens of units."""


def ct_window(values: NDArray[Any], centre: float, width: float) -> Pixels:
    """Show a range of Hounsfield units as grey levels: the range's ends become 0 and 255. Introduced in chapter 03.

    Parameters
    ----------
    values : array
        Hounsfield units, any shape and number type.
    centre, width : float
        Middle and extent of the range, for example ``*CT_WINDOWS["lung"]``.

    Returns
    -------
    array
        uint8, same shape.

    Raises
    ------
    ValueError
        If the width is below 1, or the values are empty or not finite.

    Source: DICOM PS3.3, C.11.2.1.3 (LINEAR_EXACT).

    Examples
    --------
    >>> ct_window(np.array([-2000, -1350, -600, 150, 900]), *CT_WINDOWS["lung"]).tolist()
    [0, 0, 128, 255, 255]
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError(f"Expected finite Hounsfield units, but got shape {numbers.shape} with NaN, infinite or none.")
    return np.rint(255 * window(numbers, centre, width, "LINEAR_EXACT")).astype(np.uint8)


def normalise(image: Image, low: float = 1.0, high: float = 99.0) -> Image:
    """Stretch the range between two percentiles to the whole scale; what lies beyond is cut off.

    For images without a unit, such as MRI, where the same tissue is bright on one scanner and dim on another. All
    channels of a colour image are stretched alike, so that hues stay. A constant image comes back as it is. Introduced
    in chapter 03.

    Parameters
    ----------
    image : array
        uint8 or float in [0, 1], (H, W) or (H, W, 3).
    low, high : float
        Percentiles, 0 to 100, the lower one first.

    Returns
    -------
    array
        Same shape and type.

    Raises
    ------
    ValueError
        If the percentiles are out of range or order.

    Examples
    --------
    >>> normalise(np.array([[50, 60], [70, 100]], np.uint8), 0, 100).tolist()
    [[0, 51], [102, 255]]
    """
    check_image(image)
    check_percentiles(low, high)
    bottom, top = np.percentile(image, [low, high])
    if top <= bottom:
        return image
    stretched = np.clip((image.astype(np.float64) - bottom) / (top - bottom), 0, 1)
    return np.asarray(np.rint(255 * stretched) if image.dtype == np.uint8 else stretched, dtype=image.dtype)


def check_percentiles(low: float, high: float) -> None:
    """Refuse percentiles that are out of range or order."""
    if not 0 <= low < high <= 100:
        raise ValueError(f"Expected percentiles with 0 <= low < high <= 100, but got {low} and {high}.")


def standardise(image: Image, mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> NDArray[np.float32]:
    """Scale to [0, 1], subtract the mean and divide by the standard deviation that a model expects.

    Both come from the model table, one number or one per channel. Introduced in chapter 03.

    Parameters
    ----------
    image : array
        uint8 or float in [0, 1], (H, W) or (H, W, 3).
    mean, std : float or tuple of float
        Of images in [0, 1].

    Returns
    -------
    array
        float32, same shape.

    Raises
    ------
    ValueError
        If a standard deviation is not positive, or there are as many numbers as no channels.

    Examples
    --------
    >>> standardise(np.array([[0, 255]], np.uint8), 0.5, 0.25).tolist()
    [[-2.0, 2.0]]
    """
    check_image(image)
    centre, spread = np.asarray(mean, dtype=np.float32), np.asarray(std, dtype=np.float32)
    channels = 1 if image.ndim == 2 else 3
    if {centre.size, spread.size} - {1, channels}:
        raise ValueError(f"Expected a mean and std of 1 or {channels} numbers, but got {mean} and {std}.")
    if not (spread > 0).all():
        raise ValueError(f"Expected a positive standard deviation, but got {std}.")
    scaled = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
    return np.asarray((scaled - centre.squeeze()) / spread.squeeze(), dtype=np.float32)
