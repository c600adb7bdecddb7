"""Axial slices: abdomen and chest CT of the real trunk, head CT of the prepared head, breast MRI on the real thorax."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.head import head
from medxai_helpers.phantoms.kit import (
    Field,
    Generator,
    as_field,
    bell,
    grain,
    pixel_grid,
    plane_waves,
    resize,
    rotate,
    sample,
    scanner_magnitude,
    sigmoid,
    smooth_noise,
    to_uint8,
)
from medxai_helpers.phantoms.rendering import Rendering, without_lesion
from medxai_helpers.phantoms.volumes import AIR_HU, VOXEL_MM, half_resolution_ct

ABDOMEN_LEVELS, CHEST_LEVELS, BREAST_LEVELS = (1.0, 30.0), (62.0, 124.0), (58.0, 90.0)
"""Ranges of slice numbers of the packaged CT, counted upwards."""
HEAD_LEVELS_MM = (-46.0, 62.0)
"""Heights in template millimetres: skull base to vertex."""
_HALF_MM = 2 * VOXEL_MM[0]
_CT_CENTRE = (128.0, 139.0)
_NO_MARKS = {"finding": "", "marker": ""}

# T1 signal by Hounsfield unit: air, lung, skin, fat, fat, muscle, blood, bone (fat is bright, the rest dark).
_T1_HU = (-1000, -700, -200, -110, -60, 10, 60, 200, 600)
_T1_SIGNAL = (0.0, 0.03, 0.35, 0.85, 0.8, 0.22, 0.20, 0.12, 0.1)


def _plane(
    frame: Generator, size: int, field_mm: tuple[float, float], turn_deg: float, shift_mm: float
) -> tuple[Field, Field]:
    """Millimetres to the picture's right and to the front, a little shifted and turned."""
    right, down = pixel_grid(size, frame.uniform(*field_mm))
    return rotate(right + frame.normal(0, shift_mm), -(down + frame.normal(0, shift_mm)), frame.normal(0, turn_deg))


def _trunk(patient: Generator, right: Field, front: Field, level: float) -> Field:
    """Hounsfield units of one axial slice of the CT, bent and scaled as this patient is."""
    size = len(right)
    scale = patient.uniform(0.88, 1.12, 2)
    bend = [5 * smooth_noise(patient, 4, size) for _ in range(2)]
    across = (right / scale[0] + bend[0]) / _HALF_MM + _CT_CENTRE[0]
    forward = (front / scale[1] + bend[1]) / _HALF_MM + _CT_CENTRE[1]
    height = level + 0.03 * patient.normal() * front / VOXEL_MM[2]
    return sample(half_resolution_ct()[0], np.stack([across, forward, height]), AIR_HU)


def _finish(grey: NDArray[Any], frame: Generator) -> Rendering:
    image = to_uint8(np.clip(grey, 0, 1) ** frame.uniform(0.85, 1.2))
    return without_lesion(image, dict(_NO_MARKS))


def _render_trunk_ct(patient: Generator, frame: Generator, size: int, levels: tuple[float, float]) -> Rendering:
    right, front = _plane(frame, 2 * size, (350, 430), 4, 8)
    hounsfield = _trunk(patient, right, front, frame.uniform(*levels))
    hounsfield = as_field(hounsfield + frame.uniform(4, 45) * grain(frame, right.shape))
    hounsfield = as_field(np.where(np.hypot(right, front) > frame.uniform(185, 260), AIR_HU, hounsfield))  # gantry
    level, width = frame.uniform(20, 70), frame.uniform(320, 1100)
    grey = np.clip((resize(hounsfield, size, size) - level) / width + 0.5, 0, 1)
    lift = frame.uniform(0, 0.3)  # some archives leave the air grey
    return _finish(lift + (1 - lift) * grey, frame)


def render_abdomen_ct(patient: Generator, frame: Generator, size: int) -> Rendering:
    """Render one axial slice through liver or kidneys, uint8 (size, size). Introduced in chapter 05."""
    return _render_trunk_ct(patient, frame, size, ABDOMEN_LEVELS)


def render_chest_ct(patient: Generator, frame: Generator, size: int) -> Rendering:
    """Render one axial slice through heart or lungs, uint8 (size, size). Introduced in chapter 05."""
    return _render_trunk_ct(patient, frame, size, CHEST_LEVELS)


# ------------------------------------------------------------------------------------------------------------ head CT
def _head_points(patient: Generator, frame: Generator, right: Field, front: Field) -> Field:
    """Template points (3, H, W) of one tilted slice: this patient's head size, smooth warp and ventricles."""
    scale = patient.uniform(0.92, 1.08, 2)
    height = frame.uniform(*HEAD_LEVELS_MM) + np.tan(np.deg2rad(frame.normal(4, 4))) * front
    points = np.stack([right / scale[0], front / scale[1] - 18, height], axis=-1)
    warp = [plane_waves(patient, 4, 70, 150)(points) for _ in range(3)]
    points = points + 2 * np.stack(warp, axis=-1)
    # Looking nearer to the ventricles' middle enlarges them, as age does.
    offset = points - np.array([0, -16, 12])
    near = np.exp(-1.5 * (((points - [0, -16, 16]) / [26, 44, 20]) ** 2).sum(-1))
    points = points - offset * (near * patient.uniform(-0.08, 0.4))[..., None]
    return as_field(np.moveaxis(points, -1, 0))


