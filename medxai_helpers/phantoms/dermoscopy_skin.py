"""Skin under a dermatoscope, without any lesion: tone, furrows, flush, hair, gel, ruler, lens and lamp.

Everything here is drawn from the patient and the frame alone, before the label is known, and the same for a picture
and its twin. Colour is absorbance: melanin and blood take light away channel by channel, so that a red lesion on dark
skin darkens instead of reddening.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, bell, stream
from medxai_helpers.phantoms.painting import (
    SUPERSAMPLING,
    Point,
    Sensor,
    View,
    compress,
    draw_sensor,
    mix,
    point_camera,
    record,
    shrink_mask,
    soften,
    step,
)
from medxai_helpers.phantoms.rendering import Mask, Pixels

MELANIN, BLOOD = (0.72, 1.05, 1.40), (0.14, 1.00, 0.85)
"""Absorbance per channel (R, G, B) of one unit of each pigment."""
SKIN = (0.88, 0.66, 0.60)
"""Linear RGB of skin without pigment."""
BLUE, WHITE, KERATIN = (0.17, 0.21, 0.29), (0.72, 0.62, 0.60), (0.70, 0.49, 0.29)
"""Colours (linear RGB) of deep pigment, scar and horn, laid over the skin."""
TONES = ("I", "II", "III", "IV", "V", "VI")
"""Fitzpatrick's skin types."""
TONE_ODDS = (0.14, 0.20, 0.22, 0.18, 0.14, 0.12)
"""Much flatter than in the clinics that HAM10000 comes from, where types I to III prevail."""
TONE_MELANIN = (0.04, 0.16, 0.34, 0.62, 1.10, 1.75)
"""Units of melanin in the skin of each type, before the patient's own 15 % more or less."""
SITES = ("trunk", "limb", "face", "scalp")
_SITE_ODDS = (0.45, 0.35, 0.12, 0.08)
_HAIRS = {"trunk": (0, 0, 0, 3), "limb": (0, 0, 3, 10), "face": (0, 0, 0, 3), "scalp": (3, 8, 12, 20)}
RULER_ODDS, ROUND_ODDS, GEL_ODDS, FRECKLE_ODDS, INK_ODDS = 0.14, 0.3, 0.3, 0.2, 0.06
_GAMMA = 0.47
_DIMMEST = 0.1  # share of the light at which the rim of the field still counts as visible
_FULL = 9.0  # radius of a field without black corners


@dataclass
class Lesion:
    """Layers that a lesion adds to the skin, all (edge, edge): pigments, and the opacity of three colours."""

    view: View
    melanin: Field = field(init=False)
    blood: Field = field(init=False)
    blue: Field = field(init=False)
    white: Field = field(init=False)
    keratin: Field = field(init=False)
    mask: Bools = field(init=False)
    atypia: float = 0.0
    pattern: str = ""

    def __post_init__(self) -> None:
        for layer in ("melanin", "blood", "blue", "white", "keratin"):
            setattr(self, layer, self.view.zeros())
        self.mask = np.zeros(self.view.x.shape, np.bool_)


@dataclass(frozen=True)
class Skin:
    """What stays the same over a patient's frames."""

    tone: str
    site: str
    colour: Field
    flush: float
    texture_seed: int
    furrows: float
    freckles: float
    hairs: int
    hair_width: float
    hair_colour: Field
    vignette: float
    middle: Point
    radius: float
    gel: float
    ruler: int
    tick: float
    tint: Field
    ink: bool


def draw_skin(patient: Generator) -> Skin:
    """Draw a patient's skin and the instrument that it is seen with."""
    tone, site = int(patient.choice(len(TONES), p=TONE_ODDS)), str(patient.choice(SITES, p=_SITE_ODDS))
    melanin = TONE_MELANIN[tone] * patient.uniform(0.85, 1.15)
    colour = np.array(SKIN) * np.exp(-melanin * np.array(MELANIN)) * np.exp(patient.normal(0, (0.03, 0.05, 0.08)))
    grey = patient.random() < 0.25  # cross-polarised instruments give paler, greyer skin
    light_hair, round_field = patient.uniform(0.5, 5.0) if tone < 3 else 0.5, patient.random() < ROUND_ODDS
    return Skin(
        tone=TONES[tone],
        site=site,
        colour=as_field(colour),
        flush=patient.uniform(0.0, 0.1) if grey else patient.uniform(0.05, 0.28),
        texture_seed=int(patient.integers(1 << 30)),
        furrows=patient.uniform(1.1, 2.2),
        freckles=0.18 if patient.random() < FRECKLE_ODDS else 0.0,
        hairs=int(patient.choice(_HAIRS[site])),
        hair_width=patient.uniform(0.002, 0.0055),
        hair_colour=as_field(np.array([0.05, 0.035, 0.025]) * light_hair),
        vignette=patient.uniform(0.03, 0.24),
        middle=(patient.normal(0, 0.05), patient.normal(0, 0.05)),
        radius=patient.uniform(0.95, 1.3) if round_field else _FULL,
        gel=0.7 if patient.random() < GEL_ODDS else 0.0,
        ruler=int(patient.choice([-1, 1])) if patient.random() < RULER_ODDS else 0,
        tick=patient.uniform(0.05, 0.09),
        tint=as_field(np.exp(patient.normal(0, (0.02, 0.03, 0.06)))),
        ink=bool(patient.random() < INK_ODDS),
    )


