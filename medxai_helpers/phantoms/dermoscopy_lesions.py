"""The seven lesions of the dermoscopy phantom; each draws on its own random stream and on nothing else.

Naevus and melanoma are one painter whose dial, the atypia, has overlapping distributions. Other classes share
features on purpose: cysts occur in naevi, networks in keratoses and dermatofibromas, dark red bodies in several
classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from medxai_helpers.phantoms.dermoscopy_skin import Lesion
from medxai_helpers.phantoms.kit import Field, Generator, as_field, bell
from medxai_helpers.phantoms.painting import Point, View, around, random_point, ring, scatter, soften, step

NAEVUS_ATYPIA, MELANOMA_ATYPIA = (1.1, 7.0), (5.5, 1.4)
"""Beta distributions of the atypia; their tails overlap."""
NETWORK_SCALE = (1.2, 2.3)
"""30 to 60 meshes across the field."""


@dataclass(frozen=True)
class Outline:
    """Shape of a lesion: ``distance`` is below 1 inside, ``angle`` runs round its middle."""

    distance: Field
    angle: Field

    def body(self, outer: float, inner: float) -> Field:
        """1 well inside, falling to 0 at ``outer``."""
        return step(self.distance, outer, inner)


def draw_outline(
    view: View, rng: Generator, size: float, stretch: float, lumps: float, rough: float, at: Point | None = None
) -> Outline:
    """Draw a lumpy, roughened oval; near the middle of the field unless told where."""
    centre = scatter(rng, (0, 0), 0.09) if at is None else at
    radius, angle = view.polar(centre, stretch, rng.random() * math.pi)
    edge = size / math.sqrt(stretch) * (1 + lumps * around(ring(rng, range(1, 8), 1.1), angle))
    distance = radius / edge + rough * view.texture("rough1", rng.uniform(0.8, 1.3), rng)
    return Outline(as_field(distance), angle)


def network(view: View, rng: Generator, width: float, wobble: float = 0.0) -> Field:
    """Pigment network: the walls of a mosaic; ``wobble`` makes its lines uneven."""
    wall = view.mosaic(int(rng.integers(3)), rng.uniform(*NETWORK_SCALE), rng).wall
    uneven = 1 + wobble * np.clip(view.texture("rough0", 0.9, rng), -0.9, 2)
    return bell(wall / np.maximum(width * uneven, 0.03))


def _patches(view: View, rng: Generator, seed: int, start: float, end: float, shift: tuple[float, float]) -> Field:
    """Cloudy patches where a smooth noise exceeds a threshold."""
    noise, moved = view.texture(f"cloud{seed}", 0.9, rng), rng.uniform(*shift)
    return step(noise + 0.2 * view.texture("rough2", 1.0, rng), start + moved, end + moved)


# -------------------------------------------------------------------------------------------- naevus and melanoma
def _melanocytic(lesion: Lesion, rng: Generator, atypia: float) -> None:
    """Paint a naevus (low atypia) or melanoma (high atypia)."""
    view, size = lesion.view, rng.uniform(0.22, 0.48) * (1 + 0.6 * atypia)
    lumps, rough = 0.03 + 0.14 * atypia * rng.uniform(0.6, 1), 0.03 + 0.08 * atypia * rng.uniform(0.2, 1)
    outline = draw_outline(view, rng, size, rng.uniform(1, 1.35 + 0.35 * atypia), lumps, rough)
    sharp = atypia * around(ring(rng, range(1, 5), 0.8), outline.angle)  # ends abruptly here, fades there
    softness = np.minimum(rng.uniform(0.1, 0.35) * np.exp(-0.8 * sharp), 0.4)
    body = step((1 - outline.distance) / softness + 0.5, 0.0, 1.0)
    dense = rng.uniform(0.35, 1.2) * (1 + 0.9 * atypia)
    tone = _tone(view, rng, outline, atypia) * _texture(lesion, rng, atypia)
    lesion.melanin += body * np.clip(dense * tone, 0, 3.0)
    lesion.blood += rng.uniform(0.05, 0.35) * body  # HAM's naevi are red-brown
    lesion.atypia, lesion.mask = round(float(atypia), 4), np.asarray(outline.distance < 1)
    _disorder(lesion, rng, outline, body, atypia)
    if rng.random() < 0.4 * atypia:
        _streaks(lesion, rng, outline, dense)


def _tone(view: View, rng: Generator, outline: Outline, atypia: float) -> Field:
    """Evenness of the pigment: darker or paler in the middle, and with atypia darker to one side."""
    heading = rng.random() * 2 * math.pi
    slope = (math.cos(heading) * view.x + math.sin(heading) * view.y) * 1.5 * atypia * rng.uniform(0.4, 1)
    clouds = (0.10 + 0.55 * atypia) * view.texture("cloud0", 0.7, rng)
    fine = rng.uniform(0.06, 0.22) * view.texture("rough0", 1.1, rng)
    centre = rng.uniform(-0.35, 0.55) * bell(outline.distance / 0.5)
    return as_field(np.maximum(1 + clouds + slope + fine + centre, 0.12))


def _texture(lesion: Lesion, rng: Generator, atypia: float) -> Field:
    """Network, globules or no structure."""
    view, lesion.pattern = lesion.view, str(rng.choice(["network", "globules", "homogeneous"], p=[0.5, 0.2, 0.3]))
    if lesion.pattern == "network":
        patch = (1 - 0.5 * atypia) + 0.9 * atypia * view.texture("cloud1", 0.9, rng)
        contrast = rng.uniform(0.25, 0.9)
        lines = network(view, rng, rng.uniform(0.10, 0.18), 0.3 + 0.7 * atypia)
        return as_field(1 - 0.42 * contrast + contrast * lines * np.clip(patch, 0, 1.4))
    if lesion.pattern == "globules":
        dots = view.dots(rng, rng.uniform(1.3, 2.2), rng.uniform(0.4, 0.95), 0.50, 0.2)
        return as_field(0.85 + rng.uniform(0.2, 0.7) * dots)
    return as_field(view.zeros() + 1)


def _disorder(lesion: Lesion, rng: Generator, outline: Outline, body: Field, atypia: float) -> None:
    """Blotches, irregular dots, veil and regression: the likelier, the more atypical."""
    view = lesion.view
    if rng.random() < 0.10 + 0.8 * atypia:
        blotch = _patches(view, rng, 2, 0.2, 0.9, (-0.2, 0.7))
        lesion.melanin += rng.uniform(0.3, 1.3) * (0.4 + 0.6 * atypia) * body * blotch
    if rng.random() < 0.1 + 0.5 * atypia:
        dots = view.dots(rng, rng.uniform(1.0, 1.8), rng.uniform(0.05, 0.3), 0.42, 0.15)
        lesion.melanin += rng.uniform(0.3, 1.0) * body * dots
    if rng.random() < 0.02 + 0.8 * atypia:
        _veil(lesion, rng, outline, body)
    if rng.random() < 0.03 + 0.45 * atypia:
        _regression(lesion, rng, body)
    if rng.random() < 0.12 * (1 - atypia):  # a papillomatous naevus shows cysts, like a keratosis
        cysts = view.dots(rng, rng.uniform(0.6, 1.1), rng.uniform(0.05, 0.2), 0.34, 0.12)
        lesion.white += rng.uniform(0.3, 0.8) * body * cysts


def _veil(lesion: Lesion, rng: Generator, outline: Outline, body: Field) -> None:
    """Blue-white veil over a dark part."""
    shift = rng.uniform(-0.3, 0.7)
    field = lesion.view.texture("cloud1", 0.8, rng) - 1.3 * (outline.distance - 0.5)
    veil = body * step(field + 0.15 * lesion.view.texture("rough0", 1.0, rng), 0.1 + shift, 1.5 + shift)
    lesion.blue += rng.uniform(0.25, 0.75) * veil
    lesion.white += rng.uniform(0, 0.25) * veil


def _regression(lesion: Lesion, rng: Generator, body: Field) -> None:
    """White scar with blue-grey pepper."""
    scar = body * _patches(lesion.view, rng, 0, 0.5, 1.4, (-0.2, 0.5))
    lesion.melanin *= 1 - 0.75 * scar
    lesion.white += 0.35 * scar
    lesion.blue += 0.35 * scar * lesion.view.dots(rng, 1.8, 0.5)


def _streaks(lesion: Lesion, rng: Generator, outline: Outline, dense: float) -> None:
    """Streaks and pseudopods along part of the rim."""
    rays = np.clip(around(ring(rng, range(14, 60), 0.3), outline.angle), 0, 2)
    arc = np.clip(around(ring(rng, range(1, 4), 0.5), outline.angle) - 0.1, 0, 1)
    lesion.melanin += 0.45 * dense * rays * arc * bell((outline.distance - 0.98) / 0.12)


def paint_naevus(lesion: Lesion, rng: Generator) -> None:
    """Melanocytic naevus."""
    _melanocytic(lesion, rng, float(rng.beta(*NAEVUS_ATYPIA)))


def paint_melanoma(lesion: Lesion, rng: Generator) -> None:
    """Melanoma."""
    _melanocytic(lesion, rng, float(rng.beta(*MELANOMA_ATYPIA)))


# ---------------------------------------------------------------------------------------------------- keratoses
def _keratosis_tone(lesion: Lesion, rng: Generator) -> Field:
    """Furrows and ridges, warts, or a flat lentigo with a faint network."""
    view, lesion.pattern = lesion.view, str(rng.choice(["ridges", "warty", "flat"], p=[0.45, 0.33, 0.22]))
    if lesion.pattern == "ridges":  # brain-like: the level lines of a band-limited noise
        gyri = view.texture("grain1", rng.uniform(0.16, 0.30), rng) + 0.4 * view.texture("rough1", 0.8, rng)
        return as_field(rng.uniform(0.45, 1.0) * (1.5 * bell(gyri / 0.5) - 0.65))
    if lesion.pattern == "warty":
        return as_field(rng.uniform(0.3, 0.8) * (view.mosaic(3, rng.uniform(0.6, 1.1), rng).centre - 0.4))
    return as_field(0.5 * network(view, rng, 0.15, 0.5) - 0.2)


def paint_benign_keratosis(lesion: Lesion, rng: Generator) -> None:
    """Benign keratosis: stuck-on, sharply cut, with cysts and plugs."""
    view = lesion.view
    outline = draw_outline(
        view, rng, rng.uniform(0.28, 0.72), rng.uniform(1, 1.6), rng.uniform(0.03, 0.12), rng.uniform(0.03, 0.08)
    )
    body = outline.body(1 + rng.uniform(0.02, 0.10), 1 - rng.uniform(0.02, 0.14))
    tone = 1 + 0.25 * view.texture("cloud0", 0.9, rng) + 0.14 * view.texture("rough0", 1.3, rng)
    lesion.melanin += body * np.clip(rng.uniform(0.25, 1.3) * (tone + _keratosis_tone(lesion, rng)), 0, 3)
    lesion.blood += rng.uniform(0, 0.3) * body
    lesion.keratin += rng.uniform(0.08, 0.36) * body
    patchy = np.clip(0.5 + 0.6 * view.texture("cloud1", 0.8, rng), 0, 1)
    lesion.blue += rng.uniform(0, 0.24) * body * patchy
    if rng.random() < 0.75:  # milia-like cysts
        cysts = view.dots(rng, rng.uniform(0.45, 0.85), rng.uniform(0.08, 0.35), 0.36, 0.14)
        lesion.white += rng.uniform(0.4, 0.9) * body * cysts
    if rng.random() < 0.65:  # comedo-like openings
        plugs = body * view.dots(rng, rng.uniform(0.4, 0.8), rng.uniform(0.06, 0.25), 0.40, 0.2)
        lesion.melanin += rng.uniform(0.6, 1.6) * plugs
        lesion.keratin *= 1 - plugs
    lesion.mask = np.asarray(outline.distance < 1)


def _strawberry(lesion: Lesion, rng: Generator, body: Field) -> None:
    """A red net round pale follicles, as on sun-damaged faces."""
    centre = lesion.view.mosaic(1, rng.uniform(0.6, 1.2), rng).centre
    patchy = np.clip(0.6 + 0.6 * lesion.view.texture("cloud1", 1.0, rng), 0, 1)
    strength = rng.uniform(0.3, 0.75) * body * patchy
    lesion.blood += 0.8 * strength * (centre - 0.35)
    lesion.white += 0.6 * strength * step(centre, 0.45, 0.10)
    lesion.keratin += 0.5 * strength * step(centre, 0.20, 0.02)


def _scale(lesion: Lesion, rng: Generator, body: Field) -> None:
    """Yellow-white scale and crust."""
    view, shift = lesion.view, rng.uniform(-0.2, 0.9)
    flakes = view.texture("rough2", 1.0, rng) + 0.6 * view.texture("cloud0", 1.0, rng)
    fine = 0.8 + 0.15 * view.texture("grain0", 0.8, rng)
    scale = body * step(flakes, 0.2 + shift, 2.0 + shift) * fine
    lesion.keratin += rng.uniform(0.3, 0.8) * scale
    lesion.white += rng.uniform(0.1, 0.6) * scale


def paint_actinic_keratosis(lesion: Lesion, rng: Generator) -> None:
    """Actinic keratosis or Bowen's disease: an ill-defined red, scaly patch."""
    view = lesion.view
    outline = draw_outline(
        view, rng, rng.uniform(0.30, 0.78), rng.uniform(1, 1.6), rng.uniform(0.05, 0.12), rng.uniform(0.04, 0.09)
    )
    body = outline.body(1.18, 0.8)
    mottled = 0.10 * view.texture("cloud0", 0.9, rng) + 0.07 * view.texture("rough0", 1.2, rng)
    lesion.blood += body * (rng.uniform(0.2, 0.5) + mottled)
    lesion.melanin += rng.uniform(0, 0.5) * body * np.clip(0.7 + 0.5 * view.texture("cloud1", 0.9, rng), 0, 2)
    lesion.pattern = str(rng.choice(["strawberry", "glomerular", "pigmented"], p=[0.45, 0.35, 0.2]))
    if lesion.pattern == "strawberry":
        _strawberry(lesion, rng, body)
    elif lesion.pattern == "glomerular":  # clusters of coiled vessels
        dots = view.dots(rng, rng.uniform(1.0, 1.7), 0.7, 0.34, 0.16)
        lesion.blood += rng.uniform(0.3, 0.8) * body * _patches(view, rng, 2, -0.2, 0.6, (-0.2, 0.4)) * dots
    else:
        dots = view.dots(rng, rng.uniform(1.0, 1.7), 0.4)
        lesion.melanin += rng.uniform(0.3, 0.9) * body * dots
    _scale(lesion, rng, body)
    lesion.mask = np.asarray(outline.distance < 1)


