"""The head as a magnetic resonance scanner sees it: the ICBM152 brain at 1 mm in a built head at 2 mm.

Brain and head are kept apart, so that a patient's folds can be bent without bending the skull. The template is an
average of healthy people without contrast agent: vessels, sinuses and choroid plexus are drawn in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.anatomy import prepared
from medxai_helpers.phantoms.head import (
    AIR,
    BONE,
    FAT,
    FLUID,
    ORIGIN,
    OUTSIDE_BRAIN,
    PAD_BELOW_MM,
    STEP_MM,
    Axes,
    Ellipsoid,
    Rod,
    head_axes,
    head_template,
    inner_table,
    muscle_texture,
    signed_distance,
    skin_depth,
)
from medxai_helpers.phantoms.kit import Bools, Field, as_field, sample, sigmoid
from medxai_helpers.phantoms.rendering import Pixels
from medxai_helpers.phantoms.store import Arrays
from medxai_helpers.phantoms.volumes import load_icbm152

SELLA = np.array([0.0, 3.0, -31.0], np.float32)
"""Middle of the pituitary fossa in template mm."""
VESSEL = 1.27
"""T1 level that stands for enhancing blood; the template's own levels end at 1."""
_BRAIN_LEVELS = 200
"""Stored value of T1 level 1."""
_DISTANCE_STEPS = 64
"""Stored steps per mm of distance."""
_FURTHEST_MM = 120.0
_ROUNDING_MM = 8.0

# T1 signal after contrast by the Hounsfield units that the head's table of structures gives.
_T1_HU = (AIR, -300.0, FAT, FLUID, 35.0, 60.0, 90.0, 500.0, 600.0, 700.0, BONE)
_T1_SIGNAL = (0.02, 0.06, 0.80, 0.12, 0.42, 0.40, 0.30, 0.46, 0.40, 0.32, 0.08)
# Fluid, dura, dense table, marrow, dense table and scalp fat by distance from the inner table in mm.
_LAYER_MM = (0.0, 1.2, 2.0, 2.8, 5.4, 8.0, 9.2, 10.4)
_LAYER_SIGNAL = (0.10, 0.16, 0.26, 0.05, 0.30, 0.05, 0.30, 0.86)

_SELLAR: tuple[tuple[Ellipsoid, float], ...] = (
    (Ellipsoid((0, 3, -31), (15, 9, 8), FLUID, paired=False), 0.12),
    (Ellipsoid((12, 2, -32), (4, 9, 5), FLUID), 0.52),  # cavernous sinus
    (Ellipsoid((11, 3, -31), (1.9, 9, 2), FLUID), 0.06),  # carotid artery: fast flow is black
    (Ellipsoid((0, 3, -33.5), (6.5, 5, 3.6), FLUID, paired=False), 0.60),  # gland
    (Ellipsoid((0, 0, -25), (1.3, 1.6, 6), FLUID, paired=False), 0.55),  # its stalk
)
_EARS = Ellipsoid((77, -26, -36), (5, 13, 26), FAT)
_VESSELS: tuple[Rod, ...] = (
    Rod((1, -14, -44), (1, -9, -22), 1.8, VESSEL),  # basilar artery
    Rod((8, 0, -21), (17, 3, -17), 1.4, VESSEL),  # middle cerebral arteries
    Rod((17, 3, -17), (28, 1, -21), 1.3, 1.2),
    Rod((28, 1, -21), (41, 5, -13), 1.2, 1.2),
    Rod((41, 5, -13), (48, -26, 6), 1.1, 1.15),
    Rod((3, 6, -18), (2, 38, 2), 1.4, VESSEL),  # anterior cerebral arteries
    Rod((6, -14, -18), (22, -36, -8), 1.3, VESSEL),  # posterior cerebral arteries
    Rod((2, -34, 6), (2, -58, 12), 2.0, VESSEL),  # vein of Galen and straight sinus
    Rod((8, -22, 13), (22, -40, 6), 2.6, 1.12),  # choroid plexus
)


@dataclass(frozen=True)
class Brain:
    """The prepared brain and head. Introduced in chapter 12.

    Parameters
    ----------
    t1 : uint8, 1 mm voxels
        T1 level of the template: fluid about 0.25, grey matter 0.6, white matter 0.9, vessels ``VESSEL``.
    head : uint8, 2 mm voxels
        T1 signal after contrast of everything outside the brain.
    distance : int16, 2 mm voxels
        Distance from the skull's inner table, negative within.
    """

    t1: Pixels
    head: Pixels
    distance: NDArray[np.int16]

    def t1_at(self, points_mm: Field) -> Field:
        """Return the T1 level at template points (..., 3) in mm."""
        origin = as_field(ORIGIN) - as_field([0, 0, PAD_BELOW_MM])
        return sample(self.t1, np.moveaxis(points_mm + origin, -1, 0), 0) / np.float32(_BRAIN_LEVELS)

    def head_at(self, points_mm: Field) -> Field:
        """Return the signal of the head outside the brain at template points (..., 3) in mm."""
        return sample(self.head, _coarse(points_mm), 0) / np.float32(255)

    def distance_at(self, points_mm: Field) -> Field:
        """Return the distance from the inner table in mm, negative within, at template points (..., 3) in mm."""
        return sample(self.distance, _coarse(points_mm), _FURTHEST_MM * _DISTANCE_STEPS) / np.float32(_DISTANCE_STEPS)


