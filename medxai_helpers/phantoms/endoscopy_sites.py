"""The four places that the eight classes show, free of lesions: colon, cecum, pylorus and z-line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medxai_helpers.phantoms.endoscopy_scene import (
    Gut,
    Scene,
    add_folds,
    bend_gut,
    blob,
    close_gut,
    dome,
    look_into,
    spots,
    straight_gut,
)
from medxai_helpers.phantoms.kit import Field, Generator, as_field, bell, stream
from medxai_helpers.phantoms.painting import View, around, random_point, ring, ring_angles, scatter, soften, step

_IN_VIEW, _NEAR_MIDDLE = 0.7, 0.5  # distances from the middle of the scene that every frame shows
_WIDENINGS = (1.0, 0.85, 1.2, 0.7, 1.45, 0.5, 1.8, 0.35, 2.2)


@dataclass(frozen=True)
class Mucosa:
    """A patient's own mucosa: the seed of its textures and the size of its vessels."""

    texture_seed: int
    vessel_scale: float
    vessel_contrast: float


def draw_mucosa(patient: Generator) -> Mucosa:
    """Draw a patient's mucosa."""
    return Mucosa(int(patient.integers(1 << 30)), patient.uniform(0.6, 1.3), patient.uniform(0.5, 1.3))


def _stain(scene: Scene, mucosa: Mucosa, blood: float, vessels: float, rough: float = 1.0) -> None:
    """Base stain, mottling, vessels and fine relief, in the patient's own texture."""
    rng = stream(mucosa.texture_seed)
    scene.blood += blood + 0.06 * scene.wall_texture("cloud0", 0.6, rng) + 0.03 * scene.wall_texture("rough0", 0.9, rng)
    patchy = np.clip(0.6 + 0.5 * scene.wall_texture("cloud2", 0.7, rng), 0, 1.2)
    tree = f"vessels{rng.integers(3)}"
    strength = vessels * mucosa.vessel_contrast
    scene.blood += 0.55 * strength * patchy * scene.wall_texture(tree, mucosa.vessel_scale, rng)
    scene.blood += 0.22 * strength * scene.wall_texture("capillaries", 1.7 * mucosa.vessel_scale, rng)
    scene.relief += 0.0045 * rough * scene.view.texture("rough1", 0.9, rng)
    scene.relief += 0.0006 * rough * scene.view.texture("grain0", 1.0, rng)


def paint_colon(view: View, rng: Generator, mucosa: Mucosa) -> Scene:
    """A colon with ring folds; its lumen lies ahead, to one side or behind a bend."""
    lumen = random_point(rng, (0, 0), 0.35, 1.25)
    gut = straight_gut(rng, 0.10)
    bend_gut(gut, rng, rng.uniform(0, 0.10))
    add_folds(gut, rng, rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.4), rng.uniform(0.12, 0.5), rng.uniform(0, 0.15))
    scene = look_into(gut, view, lumen, rng.uniform(1, 1.4), rng.random() * math.pi)
    _stain(scene, mucosa, rng.uniform(0.38, 0.80), rng.uniform(0.2, 1.0))
    return scene


# -------------------------------------------------------------------------------------------------------------- cecum
def _appendix(scene: Scene, rng: Generator) -> None:
    """A slit in a whorl of little folds."""
    at, size = scatter(rng, scene.lumen, 0.12), rng.uniform(0.05, 0.13)
    for turn in range(int(rng.integers(1, 4)), 0, -1):
        centre = scatter(rng, at, 0.25 * size)
        edge = blob(scene.view, rng, centre, size * (0.7 + 0.8 * turn), rng.uniform(1.2, 2.2), 0.10, 0.05)
        _, angle = scene.view.polar(centre)
        arc = np.clip(0.35 + np.cos(angle + rng.random() * 2 * math.pi), 0, 1)
        scene.relief += rng.uniform(0.015, 0.04) * arc * step(edge, 0.94, 1.06) * bell((edge - 1.0) / 0.35)
    slit = blob(scene.view, rng, at, size * 0.55, rng.uniform(1.2, 2.8), 0.15, 0.06)
    scene.log_depth += rng.uniform(0.3, 0.9) * step(slit, 1.2, 0.5)


def _valve(scene: Scene, rng: Generator) -> None:
    """The ileocaecal valve: a lip that is easily taken for a polyp."""
    at = random_point(rng, scene.lumen, 0.35, 0.8)
    lip = blob(scene.view, rng, at, rng.uniform(0.18, 0.36), rng.uniform(1.3, 2.4), 0.12, 0.04)
    scene.cover(0.8 * step(lip, 1.04, 0.9))
    scene.relief += rng.uniform(0.1, 0.25) * dome(lip, scene.view.edge_px) * step(lip, 1.03, 0.97)
    scene.blood -= 0.08 * step(lip, 1.1, 0.7)


