"""How a slice lies in a head: the patient's bent brain, the plane and its level, what the slice passes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.brain_anatomy import SELLA, Brain
from medxai_helpers.phantoms.kit import Field, Generator, as_field, pixel_grid, plane_waves, rotate, sigmoid, stream

PLANES = ("sagittal", "coronal", "axial")
NEAR_SELLA = 0.75
"""Share of patients whose slices go through the sella: otherwise the slice's level would betray that class."""
FAR_LEVELS_MM = ((-46.0, 46.0), (-70.0, 45.0), (-12.0, 52.0))
"""Template coordinates of the other slices: to the left, to the front, up."""
FIELD_MM = 230.0
_PATIENT, _LEVEL = 21, 22  # purposes of the random streams
_OFF_MIDDLE_MM = 2.5
"""The patient's middle slice lies at most so far from the sella, and every slice from the middle one."""
_COARSE_KNOTS, _FINE_KNOTS = 12, 48
_CENTRE_MM = np.array([0.0, -18.0, 4.0])
_VENTRICLES_MM, _VENTRICLE_RADII_MM = np.array([0.0, -16.0, 14.0]), np.array([26.0, 44.0, 20.0])

Warp = Callable[[NDArray[Any]], Field]
Warps = tuple[Warp, Warp, Warp]


@dataclass(frozen=True)
class Patient:
    """What stays the same in every slice of a patient. Introduced in chapter 12.

    Parameters
    ----------
    plane : int
        Index in ``PLANES``; it is also the template axis across the slice.
    level_mm : float
        Where the slices go through the template if not through the sella.
    near_sella : bool
        Whether they go through the sella.
    scale : float32, (3,)
        Size of the head over that of the template.
    bend_mm, bend
        Smooth warp of the whole head.
    fold_mm, fold
        Finer warp within the brain.
    ventricles : float
        How much wider than the template's the ventricles are.
    """

    plane: int
    level_mm: float
    near_sella: bool
    scale: Field
    bend_mm: float
    bend: Warps
    fold_mm: float
    fold: Warps
    ventricles: float


@dataclass(frozen=True)
class Pose:
    """How one slice lies in the head: field of view, turn and shift in the picture, tilt (mm per mm), level."""

    field_mm: float = FIELD_MM
    turn_deg: float = 0.0
    tilt: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    level_mm: float = 0.0


@dataclass(frozen=True)
class Slice:
    """One slice of the healthy patient: template points (H, W, 3) in mm and what lies there."""

    points: Field
    distance: Field
    t1: Field
    head: Field


def draw_patient(seed: int, plane: int | None, levels_mm: tuple[float, float] | None) -> Patient:
    """Draw a patient; a protocol may fix the plane and the range of levels. Introduced in chapter 12."""
    rng = stream(seed, _PATIENT)
    drawn, near, at = int(rng.integers(3)), bool(rng.random() < NEAR_SELLA), rng.random()
    plane = drawn if plane is None else plane
    low, high = FAR_LEVELS_MM[plane] if levels_mm is None else levels_mm
    return Patient(
        plane=plane,
        level_mm=low + at * (high - low),
        near_sella=near and levels_mm is None,
        scale=as_field(rng.uniform(0.93, 1.07) * np.exp(rng.normal(0, 0.025, 3))),
        bend_mm=rng.uniform(1.2, 2.6),
        bend=_warps(rng, 4, 80, 170),
        fold_mm=rng.uniform(0.6, 1.4),
        fold=_warps(rng, 8, 18, 34),
        ventricles=rng.uniform(-0.08, 0.36),
    )


def _warps(rng: Generator, count: int, shortest_mm: float, longest_mm: float) -> Warps:
    first, second, third = (plane_waves(rng, count, shortest_mm, longest_mm) for _ in range(3))
    return first, second, third


def _moved(warps: Warps, points: Field) -> Field:
    return np.stack([warp(points) for warp in warps], axis=-1)


def middle_level(patient: Patient, seed: int, *, through_sella: bool) -> float:
    """Return where the patient's middle slice lies across its plane, in the patient's mm. Introduced in chapter 12."""
    offset = stream(seed, _LEVEL).uniform(-_OFF_MIDDLE_MM, _OFF_MIDDLE_MM)
    if not (through_sella or patient.near_sella):
        return float(patient.level_mm * patient.scale[patient.plane])
    at = as_field(SELLA * patient.scale)
    bent = at / patient.scale + patient.bend_mm * _moved(patient.bend, at)
    return float(at[patient.plane] - (bent - SELLA)[patient.plane] * patient.scale[patient.plane] + offset)


def draw_pose(rng: Generator, level_mm: float, field_mm: tuple[float, float], shift_mm: float) -> Pose:
    """Draw how one slice near the middle one lies; nothing in it depends on the class. Introduced in chapter 12."""
    return Pose(
        field_mm=rng.uniform(*field_mm),
        turn_deg=rng.normal(0, 4),
        tilt=rng.normal(0, 0.04),
        shift_mm=(rng.normal(0, shift_mm), rng.normal(0, shift_mm)),
        level_mm=level_mm + rng.uniform(-_OFF_MIDDLE_MM, _OFF_MIDDLE_MM),
    )


def _plane_points(plane: int, pose: Pose, size: int) -> Field:
    """Points (size, size, 3) of a slice in the patient's mm: to the left, to the front, up."""
    right, down = pixel_grid(size, pose.field_mm)
    right, down = rotate(right, down, pose.turn_deg)
    level = pose.level_mm + pose.tilt * right
    across, up = right + pose.shift_mm[0], pose.shift_mm[1] - down
    x, y, z = _CENTRE_MM
    axes = {
        0: (level, across + y, up + z),
        1: (across + x, level, up + z),
        2: (across + x, up + y, level),
    }[plane]
    return np.stack([as_field(axis) for axis in axes], axis=-1)


def _smoothly(values: Field, size: int) -> Field:
    """Bring a field (k, k, 3) from its knots to the pixels."""
    return as_field(cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC))


def cut_slice(patient: Patient, pose: Pose, size: int, anatomy: Brain) -> Slice:
    """Look up one slice of the patient: head bent as a whole, folds and ventricles within the brain.

    Introduced in chapter 12.
    """
    points = _plane_points(patient.plane, pose, size)
    bend = _moved(patient.bend, _plane_points(patient.plane, pose, _COARSE_KNOTS))
    points = as_field(points / patient.scale + patient.bend_mm * _smoothly(bend, size))
    distance = anatomy.distance_at(points)
    head = anatomy.head_at(points)
    fold = _moved(patient.fold, _plane_points(patient.plane, pose, _FINE_KNOTS))
    within = sigmoid(-(distance + 1) / 2)
    points = as_field(points + (patient.fold_mm * within)[..., None] * _smoothly(fold, size))
    # Looking nearer to the ventricles' middle enlarges them, as age does.
    offset = points - as_field(_VENTRICLES_MM)
    near = np.exp(-1.5 * ((offset / as_field(_VENTRICLE_RADII_MM)) ** 2).sum(-1))
    points = as_field(points - offset * (near * patient.ventricles)[..., None])
    return Slice(points, distance, anatomy.t1_at(points), head)