def _coarse(points_mm: Field) -> Field:
    """Fractional indices (3, ...) of the 2 mm voxels; below the lowest layer the neck goes on as it is there."""
    indices = (points_mm + as_field(ORIGIN + 0.5)) / np.float32(STEP_MM) - np.float32(0.5)
    indices[..., 2] = np.maximum(indices[..., 2], 0)
    return as_field(np.moveaxis(indices, -1, 0))


def _flesh(shape: tuple[int, ...]) -> Field:
    texture = muscle_texture(shape, 3.5)
    return as_field(0.33 + 0.04 * texture + 0.26 * sigmoid((texture - 1.0) / 0.3))


def _rounded(distance: Field) -> Field:
    """Distance whose level sets turn round from the inner table outwards: a convex hull has edges, a skull has none."""
    smooth = as_field(ndimage.gaussian_filter(distance, _ROUNDING_MM / STEP_MM))
    return as_field(distance + (smooth - distance) * np.clip((distance + 5) / 8, 0, 1))


def _is_sinus(distance: Field, axes: Axes) -> Bools:
    """Where blood leaves the head: along the midline of the vault and round the back of the cerebellum's roof."""
    x, y, z = axes
    sagittal = (distance > 0) & (distance < 5.0 - 0.8 * abs(x)) & (z > 5)
    transverse = (distance > -1) & (distance < 4) & (abs(z + 20) < 4) & (y < -40)
    return np.asarray(sagittal | transverse, np.bool_)


def _mucosa(axes: Axes) -> Bools:
    """The nasal conchae: folds from side to side, enhancing."""
    x, y, z = axes
    inside = Ellipsoid((0, 50, -50), (9, 24, 15), AIR, paired=False).covers(axes)
    return np.asarray(inside & (np.sin(0.9 * abs(x) + 0.35 * z + 0.05 * y) > -0.2), np.bool_)


def _head_signal(distance: Field, axes: Axes) -> Field:
    """T1 signal after contrast of everything outside the brain."""
    _, y, z = axes
    surface = skin_depth(distance, axes)
    face = sigmoid((-z - 28 - 0.25 * np.clip(y, -60, 60)) / 4) * sigmoid((y + 30) / 4 + np.clip(-z - 62, 0, None))
    signal = np.interp(distance, _LAYER_MM, _LAYER_SIGNAL) * (1 - face) + _flesh(distance.shape) * face
    signal = np.where(surface > -4.5, 0.85, signal)
    outer = distance > 0.8
    for structure in OUTSIDE_BRAIN:
        signal = np.where(structure.covers(axes) & outer, np.interp(structure.hounsfield, _T1_HU, _T1_SIGNAL), signal)
    signal = np.where(_mucosa(axes) & outer, 0.55, signal)
    for structure, value in _SELLAR:
        signal = np.where(structure.covers(axes) & (distance > -3), value, signal)
    signal = np.where(_is_sinus(distance, axes), 0.85, signal)
    signal = np.where(surface > -1.2, 0.45, signal)
    return as_field(np.where(surface < 0, signal, np.where(_EARS.covers(axes), 0.6, 0)))


def _draw_vessels(t1: Field) -> None:
    """Draw the enhancing vessels into the template, each within its own box."""
    origin = ORIGIN - [0, 0, PAD_BELOW_MM]
    for rod in _VESSELS:
        for side in (-1, 1):
            ends = (np.array([rod.start, rod.end]) * [side, 1, 1] + origin).astype(int)
            box = tuple(slice(low - 4, high + 5) for low, high in zip(ends.min(0), ends.max(0), strict=True))
            x, y, z = (as_field(np.arange(s.start, s.stop) - o) for s, o in zip(box, origin, strict=True))
            covered = rod.covers((x[:, None, None], y[None, :, None], z[None, None, :]))
            share = ndimage.gaussian_filter(as_field(covered), 0.6)
            t1[box] = t1[box] * (1 - share) + rod.hounsfield * share


def _prepare() -> Arrays:
    template = head_template()
    axes = head_axes(template.shape)
    inside = inner_table(template, axes)
    distance = _rounded(signed_distance(inside))
    signal = ndimage.gaussian_filter(_head_signal(distance, axes), 0.35)
    t1 = load_icbm152("t1")
    _draw_vessels(t1)
    return {
        "t1": np.round(t1 * _BRAIN_LEVELS).astype(np.uint8),
        "head": np.round(np.clip(signal, 0, 1) * 255).astype(np.uint8),
        "distance": np.round(np.clip(distance, -_FURTHEST_MM, _FURTHEST_MM) * _DISTANCE_STEPS).astype(np.int16),
    }


@lru_cache(maxsize=1)
def brain() -> Brain:
    """Return the prepared brain: from the cache, else computed in a few seconds.

    Source: ICBM 2009a nonlinear symmetric template, as packaged in nilearn; skull, face and vessels are drawn.
    Introduced in chapter 12.
    """
    return Brain(**prepared("brain", _prepare))
