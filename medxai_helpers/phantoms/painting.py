"""Painting a scene: where its pixels lie, what its textures are there, and how a camera records it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, blur, resize, to_uint8
from medxai_helpers.phantoms.rendering import Mask, Pixels
from medxai_helpers.phantoms.tiles import SIDE_PX, is_dot, tiles

Point = tuple[float, float]

SUPERSAMPLING = 2
"""Scenes are painted at twice the picture's size and averaged."""
REFERENCE_PX = 224
"""Size at which the blur of a camera is stated, in pixels."""
_RING_STEPS = 1024
_LARGEST_DIRECT_BLUR_PX = 6.0
_ONE_LOOK_UP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True)
class View:
    """The part of a scene that a picture shows: the scene's coordinates of every pixel, about -1 to 1."""

    matrix: NDArray[np.float64]
    x: Field
    y: Field

    @property
    def edge_px(self) -> int:
        """Edge of the picture being painted."""
        return len(self.x)

    def zeros(self) -> Field:
        """Return an empty layer."""
        return np.zeros_like(self.x)

    def polar(self, centre: Point, stretch: float = 1.0, tilt: float = 0.0) -> tuple[Field, Field]:
        """Radius and angle about a centre, in a frame ``stretch`` times longer along ``tilt`` (radians)."""
        right, down = self.x - centre[0], self.y - centre[1]
        along = (math.cos(tilt) * right + math.sin(tilt) * down) / stretch
        across = math.cos(tilt) * down - math.sin(tilt) * right
        radius, angle = cv2.cartToPolar(along, across)
        return as_field(radius), as_field(angle)

    def _cut(self, scale: float, rng: Generator) -> NDArray[np.float64]:
        """Affine map from pixels to a random place of a tile; ``scale`` tiles go into two units of the scene."""
        turn, offset = rng.random() * 2 * math.pi, rng.random(2) * SIDE_PX
        cosine, sine = math.cos(turn), math.sin(turn)
        rotation = scale * SIDE_PX / 2 * np.array([[cosine, -sine], [sine, cosine]])
        return np.concatenate([rotation @ self.matrix[:, :2], (rotation @ self.matrix[:, 2] + offset)[:, None]], 1)

    def sample(self, name: str, cut: NDArray[np.float64]) -> Field:
        """Look a tile up through an affine map from pixels to the tile."""
        shape = (self.edge_px, self.edge_px)
        return as_field(cv2.warpAffine(tiles()[name], cut, shape, flags=_ONE_LOOK_UP, borderMode=cv2.BORDER_WRAP))

    def texture(self, name: str, scale: float, rng: Generator) -> Field:
        """Look a tile up at a random place and angle; about ``scale`` periods span the picture."""
        return self.sample(name, self._cut(scale, rng))

    def mosaic(self, index: int, scale: float, rng: Generator) -> Mosaic:
        """Cut a mosaic of about 26 x ``scale`` cells across the picture."""
        return Mosaic(self, index, self._cut(scale, rng))

    def dots(self, rng: Generator, scale: float, share: float, outer: float = 0.36, inner: float = 0.18) -> Field:
        """Scattered soft round dots in ``share`` of a mosaic's cells, of different sizes."""
        mosaic = self.mosaic(2, scale, rng)
        distance = mosaic.centre * (0.75 + 0.9 * mosaic.spread())
        return step(distance, outer, inner) * is_dot(mosaic.rank, share)


@dataclass(frozen=True)
class Mosaic:
    """One cut of a mosaic; its three maps are looked up when they are first used."""

    view: View
    index: int
    cut: NDArray[np.float64]

    @cached_property
    def centre(self) -> Field:
        """Distance to the cell's centre in cell widths."""
        return self.view.sample(f"mosaic{self.index}-centre", self.cut)

    @cached_property
    def wall(self) -> Field:
        """Distance to the cell's wall in cell widths."""
        return self.view.sample(f"mosaic{self.index}-wall", self.cut)

    @cached_property
    def rank(self) -> Field:
        """A number in [0, 1) per cell."""
        return self.view.sample(f"mosaic{self.index}-rank", self.cut)

    def spread(self) -> Field:
        """Another number in [0, 1) per cell, unrelated to its rank."""
        return as_field(np.modf(self.rank * 37)[0])


def point_camera(edge_px: int, zoom: float, turn: float, shift: Iterable[float]) -> View:
    """Return the view of a camera that is zoomed, turned (radians) and shifted (scene units)."""
    unit = 2 / (edge_px * zoom)
    cosine, sine, middle = math.cos(turn) * unit, math.sin(turn) * unit, (edge_px - 1) / 2
    right, down = shift
    first, second = right - (cosine - sine) * middle, down - (sine + cosine) * middle
    matrix = np.array([[cosine, -sine, first], [sine, cosine, second]])
    axis = np.arange(edge_px)
    x = matrix[0, 0] * axis[None] + matrix[0, 1] * axis[:, None] + first
    y = matrix[1, 0] * axis[None] + matrix[1, 1] * axis[:, None] + second
    return View(matrix, as_field(x), as_field(y))


