"""The five lesions of the endoscopy phantom; each draws on its own random stream and on nothing else."""

from __future__ import annotations

import math

import numpy as np

from medxai_helpers.phantoms.endoscopy_scene import Scene, blob, dome, spots
from medxai_helpers.phantoms.endoscopy_sites import breaks
from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, bell
from medxai_helpers.phantoms.painting import Point, random_point, scatter, soften, step

KINDS = ("sessile", "stalked", "flat")
_KIND_ODDS = (0.58, 0.26, 0.16)
_MILD_ODDS = 0.32
_FAINTEST = 0.25
"""Fainter parts of a break are left out of the picture and of the mask."""


def _place(scene: Scene, rng: Generator, size: float) -> Point:
    """A point near the middle of the picture; a large lesion keeps clear of the lumen."""
    at = scatter(rng, (0, 0), 0.16)
    right, down = at[0] - scene.lumen[0], at[1] - scene.lumen[1]
    distance = max(math.hypot(right, down), 1e-3)
    push = max(0.3 + 0.7 * size - distance, 0) / distance
    return at[0] + push * right, at[1] + push * down


# -------------------------------------------------------------------------------------------------------------- polyp
def _stalk(scene: Scene, rng: Generator, head: Point, size: float) -> Bools:
    """A bent stalk that widens towards its foot; returns where it is."""
    foot = random_point(rng, head, 1.3 * size, 2.4 * size)
    right, down = foot[0] - head[0], foot[1] - head[1]
    length = math.hypot(right, down)
    x, y = scene.view.x - head[0], scene.view.y - head[1]
    along = (x * right + y * down) / length**2
    across = (y * right - x * down) / length + 0.08 * length * np.sin(3 * along)
    half_width = size * rng.uniform(0.3, 0.45) * (1 + 0.9 * np.clip(along - 0.5, 0, 1))
    distance = np.abs(across) / half_width
    inside = step(distance, 1.06, 0.94) * step(along, 1.0, 0.5) * (along > 0)
    scene.cover(inside)
    scene.relief += inside * np.sqrt(np.clip(1.05 - distance**2, 0, 1)) * half_width * 0.7
    return np.asarray(inside > 0.5)


def _nodules(scene: Scene, rng: Generator) -> Field:
    """Lobes and pits of a polyp's surface."""
    mosaic = scene.view.mosaic(3, rng.uniform(0.35, 0.9), rng)
    return soften(mosaic.centre, 0.008 * scene.view.edge_px)


def _body(scene: Scene, rng: Generator, distance: Field, size: float, tall: float) -> None:
    """The raised, opaque head of a polyp."""
    inside, lobed = step(distance, 1.03, 0.97), rng.uniform(0, 1) ** 2
    scene.cover(inside * (1.0 if tall > 0.4 else 0.7))
    nodules = _nodules(scene, rng)
    fine = 0.008 * scene.view.texture("rough1", 0.9, rng) - 0.05 * lobed * nodules
    scene.relief += inside * (2.2 * size * tall * dome(distance, scene.view.edge_px) + fine)
    scene.blood += inside * (
        rng.choice([-0.22, rng.uniform(0.05, 0.4)], p=[0.25, 0.75]) + 0.3 * lobed * (nodules - 0.4)
    )
    if rng.random() < 0.3:  # a little mucus on top
        scene.pus += 0.6 * inside * step(scene.view.texture("rough2", 1.0, rng), 1.0, 1.6)


def paint_polyp(scene: Scene, rng: Generator) -> None:
    """A sessile, stalked or flat polyp."""
    size = rng.uniform(0.17, 0.45)
    at = _place(scene, rng, size)
    scene.kind = str(rng.choice(KINDS, p=_KIND_ODDS))
    low, high = {"sessile": (0.5, 0.9), "stalked": (0.7, 1.0), "flat": (0.18, 0.34)}[scene.kind]
    if scene.kind == "stalked":
        scene.mask |= _stalk(scene, rng, at, size)
    distance = blob(scene.view, rng, at, size, rng.uniform(1, 1.5), rng.uniform(0.03, 0.09), 0.02)
    _body(scene, rng, distance, size, rng.uniform(low, high))
    scene.mask |= distance < 1


