"""The one door to every data set: real where present, the embedded phantom otherwise, and never silent about it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import ArrayPixels, Cohort
from medxai_helpers.datasets import archives
from medxai_helpers.datasets.catalogue import CATALOGUE
from medxai_helpers.datasets.readers import READERS, OnError
from medxai_helpers.runtime import Runtime, current, log

Wanted = Literal["auto", "real", "phantom"]


def load_dataset(
    name: str,
    *,
    source: Wanted = "auto",
    per_class: int = 100,
    seed: int | None = None,
    balanced: bool = False,
    runtime: Runtime | None = None,
    on_error: OnError = "raise",
    **settings_of_reader: Any,
) -> Cohort:
    """Return a cohort: the real images if they lie under the data root, else the embedded phantom.

    One line says which, and how to get the real one. Introduced in chapter 05.

    Parameters
    ----------
    name : str
        A key of ``CATALOGUE``, for example ``"medical-mnist"``.
    source : {"auto", "real", "phantom"}
        ``"real"`` or ``"phantom"`` insists.
    per_class : int
        Images per class of a phantom cohort, on average where its classes are unequal (HAM10000); real cohorts are
        complete.
    seed : int, optional
        Seed of a phantom cohort; default: the runtime's.
    balanced : bool
        Give a phantom cohort as many images of every class, also where its classes are unequal.
    runtime : Runtime, optional
        Default: :func:`medxai_helpers.runtime.current`.
    on_error : {"raise", "skip"}
        What to do with real files that cannot be used: ``"skip"`` decodes every image once and lists them in
        ``Cohort.skipped``.
    **settings_of_reader
        Choices of the set's reader, for example ``modality="t2"`` (BraTS) or ``size=64`` (MedMNIST); a phantom knows
        ``slices`` (LIDC-IDRI) and ignores all others.

    Raises
    ------
    ValueError
        If the name is unknown, the real images are insisted on but absent, or what lies there cannot be read.
    """
    if name not in CATALOGUE:
        raise ValueError(f"Expected a data set among {tuple(CATALOGUE)}, but got {name!r}.")
    if source not in get_args(Wanted):
        raise ValueError(f"Expected source to be one of {get_args(Wanted)}, but got {source!r}.")
    _check_settings(name, settings_of_reader)
    card, settings = CATALOGUE[name], runtime or current()
    place = archives.find(card, settings.data_root) if settings.data_root and source != "phantom" else None
    if place is None and source == "real":
        raise ValueError(_absent(card, settings.data_root))
    if place is None:
        seed = settings.seed if seed is None else seed
        cohort = _phantom(card, per_class, seed, balanced, settings.cache, settings_of_reader)
        log.info("%s. Real images: put %s into the folder that MEDXAI_DATA names.", cohort, card.archive)
    else:
        folder = archives.as_folder(place, settings.cache)
        cohort = READERS[name](folder, card, on_error=on_error, **settings_of_reader)
        log.info("%s", cohort)
    return cohort


def _check_settings(name: str, given: dict[str, Any]) -> None:
    known = [key for key in inspect.signature(READERS[name]).parameters if key not in ("folder", "card", "on_error")]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"Expected settings of the reader of {name!r} among {known}, but got {unknown}.")


def _absent(card: DatasetCard, data_root: Path | None) -> str:
    where = "MEDXAI_DATA is not set" if data_root is None else f"{data_root} holds neither the folder nor the archive"
    return (
        f"Expected the real images of {card.title}, but {where}. {card.how_to_get} "
        f"Put {card.archive}, or the folder it unpacks to, into the folder that MEDXAI_DATA names."
    )


def _phantom(
    card: DatasetCard, per_class: int, seed: int, balanced: bool, cache: Path, settings_of_reader: dict[str, Any]
) -> Cohort:
    from medxai_helpers.phantoms import PHANTOMS, build_phantom, phantom_for

    if card.name not in PHANTOMS:
        raise ValueError(f"{card.title} has no phantom and needs its download. {card.how_to_get}")
    phantom = phantom_for(card.name, settings_of_reader)
    made = build_phantom(phantom.name, per_class=per_class, seed=seed, balanced=balanced, cache=cache)
    card = replace(card, channels=phantom.channels)
    extra = set(phantom.classes) - set(card.classes)
    if extra:  # a phantom may add a class without a lesion, which a set of lesions alone does not have
        card = replace(card, classes=phantom.classes)
    masks = None if made.masks is None else ArrayPixels(255 * made.masks.astype(np.uint8))
    twins = None if made.twins is None else ArrayPixels(made.twins)
    origin = f"PHANTOM, not patients (seed {seed})"
    pixels = ArrayPixels(made.images)
    return Cohort(card, made.table, pixels, "phantom", origin, masks=masks, boxes=made.boxes, twins=twins)