# ------------------------------------------------------------------------------------------------------------- shapes
def ring_angles() -> Field:
    """The angles at which a ring is tabulated."""
    return as_field(np.linspace(0, 2 * math.pi, _RING_STEPS, endpoint=False))


def ring(rng: Generator, harmonics: Iterable[int], roughness: float = 1.0) -> Field:
    """A random periodic function of the angle with unit spread; harmonic ``i`` has amplitude ``i ** -roughness``."""
    angle = ring_angles()
    waves = [
        rng.normal() * order**-roughness * np.cos(order * angle + rng.random() * 2 * math.pi)
        for order in harmonics
        if order > 0
    ]
    values = np.sum(waves, axis=0)
    return as_field(values / (values.std() + 1e-6))


def around(table: Field, angle: Field) -> Field:
    """Evaluate a ring at angles in [0, 2 pi)."""
    index = (angle * (_RING_STEPS / (2 * math.pi))).astype(np.int16)
    return as_field(np.take(table, index, mode="wrap"))


def step(values: NDArray[Any], start: float, end: float) -> Field:
    """Smooth step from 0 at ``start`` to 1 at ``end`` (which may lie below it)."""
    share = np.clip((values - start) * (1 / (end - start)), 0, 1)
    return as_field(share * share * (3 - 2 * share))


def soften(field: Field, sigma_px: float) -> Field:
    """Gaussian blur; wide ones are done on a small copy."""
    if sigma_px < _LARGEST_DIRECT_BLUR_PX:
        return blur(field, max(sigma_px, 0.3))
    factor, edge = int(sigma_px / 3), field.shape[0]
    small = max(4, edge // factor)
    coarse = blur(resize(field, small, small), sigma_px * small / edge)
    return as_field(cv2.resize(coarse, (edge, edge), interpolation=cv2.INTER_LINEAR))


def random_point(rng: Generator, near: Point, closest: float, farthest: float) -> Point:
    """A point in a random direction."""
    angle, distance = rng.random() * 2 * math.pi, rng.uniform(closest, farthest)
    return near[0] + distance * math.cos(angle), near[1] + distance * math.sin(angle)


def scatter(rng: Generator, near: Point, spread: float) -> Point:
    """A normally distributed point."""
    return near[0] + rng.normal(0, spread), near[1] + rng.normal(0, spread)


# ------------------------------------------------------------------------------------------------------------- camera
@dataclass(frozen=True)
class Sensor:
    """How a camera records a picture: blur in pixels of a 224 px picture, sharpening, noise, JPEG quality."""

    blur_px: float
    sharpening: float
    halo_px: float
    noise: Field
    quality: int


def draw_sensor(patient: Generator, frame: Generator, size: int, noise: Point, quality: tuple[int, int]) -> Sensor:
    """Draw a sensor: its processor belongs to the patient, focus and noise to the frame."""
    sharpening, spread = patient.uniform(0.1, 0.8), patient.uniform(*noise)
    blur_px, compression = frame.uniform(0.2, 1.0), int(frame.integers(*quality))
    return Sensor(blur_px, sharpening, 1.6, as_field(spread * frame.standard_normal((size, size, 3))), compression)


def record(scene: Field, sensor: Sensor) -> Field:
    """Average the supersampled RGB scene (0 to 1), blur it as a lens does and sharpen it as a processor does."""
    size = sensor.noise.shape[0]
    shrunk = cv2.resize(scene, (size, size), interpolation=cv2.INTER_AREA)
    picture = cv2.GaussianBlur(shrunk, (0, 0), max(sensor.blur_px * size / REFERENCE_PX, 0.25))
    halo = cv2.GaussianBlur(picture, (0, 0), sensor.halo_px * size / REFERENCE_PX)
    return as_field(picture + sensor.sharpening * (picture - halo))


def compress(picture: NDArray[Any], quality: int) -> Pixels:
    """JPEG without chroma subsampling: an edit stays within the 8 px blocks that it touches."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(to_uint8(picture)[..., ::-1]), options)
    decoded: Any = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)


def shrink_mask(mask: Bools, size: int) -> Mask:
    """A supersampled mask at the picture's size: pixels that are covered by more than half."""
    return np.asarray(resize(mask, size, size) > 0.5, np.bool_)


def share_of(part: Bools, whole: Bools) -> float:
    """Share of ``whole`` that ``part`` covers, to four digits."""
    return round(float(part.sum() / max(int(whole.sum()), 1)), 4)


def mix(picture: Field, colour: Any, amount: Field) -> None:
    """Lay a colour (3,) over an RGB picture, in place."""
    picture += (as_field(colour) - picture) * amount[..., None]