def render_head_ct(patient: Generator, frame: Generator, size: int) -> Rendering:
    """Render one axial slice of the head in a brain window, uint8 (size, size). Introduced in chapter 05."""
    right, front = _plane(frame, 2 * size, (215, 300), 6, 8)
    anatomy = head()
    hounsfield = sample(anatomy.hounsfield, anatomy.indices(_head_points(patient, frame, right, front)), AIR_HU)
    if frame.random() < 0.6:  # the head rest
        ring = np.hypot(right, 0.95 * (front - 15))
        rest = sigmoid((3.0 - abs(ring - 128)) / 0.7) * (front < frame.uniform(-60, 0))
        hounsfield = as_field(np.maximum(hounsfield, AIR_HU + 1400 * rest))
    hounsfield = resize(hounsfield, size, size)
    hounsfield = as_field(hounsfield + frame.uniform(1.5, 4.5) * grain(frame, hounsfield.shape))
    grey = np.clip((hounsfield - frame.uniform(28, 42)) / frame.uniform(65, 130) + 0.5, 0, 1)
    return _finish(frame.uniform(0, 0.12) + 0.9 * grey, frame)


# --------------------------------------------------------------------------------------------------------- breast MRI
def _breast(patient: Generator, u: Field, h: Field, points: Field, *, fat_suppressed: bool) -> tuple[Field, Field]:
    """Signal and share of one breast; ``u`` runs across it (-1..1), ``h`` from its base (0) to the nipple (1)."""
    edge = abs(u) ** 2.4 + np.clip(h, 0, None) ** 2.2
    share = sigmoid((1 - edge) * 14)
    centre_weight = 2.2 * (u**2 + 1.6 * (h - 0.5) ** 2)
    density = plane_waves(patient, 14, 9, 40, dimensions=2)(points) + patient.normal(0.1, 0.5)
    gland = sigmoid((density - centre_weight) * 3) * sigmoid((0.82 - edge) * 10)
    if not fat_suppressed:
        return as_field((0.86 - 0.55 * gland) * share), share
    rim = 0.55 * bell((edge - 1) / 0.06) * (h > 0)
    return as_field(np.maximum((0.12 + 0.5 * gland) * share, rim)), share


def _add_breasts(
    patient: Generator, signal: Field, hounsfield: Field, right: Field, front: Field
) -> tuple[Field, bool]:
    """Set both breasts on the front of the thorax; also tell whether fat is suppressed."""
    fat_suppressed = bool(patient.random() < 0.2)
    length, width, apart = patient.uniform(35, 95), patient.uniform(44, 62), patient.uniform(70, 86)
    base = 62 + patient.normal(0, 4)
    skin = np.where((hounsfield > -250).any(0), np.argmax(hounsfield > -250, axis=0), len(signal))
    rows = np.arange(len(signal))[:, None]
    in_front = (rows < skin[None] + 3 * len(signal) // 64) & (front > base - 45) & (hounsfield < -40)
    points = np.stack([right, 0.55 * front], axis=-1)
    for side in (-1, 1):
        u = as_field((right - side * apart) / width)
        h = as_field((front - base) / (length * (1 + 0.06 * patient.normal())))
        breast, share = _breast(patient, u, h, points, fat_suppressed=fat_suppressed)
        signal = as_field(np.where(in_front, np.maximum(signal * (1 - share), breast), signal))
    return signal, fat_suppressed


def render_breast_mri(patient: Generator, frame: Generator, size: int) -> Rendering:
    """Render one axial T1-weighted slice of both breasts, uint8 (size, size). Introduced in chapter 05."""
    right, front = _plane(frame, size, (310, 380), 2, 6)
    coil = frame.uniform(50, 95)  # the coil looks at the front only: how far behind it the thorax begins
    front = as_field(front + coil - 10)
    hounsfield = _trunk(patient, right, front, frame.uniform(*BREAST_LEVELS))
    signal = as_field(np.where(hounsfield < -400, 0.02, np.interp(hounsfield, _T1_HU, _T1_SIGNAL)))
    signal, fat_suppressed = _add_breasts(patient, signal, hounsfield, right, front)
    if fat_suppressed:
        signal = as_field(np.where((hounsfield < -40) & (hounsfield > -250), 0.3 * signal, signal))
    reach = 1.15 * bell(np.clip(coil - front - 20, 0, None) / frame.uniform(70, 130))
    signal = as_field(signal * np.clip(reach, 0.05, 1) * (front > coil - frame.uniform(90, 150)))
    return _finish(scanner_magnitude(signal, 0.02, frame) * frame.uniform(0.85, 1.1), frame)
