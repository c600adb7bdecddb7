"""Data sets: the catalogue, readers of their real layouts, your own images, and the one door ``load_dataset``."""

from medxai_helpers.datasets.catalogue import CATALOGUE
from medxai_helpers.datasets.load import load_dataset
from medxai_helpers.datasets.own import cohort_from_csv, cohort_from_folder
from medxai_helpers.datasets.packaged import chestxray14_boxes, chestxray14_labels

__all__ = [
    "CATALOGUE",
    "chestxray14_boxes",
    "chestxray14_labels",
    "cohort_from_csv",
    "cohort_from_folder",
    "load_dataset",
]
