"""What every painter of a chest finding uses: noise and nets in the lung, points in it, and the finished lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medxai_helpers.phantoms.chest_anatomy import LESION_GRID, LESION_MM, SLABS, ChestAnatomy
from medxai_helpers.phantoms.kit import Field, Generator, as_field, bell, resize

Centre = tuple[float, float, float]

DEEPEST_HEIGHT = 0.66
"""Below this height fraction a lesion would hide in the recess behind the dome of the diaphragm."""


@dataclass(frozen=True)
class Lesion:
    """What a finding does to the chest, on the (SLABS, LESION_GRID, LESION_GRID) lesion grid.

    Parameters
    ----------
    density : float32
        Density (water = 1) added inside the lung.
    tissue : float32, optional
        Relative change of the lung's own tissue: -1 leaves only air.
    outline : float32, optional
        Volume fraction of what a reader would outline; by default wherever the density shows.

    Introduced in chapter 13.
    """

    density: Field
    tissue: Field | None = None
    outline: Field | None = None


def noise(rng: Generator, depth_knots: int, knots: int) -> Field:
    """Smooth noise of unit variance on the lesion grid; more knots make it finer."""
    coarse = rng.normal(size=(depth_knots, knots, knots))
    planes = np.stack([resize(plane, LESION_GRID, LESION_GRID, smooth=True) for plane in coarse])
    position = np.linspace(0, depth_knots - 1, SLABS)
    below = np.minimum(position.astype(int), depth_knots - 2)
    upper = as_field(position - below)[:, None, None]
    values = planes[below] * (1 - upper) + planes[below + 1] * upper
    return as_field(values / values.std())


def net(rng: Generator, depth_knots: int, knots: int, width: float) -> Field:
    """Thin sheets where noise crosses zero: a net when seen in projection."""
    return bell(noise(rng, depth_knots, knots) / width)


def pick(
    rng: Generator,
    anatomy: ChestAnatomy,
    side: int,
    highest: float,
    deep_mm: tuple[float, float],
    from_side_mm: float = np.inf,
) -> Centre:
    """Draw a lung point (mm to the front, down, left) of one side, below ``highest`` and so far from the pleura.

    With ``from_side_mm`` it lies no farther from the side wall than that: not behind the heart or the hilum.
    """
    height, deep = anatomy.height[side], anatomy.depth_in_lung_mm
    allowed = (anatomy.sides[side] > 0.7) & (height > highest) & (height < DEEPEST_HEIGHT)
    allowed = allowed & (anatomy.from_side_wall_mm[side] < from_side_mm)
    slab, row, column = rng.choice(np.argwhere(allowed & (deep > deep_mm[0]) & (deep < deep_mm[1])))
    return float(anatomy.depth_mm[slab, 0, 0]), float(row * LESION_MM), float(column * LESION_MM)


def distance(anatomy: ChestAnatomy, centre: Centre, stretch: float = 1.0) -> Field:
    """Return the distance in mm from a point; ``stretch`` makes its spheres longer from top to bottom."""
    down = (anatomy.down_mm - centre[1]) / stretch
    squared = (anatomy.depth_mm - centre[0]) ** 2 + down**2 + (anatomy.across_mm - centre[2]) ** 2
    return as_field(np.sqrt(squared))


def no_density() -> Field:
    """Return a lesion grid of zeros."""
    return np.zeros((SLABS, LESION_GRID, LESION_GRID), np.float32)