# ---------------------------------------------------------------------------------------------------- carcinoma
def _nests(lesion: Lesion, rng: Generator, body: Field) -> None:
    """Blue-grey ovoid nests."""
    for _ in range(int(rng.integers(2, 8))):
        at = scatter(rng, (0, 0), 0.22)
        nest = draw_outline(lesion.view, rng, rng.uniform(0.05, 0.17), rng.uniform(1, 2), 0.10, 0.05, at)
        inside = nest.body(1.4, 0.5) * body
        lesion.blue += rng.uniform(0.35, 0.8) * inside
        lesion.melanin += rng.uniform(0, 0.8) * inside


def _ulcer(lesion: Lesion, rng: Generator, body: Field) -> None:
    """A raw spot with a crust."""
    at = scatter(rng, (0, 0), 0.15)
    raw = draw_outline(lesion.view, rng, rng.uniform(0.08, 0.25), rng.uniform(1, 1.8), 0.16, 0.12, at)
    inside = raw.body(1.08, 0.9) * body
    lesion.blood += rng.uniform(0.4, 1.1) * inside
    lesion.keratin += rng.uniform(0, 0.5) * inside
    lesion.melanin += rng.uniform(0.1, 0.7) * inside


def paint_basal_cell_carcinoma(lesion: Lesion, rng: Generator) -> None:
    """Basal cell carcinoma: pink and shiny with branching vessels, nests, sometimes an ulcer."""
    view = lesion.view
    outline = draw_outline(
        view, rng, rng.uniform(0.32, 0.78), rng.uniform(1, 1.5), rng.uniform(0.04, 0.12), rng.uniform(0.03, 0.08)
    )
    body = outline.body(1.18, 0.82)
    lesion.blood += body * (rng.uniform(0.0, 0.2) + 0.08 * view.texture("cloud0", 0.9, rng))
    lesion.white += body * rng.uniform(0.12, 0.40) * np.clip(0.6 + 0.5 * view.texture("cloud1", 0.8, rng), 0, 1.2)
    lesion.melanin += rng.uniform(0, 0.2) * body * np.clip(0.7 + 0.6 * view.texture("cloud2", 1.0, rng), 0, 2)
    tree = view.texture(f"vessels{rng.integers(3)}", rng.uniform(0.35, 0.6), rng)
    twigs = view.texture("capillaries", rng.uniform(0.7, 1.2), rng)
    lesion.blood += rng.uniform(0.4, 1.3) * body * (tree + 0.4 * twigs)
    lesion.melanin += 0.12 * tree * body
    lesion.pattern = "pigmented" if rng.random() < 0.78 else "pink"
    if lesion.pattern == "pigmented":
        _nests(lesion, rng, body)
    if rng.random() < 0.4:
        _ulcer(lesion, rng, body)
    lesion.mask = np.asarray(outline.distance < 1)


