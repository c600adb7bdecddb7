"""Readers of the layouts that data sets have once downloaded: a folder in, a cohort out."""

from __future__ import annotations

from collections.abc import Callable

from medxai_helpers.cohorts.cohort import Cohort
from medxai_helpers.datasets.medmnist_facts import FACTS
from medxai_helpers.datasets.readers.brats import read_brats
from medxai_helpers.datasets.readers.class_folders import (
    read_brain_tumor_mri,
    read_class_folders,
    read_covid,
    read_kermany,
)
from medxai_helpers.datasets.readers.kvasir_seg import read_kvasir_seg
from medxai_helpers.datasets.readers.lidc import read_lidc
from medxai_helpers.datasets.readers.medmnist import read_medmnist
from medxai_helpers.datasets.readers.scanning import OnError
from medxai_helpers.datasets.readers.tables import read_chestxray14, read_ham10000

__all__ = ["READERS", "OnError", "Reader"]

Reader = Callable[..., Cohort]
"""``reader(folder: Path, card: DatasetCard, *, on_error="raise") -> Cohort``; some take more keywords."""

READERS: dict[str, Reader] = {
    "kvasir-v2": read_class_folders,
    "covid19-radiography": read_covid,
    "medical-mnist": read_class_folders,
    "chestxray14": read_chestxray14,
    "brats": read_brats,
    "ham10000": read_ham10000,
    "lidc-idri": read_lidc,
    "chest-xray-pneumonia": read_kermany,
    "brain-tumor-mri": read_brain_tumor_mri,
    "kvasir-seg": read_kvasir_seg,
    **{f"medmnist-{flag}": read_medmnist for flag in FACTS},
}
"""The reader of each data set, by name."""