# ---------------------------------------------------------------------------------------------------------------- dye
def _leak(scene: Scene, rng: Generator) -> Field:
    """How unevenly the dye spreads in the tissue."""
    cloud, rough = scene.view.texture("cloud0", 0.9, rng), scene.view.texture("rough0", 1.0, rng)
    return as_field(np.clip(0.9 + 0.38 * cloud + 0.13 * rough, 0.12, 1.8))


def _cushion(scene: Scene, rng: Generator, distance: Field, height: float) -> float:
    """A cushion lifted by dyed fluid; returns the strength of the dye."""
    scene.cover(0.95 * step(distance, 1.06, 0.88))
    body = np.clip(1.08 - soften(distance, 0.02 * scene.view.edge_px) ** 2, 0, 1) ** 1.4
    scene.relief += height * body
    strength = rng.uniform(0.25, 1.1)
    scene.dye += strength * _leak(scene, rng) * step(distance, 1.12, 0.8)
    return strength


def paint_dyed_lifted(scene: Scene, rng: Generator) -> None:
    """A polyp on a dyed cushion: the mask is the cushion with the polyp."""
    size = rng.uniform(0.36, 0.72)
    at = _place(scene, rng, size)
    cushion = blob(scene.view, rng, at, size, rng.uniform(1, 1.6), 0.08, 0.05)
    strength = _cushion(scene, rng, cushion, size * rng.uniform(0.3, 0.55))
    top = blob(
        scene.view, rng, scatter(rng, at, 0.14 * size), size * rng.uniform(0.38, 0.68), rng.uniform(1, 1.5), 0.08, 0.03
    )
    inside = step(top, 1.05, 0.92)
    nodules, edge = _nodules(scene, rng), bell((top - 1.05) / 0.10)
    scene.relief += inside * (
        rng.uniform(0.4, 0.8) * size * dome(top, scene.view.edge_px) - 0.02 * rng.random() * nodules
    )
    pale = rng.uniform(0.85, 1.0) * np.clip(0.95 + 0.2 * scene.view.texture("cloud1", 1.2, rng), 0.2, 1)
    scene.dye *= 1 - pale * inside
    scene.dye += 0.35 * strength * edge
    scene.blood += inside * (rng.uniform(0.05, 0.4) + 0.2 * (nodules - 0.4))
    scene.kind, scene.mask = "lifted", np.asarray((cushion < 1) | (top < 1))


def _wound(scene: Scene, rng: Generator, bed: Field, strength: float) -> None:
    """The bed of a resection: sunken, fibrous submucosa, half stained, with ooze and a burnt rim."""
    view, inside = scene.view, step(bed, 1.05, 0.94)
    fibres = soften(view.texture("fibres", rng.uniform(0.9, 1.8), rng), 0.006 * view.edge_px)
    fibres = fibres + 0.16 * view.texture("rough0", 1.2, rng)
    uneven = np.clip(0.6 + 0.4 * view.texture("cloud1", 1.3, rng), 0.1, 1)
    ooze = view.texture("cloud2", 1.1, rng) + 0.3 * view.texture("rough1", 1.2, rng)
    ooze = inside * step(ooze, rng.uniform(-0.4, 1.2), 2.0)
    scene.relief += inside * (0.012 * fibres - 0.02 * uneven)
    scene.scar += inside * rng.uniform(0.4, 0.9) * np.clip(0.4 + 0.9 * fibres, 0, 1) * (1 - ooze) * uneven
    scene.dye *= 1 - inside * rng.uniform(0.2, 0.7) * np.clip(0.5 + 0.7 * uneven, 0, 1)
    scene.dye += 0.4 * strength * inside * np.clip(0.5 - fibres, 0, 1)
    scene.blood += rng.uniform(0.5, 1.1) * ooze + inside * rng.uniform(-0.12, 0.2)
    burnt = bell((bed - 1.0) / rng.uniform(0.04, 0.09)) * step(view.texture("rough2", 0.8, rng), -0.6, 1.0)
    scene.char += rng.uniform(0.25, 0.95) * burnt