@dataclass(frozen=True)
class Shot:
    """What belongs to one frame: camera, light, hair as it lies, gel, ruler, noise."""

    view: View
    sensor: Sensor
    light: Field
    visible: Bools
    hair: Field
    glints: Field
    ticks: Field
    ink: Field


def draw_shot(skin: Skin, patient: Generator, frame: Generator, size: int) -> Shot:
    """Draw one frame of a patient."""
    edge = SUPERSAMPLING * size
    view = point_camera(edge, frame.uniform(0.85, 1.2), frame.normal(0, 0.4), frame.normal(0, 0.07, 2))
    axis = np.linspace(-1, 1, edge)
    squared = as_field((axis - skin.middle[0])[None] ** 2 + (axis - skin.middle[1])[:, None] ** 2)
    uneven = frame.uniform(0.88, 1.12) * (1 + 0.05 * view.texture("cloud0", 0.4, frame))
    corners = step(squared, 1.08 * skin.radius**2, 0.92 * skin.radius**2)
    return Shot(
        view=view,
        sensor=draw_sensor(patient, frame, size, (0.004, 0.014), (70, 95)),
        light=as_field(uneven * (1 - skin.vignette * np.minimum(squared, 2)) * corners),
        visible=np.asarray(corners > _DIMMEST, np.bool_),
        hair=_hairs(skin, frame, edge),
        glints=_glints(skin, frame, edge),
        ticks=_ticks(skin, edge),
        ink=_ink(skin, view, frame),
    )


def _hairs(skin: Skin, frame: Generator, edge: int) -> Field:
    """Opacity of curved hairs that thin out towards their tips."""
    layer, lean = np.zeros((edge, edge), np.uint8), frame.random() * 2 * math.pi
    along = np.linspace(0, 1, 14)[:, None]
    for _ in range(int(frame.poisson(skin.hairs)) if skin.hairs else 0):
        start, angle = frame.random(2) * edge, lean + frame.normal(0, 0.6)
        length = edge * frame.uniform(0.3, 1.0)
        end = start + length * np.array([math.cos(angle), math.sin(angle)])
        bow = (start + end) / 2 + frame.normal(0, 0.17 * length, 2)
        path = (1 - along) ** 2 * start + 2 * along * (1 - along) * bow + along**2 * end
        width = max(1, round(skin.hair_width * edge * frame.uniform(0.6, 1.3)))
        points = np.round(path * 8).astype(np.int32)
        cv2.polylines(layer, [points[:10]], False, (255,), width, cv2.LINE_AA, 3)
        cv2.polylines(layer, [points[9:]], False, (200,), max(1, width - 1), cv2.LINE_AA, 3)
    return as_field(layer / 255)


