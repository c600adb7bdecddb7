"""The endoscope: lamps beside the lens, wet highlights, the processor, the frame and what lies over the picture.

Everything here is drawn from the patient and the frame alone, before the label is known; it is the same for a picture
and its twin. Light falls with the distance, so that a deep lumen is dark, and a ray marched through the depth map
towards the lamp finds the cast shadows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from medxai_helpers.phantoms.endoscopy_scene import Scene
from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, blur, resize
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

# Absorbance per channel (R, G, B) of what lies on or in the mucosa; blood turns shadows red-brown by itself.
TISSUE = (0.05, 0.60, 0.98)
BLOOD = (0.20, 1.50, 1.75)
STOOL = (0.22, 0.32, 1.30)
# Colours (linear RGB) that lie over the mucosa.
DYE, PUS, SCAR, CHAR = (0.03, 0.15, 0.42), (0.88, 0.68, 0.38), (0.84, 0.72, 0.62), (0.22, 0.13, 0.07)
DYE_UPTAKE = (3.0, 1.5, 1.5)
"""Dye takes red away twice as fast as the rest: else it looks purple instead of indigo."""
FRAMES = ("octagon", "round", "full")
_FRAME_ODDS = (0.6, 0.2, 0.2)
BOX_ODDS, TEXT_ODDS, INSTRUMENT_ODDS, STOOL_ODDS, BUBBLE_ODDS = 0.25, 0.35, 0.08, 0.22, 0.3
BOX_WIDTH, BOX_HEIGHT = 0.32, 0.30  # share of the picture
LIGHT_FALLOFF = 1.8
"""Exponent of the distance: below 2, as the wet walls throw light back."""
STEEPEST, EDGE = 3.5, 8.0
"""Slopes of the log depth level off at the first; from the second on they count as the jump at a fold's edge."""
SHADOW_STEPS = (0.03, 0.06, 0.10, 0.14, 0.18)
"""Lengths of the ray towards the lamp, in scene units."""
_DIMMEST = 0.1  # share of the light at which the rim of the field still counts as visible
_EXPOSURE, _FLOOR, _GAMMA = 1.45, 0.002, 0.64


@dataclass(frozen=True)
class FrameShape:
    """Outline of the lit field."""

    name: str
    offset: float
    half_width: float
    half_height: float
    cut: float
    radius: float

    def inside(self, size: int) -> Field:
        """1 in the field, 0 in the black surround, (size, size)."""
        axis = np.linspace(-1, 1, size)
        x, y = np.abs(axis - self.offset)[None], np.abs(axis)[:, None]
        box = np.maximum(x / self.half_width, y / self.half_height)
        round_or_cut = np.maximum((x + y) / self.cut, np.hypot(x, y) / self.radius)
        return as_field(np.clip((1 - np.maximum(box, round_or_cut)) * size / 4 + 0.5, 0, 1))


@dataclass(frozen=True)
class Scope:
    """What stays the same over a patient's frames: colour of the picture, lamp, frame, overlays."""

    redness: float
    wet: float
    cast: Field
    ink: Field
    gain: float
    lamp: Point
    shape: FrameShape
    box_colour: tuple[float, float, float]
    text_lines: int


def draw_scope(patient: Generator) -> Scope:
    """Draw a patient's endoscope."""
    name = str(patient.choice(FRAMES, p=_FRAME_ODDS))
    octagon, circle = patient.uniform(1.45, 1.72), patient.uniform(0.95, 1.1)
    cut, radius = {"octagon": (octagon, 1.3), "round": (9.0, circle), "full": (9.0, 9.0)}[name]
    sides = patient.uniform(0.0, 0.10), patient.uniform(0.88, 1.0), patient.uniform(0.92, 1.02)
    bearing, reach = patient.random() * 2 * math.pi, patient.uniform(0.12, 0.3)
    green = bool(patient.random() < 0.5)
    return Scope(
        redness=patient.uniform(0.75, 1.3),
        wet=patient.uniform(0.6, 1.2),
        cast=as_field(patient.normal(0, (0.04, 0.09, 0.18))),
        ink=as_field(patient.uniform(0.8, 1.25, 3)),
        gain=patient.uniform(0.8, 1.4),
        lamp=(reach * math.cos(bearing), reach * math.sin(bearing)),
        shape=FrameShape(name, *sides, cut, radius),
        box_colour=(0.07, 0.14, 0.06) if green else (0.01, 0.01, 0.01),
        text_lines=int(patient.integers(2, 6)) if patient.random() < TEXT_ODDS else 0,
    )