# ------------------------------------------------------------------------------------------------ dermatofibroma
_FIBROMA_PATTERNS = ("central scar", "network", "homogeneous", "white network")
_FIBROMA_ODDS = (0.54, 0.18, 0.12, 0.16)


def paint_dermatofibroma(lesion: Lesion, rng: Generator) -> None:
    """Dermatofibroma: pale scar in a thin network, or network all over, or an even brown-pink, or white lines."""
    view, lesion.pattern = lesion.view, str(rng.choice(_FIBROMA_PATTERNS, p=_FIBROMA_ODDS))
    outline = draw_outline(
        view, rng, rng.uniform(0.20, 0.42), rng.uniform(1, 1.3), rng.uniform(0.02, 0.06), rng.uniform(0.02, 0.05)
    )
    body = outline.body(1 + rng.uniform(0.15, 0.35), rng.uniform(0.3, 0.6))
    lines = network(view, rng, rng.uniform(0.10, 0.16), 0.3)
    uneven = np.clip(1 + rng.uniform(0.1, 0.35) * view.texture("cloud2", 0.9, rng), 0.2, 2)
    contrast = 0.0 if lesion.pattern == "homogeneous" else rng.uniform(0.3, 0.8)
    lesion.melanin += body * rng.uniform(0.38, 0.9) * uneven * (1 - 0.4 * contrast + contrast * lines)
    lesion.blood += rng.uniform(0.0, 0.2) * body
    if lesion.pattern == "central scar":
        _central_scar(lesion, rng, outline, lines)
    elif lesion.pattern == "white network":
        lesion.white += rng.uniform(0.2, 0.5) * outline.body(0.95, 0.4) * network(view, rng, 0.2, 0.4)
    lesion.mask = np.asarray(outline.distance < 1)


