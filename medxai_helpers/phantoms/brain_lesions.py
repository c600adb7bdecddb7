"""Tumours of the brain as formulas in template millimetres, so that their masks are exact.

Glioma: ragged, in white matter, most with an enhancing rim round a necrotic core, oedema along the white matter.
Meningioma: smooth, bright, broad on the dura with a tail along it. Pituitary tumour: round, in the sella, with a waist
where it passes the diaphragm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from medxai_helpers.phantoms.brain_anatomy import SELLA, Brain
from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, bell, plane_waves, sigmoid

REACH_RADII = 2.6
"""Nothing changes further than so many tumour radii from the tumour's centre, mass effect included."""
_FADE_RADII = 0.5
_DEEP_MM, _DURA_MM = 11.0, 1.5
_MIDLINE_MM, _LOWEST_MM = 11.0, -38.0
_WHITE_LEVEL = 0.72
_UPRIGHT = 0.8


@dataclass(frozen=True)
class Contrast:
    """How tumours look in one sequence.

    Parameters
    ----------
    core, rim, infiltrating : float
        Signal of necrosis, what the rim adds to it, and of a glioma that does not enhance.
    solid : float
        Least signal of meningioma and pituitary tumour.
    oedema : float
        Signal that oedema pulls tissue towards.
    """

    core: float
    rim: float
    infiltrating: float
    solid: float
    oedema: float


T1_CONTRAST = Contrast(core=0.17, rim=0.62, infiltrating=0.22, solid=0.42, oedema=0.10)
FLAIR_CONTRAST = Contrast(core=0.36, rim=0.28, infiltrating=0.64, solid=0.52, oedema=0.74)


@dataclass(frozen=True)
class Seat:
    """Where a tumour sits: centre in template mm and radius in mm."""

    centre: Field
    radius: float


@dataclass(frozen=True)
class Site:
    """Points (n, 3) in mm from the tumour's centre, and their distance from the inner table."""

    offset_mm: Field
    distance_mm: Field
    radius: float

    @property
    def radii(self) -> Field:
        """Distance from the centre in tumour radii."""
        return as_field(np.linalg.norm(self.offset_mm, axis=-1) / self.radius)

    def noise(self, rng: Generator, count: int, shortest_mm: float, longest_mm: float) -> Field:
        """Smooth noise of unit variance at the points."""
        return plane_waves(rng, count, shortest_mm, longest_mm)(self.offset_mm)


@dataclass(frozen=True)
class Tumour:
    """What a tumour does at the points of its site.

    Parameters
    ----------
    share : Field
        Tumour, 0 to 1; it is the mask where it exceeds ``VISIBLE``.
    signal : Field
        Its signal.
    oedema : Field
        Swollen tissue round it, 0 to 1, before it is weighted by white matter.
    push : float
        Mass effect: tissue at the tumour's edge is looked up so many of its distance nearer to the centre.
    """

    share: Field
    signal: Field
    oedema: Field
    push: float


VISIBLE = 0.5
Painter = Callable[[Generator, Site, Contrast, float], Tumour]


def _glioma(rng: Generator, site: Site, contrast: Contrast, conspicuity: float) -> Tumour:
    coarse, fine = site.noise(rng, 12, 16, 45), site.noise(rng, 12, 7, 18)
    edge = site.radii - 1 - 0.18 * coarse - 0.10 * fine
    brain = sigmoid(-(site.distance_mm + 2) / 0.8)
    enhancing = rng.random() < 0.7
    thickness, brightness, spread = rng.uniform(0.11, 0.22), rng.uniform(0.6, 1.1), rng.uniform(1.3, 1.75)
    oedema = sigmoid(6 * (spread + 0.25 * coarse - site.radii)) * brain
    if enhancing:
        rim = bell((edge + 0.2) / thickness) * sigmoid(1.5 + 2.5 * coarse)
        signal = contrast.core + 0.05 * fine + contrast.rim * brightness * conspicuity * rim
        return Tumour(sigmoid(-edge * site.radius) * brain, as_field(signal), oedema, 0.0)
    signal = contrast.infiltrating + 0.04 * fine + 0.12 * (fine > 1.1)
    share = sigmoid(-edge * site.radius / 2) * brain * (0.5 + 0.45 * conspicuity)
    return Tumour(as_field(share), as_field(signal), 0.5 * oedema, 0.0)


def _meningioma(rng: Generator, site: Site, contrast: Contrast, conspicuity: float) -> Tumour:
    edge = site.radii - 1 - 0.06 * site.noise(rng, 12, 25, 60)
    tail = sigmoid(8 * (rng.uniform(1.3, 1.9) - site.radii)) * bell((site.distance_mm + 0.3) / 1.6)
    share = np.maximum(sigmoid(-edge * site.radius / 0.7), 0.8 * tail) * sigmoid((1.2 - site.distance_mm) / 0.5)
    signal = contrast.solid + rng.uniform(0.12, 0.34) * conspicuity + 0.02 * site.noise(rng, 12, 5, 12)
    swollen = rng.random() < 0.4
    oedema = 0.8 * swollen * sigmoid(6 * (1.6 - site.radii)) * sigmoid(-(site.distance_mm + 4))
    return Tumour(as_field(share), as_field(signal), as_field(oedema), 0.0)


