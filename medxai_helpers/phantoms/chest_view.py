"""The geometry of a chest film: the patient's shape, the pose, and the sums along the rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.chest_anatomy import GRID_MM, LAYERS, LESION_MM, SLAB_MM, SLABS, ChestAnatomy
from medxai_helpers.phantoms.chest_paint import Lesion
from medxai_helpers.phantoms.kit import Field, Generator, as_field, bell, pixel_grid, rotate, smooth_noise

MIDLINE_MM = 170.0
_SCAN_TOP_MM = 4.0
_FRONT_WALL_MM = 40.0
_LUNG_FIELD_SHARE = 0.45
"""Behind the dome and the heart there is less lung than this share of the longest path."""
_LUNG_TISSUE = LAYERS.index("lung_tissue")


@dataclass(frozen=True)
class Patient:
    """What stays the same in every film of a patient: body scale, layer weights, smooth warps in mm."""

    scale_across: float
    scale_down: float
    weights: Field  # of the four layers
    front_wall: float
    shift_across: Field
    shift_down: Field
    parallax: tuple[Field, Field]  # grows with depth, so that front and back ribs move apart


@dataclass(frozen=True)
class View:
    """One exposure's geometry: for each pixel the point of the middle slab, and how it moves with depth."""

    across: Field
    down: Field
    origin: tuple[float, float]
    slope: tuple[Field, Field]
    magnification: float
    pixel_mm: float


def draw_patient(rng: Generator, size: int) -> Patient:
    """Draw what a patient keeps from film to film, for films of ``size`` pixels. Introduced in chapter 05."""
    scale_across, scale_down = rng.uniform(0.9, 1.1), rng.uniform(0.9, 1.12)
    wall, front_wall, thorax = rng.uniform(0.55, 1.35), rng.uniform(0.5, 1.4), rng.uniform(0.93, 1.07)
    weights = as_field([wall, thorax, rng.uniform(2.0, 3.8), rng.uniform(0.85, 1.3)])
    x, z = pixel_grid(size, 2)
    across, down = 5 * smooth_noise(rng, 4, size), 6 * smooth_noise(rng, 4, size)
    across = across + rng.normal(0, 2.5) * np.sin(2.5 * z + rng.uniform(0, 6))  # curve of the spine
    across = across + x * z * rng.uniform(-14, 14)  # bell or barrel
    down = down + bell((z - 0.25) / 0.33) * (rng.normal(0, 9) + rng.normal(0, 5) * x)  # depth of breath on each side
    heart = np.exp(-(((x - 0.12) / 0.33) ** 2) - ((z - 0.12) / 0.32) ** 2)
    across = across - (x - 0.08) * heart * rng.uniform(-45, 22)  # heart narrow or wide
    parallax = (9 * smooth_noise(rng, 3, size), 9 * smooth_noise(rng, 3, size))
    return Patient(scale_across, scale_down, weights, front_wall, as_field(across), as_field(down), parallax)


def draw_view(rng: Generator, patient: Patient, size: int) -> View:
    """Draw the pose of one film. Introduced in chapter 05."""
    field_of_view = rng.uniform(275, 325)
    centre_across = MIDLINE_MM + rng.normal(0, 7)
    centre_down = rng.uniform(-28, 8) + field_of_view / 2 / patient.scale_down
    turn, tilt = np.deg2rad(rng.normal(0, 2.2)), np.deg2rad(rng.normal(0, 3))
    across, down = rotate(*pixel_grid(size, field_of_view), rng.normal(0, 1.8))
    cone = 1 / rng.uniform(1000, 1900)
    antero_posterior = rng.random() < 0.35  # the heart is then far from the film and magnified
    return View(
        across=across / np.float32(patient.scale_across) + patient.shift_across,
        down=down / np.float32(patient.scale_down) + patient.shift_down,
        origin=(centre_across, centre_down),
        slope=(as_field(turn + patient.parallax[0] / 100), as_field(tilt + patient.parallax[1] / 100)),
        magnification=-cone if antero_posterior else cone,
        pixel_mm=field_of_view / size,
    )


def _slab_points(view: View, depth_mm: float) -> tuple[Field, Field, Field]:
    """Return where the rays cross a slab (mm across, mm down) and how far above the scan they are (mm)."""
    magnification = 1 + view.magnification * depth_mm
    across = view.origin[0] + view.across * magnification + view.slope[0] * depth_mm
    down = view.origin[1] + view.down * magnification + view.slope[1] * depth_mm
    # Above the scan there is no data: its top row is narrowed into a neck, or there would be streaks.
    above = np.clip(_SCAN_TOP_MM - down, 0, None)
    across = MIDLINE_MM + (across - MIDLINE_MM) * (1 + above / 45)
    return as_field(across), as_field(np.maximum(down, _SCAN_TOP_MM)), as_field(above)