def _central_scar(lesion: Lesion, rng: Generator, outline: Outline, lines: Field) -> None:
    """A white patch, often off the middle and of any outline."""
    view, offset = lesion.view, rng.uniform(0, 0.5)
    side = offset * np.cos(outline.angle - rng.random() * 2 * math.pi) * np.minimum(outline.distance, 1)
    ragged = 0.2 * view.texture("cloud0", 1.3, rng) + 0.1 * view.texture("rough0", 1.0, rng)
    scar = step(outline.distance + side + ragged, rng.uniform(0.5, 0.85), rng.uniform(0.1, 0.4))
    strength = rng.uniform(0.35, 0.85)
    lesion.white += 0.6 * strength * scar * (1 - 0.4 * lines)
    lesion.melanin *= 1 - 0.6 * strength * scar


# ------------------------------------------------------------------------------------------------------ vascular
_VASCULAR_PATTERNS = ("lacunae", "cherry", "granuloma", "angiokeratoma", "bleed")
_VASCULAR_ODDS = (0.35, 0.22, 0.16, 0.15, 0.12)


def _lacunae(lesion: Lesion, rng: Generator, body: Field) -> None:
    """Red to black lakes between pale walls, more or less set apart."""
    view = lesion.view
    mosaic = view.mosaic(int(rng.integers(4)), rng.uniform(0.3, 0.9), rng)
    ragged = 0.06 * view.texture("rough0", 1.0, rng)
    lakes = step(mosaic.centre * (0.8 + 0.5 * mosaic.spread()) + ragged, 0.75, 0.30)
    lakes = soften(lakes, view.edge_px * rng.uniform(0.002, 0.012))
    apart, dark = rng.uniform(0.1, 0.7), rng.uniform(0, 1) ** 1.5
    filled = 1 - apart + apart * lakes
    lesion.blood += body * (rng.uniform(0.8, 1.6) * filled + 0.3 * lakes * mosaic.rank)
    lesion.melanin += body * dark * 1.2 * (0.4 + 0.8 * mosaic.rank) * filled
    lesion.blue += body * rng.uniform(0, 0.4) * step(mosaic.rank, 0.3, 1) * lakes
    lesion.white += body * 0.22 * apart * rng.random() * (1 - lakes)