def paint_cecum(view: View, rng: Generator, mucosa: Mucosa) -> Scene:
    """The blind end of the colon: few folds, a wall that faces the lamp, the appendix, often the valve."""
    gut = straight_gut(rng, 0.12)
    start = rng.uniform(0.5, 1.5)
    add_folds(gut, rng, rng.uniform(0.6, 1.1), rng.uniform(0.5, 1.2), rng.uniform(0.1, 0.4), rng.uniform(0.02, 0.15))
    close_gut(gut, start, rng.uniform(0.5, 1.4))
    scene = look_into(gut, view, scatter(rng, (0, 0), 0.3), rng.uniform(1, 1.4), rng.random() * math.pi)
    _stain(scene, mucosa, rng.uniform(0.34, 0.66), rng.uniform(0.3, 1.1))
    if rng.random() < 0.85:
        _appendix(scene, rng)
    if rng.random() < 0.6:
        _valve(scene, rng)
    return scene


# ------------------------------------------------------------------------------------------------------------ pylorus
def _antrum(rng: Generator, hole: float) -> Gut:
    """The outlet of the stomach: a wall round a hole, folds that run into it, sometimes a wave; the bulb behind."""
    gut = straight_gut(rng, 0.13)
    start, length = rng.uniform(0.4, 1.2), rng.uniform(0.4, 1.3)
    if rng.random() < 0.65:  # a peristaltic wave on its way to the pylorus
        arc = np.clip(rng.uniform(0.3, 1) + 0.6 * np.cos(gut.angle - rng.random() * 2 * math.pi), 0, 1)
        gut.radius[:] -= rng.uniform(0.1, 0.35) * arc * bell((gut.depth - rng.uniform(0.5, start + 0.2)) / 0.15)
    share = step(gut.depth, start, start + length)
    folds = int(rng.integers(3, 10))
    rays = around(ring(rng, range(folds - 2, folds + 3), 0.0), gut.angle)
    lip = 1 + rng.uniform(0.05, 0.25) * around(ring(rng, range(2, 6), 1.0), gut.angle)
    narrowed = 1 + (hole * lip - 1) * share + rng.uniform(0, 0.06) * rays * 4 * share * (1 - share)
    behind = step(gut.depth, start + length + 0.1, start + length + rng.uniform(0.3, 0.9))
    gut.radius[:] = gut.radius * narrowed + 0.5 * behind
    return gut


def paint_pylorus(view: View, rng: Generator, mucosa: Mucosa) -> Scene:
    """The outlet of the stomach, seen from the antrum; fluid, bile and pits of the mucosa vary."""
    gut = _antrum(rng, rng.uniform(0.05, 0.24))
    bend_gut(gut, rng, rng.uniform(0, 0.12))
    scene = look_into(gut, view, scatter(rng, (0, 0), 0.32), rng.uniform(1, 1.6), rng.random() * math.pi)
    _stain(scene, mucosa, rng.uniform(0.38, 0.78), rng.uniform(0, 0.4), 1.3)
    pits = view.mosaic(int(rng.integers(4)), rng.uniform(0.5, 1.3), rng)
    scene.relief += rng.uniform(0, 0.008) * pits.centre
    streaks = around(ring(rng, range(1, 12), 0.6), scene.angle) * step(scene.radius, 0.1, 0.5)
    scene.blood += rng.uniform(0, 0.16) * np.clip(streaks, 0, 2) + rng.uniform(0, 0.12) * view.texture(
        "cloud1", 0.8, rng
    )
    if rng.random() < 0.4:  # red spots of a mild gastritis, no class of its own
        scene.blood += rng.uniform(0.1, 0.35) * spots(view, rng, rng.uniform(0.5, 1.0), rng.uniform(0.03, 0.2))
    return scene


# ------------------------------------------------------------------------------------------------------------- z-line
def _gullet(rng: Generator) -> Gut:
    """A narrow tube with long folds that ends in a sphincter: closed, slack, or open on the stomach."""
    gut = straight_gut(rng, 0.08)
    start, length = rng.uniform(0.7, 2.6), rng.uniform(0.5, 2.0)
    folds = int(rng.integers(3, 8))
    rays = around(ring(rng, range(max(folds - 2, 1), folds + 3), 0.0), gut.angle)
    gut.radius[:] += rng.uniform(0.01, 0.12) * rays * step(gut.depth, 0.4, start + 0.5 * length)
    opening = float(rng.choice([0.02, rng.uniform(0.05, 0.15), rng.uniform(0.2, 0.5)]))
    close_gut(gut, start, length, opening)
    gut.radius[:] += 0.8 * step(gut.depth, start + length + 0.1, start + length + 0.5)
    return gut


def _jagged_line(rng: Generator) -> Field:
    """The z-line as a ring, a share of its mean radius: fine teeth, and tongues of gastric mucosa in health."""
    teeth = rng.uniform(0.04, 0.16) * ring(rng, range(1, 6), 1.0)
    teeth = teeth + rng.uniform(0.015, 0.06) * ring(rng, range(6, 24), 0.5)
    for _ in range(int(rng.integers(0, 4))):
        offset = (ring_angles() - rng.random() * 2 * math.pi + math.pi) % (2 * math.pi) - math.pi
        teeth = teeth + rng.uniform(0.15, 0.55) * bell(offset / rng.uniform(0.1, 0.3))
    return as_field(1 + teeth)