@dataclass(frozen=True)
class Shot:
    """What belongs to one frame: camera, light, dirt, overlays, noise."""

    view: View
    sensor: Sensor
    field: Field
    gain: float
    lamp: Point
    speckle: Field
    bubbles: Field
    stool: Field
    instrument: Field
    letters: Field
    box: bool
    map_bend: float

    def visible(self) -> Mask:
        """Pixels that show the body: inside the frame, not under the box or an instrument."""
        size = self.field.shape[0]
        seen = np.asarray(self.field > _DIMMEST, np.bool_)
        if self.box:
            seen[size - int(size * BOX_HEIGHT) :, : int(size * BOX_WIDTH)] = False
        return seen & (resize(self.instrument, size, size) < 0.5)


def draw_shot(scope: Scope, patient: Generator, frame: Generator, size: int, box: bool | None = None) -> Shot:
    """Draw one frame of a patient; ``box`` forces the position window or keeps it away."""
    turn = frame.normal(0, 0.35)
    view = point_camera(SUPERSAMPLING * size, frame.uniform(0.85, 1.25), turn, frame.normal(0, 0.1, 2))
    speckle = 0.7 * view.texture("rough0", 1.8, frame) + 0.6 * view.texture("grain1", 0.55, frame)
    return Shot(
        view=view,
        sensor=draw_sensor(patient, frame, size, (0.006, 0.022), (60, 93)),
        field=scope.shape.inside(size),
        gain=scope.gain * frame.uniform(0.85, 1.15),
        lamp=(scope.lamp[0] + frame.normal(0, 0.03), scope.lamp[1] + frame.normal(0, 0.03)),
        speckle=as_field(speckle),
        bubbles=_bubbles(view, frame),
        stool=_stool(view, frame),
        instrument=_instrument(view, frame),
        letters=_letters(size, scope.text_lines),
        box=_decide(frame, BOX_ODDS, box),
        map_bend=frame.random() * 6,
    )


def _decide(rng: Generator, odds: float, wish: bool | None) -> bool:
    chance = bool(rng.random() < odds)  # drawn in any case, so that a wish changes nothing else
    return chance if wish is None else wish


def _bubbles(view: View, frame: Generator) -> Field:
    """Brightness of a cluster of bubbles: a faint ring and a bright point each."""
    layer, edge = view.zeros(), view.edge_px
    if frame.random() >= BUBBLE_ODDS:
        return layer
    middle = frame.uniform(0.2, 0.8, 2)
    for _ in range(int(frame.integers(3, 22))):
        x, y = (middle + frame.normal(0, 0.1, 2)) * edge
        radius = edge * frame.uniform(0.006, 0.022)
        cv2.circle(layer, (int(x), int(y)), int(radius), (0.35,), 1, cv2.LINE_AA)
        centre = (int(x - radius / 3), int(y - radius / 3))
        cv2.circle(layer, centre, max(1, int(radius / 4)), (1.0,), -1, cv2.LINE_AA)
    return layer


def _stool(view: View, frame: Generator) -> Field:
    """Yellow-brown fluid and clumps, in any class."""
    if frame.random() >= STOOL_ODDS:
        return view.zeros()
    amount, strength = frame.uniform(0, 1.1), frame.uniform(0.3, 0.8)
    where = view.texture("cloud1", 0.8, frame) + 0.25 * view.texture("rough0", 1.3, frame)
    return as_field(strength * step(where, 1.8 - amount, 2.4 - amount))


def _instrument(view: View, frame: Generator) -> Field:
    """A grey catheter that comes in from a lower edge, in any class; 0 where there is none."""
    if frame.random() >= INSTRUMENT_ODDS:
        return view.zeros()
    edge = view.edge_px
    axis = np.linspace(-1, 1, edge)
    from_x, tilt, width = frame.uniform(-0.2, 1.0), frame.uniform(-0.5, 0.5), frame.uniform(0.04, 0.08)
    tip = frame.uniform(0.35, 0.75)
    distance = np.abs(axis[None] - from_x - tilt * (1 - axis[:, None])) / width
    return as_field(np.sqrt(np.clip(1.1 - distance**2, 0, 1)) * step(axis[:, None], tip, tip + 0.03))


