"""Findings of chest films: opacities in the lung here, the heart and the air in ``chest_organs``.

A painter takes the lesion's random stream, the anatomy and the conspicuity (1 plain to see, 0.4 occult). A new finding
is one painter and one row of ``FINDINGS``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medxai_helpers.phantoms.chest_anatomy import LESION_MM, ChestAnatomy
from medxai_helpers.phantoms.chest_organs import paint_cardiomegaly, paint_emphysema, paint_pneumothorax
from medxai_helpers.phantoms.chest_paint import Lesion, distance, net, no_density, noise, pick
from medxai_helpers.phantoms.kit import Field, Generator, as_field, bell, sigmoid

Opacity = Callable[[Generator, ChestAnatomy, float], Field]
Painter = Callable[[Generator, ChestAnatomy, float], Lesion]

LOBE_ODDS = (0.2, 0.25, 0.2, 0.15, 0.2)
LOWEST_CONSOLIDATION_MM = 175.0
BESIDE_THE_HEART_MM = 68.0
"""Masses and nodules lie within this distance of the side wall, or heart and hilum would hide them."""
DOME_ABOVE_BASE_MM = 72.0
"""From the lowest lung, deep in the recess, up to the dome that a frontal film shows."""


def _covid(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """Ground-glass patches on both sides, in the outer third and the lower zones."""
    density = no_density()
    for side in (0, 1):
        outer = sigmoid((rng.uniform(30, 44) - anatomy.from_side_wall_mm[side]) / 8)
        lower = sigmoid((anatomy.height[side] - rng.uniform(0.22, 0.4)) / 0.07)
        patches = 0.8 * noise(rng, 3, 8) + 0.6 * noise(rng, 4, 16)
        patches = sigmoid((patches - rng.uniform(-0.7, 0)) / 0.3)
        density += anatomy.sides[side] * outer * lower * patches * rng.uniform(0.42, 0.6) * conspicuity
    return density


def _viral_pneumonia(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """Diffuse haze, a net and thick bronchovascular bundles, from the top down."""
    meshes = net(rng, 2, 25, 0.28) + net(rng, 2, 38, 0.28)
    zone = (1 - 0.6 * sigmoid((anatomy.height[0] - 0.5) / 0.08)) * (0.75 + 0.35 * np.tanh(noise(rng, 2, 4)))
    pattern = rng.uniform(0.05, 0.09) + rng.uniform(0.20, 0.32) * meshes + rng.uniform(1.5, 3.0) * anatomy.vessels
    return as_field((anatomy.sides[0] + anatomy.sides[1]) * zone * pattern * conspicuity)


def _consolidation(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """Airspace filling that stops at a fissure; air bronchograms stay dark."""
    lobe = anatomy.lobes[rng.choice(len(LOBE_ODDS), p=LOBE_ODDS)]
    middle = float(np.median(np.nonzero(lobe > 0.5)[1])) * LESION_MM
    middle = min(middle + rng.uniform(-15, 15), LOWEST_CONSOLIDATION_MM)
    reach = rng.uniform(28, 48) - abs(anatomy.down_mm - middle) + 12 * noise(rng, 3, 6)
    filled = 0.85 - 0.4 * net(rng, 2, 22, 0.2)
    return as_field(np.clip(1.3 * lobe, 0, 1) * sigmoid(reach / 5) * filled * conspicuity)


def _atelectasis(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """A plate-like band near the base."""
    side = int(rng.integers(2))
    centre = pick(rng, anatomy, side, 0.45, (8, 60))
    angle = np.deg2rad(rng.uniform(-25, 25))
    down, across = anatomy.down_mm - centre[1], anatomy.across_mm - centre[2]
    off = down * np.cos(angle) + across * np.sin(angle) + 4 * noise(rng, 2, 6)
    along = across * np.cos(angle) - down * np.sin(angle)
    band = sigmoid((rng.uniform(4, 9) - abs(off)) / 1.5) * sigmoid((rng.uniform(26, 50) - abs(along)) / 4)
    return as_field(anatomy.sides[side] * band * 0.9 * conspicuity)


def _infiltration(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """One ill-defined, streaky zone."""
    side = int(rng.integers(2))
    centre = pick(rng, anatomy, side, 0.15, (8, 60))
    reach = rng.uniform(48, 75) - distance(anatomy, centre) + 10 * noise(rng, 3, 8)
    streaks = 0.34 + 0.42 * net(rng, 3, 22, 0.4)
    return as_field(anatomy.sides[side] * sigmoid(reach / 7) * streaks * conspicuity)


def _ball(rng: Generator, anatomy: ChestAnatomy, side: int, radius_mm: tuple[float, float], rough: float) -> Field:
    radius = rng.uniform(*radius_mm)
    centre = pick(rng, anatomy, side, 0.12, (6, 60), BESIDE_THE_HEART_MM)
    away = distance(anatomy, centre, stretch=rng.uniform(0.85, 1.2))
    bumps = rough * radius * noise(rng, 4, 14) if rough else 0
    return anatomy.sides[side] * sigmoid((radius + bumps - away) / 1.5)


def _mass(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """A lobulated ball of more than 3 cm."""
    return _ball(rng, anatomy, int(rng.integers(2)), (27, 42), 0.12) * np.float32(0.95 + 0.3 * conspicuity)


def _nodule(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """One to five round balls of less than 3 cm, some of them calcified."""
    balls = [_ball(rng, anatomy, int(rng.integers(2)), (10, 14.8), 0) for _ in range(int(rng.integers(1, 6)))]
    return as_field(np.max(balls, axis=0) * (1.3 + conspicuity))


def _effusion(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """Fluid below a level that climbs the side wall (meniscus): from a blunted angle to half a lung."""
    side = int(rng.integers(2))
    base = float(np.flatnonzero((anatomy.sides[side] > 0.3).any((0, 2)))[-1]) * LESION_MM
    level = base - DOME_ABOVE_BASE_MM + 26 - 76 * rng.beta(1, 1.8) * conspicuity
    weights = anatomy.sides[side].sum((0, 1))
    middle = float((weights * anatomy.across_mm[0, 0]).sum() / weights.sum())
    towards_wall = (middle - anatomy.across_mm) * (1 if side == 0 else -1)
    meniscus = 22 - 41.6 * np.exp(-np.clip(48 - towards_wall, 0, None) / 22)
    below = anatomy.down_mm - level - meniscus - 3 * noise(rng, 2, 4)
    return as_field(0.8 * anatomy.sides[side] * sigmoid(below / 2))


def _lung_opacity(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """Any other opacity of one lung: half consolidations, a quarter masses, a quarter effusions."""
    kind = (_consolidation, _consolidation, _mass, _effusion)[rng.integers(4)]
    return kind(rng, anatomy, conspicuity)


def _edema(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """Haze round both hila like the wings of a bat, with swollen vessels; the outer rim of the lung stays clear."""
    density = no_density()
    for side in (0, 1):
        inner = sigmoid((anatomy.from_side_wall_mm[side] - rng.uniform(34, 46)) / 7)
        middle = bell((anatomy.height[side] - rng.uniform(0.38, 0.48)) / 0.3)
        cloud = 0.14 + 0.1 * np.tanh(noise(rng, 3, 8)) + 1.4 * anatomy.vessels
        density += anatomy.sides[side] * inner * middle * cloud * conspicuity
    return density


def _fibrosis(rng: Generator, anatomy: ChestAnatomy, conspicuity: float) -> Field:
    """A coarse net under the pleura of both bases (honeycomb)."""
    density = no_density()
    for side in (0, 1):
        outer = sigmoid((rng.uniform(32, 48) - anatomy.from_side_wall_mm[side]) / 8)
        lower = sigmoid((anatomy.height[side] - rng.uniform(0.2, 0.35)) / 0.06)
        meshes = net(rng, 3, 26, 0.25) + net(rng, 3, 36, 0.25)
        density += anatomy.sides[side] * outer * lower * (0.09 + 0.52 * meshes) * conspicuity
    return density


def _opacity(paint: Opacity) -> Painter:
    """Turn a painter of densities into one of lesions."""
    return lambda rng, anatomy, conspicuity: Lesion(paint(rng, anatomy, conspicuity))


FINDINGS: dict[str, Painter] = {
    "COVID": _opacity(_covid),
    "Lung_Opacity": _opacity(_lung_opacity),
    "Viral Pneumonia": _opacity(_viral_pneumonia),
    "Atelectasis": _opacity(_atelectasis),
    "Consolidation": _opacity(_consolidation),
    "Effusion": _opacity(_effusion),
    "Infiltration": _opacity(_infiltration),
    "Mass": _opacity(_mass),
    "Nodule": _opacity(_nodule),
    "Cardiomegaly": paint_cardiomegaly,
    "Pneumothorax": paint_pneumothorax,
    "Edema": _opacity(_edema),
    "Emphysema": paint_emphysema,
    "Fibrosis": _opacity(_fibrosis),
}
"""Painter of every finding; the order fixes each finding's random stream, so append at the end."""

DIFFUSE = frozenset({"COVID", "Viral Pneumonia", "Infiltration", "Edema", "Emphysema", "Fibrosis"})
"""Findings without a sharp edge: their masks are smoothed more widely."""