def paint_dyed_resection(scene: Scene, rng: Generator) -> None:
    """The dyed zone round the bed of a removed polyp: the mask is the zone with the bed."""
    size = rng.uniform(0.4, 0.75)
    at = _place(scene, rng, size)
    zone = blob(scene.view, rng, at, size, rng.uniform(1, 1.6), 0.10, 0.07)
    strength = _cushion(scene, rng, zone, size * rng.uniform(0.08, 0.4))
    centre = scatter(rng, at, 0.1 * size)
    bed = blob(scene.view, rng, centre, size * rng.uniform(0.35, 0.68), rng.uniform(1, 1.8), 0.13, 0.12)
    scene.relief += -rng.uniform(0.15, 0.35) * size * step(bed, 1.1, 0.7) + 0.05 * size * bell((bed - 1.1) / 0.12)
    scene.dye += 0.4 * strength * bell((bed - 1.10) / 0.10)
    _wound(scene, rng, bed, strength)
    scene.kind, scene.mask = "resected", np.asarray((zone < 1) | (bed < 1))


# -------------------------------------------------------------------------------------------------------- inflammation
def paint_esophagitis(scene: Scene, rng: Generator) -> None:
    """Breaks of the mucosa above the z-line, some so mild that they are easily missed."""
    strips = breaks(scene, rng, int(rng.integers(3, 8)))
    strips = as_field(np.where(strips > _FAINTEST, strips, 0))
    mild = rng.random() < _MILD_ODDS
    scene.blood += rng.uniform(0.42, 0.9) * (0.42 if mild else 1.0) * strips
    scene.blood += 0.12 * step(soften(strips, 0.02 * scene.view.edge_px), 0.0, 0.8)
    scene.relief -= 0.006 * strips
    if not mild and rng.random() < 0.6:  # fibrin in the middle of the break
        core = step(soften(strips, 0.014 * scene.view.edge_px), 0.7, 1.0)
        scene.pus += rng.uniform(0.3, 0.75) * core * step(scene.view.texture("rough1", 1.2, rng), -0.2, 1.2)
    scene.kind, scene.mask = "mild" if mild else "erosive", np.asarray(strips > _FAINTEST)


def _exudate(scene: Scene, rng: Generator, sick: Field) -> None:
    """Spots of bleeding and patches of pus."""
    if rng.random() < 0.5:
        red = spots(scene.view, rng, rng.uniform(0.7, 1.4), rng.uniform(0.03, 0.2))
        scene.blood += rng.uniform(0.1, 0.45) * sick * red
    patches = scene.view.texture("rough0", 1.2, rng) + 0.5 * scene.view.texture("cloud1", 1.0, rng)
    first = 0.9 + rng.uniform(-0.2, 0.9)
    pus = rng.uniform(0.3, 0.85) * step(patches, first, first + 0.8) * sick
    scene.pus += pus
    scene.relief += 0.006 * pus


def paint_colitis(scene: Scene, rng: Generator) -> None:
    """Red, granular mucosa without visible vessels, over part of the wall or all of it."""
    view = scene.view
    where = view.texture("cloud0", 0.6, rng) + 0.12 * view.texture("rough1", 1.0, rng)
    middle = rng.uniform(-2.0, -0.3)
    sick = step(where, middle - 0.15, middle + 0.15)
    grains = soften(view.mosaic(int(rng.integers(4)), rng.uniform(0.8, 1.6), rng).centre, view.edge_px / 300)
    mottling = view.texture("rough2", 1.5, rng)
    plain = soften(scene.blood, 0.10 * view.edge_px)
    red = plain + rng.uniform(0.12, 0.45) + 0.10 * mottling + rng.uniform(0.14, 0.34) * (grains - 0.4)
    scene.blood += sick * (red - scene.blood)
    flat = rng.uniform(0, 0.7) * sick  # folds are lost
    scene.log_depth += flat * (soften(scene.log_depth, 0.06 * view.edge_px) - scene.log_depth)
    scene.relief += sick * (0.004 * mottling - 0.012 * grains)
    _exudate(scene, rng, sick)
    scene.gloss += rng.uniform(0, 0.5) * sick
    scene.kind, scene.mask = "inflamed", np.asarray(sick > 0.5)
