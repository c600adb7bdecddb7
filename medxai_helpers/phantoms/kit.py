"""Shared maths of the phantoms: random streams, smooth noise, sampling, typed doors to OpenCV and SciPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from medxai_helpers.phantoms.rendering import Pixels

Field = NDArray[np.float32]
Bools = NDArray[np.bool_]
Generator = np.random.Generator


def stream(*key: int) -> Generator:
    """Return the random stream of a key such as ``(patient_seed, frame_seed, purpose)``."""
    return np.random.default_rng(list(key))


def as_field(values: ArrayLike) -> Field:
    """Return the values as float32."""
    return np.asarray(values, dtype=np.float32)


def sigmoid(values: NDArray[Any]) -> Field:
    """Logistic function; arguments beyond +-30 are clipped so that nothing overflows."""
    return as_field(1 / (1 + np.exp(-np.clip(values, -30, 30))))


def bell(values: NDArray[Any]) -> Field:
    """Gaussian bump ``exp(-values ** 2)``."""
    return as_field(np.exp(-np.square(values)))


def blur(field: NDArray[Any], sigma_px: float) -> Field:
    """Gaussian blur of a 2-D field, edges mirrored."""
    return as_field(cv2.GaussianBlur(as_field(field), (0, 0), sigma_px))


def resize(field: NDArray[Any], rows: int, columns: int, *, smooth: bool = False) -> Field:
    """Resize a 2-D field: by area averaging, or (``smooth``) by cubic interpolation of coarse knots."""
    how = cv2.INTER_CUBIC if smooth else cv2.INTER_AREA
    return as_field(cv2.resize(np.ascontiguousarray(as_field(field)), (columns, rows), interpolation=how))


def smooth_noise(rng: Generator, knots: int, size: int) -> Field:
    """(size, size) noise that varies smoothly between ``knots`` x ``knots`` random normal values."""
    return resize(rng.normal(size=(knots, knots)), size, size, smooth=True)


def grain(rng: Generator, shape: tuple[int, ...]) -> Field:
    """White noise from a child stream, so that the number of pixels does not move any later draw of ``rng``."""
    return as_field(rng.spawn(1)[0].normal(size=shape))


def plane_waves(
    rng: Generator, count: int, shortest_mm: float, longest_mm: float, dimensions: int = 3
) -> Callable[[NDArray[Any]], Field]:
    """Return cheap noise of unit variance as a function of points (..., dimensions) in mm: a sum of plane waves."""
    directions = rng.normal(size=(count, dimensions))
    length_mm = rng.uniform(shortest_mm, longest_mm, (count, 1))
    waves = as_field(directions * (2 * np.pi / length_mm) / np.linalg.norm(directions, axis=1, keepdims=True))
    phase = as_field(rng.uniform(0, 2 * np.pi, count))

    def noise(points: NDArray[Any]) -> Field:
        return as_field(np.sin(as_field(points) @ waves.T + phase).sum(-1) * np.sqrt(2 / count))

    return noise


def sample(volume: NDArray[Any], indices: NDArray[Any], outside: float) -> Field:
    """Trilinear values of a volume at fractional ``indices`` (3, ...); ``outside`` beyond its faces."""
    return as_field(ndimage.map_coordinates(volume, indices, output=np.float32, order=1, mode="constant", cval=outside))


def pixel_grid(size: int, field_of_view_mm: float) -> tuple[Field, Field]:
    """Pixel centres in mm from the middle, to the right and downwards, each (size, size)."""
    axis = ((np.arange(size) + 0.5) / size - 0.5) * field_of_view_mm
    right, down = np.meshgrid(axis, axis)
    return as_field(right), as_field(down)


def rotate(first: NDArray[Any], second: NDArray[Any], degrees: float) -> tuple[Field, Field]:
    """Rotate coordinates in their plane."""
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return as_field(first * cosine - second * sine), as_field(first * sine + second * cosine)


def scanner_magnitude(signal: NDArray[Any], noise_sd: float, rng: Generator) -> Field:
    """Magnitude image of an MR scanner: noise on both channels (Rician), so that air is never quite black."""
    real, imaginary = (noise_sd * grain(rng, signal.shape) for _ in range(2))
    return as_field(np.hypot(signal + real, imaginary))


def to_uint8(grey: NDArray[Any]) -> Pixels:
    """Turn grey values in [0, 1] into uint8, clipping what lies outside."""
    return np.asarray(255 * np.clip(grey, 0, 1), np.float32).astype(np.uint8)


@contextmanager
def single_opencv_thread() -> Iterator[None]:
    """Run OpenCV on one thread (tiny images gain nothing from more) and restore the caller's setting afterwards."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