def _into_view(scene: Scene, jagged: Field, radius: float) -> Field:
    """Widen or narrow the line until some of it is near the middle of the picture."""
    for factor in _WIDENINGS:
        line = as_field(factor * radius * jagged)
        if scene.distance_from_middle(ring_angles(), line).min() < _NEAR_MIDDLE:
            return line
    return as_field(radius * jagged)


def _streaks(scene: Scene, rng: Generator) -> None:
    """Faint red streaks and spots of a healthy line, so that redness alone tells little."""
    if rng.random() < 0.35:
        red = breaks(scene, rng, int(rng.integers(1, 3)))
        scene.blood += rng.uniform(0.1, 0.34) * soften(red, 0.003 * scene.view.edge_px)
    elif rng.random() < 0.6:
        scene.blood += rng.uniform(0.05, 0.2) * soften(breaks(scene, rng, 3), 0.02 * scene.view.edge_px)
    if rng.random() < 0.35:
        scene.blood += rng.uniform(0.1, 0.4) * spots(scene.view, rng, rng.uniform(0.5, 1), rng.uniform(0.02, 0.15))


def _headings(scene: Scene, line: Field, rng: Generator, count: int) -> list[float]:
    """Angles at which the z-line is in view; at least one."""
    angles = as_field(rng.random(4 * count) * 2 * math.pi)
    away = scene.distance_from_middle(angles, around(line, angles))
    near = [float(angle) for angle in angles[away < _IN_VIEW]]
    return near[:count] or [float(angles[away.argmin()])]


def breaks(scene: Scene, rng: Generator, count: int) -> Field:
    """Streaks that start at the z-line and run up the gullet, 0 to 1."""
    if scene.beyond is None or scene.line is None:
        raise ValueError("Expected a scene with a z-line, but this one has none. Paint it with paint_z_line.")
    rough = 0.35 * scene.view.texture("rough2", 1.4, rng)
    strips = scene.view.zeros()
    for heading in _headings(scene, scene.line, rng, count):
        length, width = rng.uniform(0.18, 0.55), rng.uniform(0.05, 0.12) * (2.0 if rng.random() < 0.15 else 1.0)
        offset = (scene.angle - heading + 3 * math.pi) % (2 * math.pi) - math.pi + rng.normal(0, 0.25) * scene.beyond
        along = scene.beyond / length
        across = np.abs(offset) * scene.radius / (width * np.clip(1.15 - along, 0.05, 1)) + rough
        strips = np.maximum(strips, step(across, 1.15, 0.75) * step(along, 1.05, 0.9) * step(along, -0.25, -0.1))
    return as_field(strips)


def paint_z_line(view: View, rng: Generator, mucosa: Mucosa) -> Scene:
    """The jagged line where the pale gullet meets the salmon stomach: a ring, an arc, or close up."""
    lumen = random_point(rng, (0, 0), 0, float(rng.choice([0.3, 0.7, 1.15])))
    scene = look_into(_gullet(rng), view, lumen, rng.uniform(1, 1.7), rng.random() * math.pi)
    scene.line = _into_view(scene, _jagged_line(rng), rng.uniform(0.3, 0.95) + 0.35 * max(math.hypot(*lumen) - 0.5, 0))
    scene.beyond = as_field(scene.radius - around(scene.line, scene.angle) - 0.025 * view.texture("rough0", 1.1, rng))
    softness = rng.uniform(0.015, 0.07)
    stomach = step(scene.beyond, softness, -softness)
    _stain(scene, mucosa, rng.uniform(0.10, 0.28), rng.uniform(0.1, 0.5), 0.8)
    patchy = 1 + rng.uniform(0.05, 0.3) * view.texture("cloud1", 0.9, rng)
    scene.blood += rng.uniform(0.24, 0.55) * stomach * patchy
    scene.relief += stomach * (0.008 + rng.uniform(0, 0.006) * view.mosaic(1, 0.8, rng).centre)
    palisade = np.clip(around(ring(rng, range(25, 70), 0.3), scene.angle), 0, 2)
    scene.blood += rng.uniform(0.02, 0.08) * palisade * (1 - stomach) * step(scene.beyond, 0.55, 0.05)
    mean = float(scene.line.mean())
    for _ in range(int(rng.choice([0, 0, 1, 2]))):  # islands of the one mucosa in the other
        island = blob(
            view, rng, random_point(rng, lumen, 0.8 * mean, 1.5 * mean), rng.uniform(0.03, 0.1), 1.4, 0.1, 0.1
        )
        scene.blood += rng.uniform(0.15, 0.35) * step(island, 1.1, 0.9) * (1 - stomach)
    _streaks(scene, rng)
    return scene
