"""Does a map lie on the lesion? Five measures per image; where there is nothing to decide they give NaN.

Every function takes maps, float (b, H, W), evidence against the target counted as 0, and masks, bool (b, H, W), and
returns one number per image, float64 of shape (b,): NaN where the mask is empty or the map is flat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[Any]
Masks = NDArray[np.bool_]
Values = NDArray[np.float64]


def undecided(maps: Maps, masks: Masks) -> NDArray[np.bool_]:
    """Tell where nothing can be graded: an empty mask, or a map that is the same everywhere. Introduced in chapter 20.

    Raises
    ------
    ValueError
        If shapes differ or a map is not finite.
    """
    if maps.shape != masks.shape or maps.ndim != 3:
        raise ValueError(f"Expected maps and masks of one shape (b, H, W), but got {maps.shape} and {masks.shape}.")
    if not np.isfinite(maps).all():
        raise ValueError("Expected finite maps, but some values are NaN or infinite.")
    positive = np.maximum(maps, 0)
    return np.asarray(~masks.any(axis=(1, 2)) | (np.ptp(positive, axis=(1, 2)) == 0))


def pointing_game(maps: Maps, masks: Masks, *, tolerance: int = 0) -> Values:
    """Give 1 if the highest value lies in the mask, else 0; of several equal ones, the share that does.

    Parameters
    ----------
    maps, masks
        See the module.
    tolerance : int
        The mask is widened by this many pixels first.

    Source: Zhang et al. 2018. Introduced in chapter 20.
    """
    wide = np.stack([_widened(mask, tolerance) for mask in masks]) if len(masks) else masks
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    return _decided((highest & wide).sum(axis=(1, 2)) / highest.sum(axis=(1, 2)), maps, masks)


def energy_in_mask(maps: Maps, masks: Masks) -> Values:
    """Give the share of the map's total that lies in the mask. An even map scores the mask's share of the image.

    Source: Wang et al. 2020 (energy-based pointing game). Introduced in chapter 20.
    """
    positive = np.maximum(maps, 0).astype(np.float64)
    total = positive.sum(axis=(1, 2))
    inside = (positive * masks).sum(axis=(1, 2))
    return _decided(np.divide(inside, total, out=np.zeros_like(total), where=total > 0), maps, masks)


def overlap(maps: Maps, masks: Masks, *, threshold: float | str = "otsu", measure: str = "iou") -> Values:
    """Cut each map at a threshold and compare the area with the mask. Introduced in chapter 20.

    Parameters
    ----------
    maps, masks
        See the module.
    threshold : float or "otsu"
        Share of the map's own maximum, above 0 and below 1, for example from :func:`choose_map_threshold`; or Otsu's
        choice for each map.
    measure : {"iou", "dice"}
        Intersection over union, or twice the intersection over the sum of both areas.

    Source: Otsu 1979 for the threshold, as computed by OpenCV.
    """
    if measure not in ("iou", "dice"):
        raise ValueError(f"Expected measure iou or dice, but got {measure!r}.")
    areas = _scaled(maps) >= _thresholds(maps, threshold)[:, None, None]
    both = (areas & masks).sum(axis=(1, 2)).astype(np.float64)
    together = areas.sum(axis=(1, 2)) + masks.sum(axis=(1, 2))
    value = 2 * both / np.maximum(together, 1) if measure == "dice" else both / np.maximum(together - both, 1)
    return _decided(value, maps, masks)


LEVELS = tuple(float(level) for level in np.arange(0.1, 0.95, 0.05))


def choose_map_threshold(maps: Maps, masks: Masks, levels: Sequence[float] = LEVELS) -> float:
    """Return the threshold with the best mean IoU on these maps: take those of validation images.

    Introduced in chapter 20.
    """
    means = [np.nanmean(overlap(maps, masks, threshold=float(level))) for level in levels]
    return round(float(levels[int(np.argmax(means))]), 6)


def average_precision(maps: Maps, masks: Masks) -> Values:
    """Give the area under the precision-recall curve of the pixels. A random map scores the mask's share of the image.

    Introduced in chapter 20.
    """
    from sklearn.metrics import average_precision_score

    nothing = undecided(maps, masks)
    value = np.full(len(maps), np.nan)
    for row in np.flatnonzero(~nothing):
        value[row] = average_precision_score(masks[row].ravel(), np.maximum(maps[row], 0).ravel())
    return value


MEASURES: dict[str, Callable[[Maps, Masks], Values]] = {
    "pointing game": pointing_game,
    "energy in mask": energy_in_mask,
    "IoU (Otsu)": overlap,
    "Dice (Otsu)": lambda maps, masks: overlap(maps, masks, measure="dice"),
    "average precision": average_precision,
}
"""The measures that need no setting, by the name they have in tables."""


def _decided(value: Values, maps: Maps, masks: Masks) -> Values:
    return np.where(undecided(maps, masks), np.nan, value).astype(np.float64)


def _scaled(maps: Maps) -> Maps:
    positive = np.maximum(maps, 0)
    return np.asarray(positive / np.maximum(positive.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny))


def _thresholds(maps: Maps, threshold: float | str) -> Values:
    if threshold == "otsu":
        return np.array([_otsu(each) for each in _scaled(maps)])
    if isinstance(threshold, str) or not 0 < threshold < 1:
        raise ValueError(f"Expected a threshold above 0 and below 1, or 'otsu', but got {threshold!r}.")
    return np.full(len(maps), float(threshold))


def _otsu(scaled: Maps) -> float:
    import cv2

    level, _ = cv2.threshold((scaled * 255).round().astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (float(level) + 0.5) / 255  # the first grey level above Otsu's


def _widened(mask: Masks, tolerance: int) -> Masks:
    import cv2

    if tolerance < 0:
        raise ValueError(f"Expected a tolerance of 0 pixels or more, but got {tolerance}.")
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1, 2 * tolerance + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)
