"""Where pixels go: resizing, and cropping to an endoscope's field of view. Masks take the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.preprocessing.images import Image, check_image

Mask = NDArray[np.bool_]
DARK = 24
"""Grey levels up to this are the black surround of an endoscopic image, JPEG noise included."""
LEAST_SHARE = 0.1
"""A bright region smaller than this share of the image is no field of view."""


def resize(image: Image, size: int, *, keep_aspect: bool = False) -> Image:
    """Return the image at ``size`` x ``size`` pixels: area averaging down, cubic up. Introduced in chapter 05.

    Parameters
    ----------
    image : array
        uint8 or float in [0, 1], (H, W) or (H, W, 3).
    size : int
        Side of the square result in pixels; an image that has it already is returned as it is.
    keep_aspect : bool
        Fit the longer side and fill the rest with black, instead of stretching the image to a square.

    Raises
    ------
    ValueError
        If the image is empty or the size is not positive.

    Examples
    --------
    >>> resize(np.full((20, 40), 9, np.uint8), 4, keep_aspect=True).tolist()
    [[0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9], [0, 0, 0, 0]]
    """
    check_image(image)
    _check_size(size)
    if image.shape[:2] == (size, size):
        return image
    height, width = _fitted(image.shape, size) if keep_aspect else (size, size)
    return _centred(_scaled(image, height, width), size)


def resize_mask(mask: Mask, size: int, *, keep_aspect: bool = False) -> Mask:
    """Bring a mask to the frame that :func:`resize` gives its image. Introduced in chapter 03.

    Going down, a pixel belongs to the mask when at least half of its area did: a region below half a pixel vanishes.

    Parameters
    ----------
    mask : array
        bool, (H, W).
    size, keep_aspect
        As in :func:`resize`.

    Raises
    ------
    ValueError
        If the mask is empty or not of two dimensions, or the size is not positive.
    TypeError
        If the mask is not of bool.
    """
    if mask.dtype != np.bool_:
        raise TypeError(f"Expected a mask of bool, but got {mask.dtype}: compare it with a threshold first.")
    if mask.ndim != 2:
        raise ValueError(f"Expected a mask of shape (H, W), but got {mask.shape}.")
    return np.asarray(resize(mask.astype(np.float32), size, keep_aspect=keep_aspect) >= 0.5)


def _check_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"Expected a size of at least 1 pixel, but got {size}.")


def _fitted(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    longest = max(shape[:2])
    height, width = (max(1, round(side * size / longest)) for side in shape[:2])
    return height, width


def _scaled(image: Image, height: int, width: int) -> Image:
    import cv2

    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height or image.shape[1] > width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    known = image if image.dtype in (np.uint8, np.float32, np.float64) else image.astype(np.float32)
    scaled = cv2.resize(known, (width, height), interpolation=method)
    if image.dtype == np.uint8:
        return np.asarray(scaled)
    return np.clip(scaled, 0, 1).astype(image.dtype)  # cubic curves overshoot


def _centred(image: Image, size: int) -> Image:
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    canvas: NDArray[Any] = np.zeros((size, size, *image.shape[2:]), dtype=image.dtype)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas


@dataclass(frozen=True)
class FieldOfView:
    """The lit part of an endoscopic image, in pixels of that image. Introduced in chapter 03.

    Parameters
    ----------
    top, left, height, width : int
        The box around it.
    centre : tuple of float
        Row and column of the circle around it.
    radius : float
        Of that circle.
    """

    top: int
    left: int
    height: int
    width: int
    centre: tuple[float, float]
    radius: float

    def crop(self, image: NDArray[Any]) -> NDArray[Any]:
        """Cut the box out of an image or a mask of the same frame; what lies outside the circle becomes black."""
        rows, columns = np.ogrid[self.top : self.top + self.height, self.left : self.left + self.width]
        outside = (rows - self.centre[0]) ** 2 + (columns - self.centre[1]) ** 2 > (self.radius + 0.5) ** 2
        part = image[self.top : self.top + self.height, self.left : self.left + self.width].copy()
        part[outside] = 0
        return part


def find_view(image: Image, dark: int = DARK) -> FieldOfView:
    """Find the lit part of an endoscopic image: the largest bright region and the circle around it.

    Thin things beside it, such as printed dates, are not part of it. An image without a dark surround, or with nothing
    bright in it, is its own field of view. Introduced in chapter 03.

    Parameters
    ----------
    image : array
        uint8 or float in [0, 1], (H, W) or (H, W, 3).
    dark : int
        Grey level, 0 to 254, up to which a pixel counts as surround.

    Raises
    ------
    ValueError
        If the level is out of range or the image is no image.
    """
    import cv2

    check_image(image)
    if not 0 <= dark < 255:
        raise ValueError(f"Expected a level from 0 to 254, but got {dark}.")
    brightest = image if image.ndim == 2 else image.max(axis=2)
    lit = (brightest > (dark if image.dtype == np.uint8 else dark / 255)).astype(np.uint8)
    side = max(3, round(0.03 * min(lit.shape)) | 1)
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    _, labels, facts, _ = cv2.connectedComponentsWithStats(lit)
    if len(facts) < 2 or facts[1:, cv2.CC_STAT_AREA].max() < LEAST_SHARE * lit.size:
        return _whole(*lit.shape)
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = (int(value) for value in facts[largest, :4])
    outline, _ = cv2.findContours((labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    (column, row), radius = cv2.minEnclosingCircle(outline[0])
    return FieldOfView(top, left, height, width, (float(row), float(column)), float(radius))


def _whole(height: int, width: int) -> FieldOfView:
    return FieldOfView(0, 0, height, width, ((height - 1) / 2, (width - 1) / 2), float(np.hypot(height, width) / 2))


def crop_to_view(image: Image, dark: int = DARK) -> Image:
    """Crop an endoscopic image to its field of view and blacken what lies around the circle.

    Dates, names and boxes printed into the surround go with it: a network could read them. Introduced in chapter 03.

    Parameters
    ----------
    image, dark
        As in :func:`find_view`.

    Examples
    --------
    >>> rows, columns = np.ogrid[:100, :160]
    >>> scene = np.where((rows - 50) ** 2 + (columns - 90) ** 2 <= 40**2, 200, 5).astype(np.uint8)
    >>> crop_to_view(scene).shape
    (81, 81)
    """
    return find_view(image, dark).crop(image)