def _glints(skin: Skin, frame: Generator, edge: int) -> Field:
    """Bubbles in the immersion gel: a faint ring and a bright point each."""
    layer = np.zeros((edge, edge), np.uint8)
    if frame.random() < skin.gel:
        for _ in range(int(frame.integers(2, 25))):
            (x, y), radius = frame.random(2) * edge, edge * frame.gamma(2.0, 0.006)
            cv2.circle(layer, (int(x), int(y)), int(radius) + 1, (90,), max(1, edge // 200), cv2.LINE_AA)
            centre = (int(x - radius / 2), int(y - radius / 2))
            cv2.circle(layer, centre, max(1, int(radius / 4)), (230,), -1, cv2.LINE_AA)
    return as_field(layer * (0.6 / 255))


def _ticks(skin: Skin, edge: int) -> Field:
    """Opacity of a ruler's ticks at the upper or lower edge."""
    layer = np.zeros((edge, edge), np.uint8)
    if skin.ruler:
        base, gap = int(edge * (0.5 + 0.43 * skin.ruler)), edge * skin.tick
        for number in range(int(edge / gap) + 1):
            length = int(edge * (0.055 if number % 5 == 0 else 0.03)) * skin.ruler
            x = int(number * gap)
            cv2.line(layer, (x, base), (x, base - length), (255,), max(1, edge // 180), cv2.LINE_AA)
    return as_field(layer / 255)


def _ink(skin: Skin, view: View, frame: Generator) -> Field:
    """A surgeon's violet pen mark near a corner, in any class."""
    if not skin.ink:
        return view.zeros()
    corner, angle = frame.choice([-0.8, 0.8], 2), frame.random() * math.pi
    axis = np.linspace(-1, 1, view.edge_px)
    x, y = axis[None] - corner[0], axis[:, None] - corner[1]
    across = x * math.sin(angle) - y * math.cos(angle) + 0.1 * (x * math.cos(angle) + y * math.sin(angle)) ** 2
    return as_field(frame.uniform(0.3, 0.7) * bell(across / 0.05) * (np.hypot(x, y) < 0.5))


# ------------------------------------------------------------------------------------------------------------ picture
@dataclass(frozen=True)
class Surface:
    """The skin's own pigment in one frame, (edge, edge) each."""

    melanin: Field
    blood: Field


def lay_skin(skin: Skin, view: View) -> Surface:
    """Furrows, mottling, flush and freckles, in the patient's own texture."""
    rng = stream(skin.texture_seed)
    furrows = bell(view.mosaic(0, skin.furrows, rng).wall / 0.10)
    melanin = 0.05 * furrows + 0.03 * view.texture("rough2", 1.2, rng)
    melanin = melanin + skin.freckles * view.dots(rng, 0.5, 0.08, 0.45, 0.1)
    uneven = 1 + 0.3 * view.texture("cloud1", 0.6, rng) + 0.12 * view.texture("rough0", 1.0, rng)
    if skin.site == "face":  # pale follicles
        melanin -= 0.10 * view.dots(rng, 0.8, 0.8, 0.3, 0.1)
    return Surface(as_field(melanin), as_field(skin.flush * uneven))


def develop(lesion: Lesion, surface: Surface, skin: Skin, shot: Shot) -> Pixels:
    """Photograph skin with the lesion's layers on it; empty layers leave plain skin."""
    melanin, blood = surface.melanin + lesion.melanin, surface.blood + lesion.blood
    layers = [
        skin.colour[channel] * np.exp(-MELANIN[channel] * melanin - BLOOD[channel] * blood) for channel in range(3)
    ]
    picture = as_field(np.stack(layers, axis=-1))
    shade = float(skin.colour[0]) / SKIN[0]  # horn and scars of dark skin are darker, too
    for layer, colour in ((lesion.keratin, KERATIN), (lesion.white, WHITE), (lesion.blue, BLUE)):
        if layer.any():
            mix(picture, np.array(colour) * (0.35 + 0.65 * shade), np.clip(layer, 0, 0.9))
    _add_overlays(picture, skin, shot)
    lit = np.clip(picture * (shot.light[..., None] * skin.tint) + shot.glints[..., None], 0, 1.1)
    mix(lit, (0.03, 0.03, 0.03), shot.ticks)
    recorded = record(as_field(lit**_GAMMA), shot.sensor) + shot.sensor.noise
    return compress(recorded, shot.sensor.quality)


def _add_overlays(picture: Field, skin: Skin, shot: Shot) -> None:
    if skin.ink:
        mix(picture, (0.16, 0.07, 0.30), shot.ink)
    if skin.hairs:
        picture *= 1 - 0.35 * soften(shot.hair, 0.006 * shot.view.edge_px)[..., None]
        mix(picture, skin.hair_colour, 0.85 * shot.hair)


def lesion_in_view(lesion: Lesion, shot: Shot) -> Mask:
    """The lesion at the picture's size, cut to the visible field."""
    size = shot.sensor.noise.shape[0]
    return shrink_mask(lesion.mask & shot.visible, size)


def field_of_view(shot: Shot) -> Mask:
    """The visible field at the picture's size."""
    size = shot.sensor.noise.shape[0]
    return shrink_mask(shot.visible, size)
