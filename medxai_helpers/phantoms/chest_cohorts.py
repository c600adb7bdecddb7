"""The three cohorts of chest films: four classes with COVID-19, pneumonia in children, and many labels.

Every rendering has the attributes ``side`` (right, left, both, none: the patient's), ``zone`` (upper, middle, lower,
several, none), ``lobe`` (the one with most of the lesion, several, none), ``severity`` (conspicuity of the plainest
finding, 0 for none), ``area_fraction`` (share of the picture) and ``marker``; they describe all findings together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.chest import NORMAL, ChestFilm, film_chest
from medxai_helpers.phantoms.chest_labels import CHESTXRAY14_FINDINGS, draw_germ
from medxai_helpers.phantoms.rendering import Attributes, Box, Mask, Rendering

COVID_CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
KERMANY_CLASSES = ("NORMAL", "PNEUMONIA")
SEPARATOR = "|"
_GERM_FINDING = {"bacteria": "Consolidation", "virus": "Viral Pneumonia", "none": NORMAL}
_SEVERAL, _NONE = "several", "none"
_SIDE_SHARE = 0.15
"""A lung with this share of a lesion's area has it."""
_ZONE_SHARE = 0.2


def _side_and_zone(mask: Mask, zones: NDArray[np.uint8]) -> tuple[str, str]:
    """Name the lungs and the zones that a mask lies in; behind heart and dome the nearest zone counts."""
    if not mask.any():
        return _NONE, _NONE
    nearest = ndimage.distance_transform_edt(zones == 0, return_distances=False, return_indices=True)
    areas = np.bincount(zones[tuple(nearest)][mask], minlength=7)[1:].reshape(2, 3)
    right, left = areas.sum(1) > _SIDE_SHARE * areas.sum()
    shares = areas.sum(0) / areas.sum()
    in_zones = [name for name, share in zip(("upper", "middle", "lower"), shares, strict=True) if share > _ZONE_SHARE]
    side = "both" if right and left else "right" if right else "left"
    return side, in_zones[0] if len(in_zones) == 1 else _SEVERAL


def _describe(film: ChestFilm) -> Attributes:
    side, zone = _side_and_zone(film.mask, film.zones)
    return {
        "side": side,
        "zone": zone,
        "lobe": film.lobe,
        "severity": round(film.severity, 3),
        "area_fraction": round(float(film.mask.mean()), 4),
        "marker": film.marker,
    }


def tight_box(label: str, mask: Mask) -> Box:
    """Return the smallest box round a mask that is not empty: label, x, y, width, height in pixels.

    Examples
    --------
    >>> tight_box("Mass", np.eye(4, dtype=bool)[:3])
    ('Mass', 0, 0, 3, 3)

    Introduced in chapter 13.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return label, x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _rendering(film: ChestFilm, attributes: Attributes) -> Rendering:
    boxes = tuple(tight_box(name, mask) for name, mask in film.masks.items() if mask.any())
    return Rendering(film.image, film.mask, film.twin, attributes, boxes)


def _check_label(label: str, classes: tuple[str, ...]) -> None:
    if label not in classes:
        raise ValueError(f"Expected one of {list(classes)}, but got {label!r}. Check the spelling.")


def render_covid19_radiography(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render one film of the four classes: uint8 (size, size), with mask, lesion-free twin and box.

    COVID lies in the outer and lower parts of both lungs and is hazy; viral pneumonia is diffuse and net-like, up to
    the upper zones; other opacities lie in one lung, dense and white with a hard edge.

    Raises
    ------
    ValueError
        If the label is none of ``COVID_CLASSES`` or the size is too small.

    Source: Abboud, Morris, Rao (2025), where a model should look.
    Introduced in chapter 08.
    """
    _check_label(label, COVID_CLASSES)
    film = film_chest(() if label == NORMAL else (label,), patient_seed, frame_seed, size)
    return _rendering(film, _describe(film))


def render_chest_xray_pneumonia(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render one film of the two classes: uint8 (size, size), with mask, lesion-free twin and box.

    The attribute ``germ`` is ``bacteria`` (a consolidated lobe), ``virus`` (diffuse, net-like) or ``none``.

    Raises
    ------
    ValueError
        If the label is none of ``KERMANY_CLASSES`` or the size is too small.

    Source: patterns after Kermany et al. (2018), figure S6.
    Introduced in chapter 09.
    """
    _check_label(label, KERMANY_CLASSES)
    germ = draw_germ(patient_seed) if label == "PNEUMONIA" else "none"
    finding = _GERM_FINDING[germ]
    film = film_chest(() if finding == NORMAL else (finding,), patient_seed, frame_seed, size)
    return _rendering(film, {**_describe(film), "germ": germ})


def render_chestxray14(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render one film with any number of findings: uint8 (size, size), with mask, lesion-free twin and boxes.

    Parameters
    ----------
    label : str
        Findings among ``CHESTXRAY14_FINDINGS`` joined by ``|``; empty for a film without any.
    patient_seed, frame_seed, size : int
        The patient, the film, the edge in pixels.

    Raises
    ------
    ValueError
        If a finding is unknown or the size is too small.

    Introduced in chapter 13.
    """
    findings = tuple(name for name in label.split(SEPARATOR) if name)
    for name in findings:
        _check_label(name, CHESTXRAY14_FINDINGS)
    film = film_chest(findings, patient_seed, frame_seed, size)
    return _rendering(film, _describe(film))