def _pituitary(rng: Generator, site: Site, contrast: Contrast, conspicuity: float) -> Tumour:
    coarse = site.noise(rng, 12, 12, 30)
    stretch = as_field([rng.uniform(0.9, 1.25), rng.uniform(0.8, 1.0), rng.uniform(0.95, 1.35)])
    above_gland = (site.offset_mm[..., 2] - 0.25 * site.radius) / (0.25 * site.radius)
    waist = 1 - 0.22 * bell(above_gland) * (site.radius > 9)
    length = np.linalg.norm(site.offset_mm / stretch, axis=-1)
    edge = length / (site.radius * waist) - 1 - 0.05 * coarse
    signal = contrast.solid + rng.uniform(0.12, 0.36) * conspicuity + 0.03 * coarse
    if rng.random() < 0.25:  # cystic
        signal = signal - 0.25 * sigmoid(-12 * (edge + 0.55))
    return Tumour(sigmoid(-edge * site.radius / 0.8), as_field(signal), as_field(np.zeros_like(edge)), 0.0)


PAINTERS: dict[str, Painter] = {"glioma": _glioma, "meningioma": _meningioma, "pituitary": _pituitary}
"""Painter of every tumour; the order fixes each tumour's random stream, so append at the end."""

RADIUS_MM = {"glioma": (11.0, 24.0), "meningioma": (8.0, 18.0), "pituitary": (7.0, 13.0)}


def paint(kind: str, rng: Generator, site: Site, contrast: Contrast) -> Tumour:
    """Return one tumour at the points of its site; it ends exactly at ``REACH_RADII``. Introduced in chapter 12."""
    conspicuity, push = rng.uniform(0.65, 1.15), rng.uniform(0.05, 0.28)
    tumour = PAINTERS[kind](rng, site, contrast, conspicuity)
    fade = np.clip((REACH_RADII - site.radii) / _FADE_RADII, 0, 1)
    share, oedema = as_field(tumour.share * fade), as_field(tumour.oedema * fade)
    return replace(tumour, share=share, oedema=oedema * (1 - share), push=push)


def pushed(site: Site, push: float) -> Field:
    """Return the offsets (n, 3) in mm at which displaced tissue came from; zero at ``REACH_RADII``."""
    fade = np.clip((REACH_RADII - site.radii) / _FADE_RADII, 0, 1)
    inside = sigmoid(-(site.distance_mm + 1) / 2)  # the skull does not move
    return as_field(-site.offset_mm * (push * fade * inside * bell(site.radii / 1.5))[..., None])


# ------------------------------------------------------------------------------------------------------- where they sit
def choose_seat(kind: str, rng: Generator, brain: Brain, slice_mm: Field, normal: int, growth: float) -> Seat:
    """Draw where a tumour sits: among the points (n, 3) of the patient's middle slice that suit it.

    ``normal`` is the axis (0 to 2) across the slice: tumours stay near it, so that every frame cuts them.
    ``growth`` is a factor of the radius.
    Introduced in chapter 12.
    """
    radius = growth * rng.uniform(*RADIUS_MM[kind])
    if kind == "pituitary":
        jitter = np.array([rng.normal(0, 1.2), rng.normal(0, 1), rng.uniform(-0.1, 0.5) * radius])
        jitter[normal] *= 0.3
        return Seat(as_field(SELLA + jitter), radius)
    if kind == "glioma":
        return Seat(_draw_point(rng, slice_mm, _glioma_odds(brain, slice_mm)), radius)
    on_dura = slice_mm[_is_dura(brain, slice_mm)]
    outwards = _outwards(brain, on_dura)
    outwards[:, normal] = 0
    upright = np.linalg.norm(outwards, axis=-1) > _UPRIGHT  # where the skull is cut steeply
    centres = on_dura - outwards * (radius * rng.uniform(0.45, 0.8))
    return Seat(_draw_point(rng, centres, as_field(upright)), radius)


def _glioma_odds(brain: Brain, points: Field) -> Field:
    """White matter deep in the brain, off the midline where the slice allows it."""
    white = brain.t1_at(points) > _WHITE_LEVEL
    deep = (brain.distance_at(points) < -_DEEP_MM) & (points[:, 2] > _LOWEST_MM)
    aside = np.where(abs(points[:, 0]) > _MIDLINE_MM, 1, 0.02)
    return as_field(white * deep * aside)


def _is_dura(brain: Brain, points: Field) -> Bools:
    on_dura = abs(brain.distance_at(points) + _DURA_MM) < 2
    return np.asarray(on_dura & (points[:, 2] > _LOWEST_MM), np.bool_)


def _draw_point(rng: Generator, points: Field, odds: Field) -> Field:
    if not odds.any():
        odds = np.ones_like(odds)
    total = np.cumsum(odds, dtype=np.float64)
    return as_field(points[np.searchsorted(total, rng.random() * total[-1])])


def _outwards(brain: Brain, points: Field) -> Field:
    """Unit vectors (n, 3) along which the distance from the inner table grows."""
    steps = 4 * np.eye(3, dtype=np.float32)
    gradient = np.stack(
        [brain.distance_at(points + step) - brain.distance_at(points - step) for step in steps], axis=-1
    )
    return as_field(gradient / (np.linalg.norm(gradient, axis=-1, keepdims=True) + 1e-6))
