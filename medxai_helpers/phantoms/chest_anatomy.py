"""The chest taken apart once: four tissue layers of the real CT, each summed into coronal slabs.

A view is then a shear-warp: every slab is remapped in 2-D and the slabs are added up: 20 ms instead of a 3-D
resampling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.anatomy import prepared
from medxai_helpers.phantoms.kit import Bools, Field, as_field, blur, resize
from medxai_helpers.phantoms.store import Arrays
from medxai_helpers.phantoms.volumes import AIR_HU, LUNG_LOBES, half_resolution_ct, is_lung

SLABS = 20
"""Coronal slabs, back to front."""
WIDTH_MM = 340.0
"""Edge of both square grids: rows run down, columns from the patient's right to the left."""
GRID, LESION_GRID = 256, 128
GRID_MM, LESION_MM = WIDTH_MM / GRID, WIDTH_MM / LESION_GRID
LAYERS = ("wall", "thorax", "bone", "lung_tissue")

_COLUMNS = slice(7, 249)  # 340 mm of the CT's width
_DEPTH = slice(30, 222)  # the rows that contain the body
_HALF_VOXEL_MM = 1.40625
SLAB_MM = (_DEPTH.stop - _DEPTH.start) / SLABS * _HALF_VOXEL_MM
"""Thickness of a slab."""
_SPINE = tuple(range(25, 51))
_RIBS = (*range(92, 117), 118)
_BONES = (*_SPINE, *range(69, 75), *_RIBS)
_HEART = (51, 61)  # with the left atrial appendage
_CONTRAST_FILLED = (74, 104)  # the injected vein runs past this clavicle and first rib


@dataclass(frozen=True)
class ChestAnatomy:
    """The prepared chest; lesion-grid fields are (SLABS, LESION_GRID, LESION_GRID) or broadcast to it.

    Parameters
    ----------
    layers : float32, (SLABS, GRID, GRID, 4)
        Path length times density of each of ``LAYERS``, mm of water.
    lung : float32, (SLABS, GRID, GRID)
        Path length inside lung, mm.
    lobes : float32, (5, ...)
        Volume fraction of each lobe, in the order of ``volumes.LUNG_LOBES``.
    heart : float32
        Volume fraction of the heart.
    depth_in_lung_mm, vessels : float32
        Distance from the pleura; lung density above its background.
    depth_mm, down_mm, across_mm : float32
        Coordinates: from the middle slab to the front, down, to the patient's left.
    sides : tuple of two float32 fields
        The right and the left lung.
    height : tuple of two float32 fields
        Per side, 0 at the apex and 1 at the base.
    from_side_wall_mm : tuple of two float32 fields
        Per side, distance from the side wall as seen from the front.

    Introduced in chapter 05.
    """

    layers: Field
    lung: Field
    lobes: Field
    heart: Field
    depth_in_lung_mm: Field
    vessels: Field
    depth_mm: Field
    down_mm: Field
    across_mm: Field
    sides: tuple[Field, Field]
    height: tuple[Field, Field]
    from_side_wall_mm: tuple[Field, Field]


def _select(labels: NDArray[np.uint8], wanted: Iterable[int]) -> Bools:
    table = np.zeros(256, np.bool_)
    table[list(wanted)] = True
    return table[labels]


def _body(hounsfield: Field) -> Bools:
    """Largest connected piece, holes filled slice by slice: the table goes, the lungs stay."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    body = np.empty(hounsfield.shape, np.bool_)
    for z in range(hounsfield.shape[2]):
        solid = (hounsfield[:, :, z] > -350).astype(np.uint8)
        body[:, :, z] = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cross, iterations=2) > 0
    pieces, _ = ndimage.label(body)
    body = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    for z in range(hounsfield.shape[2]):
        body[:, :, z] = _fill_holes(body[:, :, z])
    return np.asarray(body, np.bool_)


def _fill_holes(shape: Bools) -> Bools:
    background = np.pad(~shape, 1, constant_values=True).astype(np.uint8)
    _, regions = cv2.connectedComponents(background, connectivity=4)
    return np.asarray((regions != regions[0, 0])[1:-1, 1:-1], np.bool_)


def _thorax(ribs_and_lung: Bools) -> Field:
    """Convex hull of ribs and lungs in every slice, softened: what lies outside is the trunk's wall."""
    hull: Field = np.zeros(ribs_and_lung.shape, np.float32)
    for z in range(hull.shape[2]):
        points = np.argwhere(ribs_and_lung[:, :, z])[:, ::-1].astype(np.int32)
        if len(points) > 20:
            outline = np.zeros(hull.shape[:2], np.uint8)
            cv2.fillConvexPoly(outline, cv2.convexHull(points), (1,))
            hull[:, :, z] = outline
    return as_field(ndimage.gaussian_filter(hull, (1.5, 1.5, 5)))


def _bone(hounsfield: Field, labels: NDArray[np.uint8]) -> Field:
    bone = np.where(_select(labels, _BONES), np.clip(hounsfield - 60, 0, 800) / 1000, 0)
    bone = np.where(_select(labels, _CONTRAST_FILLED), np.minimum(bone, 0.3), bone)
    return as_field(np.where(_select(labels, _SPINE), 0.6 * bone, bone))  # or the spine burns out