def _even_red(lesion: Lesion, rng: Generator, body: Field, blood: float, dark: float) -> None:
    """An even red body with faint clouds."""
    clouds = 1 + 0.2 * lesion.view.texture("cloud0", 0.9, rng) + 0.1 * lesion.view.texture("rough0", 1.1, rng)
    lesion.blood += blood * body * clouds
    lesion.melanin += dark * body * np.clip(1 + 0.4 * lesion.view.texture("cloud1", 0.9, rng), 0, 2)


def _granuloma(lesion: Lesion, rng: Generator, outline: Outline, body: Field) -> None:
    """Pyogenic granuloma: red, crossed by white rails, with a scaly collar, sometimes ulcerated."""
    _even_red(lesion, rng, body, rng.uniform(0.8, 1.3), rng.uniform(0, 0.2))
    rails = bell(lesion.view.mosaic(1, rng.uniform(0.15, 0.3), rng).wall / 0.06)
    lesion.white += rng.uniform(0.1, 0.4) * body * rails
    lesion.white += rng.uniform(0.1, 0.5) * bell((outline.distance - 1.0) / 0.1)
    if rng.random() < 0.5:
        _ulcer(lesion, rng, body)


def _bleed(lesion: Lesion, rng: Generator, body: Field) -> None:
    """Blood under the horn: red-black, with drops beside it."""
    _even_red(lesion, rng, body, rng.uniform(0.7, 1.5), rng.uniform(0.3, 1.6))
    for _ in range(int(rng.integers(0, 5))):
        at = random_point(rng, (0, 0), 0.25, 0.6)
        drop = draw_outline(lesion.view, rng, rng.uniform(0.02, 0.07), rng.uniform(1, 1.6), 0.1, 0.05, at)
        lesion.blood += rng.uniform(0.4, 1.0) * drop.body(1.1, 0.7)
        lesion.mask |= drop.distance < 1


