"""Cohorts: what is known about a data set, the images in hand, how they are split, and whether the split leaks."""

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import ArrayPixels, Cohort, FilePixels, PixelSource
from medxai_helpers.cohorts.leakage import LeakageReport, check_leakage
from medxai_helpers.cohorts.near_duplicates import Fingerprints, exact_copies, fingerprint_images
from medxai_helpers.cohorts.splits import Split, make_split, merge_groups, official_split

__all__ = [
    "ArrayPixels",
    "Cohort",
    "DatasetCard",
    "FilePixels",
    "Fingerprints",
    "LeakageReport",
    "PixelSource",
    "Split",
    "check_leakage",
    "exact_copies",
    "fingerprint_images",
    "make_split",
    "merge_groups",
    "official_split",
]
