"""Slices of the head: T1 after contrast with a tumour or none, and stripped FLAIR slices with or without a glioma.

Independent random streams keep things apart: patient (head, folds, plane and level), scan (patient and frame), lesion
(patient and label). The label touches the lesion's stream only, but for one thing: the pituitary gland lies in one
place, so a slice that shows its tumour goes through that place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medxai_helpers.phantoms.brain_anatomy import Brain, brain
from medxai_helpers.phantoms.brain_lesions import (
    FLAIR_CONTRAST,
    PAINTERS,
    REACH_RADII,
    T1_CONTRAST,
    VISIBLE,
    Contrast,
    Seat,
    Site,
    choose_seat,
    paint,
    pushed,
)
from medxai_helpers.phantoms.brain_scan import Scan, draw_flair, draw_t1, healthy_signal, picture, received
from medxai_helpers.phantoms.brain_view import (
    PLANES,
    Patient,
    Pose,
    Slice,
    cut_slice,
    draw_patient,
    draw_pose,
    middle_level,
)
from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, bell, sigmoid, stream
from medxai_helpers.phantoms.rendering import Attributes, Rendering, without_lesion

TUMOUR_CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
BRATS_CLASSES = ("no tumour", "tumour")
_T1_KINDS = {label: None if label == "notumor" else label for label in TUMOUR_CLASSES}
_FLAIR_KINDS = {"no tumour": None, "tumour": "glioma"}
BRATS_LEVELS_MM = (-32.0, 56.0)
"""Heights of the slices in template mm."""
_SCAN, _LESION, _SPOTS = 23, 24, 25  # purposes of the random streams
_SEAT_PX = 48
_DARK = 0.05  # signal of air, left out where the level of white is sought
_SWOLLEN = 0.35
_CAPS_MM = np.array([[side * x, y, 10] for x, y in ((17, 24), (26, -48)) for side in (-1, 1)])
"""Tips of the ventricles' horns, where white matter often shines on FLAIR."""
_MOST_SPOTS, _SPOT_SIGNAL, _SLICE_BENDS_MM = 24, 0.75, 5
_SCARRED = 0.4
"""Share of patients with one larger old scar."""
_SPOTS_BOX_MM = ((12, -66, -24), (46, 46, 46))
_MIDLINE_MM = 5


@dataclass(frozen=True)
class _Protocol:
    """What a data set images: sequence, plane and levels (``None``: any), field of view and placing."""

    contrast: Contrast
    draw_scan: Callable[[Generator, int], Scan]
    plane: int | None
    levels_mm: tuple[float, float] | None
    field_mm: tuple[float, float]
    shift_mm: float
    oedema_in_mask: bool
    growth: float  # of tumours, a factor


_T1 = _Protocol(T1_CONTRAST, draw_t1, None, None, (205, 250), 4, oedema_in_mask=False, growth=1.0)
_FLAIR = _Protocol(FLAIR_CONTRAST, draw_flair, 2, BRATS_LEVELS_MM, (205, 240), 3, oedema_in_mask=True, growth=0.6)


@dataclass(frozen=True)
class _Lesion:
    """A tumour in a slice: the signal with it, its mask and its oedema (H, W), its seat."""

    signal: Field
    mask: Bools
    oedema: Bools
    seat: Seat


def _draw_spots(seed: int) -> tuple[Field, Field]:
    """Draw the bright spots of a patient's white matter: middles (n, 3) in template mm and radii (n,) in mm."""
    rng = stream(seed, _SPOTS)
    count = int(rng.integers(0, _MOST_SPOTS))
    middles = rng.uniform(*_SPOTS_BOX_MM, (count + 1, 3))
    middles[:, 0] *= rng.choice([-1, 1], count + 1)
    scar = rng.uniform(6, 13) if rng.random() < _SCARRED else 0.1
    radii = [scar, *rng.uniform(2, 6, count), *rng.uniform(0.1, 12, len(_CAPS_MM))]
    return as_field(np.concatenate([middles, _CAPS_MM])), as_field(radii)


def _aged(seed: int, cut: Slice, signal: Field) -> Field:
    """Add the bright spots, caps and scars that the white matter of elderly people without tumour shows on FLAIR."""
    bright = np.zeros_like(signal)
    height = float(np.median(cut.points[..., 2]))
    for middle, radius in zip(*_draw_spots(seed), strict=True):
        if abs(middle[2] - height) < 2 * radius + _SLICE_BENDS_MM:
            length = np.linalg.norm(cut.points - middle, axis=-1)
            bright = np.maximum(bright, bell(length / radius))
    strength = stream(seed, _SPOTS, 1).uniform(0.4, 1)
    white = sigmoid((cut.t1 - 0.72) / 0.04)
    return as_field(signal + (_SPOT_SIGNAL - signal) * bright * white * strength)


def _grow(
    kind: str, seed: int, cut: Slice, healthy: Field, scan: Scan, protocol: _Protocol, seat: Seat, anatomy: Brain
) -> _Lesion:
    """Plant a tumour in a slice; beyond its reach the signal stays as it was, to the bit."""
    offset = cut.points - seat.centre
    near = np.linalg.norm(offset, axis=-1) < REACH_RADII * seat.radius
    site = Site(offset[near], cut.distance[near], seat.radius)
    tumour = paint(kind, _lesion_stream(seed, kind, 1), site, protocol.contrast)
    t1 = anatomy.t1_at(cut.points[near] + pushed(site, tumour.push))
    displaced = healthy_signal(scan, t1, site.distance_mm, cut.head[near], scan.texture[near])
    white = np.clip((t1 - 0.5) / 0.3, 0, 1)
    swollen = displaced + (protocol.contrast.oedema - displaced) * tumour.oedema * (0.2 + 0.5 * white)
    signal = healthy.copy()
    signal[near] = swollen * (1 - tumour.share) + tumour.signal * tumour.share
    mask, oedema = np.zeros(near.shape, np.bool_), np.zeros(near.shape, np.bool_)
    mask[near] = tumour.share > VISIBLE
    oedema[near] = (tumour.oedema * white > _SWOLLEN) & ~mask[near]
    return _Lesion(signal, mask, oedema, seat)