def _look_up(slab: Field, across: Field, down: Field, spacing_mm: float) -> Field:
    columns, rows = across / np.float32(spacing_mm) - 0.5, down / np.float32(spacing_mm) - 0.5
    maps = as_field(columns), as_field(rows)
    return as_field(cv2.remap(slab, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


@dataclass(frozen=True)
class Projection:
    """Sums along the rays of one film, each (H, W).

    Parameters
    ----------
    body : float32
        The healthy chest, mm of water.
    changes : list of float32 arrays
        What each lesion adds to the chest, mm of water; negative where it leaves air.
    shapes : list of float32 arrays
        Path through what a reader would outline of each lesion, mm.
    """

    body: Field
    changes: list[Field]
    shapes: list[Field]


def project(anatomy: ChestAnatomy, patient: Patient, view: View, lesions: Sequence[Lesion]) -> Projection:
    """Add up the slabs along the rays. Introduced in chapter 05."""
    body = np.zeros_like(view.across)
    changes, shapes = ([np.zeros_like(body) for _ in lesions] for _ in range(2))
    for index in range(SLABS):
        depth = float(anatomy.depth_mm[index, 0, 0])
        across, down, above = _slab_points(view, depth)
        layers = _layers(anatomy, index, (across, down, above))
        weights = patient.weights * as_field([patient.front_wall if depth > _FRONT_WALL_MM else 1, 1, 1, 1])
        body += layers @ weights
        if not lesions:
            continue
        lung = _look_up(anatomy.lung[index], across, down, GRID_MM)
        tissue = layers[..., _LUNG_TISSUE] * weights[_LUNG_TISSUE]
        for lesion, change, shape in zip(lesions, changes, shapes, strict=True):
            added, seen = _lesion_in_slab(lesion, index, (across, down), lung, tissue)
            change += added
            shape += seen
    return Projection(body, changes, shapes)


def _layers(anatomy: ChestAnatomy, index: int, points: tuple[Field, Field, Field]) -> Field:
    """Return (H, W, 4) mm of water of a slab's layers."""
    across, down, above = points
    layers = _look_up(anatomy.layers[index], across, down, GRID_MM)
    is_spine = abs(across - MIDLINE_MM - 2) < 22
    layers[..., 2] *= np.where(is_spine, 1, np.clip(1 - above / 6, 0, 1))  # no bone in the neck but the spine
    return layers


def _lesion_in_slab(
    lesion: Lesion, index: int, points: tuple[Field, Field], lung_mm: Field, tissue_mm: Field
) -> tuple[Field, Field]:
    """Return what a lesion adds in a slab (mm of water) and the path through its outline (mm)."""
    added = _look_up(lesion.density[index], *points, LESION_MM) * lung_mm
    if lesion.tissue is not None:
        added = added + _look_up(lesion.tissue[index], *points, LESION_MM) * tissue_mm
    if lesion.outline is None:
        return added, added
    return added, _look_up(lesion.outline[index], *points, LESION_MM) * np.float32(SLAB_MM)


def project_lungs(anatomy: ChestAnatomy, view: View) -> tuple[Field, Field]:
    """Return the paths through the right and the left lung, mm, each (H, W). Introduced in chapter 08."""
    right, left = np.zeros_like(view.across), np.zeros_like(view.across)
    for index in range(SLABS):
        across, down, _ = _slab_points(view, float(anatomy.depth_mm[index, 0, 0]))
        for total, side in zip((right, left), anatomy.sides, strict=True):
            total += SLAB_MM * _look_up(side[index], across, down, LESION_MM)
    return right, left


def divide_lungs(lungs: tuple[Field, Field]) -> NDArray[np.uint8]:
    """Divide the lung fields as a frontal film shows them: thirds of each lung from its top to the dome.

    Parameters
    ----------
    lungs : tuple of two float32 arrays, (H, W)
        Path through the right and the left lung, mm.

    Returns
    -------
    uint8 array, (H, W)
        0 outside; 1, 2, 3 upper, middle, lower zone of the right lung (left in the picture); 4, 5, 6 of the left.

    Introduced in chapter 08.
    """
    zones = np.zeros(lungs[0].shape, np.uint8)
    for first, path in zip((1, 4), lungs, strict=True):
        field = path > _LUNG_FIELD_SHARE * np.percentile(path, 99)
        rows = np.flatnonzero(field.any(1))
        third = 3 * (np.arange(len(path)) - rows[0]) // len(range(rows[0], rows[-1] + 1))
        zones = np.where(field, (first + np.clip(third, 0, 2))[:, None], zones).astype(np.uint8)
    return zones