# -------------------------------------------------------------------------------------------------------------- light
def _slopes(log_depth: Field) -> tuple[Field, Field]:
    """Change of the log depth per half picture, limited."""
    scale = log_depth.shape[0] / 16  # Sobel's kernel sums to 8, a half picture is edge / 2 pixels
    right = cv2.Sobel(log_depth, cv2.CV_32F, 1, 0) * scale
    down = cv2.Sobel(log_depth, cv2.CV_32F, 0, 1) * scale
    squared = right**2 + down**2
    limit = 1 / (np.sqrt(1 + squared / STEEPEST**2) * (1 + (squared / EDGE**2) ** 2))
    return as_field(right * limit), as_field(down * limit)


def cast_shadow(log_depth: Field, lamp: Point) -> Field:
    """Share of the lamp's light that nearer walls keep away: marched towards the lamp through the depth map.

    The ray from a pixel at depth z to a lamp ``reach`` beside the lens has, ``length`` further on in the picture, come
    nearer by the factor 1 + length * z / reach; it is blocked where the map is nearer than that.
    """
    edge = log_depth.shape[0]
    coarse = resize(log_depth, edge // 2, edge // 2)
    reach = max(math.hypot(*lamp), 0.05)
    depth, shadow = np.exp(coarse), np.zeros_like(coarse)
    for length in SHADOW_STEPS:
        pixels = length * edge / 4 / reach
        matrix = np.array([[1, 0, lamp[0] * pixels], [0, 1, lamp[1] * pixels]])
        ahead = cv2.warpAffine(
            coarse, matrix, coarse.shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        ray = coarse - np.log1p(length * depth / reach)
        np.maximum(shadow, step(ray - ahead, 0.0, 0.18), out=shadow)
    smooth = blur(shadow, max(0.3, edge / 190))
    return as_field(cv2.resize(smooth, (edge, edge), interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True)
class Light:
    """Light that falls on the walls, and the share of the mirror direction in the view."""

    diffuse: Field
    mirror: Field


def light_up(scene: Scene, shot: Shot) -> Light:
    """Light a scene by a lamp beside the lens."""
    log_depth = as_field(scene.log_depth - scene.relief)
    right, down = _slopes(log_depth)
    axis = np.linspace(-1, 1, scene.view.edge_px, dtype=np.float32)
    x, y = axis[None], axis[:, None]
    towards = 1 + x * right + y * down  # normal (right, down, -towards): of a surface seen in perspective
    length = np.sqrt(right**2 + down**2 + towards**2)
    near = np.exp(-np.clip(log_depth, -2, 3))
    lamp_x, lamp_y = shot.lamp[0] * near - x, shot.lamp[1] * near - y
    distance = np.sqrt(lamp_x**2 + lamp_y**2 + 1)
    facing = np.clip((lamp_x * right + lamp_y * down + towards) / (length * distance), 0.03, 1)
    half = np.sqrt(1 + x**2 + y**2)
    bisector = (lamp_x / distance - x / half, lamp_y / distance - y / half, 1 / distance + 1 / half)
    norm = np.sqrt(sum(part**2 for part in bisector))
    mirror = (bisector[0] * right + bisector[1] * down + bisector[2] * towards) / (length * norm)
    lit = 1 - 0.75 * cast_shadow(log_depth, shot.lamp)
    diffuse = facing * (near / distance) ** LIGHT_FALLOFF * lit
    return Light(as_field(diffuse), as_field(np.maximum(mirror, 0) * lit))


def exposure(light: Light) -> float:
    """Gain that an automatic exposure would choose for this light."""
    bright = float(np.percentile(light.diffuse[::4, ::4], 75))
    return float(max(bright, 1e-3) ** -0.85)


# ---------------------------------------------------------------------------------------------------------- processor
def _highlights(scene: Scene, scope: Scope, shot: Shot, light: Light, bright: Field) -> Field:
    """Wet highlights with bloom: the mirror direction broken up by speckle."""
    gloss = scene.gloss * scope.wet
    shine = 0.75 * gloss * light.mirror**40 + 0.22 * shot.speckle * np.minimum(bright, 1)
    spots = step(shine, 0.76, 0.98) * np.minimum(1.5 * bright, 1) + shot.bubbles
    return as_field(np.maximum(spots, 1.2 * soften(spots, scene.view.edge_px * 0.01)))


def _albedo(scene: Scene, scope: Scope, shot: Shot) -> Field:
    """Share of light that the wall reflects, (edge, edge, 3)."""
    redness = scope.redness * np.maximum(scene.blood, 0)
    layers = [
        np.exp(-(TISSUE[channel] + float(scope.cast[channel])) - BLOOD[channel] * redness - STOOL[channel] * shot.stool)
        for channel in range(3)
    ]
    albedo = as_field(np.stack(layers, axis=-1))
    if scene.dye.any():
        _lay_dye(albedo, scene.dye, scope.ink)
    for layer, colour in ((scene.scar, SCAR), (scene.pus, PUS), (scene.char, CHAR)):
        if layer.any():
            mix(albedo, colour, np.clip(layer, 0, 0.95))
    return albedo


def _lay_dye(albedo: Field, dye: Field, ink: Field) -> None:
    uptake = 1 - np.exp(-np.maximum(dye, 0)[..., None] * as_field(DYE_UPTAKE))
    albedo += (as_field(DYE) * ink * (0.6 + albedo) - albedo) * uptake


def develop(scene: Scene, scope: Scope, shot: Shot, light: Light, gain: float) -> Pixels:
    """Turn a lit scene into the picture on the monitor."""
    bright = as_field(light.diffuse * gain * shot.gain)
    highlights = _highlights(scene, scope, shot, light, bright)
    exposed = _EXPOSURE * _albedo(scene, scope, shot) * bright[..., None] + 2 * highlights[..., None]
    picture = as_field((1 - np.exp(-exposed - _FLOOR)) ** _GAMMA)
    if shot.instrument.any():
        mix(picture, (0.72, 0.74, 0.72), as_field(np.minimum(2 * shot.instrument, 1)))
        picture *= (0.45 + 0.55 * np.where(shot.instrument > 0, shot.instrument, 1))[..., None]
    return _finish(record(as_field(picture), shot.sensor), scope, shot)


def _finish(picture: Field, scope: Scope, shot: Shot) -> Pixels:
    """Lay the frame, noise and overlays over a picture and compress it."""
    framed = picture * shot.field[..., None] + 0.02 + shot.sensor.noise
    mix(framed, (0.85, 0.85, 0.85), shot.letters)
    if shot.box:
        _draw_box(framed, scope, shot)
    return compress(framed, shot.sensor.quality)


def _letters(size: int, lines: int) -> Field:
    """Rows of small letters at the left edge, as a processor prints them; 0 to 1."""
    layer = np.zeros((size, size), np.uint8)
    for line in range(lines):
        where = (int(0.01 * size), int((0.27 + 0.055 * line) * size))
        words = ("12/03", "10:41:07", "CVP:7", "GN:0", "Ct:N")[line]
        cv2.putText(layer, words, where, cv2.FONT_HERSHEY_PLAIN, size / 380, (255,), 1, cv2.LINE_AA)
    return as_field(layer / 255)


def _draw_box(picture: Any, scope: Scope, shot: Shot) -> None:
    """The window that shows the position of the scope."""
    size = picture.shape[0]
    width, height = int(size * BOX_WIDTH), int(size * BOX_HEIGHT)
    picture[size - height :, :width] = scope.box_colour
    along = np.linspace(0, 1, 24)
    bent = width * (0.5 + 0.3 * np.sin(along * 5 + shot.map_bend))
    line = np.stack([bent, size - height * (0.1 + 0.8 * along)], 1)
    points, thickness = [(line * 8).astype(np.int32)], max(1, size // 56)
    cv2.polylines(picture, points, False, (0.27, 0.86, 0.43), thickness, cv2.LINE_AA, 3)


def lesion_in_view(mask: Bools, shot: Shot) -> Mask:
    """The lesion at the picture's size, cut to what is visible."""
    size = shot.field.shape[0]
    return np.asarray(shrink_mask(mask, size) & shot.visible())