def _lesion_stream(seed: int, kind: str, purpose: int) -> Generator:
    return stream(seed, _LESION, list(PAINTERS).index(kind), purpose)


def _seat(kind: str, seed: int, patient: Patient, level_mm: float, growth: float, anatomy: Brain) -> Seat:
    """Seat in the patient's middle slice, so that every frame of the patient cuts the same tumour."""
    middle = cut_slice(patient, Pose(level_mm=level_mm), _SEAT_PX, anatomy)
    points = middle.points.reshape(-1, 3)
    return choose_seat(kind, _lesion_stream(seed, kind, 0), anatomy, points, patient.plane, growth)


def _side(seat: Seat) -> str:
    across = float(seat.centre[0])
    return "midline" if abs(across) < _MIDLINE_MM else "left" if across > 0 else "right"


def _attributes(patient: Patient, pose: Pose, lesion: _Lesion | None) -> Attributes:
    slice_of: Attributes = {"plane": PLANES[patient.plane], "slice_mm": round(pose.level_mm, 1)}
    if lesion is None:
        return {**slice_of, "tumour_mm": 0.0, "side": "", "oedema_mm2": 0.0, "reach_mm": 0.0}
    pixel_mm = pose.field_mm / len(lesion.mask)
    return {
        **slice_of,
        "tumour_mm": round(2 * lesion.seat.radius, 1),
        "side": _side(lesion.seat),
        "oedema_mm2": round(int(lesion.oedema.sum()) * pixel_mm**2, 1),
        "reach_mm": round(REACH_RADII * lesion.seat.radius, 1),
    }


def _render(kind: str | None, patient_seed: int, frame_seed: int, size: int, protocol: _Protocol) -> Rendering:
    """Render a slice and plant a tumour of one kind, or none; twin and level of white come from the healthy slice."""
    anatomy = brain()
    patient = draw_patient(patient_seed, protocol.plane, protocol.levels_mm)
    level = middle_level(patient, patient_seed, through_sella=kind == "pituitary")
    rng = stream(patient_seed, frame_seed, _SCAN)
    pose = draw_pose(rng, level, protocol.field_mm, protocol.shift_mm)
    scan = protocol.draw_scan(rng, size)
    cut = cut_slice(patient, pose, size, anatomy)
    healthy = healthy_signal(scan, cut.t1, cut.distance, cut.head, scan.texture)
    if scan.stripped:
        healthy = _aged(patient_seed, cut, healthy)
    clean = received(healthy, scan)
    white = scan.headroom * float(np.percentile(clean[clean > _DARK], scan.percentile))
    twin = picture(clean, white, scan)
    if kind is None:
        return without_lesion(twin, _attributes(patient, pose, None))
    seat = _seat(kind, patient_seed, patient, level, protocol.growth, anatomy)
    lesion = _grow(kind, patient_seed, cut, healthy, scan, protocol, seat, anatomy)
    mask = lesion.mask | lesion.oedema if protocol.oedema_in_mask else lesion.mask
    image = picture(received(lesion.signal, scan), white, scan)
    return Rendering(image, mask, twin, _attributes(patient, pose, lesion))


def _kind(label: str, kinds: dict[str, str | None]) -> str | None:
    if label not in kinds:
        raise ValueError(f"Expected one of {list(kinds)}, but got {label!r}. Check the spelling.")
    return kinds[label]


def render_brain_tumor_mri(label: str, patient_seed: int, frame_seed: int, size: int = 96) -> Rendering:
    """Render one T1 slice after contrast, uint8 (size, size); the mask is the tumour without its oedema.

    The twin shows the healthy patient. Image and twin are equal beyond ``reach_mm`` of the tumour's centre, within
    which the tumour pushes the brain aside. A patient's frames are slices of one plane, at most 5 mm apart.
    Attributes: ``plane``, ``slice_mm`` (across the plane, from the template's origin), ``tumour_mm`` (diameter),
    ``side``, ``oedema_mm2`` (outside the mask), ``reach_mm``; zero or empty without a tumour.

    Raises
    ------
    ValueError
        If the label is none of the four classes.

    Examples
    --------
    >>> render_brain_tumor_mri("glioma", 3, 0).mask.any()  # doctest: +SKIP
    True

    Source: classes of the Kaggle brain-tumor-mri-dataset; anatomy from ICBM152 in nilearn.
    Introduced in chapter 12.
    """
    return _render(_kind(label, _T1_KINDS), patient_seed, frame_seed, size, _T1)


def render_brats(label: str, patient_seed: int, frame_seed: int, size: int = 96) -> Rendering:
    """Render one axial FLAIR slice without skull, uint8 (size, size); the mask is the tumour with its oedema.

    Twin and attributes as in :func:`render_brain_tumor_mri`. Slices of either class may show the bright spots of old
    age in white matter.

    Raises
    ------
    ValueError
        If the label is neither class.

    Source: layout of BraTS (https://www.med.upenn.edu/cbica/brats2020/data.html); anatomy from ICBM152 in nilearn.
    Introduced in chapter 12.
    """
    return _render(_kind(label, _FLAIR_KINDS), patient_seed, frame_seed, size, _FLAIR)