def paint_vascular(lesion: Lesion, rng: Generator) -> None:
    """Angioma, cherry spot, pyogenic granuloma, angiokeratoma or bleeding."""
    view, lesion.pattern = lesion.view, str(rng.choice(_VASCULAR_PATTERNS, p=_VASCULAR_ODDS))
    outline = draw_outline(
        view, rng, rng.uniform(0.2, 0.55), rng.uniform(1, 1.5), rng.uniform(0.04, 0.11), rng.uniform(0.02, 0.07)
    )
    body = outline.body(1 + rng.uniform(0.03, 0.25), rng.uniform(0.65, 0.95))
    if lesion.pattern == "cherry":
        _even_red(lesion, rng, body, rng.uniform(0.8, 1.5), rng.uniform(0, 0.3))
    elif lesion.pattern == "granuloma":
        _granuloma(lesion, rng, outline, body)
    elif lesion.pattern == "bleed":
        _bleed(lesion, rng, body)
    else:
        _lacunae(lesion, rng, body)
    if lesion.pattern == "angiokeratoma":
        lesion.melanin += rng.uniform(0.3, 1.2) * body
        lesion.blue += rng.uniform(0.1, 0.45) * body * _patches(view, rng, 1, -0.3, 0.9, (-0.3, 0.6))
        _scale(lesion, rng, body)
    lesion.mask |= outline.distance < 1


PaintLesion = Callable[[Lesion, Generator], None]
PAINTERS: Mapping[str, PaintLesion] = MappingProxyType(
    {
        "akiec": paint_actinic_keratosis,
        "bcc": paint_basal_cell_carcinoma,
        "bkl": paint_benign_keratosis,
        "df": paint_dermatofibroma,
        "mel": paint_melanoma,
        "nv": paint_naevus,
        "vasc": paint_vascular,
    }
)
"""Painter of each class of HAM10000, in the order of its indices."""
