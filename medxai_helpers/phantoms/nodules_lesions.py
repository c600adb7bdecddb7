"""Lung nodules: what four readers say of one, what it looks like, and its shape as formulas in millimetres.

Four readers rate the malignancy of every nodule from 1 to 5. As in LIDC-IDRI the mean of their ratings decides: below 3
benign, above 3 malignant, exactly 3 left out. Readers and appearance follow one hidden degree of malignancy loosely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medxai_helpers.phantoms.kit import Field, Generator, as_field, bell, plane_waves, sigmoid

READERS = 4
INDETERMINATE = 3
"""The mean rating that belongs to neither class."""
HIDDEN_DEGREE = {"benign": (0.0, 0.4), "malignant": (0.6, 1.0)}
READER_SD, LOOK_SD, TRAIT_SD = 0.15, 0.12, 0.20
"""Spread of a reader about the hidden degree, of the looks about it, and of one trait about the looks."""
SMALLEST_MM, LARGEST_MM = 2.4, 8.5
"""Radii."""
_FADE_MM = 3.0
_GROUND_GLASS = 0.05


@dataclass(frozen=True)
class Traits:
    """A nodule's ratings and looks; each trait runs from 0 to 1.

    Parameters
    ----------
    ratings : tuple of int
        Malignancy from 1 to 5 by each of the four readers.
    radius_mm : float
        Mean radius of the body without spicules.
    spiculation, lobulation, ground_glass : float
        Spicules, waviness of the edge, share of haze.
    calcified : bool
        Whether a dense core shows.
    """

    ratings: tuple[int, ...]
    radius_mm: float
    spiculation: float
    lobulation: float
    ground_glass: float
    calcified: bool

    @property
    def rating(self) -> float:
        """Mean malignancy rating."""
        return float(np.mean(self.ratings))

    @property
    def reach_mm(self) -> float:
        """Nothing changes further than this from the nodule's centre."""
        return 2.3 * self.radius_mm + _FADE_MM


@dataclass(frozen=True)
class Nodule:
    """A nodule at points of a patch: opacity, Hounsfield units, and body with the thicker parts of its spicules."""

    opacity: Field
    hounsfield: Field
    body: Field


def draw_traits(rng: Generator, label: str) -> Traits:
    """Draw the ratings and looks of a nodule of one class. Introduced in chapter 14."""
    degree = rng.uniform(*HIDDEN_DEGREE[label])
    ratings = _draw_ratings(rng, degree)
    while np.sign(np.mean(ratings) - INDETERMINATE) != (1 if label == "malignant" else -1):
        ratings = _draw_ratings(rng, degree)
    look = degree + rng.normal(0, LOOK_SD)
    size, spikes, waves, haze = (float(np.clip(look + rng.normal(0, TRAIT_SD), 0, 1)) for _ in range(4))
    hazy, calcified = rng.random() < 0.55, rng.random() < 0.45 * (1 - np.clip(look, 0, 1)) ** 1.5
    return Traits(
        ratings=ratings,
        radius_mm=float(np.clip(2.6 * np.exp(1.1 * size), SMALLEST_MM, LARGEST_MM)),
        spiculation=max(0.0, spikes - 0.35) / 0.65,
        lobulation=waves,
        ground_glass=max(0.0, haze - 0.45) * hazy,
        calcified=bool(calcified),
    )


def _draw_ratings(rng: Generator, degree: float) -> tuple[int, ...]:
    read = np.clip(np.round(1 + 4 * (degree + rng.normal(0, READER_SD, READERS))), 1, 5)
    return tuple(int(rating) for rating in read)


def paint_nodule(rng: Generator, traits: Traits, offset_mm: Field) -> Nodule:
    """Return a nodule at points (n, 3) in mm from its centre; it ends exactly at ``reach_mm``.

    Introduced in chapter 14.
    """
    length = as_field(np.linalg.norm(offset_mm, axis=-1) + 1e-6)
    direction = offset_mm / length[:, None]
    stretched = as_field(np.linalg.norm(offset_mm / as_field([*rng.uniform(0.85, 1.18, 2), 1]), axis=-1))
    wavy = 0.05 * plane_waves(rng, 6, 1.2, 2.6)(direction)
    lobes = 0.16 * traits.lobulation * plane_waves(rng, 6, 1.0, 2.2)(direction)
    edge = stretched - traits.radius_mm * (1 + wavy + lobes)
    body = sigmoid(-edge / (0.35 + 0.5 * traits.ground_glass))
    spicules = _spicules(rng, traits, offset_mm, length)
    fade = np.clip((traits.reach_mm - length) / _FADE_MM, 0, 1)
    opacity = as_field(np.maximum(body, 0.8 * spicules) * fade)
    thick = np.where(length < 1.5 * traits.radius_mm, 0.85 * spicules, 0)
    return Nodule(opacity, _hounsfield(rng, traits, offset_mm, stretched), as_field(np.maximum(body, thick) * fade))


def _spicules(rng: Generator, traits: Traits, offset_mm: Field, length: Field) -> Field:
    """Thin rays that taper and fade outwards, 0 to 1."""
    rays = np.zeros_like(length)
    angle = np.arctan2(offset_mm[:, 1], offset_mm[:, 0])
    beyond = length - traits.radius_mm
    for _ in range(round(traits.spiculation * rng.uniform(7, 14))):
        towards, bend, width = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.03), rng.uniform(0.3, 0.55)
        reach = traits.radius_mm * rng.uniform(0.25, 1.2) + 0.8
        turn = angle - towards - bend * beyond
        along = np.clip(beyond / reach, 0, 1)
        across = length * np.sin(turn) / (width * (1.7 - along))
        ray = bell(across / np.sqrt(2)) * (np.cos(turn) > 0) * sigmoid((reach - beyond) / 0.8) * (1 - 0.6 * along)
        rays = np.maximum(rays, as_field(ray))
    return as_field(rays)


def _hounsfield(rng: Generator, traits: Traits, offset_mm: Field, stretched: Field) -> Field:
    """Soft tissue; a haze round a smaller core where the nodule is part-solid; sometimes a calcified core."""
    texture = plane_waves(rng, 12, 3, 7)(offset_mm)
    hounsfield = rng.normal(20, 25) + 20 * traits.lobulation * texture
    core_share, haze, calcium, stone = rng.uniform([0.35, -620, 250, 0.4], [0.65, -420, 700, 0.8])
    if traits.ground_glass > _GROUND_GLASS:
        core = sigmoid((traits.radius_mm * core_share * (1 + 0.15 * texture) - stretched) / 0.5)
        hounsfield = core * hounsfield + (1 - core) * (haze + 50 * texture)
    if traits.calcified:
        hounsfield = hounsfield + calcium * sigmoid((traits.radius_mm * stone - stretched) / 0.5)
    return as_field(hounsfield)
