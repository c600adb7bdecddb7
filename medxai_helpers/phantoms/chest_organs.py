"""Findings that change the heart's size or the lung's air: cardiomegaly, pneumothorax, emphysema."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.chest_anatomy import LESION_GRID, LESION_MM, ChestAnatomy
from medxai_helpers.phantoms.chest_paint import Lesion, distance, no_density, noise, pick
from medxai_helpers.phantoms.kit import Field, Generator, as_field, sigmoid

_MUSCLE_IN_LUNG = 0.85
"""Density that heart muscle adds where there was lung."""
_HEART_CORNER_MM = (21.0, -11.0)
"""The point that stays put while the heart grows: below its top, to the patient's right of its middle."""
_HILUM_MM = (25.0, 30.0)
"""The hilum seen from the middle of a lung: down, and towards the spine."""


def _scaled(slabs: Field, across: float, down: float, fixed_mm: tuple[float, float]) -> Field:
    """Scale every slab about a point (mm down, mm across)."""
    row, column = fixed_mm[0] / LESION_MM, fixed_mm[1] / LESION_MM
    matrix = np.array([[across, 0, column * (1 - across)], [0, down, row * (1 - down)]], np.float32)
    size = (LESION_GRID, LESION_GRID)
    return np.stack([as_field(cv2.warpAffine(slab, matrix, size)) for slab in slabs])


def paint_cardiomegaly(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Lesion:
    """Paint a wider heart, scaled about its upper right corner, wherever that was lung. Introduced in chapter 13."""
    growth = 0.13 + 0.27 * conspicuity * rng.uniform(0.8, 1.2)
    seen = np.argwhere(anatomy.heart.max(0) > 0.5) * LESION_MM
    fixed = (seen[:, 0].min() + _HEART_CORNER_MM[0], float(np.median(seen[:, 1])) + _HEART_CORNER_MM[1])
    heart = _scaled(anatomy.heart, 1 + growth, 1 + 0.45 * growth, fixed)
    neighbours = np.maximum(np.roll(heart, 1, 0), np.roll(heart, -1, 0))
    heart = np.clip(np.maximum(heart, 2 * growth * neighbours), 0, 1)  # it grows in depth too
    density = (anatomy.sides[0] + anatomy.sides[1]) * np.clip(heart - anatomy.heart, 0, 1) * _MUSCLE_IN_LUNG
    return Lesion(as_field(density), outline=as_field(np.maximum(heart, anatomy.heart)))


def _hilum_mm(side: NDArray[np.float32], anatomy: ChestAnatomy, *, left: bool) -> tuple[float, float]:
    down = float((side * anatomy.down_mm).sum() / side.sum())
    across = float((side * anatomy.across_mm).sum() / side.sum())
    return down + _HILUM_MM[0], across + (-_HILUM_MM[1] if left else _HILUM_MM[1])


def paint_pneumothorax(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Lesion:
    """Paint one lung shrunken towards its hilum inside a thin pleura; only air around. Introduced in chapter 13."""
    left = int(rng.integers(2))
    side = anatomy.sides[left]
    scale = 1 - rng.uniform(0.16, 0.36) * (0.4 + 0.6 * conspicuity)
    kept = _scaled(side, scale, scale, _hilum_mm(side, anatomy, left=bool(left)))
    inside = np.clip(1.4 * kept, 0, 1)
    air = side * (1 - inside)
    pleura = np.stack([cv2.morphologyEx(one, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) for one in inside])
    return Lesion(as_field(0.22 * side * pleura), tissue=as_field(side * inside * (1 / scale - 1) - air), outline=air)


def _bulla(rng: Generator, anatomy: ChestAnatomy) -> tuple[Field, Field]:
    """Inside and wall of an air sac."""
    side = int(rng.integers(2))
    radius = rng.uniform(20, 40)
    away = distance(anatomy, pick(rng, anatomy, side, 0.05, (4, 30)), stretch=rng.uniform(0.8, 1.3))
    inside = sigmoid((radius - away) / 1.5)
    return as_field(anatomy.sides[side] * inside), as_field(anatomy.sides[side] * 4 * inside * (1 - inside))


def paint_emphysema(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Lesion:
    """Paint rarefied lungs with air sacs, most of all in the upper zones. Introduced in chapter 13."""
    upper = sum(side * (1 - 0.5 * height) for side, height in zip(anatomy.sides, anatomy.height, strict=True))
    lost = upper * np.clip(0.5 + 0.25 * noise(rng, 2, 5), 0.1, 0.8) * (0.8 + 0.5 * conspicuity)
    walls = no_density()
    for _ in range(int(rng.integers(3, 8))):
        inside, wall = _bulla(rng, anatomy)
        lost, walls = np.maximum(lost, inside), np.maximum(walls, 0.22 * conspicuity * wall)
    return Lesion(walls, tissue=as_field(-lost), outline=as_field(lost))