def _tissue_layers(hounsfield: Field, labels: NDArray[np.uint8]) -> dict[str, Field]:
    """Density (water = 1) of each layer; the clip at 60 HU removes the contrast agent."""
    lung = is_lung(labels)
    density = np.where(_body(hounsfield), np.clip(hounsfield, AIR_HU, 60) / 1000 + 1, 0)
    thorax = _thorax(_select(labels, _RIBS) | lung)
    soft = density * ~lung
    return {
        "wall": as_field(soft * (1 - thorax)),
        "thorax": as_field(soft * thorax),
        "bone": _bone(hounsfield, labels),
        "lung_tissue": as_field(np.minimum(density, 0.8) * lung),
    }


def _slabs(volume: NDArray[Any], grid: int) -> Field:
    """Sum a volume into coronal slabs (SLABS, grid, grid): path length times density, mm."""
    pieces = np.array_split(as_field(volume)[:, _DEPTH], SLABS, axis=1)
    sums = [piece.sum(1).T[::-1] * _HALF_VOXEL_MM for piece in pieces]
    return np.stack([resize(one, grid, grid, smooth=grid == GRID) for one in sums]).clip(0)


def _sharpen(slabs: Field) -> Field:
    """Undo some of the blur of the CT's 2.5 mm slices, for ribs and vessels."""
    return np.stack([2 * one - blur(one, 2.2) for one in slabs]).clip(0)


def _vessels(lung_tissue: Field, lung_fraction: Field) -> Field:
    coarse = np.stack([resize(one, LESION_GRID, LESION_GRID) for one in lung_tissue]) / SLAB_MM
    dense = np.clip(coarse / np.maximum(lung_fraction, 0.2) - 0.28, 0, 1) * (lung_fraction > 0.5)
    return as_field(ndimage.gaussian_filter(dense, (0.5, 1.2, 1.2)))


def _heart(labels: NDArray[np.uint8]) -> Field:
    """Volume fraction of the heart; veins that the labels count as heart are opened away."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    slabs = _slabs(_select(labels, _HEART), LESION_GRID) / SLAB_MM
    return np.stack([as_field(cv2.morphologyEx(slab, cv2.MORPH_OPEN, disc)) for slab in slabs])


def _prepare() -> Arrays:
    hounsfield, labels = half_resolution_ct()
    labels = labels[_COLUMNS]
    tissue = _tissue_layers(as_field(hounsfield[_COLUMNS]), labels)
    layers = {name: _slabs(volume, GRID) for name, volume in tissue.items()}
    layers["bone"], layers["lung_tissue"] = _sharpen(layers["bone"]), _sharpen(layers["lung_tissue"])
    lobes = np.stack([_slabs(labels == lobe, LESION_GRID) for lobe in LUNG_LOBES]) / SLAB_MM
    fraction = lobes.sum(0)
    depth = ndimage.distance_transform_edt(fraction > 0.3, sampling=(SLAB_MM, LESION_MM, LESION_MM))
    arrays = {
        "layers": np.stack([layers[name] for name in LAYERS], axis=-1),
        "lung": _slabs(is_lung(labels), GRID),
        "lobes": lobes,
        "heart": _heart(labels),
        "depth_in_lung_mm": depth,
        "vessels": _vessels(layers["lung_tissue"], fraction),
    }
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def _height(side: Field, down_mm: Field) -> Field:
    rows = np.flatnonzero((side > 0.3).any((0, 2))) * LESION_MM
    return as_field(np.clip((down_mm - rows[0]) / (rows[-1] - rows[0]), 0, 1))


def _from_side_wall(side: Field, *, left: bool) -> Field:
    silhouette = side.max(0) > 0.4
    if left:  # the left side wall is at the last column
        return as_field(np.cumsum(silhouette[:, ::-1], axis=1)[:, ::-1] * LESION_MM)[None]
    return as_field(np.cumsum(silhouette, axis=1) * LESION_MM)[None]


@lru_cache(maxsize=1)
def chest_anatomy() -> ChestAnatomy:
    """Return the prepared chest: from the cache, else computed in a few seconds. Introduced in chapter 05."""
    arrays = {name: as_field(array) for name, array in prepared("chest", _prepare).items()}
    axis = as_field(np.arange(LESION_GRID) * LESION_MM)
    depth = as_field((np.arange(SLABS) - SLABS / 2 + 0.5) * SLAB_MM)
    down = axis[None, :, None]
    right, left = arrays["lobes"][2:].sum(0), arrays["lobes"][:2].sum(0)
    return ChestAnatomy(
        **arrays,
        depth_mm=depth.reshape(-1, 1, 1),
        down_mm=down,
        across_mm=axis[None, None, :],
        sides=(right, left),
        height=(_height(right, down), _height(left, down)),
        from_side_wall_mm=(_from_side_wall(right, left=False), _from_side_wall(left, left=True)),
    )
