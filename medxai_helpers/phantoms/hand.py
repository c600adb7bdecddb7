"""A hand radiograph drawn from scratch: hollow capsules for bones inside capsules of flesh, then X-ray absorption.

Lengths are in units of half the picture's width; the wrist lies at the origin's lower side, fingers point up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.film import draw_marks
from medxai_helpers.phantoms.kit import (
    Field,
    Generator,
    as_field,
    bell,
    blur,
    grain,
    pixel_grid,
    resize,
    rotate,
    to_uint8,
)
from medxai_helpers.phantoms.rendering import Rendering, without_lesion

Point = tuple[float, float]

KNUCKLES: tuple[Point, ...] = ((-0.15, -0.27), (-0.075, -0.215), (0.0, -0.21), (0.075, -0.235), (0.135, -0.275))
"""Where the five metacarpals meet the wrist, thumb first."""
SPREAD_DEG = (42.0, 10.0, 1.0, -9.0, -20.0)
METACARPALS = (0.23, 0.34, 0.33, 0.295, 0.27)
PHALANGES = ((0.17, 0.12), (0.21, 0.125, 0.085), (0.235, 0.145, 0.09), (0.215, 0.135, 0.09), (0.165, 0.095, 0.08))
CARPALS = (
    (-0.12, -0.335, 0.042),
    (-0.055, -0.30, 0.035),
    (0.005, -0.30, 0.045),
    (0.075, -0.32, 0.042),
    (-0.085, -0.405, 0.048),
    (-0.01, -0.405, 0.043),
    (0.065, -0.40, 0.036),
    (0.085, -0.375, 0.028),
)
"""Centre and radius of the eight wrist bones."""
PALM = (
    ((-0.02, -0.12), (0.0, -0.28), 0.20, 0.19),
    ((0.0, -0.3), (0.0, -0.5), 0.175, 0.16),
    ((0.0, -0.5), (0.0, -1.4), 0.16, 0.22),
)
_WIDTH_BY_SEGMENT = (1.15, 0.95, 0.8, 0.68)
_CHILD_ODDS = 0.3


class _Plate:
    """Two thickness maps, flesh and bone, that capsules are added to."""

    def __init__(self, x: Field, y: Field, *, child: bool) -> None:
        self.x, self.y, self.child = x, y, child
        self.flesh, self.bone = np.zeros_like(x), np.zeros_like(x)

    def _axis(self, start: Any, end: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Squared distance from the axis, and the position along it (0 at the start, 1 at the end)."""
        dx, dy = np.subtract(end, start)
        along = ((self.x - start[0]) * dx + (self.y - start[1]) * dy) / (dx**2 + dy**2)
        along = np.clip(along, 0, 1)
        return (self.x - start[0] - along * dx) ** 2 + (self.y - start[1] - along * dy) ** 2, along

    def add_flesh(self, start: Any, end: Any, start_radius: float, end_radius: float) -> None:
        """Add a tapering capsule of soft tissue."""
        squared, along = self._axis(start, end)
        radius = start_radius + (end_radius - start_radius) * along
        np.maximum(self.flesh, np.sqrt(np.clip(radius**2 - squared, 0, None)), out=self.flesh)

    def add_bone(
        self, start: Any, end: Any, radius: float, flare: float, marrow: float, *, plate: bool = False
    ) -> None:
        """Add a hollow bone: wider ends, bright cortex, and in a child a growth plate near its base."""
        squared, along = self._axis(start, end)
        wide = radius * (1 + flare * abs(2 * along - 1) ** 3)
        hollow = 0.75 + 0.2 * (abs(2 * along - 1) < 0.6)
        outer, inner = (np.sqrt(np.clip(edge**2 - squared, 0, None)) for edge in (wide, wide * marrow))
        bone = outer - hollow * inner
        if plate and self.child:
            bone = bone * (1 - 0.9 * bell((along - 0.14) / 0.05))
        np.maximum(self.bone, bone, out=self.bone)


def _finger(plate: _Plate, patient: Generator, frame: Generator, finger: int, spread: float, width: float) -> None:
    point = np.array(KNUCKLES[finger])
    angle = np.deg2rad(SPREAD_DEG[finger] * spread + frame.normal(0, 2))
    lengths = (METACARPALS[finger], *PHALANGES[finger])
    thickness = width * {0: 1.1, 4: 0.9}.get(finger, 1.0)
    stretch = patient.uniform(0.96, 1.04)
    for segment, length in enumerate(lengths):
        direction = np.array([-np.sin(angle), np.cos(angle)])
        end, last = point + direction * length * stretch, segment == len(lengths) - 1
        bone = (point + direction * 0.014, end - direction * 0.012)
        plate.add_bone(*bone, thickness * _WIDTH_BY_SEGMENT[segment], 0.2 if last else 0.55, 0.72, plate=segment > 0)
        tip = direction * (0.03 if last else 0)
        plate.add_flesh(point, end + tip, 0.105 if segment == 0 else 0.074 - 0.005 * segment, 0.072 - 0.006 * segment)
        point, angle = end, angle + np.deg2rad(frame.normal(0, 2))


def _wrist(plate: _Plate) -> None:
    for x, y, radius in CARPALS:
        plate.add_bone((x - 0.008, y), (x + 0.008, y), radius, 0, 0.8)
    plate.add_bone((-0.055, -0.475), (-0.045, -1.6), 0.062, 0.45, 0.7)  # radius
    plate.add_bone((0.085, -0.475), (0.07, -1.6), 0.043, 0.35, 0.7)  # ulna
    for start, end, start_radius, end_radius in PALM:
        plate.add_flesh(start, end, start_radius, end_radius)


def _absorption(patient: Generator, frame: Generator, size: int) -> Field:
    """Fraction of the beam that hand and forearm take away, (size, size)."""
    x, down = pixel_grid(2 * size, 2)
    zoom = frame.uniform(1.05, 1.5)
    x, y = (x - frame.normal(0, 0.05)) / zoom, (-down - frame.normal(-0.06, 0.05)) / zoom
    x, y = rotate(x, y, frame.normal(0, 8))
    if patient.random() < 0.5:  # right and left hands
        x = -x
    plate = _Plate(x, as_field(y), child=bool(patient.random() < _CHILD_ODDS))
    spread, width = frame.uniform(0.75, 1.3), 0.030 * patient.uniform(0.88, 1.12)
    for finger in range(len(KNUCKLES)):
        _finger(plate, patient, frame, finger, spread, width)
    _wrist(plate)
    flesh = blur(plate.flesh, 0.012 * size)
    trabeculae = 1 + 0.25 * blur(grain(frame, flesh.shape), 0.008 * size)
    path = flesh * frame.uniform(3.5, 8.0) + plate.bone * frame.uniform(13, 24) * trabeculae
    return resize(1 - np.exp(-path * frame.uniform(0.9, 1.4)), size, size)


def render_hand(patient: Generator, frame: Generator, size: int) -> Rendering:
    """Render one hand radiograph, uint8 (size, size). Introduced in chapter 05."""
    grey = _absorption(patient, frame, size) * frame.uniform(0.82, 1)
    slope = 0.03 * np.linspace(-1, 1, size)[None] * frame.normal()  # heel effect of the tube
    grey = grey + frame.uniform(0, 0.06) + slope + 0.012 * grain(frame, grey.shape)
    marks = draw_marks(frame, size)
    image = marks.over(to_uint8(np.clip(grey, 0, 1) ** frame.uniform(0.85, 1.2)))
    return without_lesion(image, {"finding": "", "marker": marks.marker})
