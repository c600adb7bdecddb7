"""The real archives, where they lie under MEDXAI_DATA: counts, shared patients, copies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from medxai_helpers.cohorts import Cohort
from medxai_helpers.datasets import CATALOGUE, archives, load_dataset
from medxai_helpers.runtime import current

pytestmark = pytest.mark.real
SHARED_PATIENTS = 170
"""Patient numbers of the Kermany set that occur in the official train and test part."""

COPIED_IMAGES = 216
"""Testing images of brain-tumor-mri that are a Training image, byte for byte."""

COUNTS = {
    "medical-mnist": [10_000, 8_954, 10_000, 10_000, 10_000, 10_000],
    "covid19-radiography": [1_300, 1_300, 1_345, 0],
    "chest-xray-pneumonia": [1_575, 4_265],
    "ham10000": [183, 264, 583, 60, 491, 4_323, 80],
    "brain-tumor-mri": [1_621, 1_645, 1_996, 1_757],
    "kvasir-seg": [1_000],
}
SHAPES = {
    "medical-mnist": (64, 64),
    "covid19-radiography": (160, 160),
    "chest-xray-pneumonia": (224, 224),
    "ham10000": (144, 144, 3),
    "brain-tumor-mri": (128, 128),
    "kvasir-seg": (352, 352, 3),
}


def real(name: str) -> Cohort:
    root = os.environ.get("MEDXAI_DATA", "")
    if not root or archives.find(CATALOGUE[name], Path(root)) is None:
        pytest.skip(f"{name} does not lie under MEDXAI_DATA")
    return load_dataset(name, source="real", runtime=current())


@pytest.mark.parametrize("name", COUNTS)
def test_counts_and_shapes(name: str) -> None:
    cohort = real(name)
    assert list(cohort.counts.values()) == COUNTS[name]
    assert not len(cohort.skipped)
    rows = np.random.default_rng(0).choice(len(cohort), 20, replace=False)
    assert {cohort.image(int(row)).shape for row in rows} == {SHAPES[name]}


def test_partial_sets_say_what_is_missing() -> None:
    assert "Lung_Opacity: 0 of 6,012 images" in real("covid19-radiography").missing
    assert any(line.startswith("images of 4,031 of 10,015 rows") for line in real("ham10000").missing)
    assert "the folder val" in real("chest-xray-pneumonia").missing
    assert real("medical-mnist").missing == ()


def test_ham10000_has_one_image_of_each_lesion_here() -> None:
    assert real("ham10000").table["group"].is_unique


def test_kermany_patients_in_train_and_test() -> None:
    table = real("chest-xray-pneumonia").table
    assert table["official"].value_counts().to_dict() == {"train": 5_216, "test": 624}
    parts = table.groupby("group")["official"].nunique()
    shared = parts[parts > 1].index
    assert len(shared) == SHARED_PATIENTS
    assert all(name.startswith("person") for name in shared)
    assert table["germ"].value_counts().to_dict() == {"bacteria": 2_772, "": 1_575, "virus": 1_493}


def test_brain_mri_test_images_that_are_copies() -> None:
    cohort = real("brain-tumor-mri")
    contents = cohort.table["path"].map(lambda path: hashlib.sha256((cohort.pixels.root / path).read_bytes()).digest())
    testing = cohort.table["official"] == "test"
    assert contents[testing].isin(set(contents[~testing])).sum() == COPIED_IMAGES


def test_kvasir_seg_masks() -> None:
    cohort = real("kvasir-seg")
    shares = [cohort.mask(row).mean() for row in range(0, 1_000, 50)]
    assert cohort.mask(0).shape == (352, 352)
    assert 0.01 < np.median(shares) < 0.5


def test_every_image_decodes() -> None:
    from medxai_helpers.datasets.readers.scanning import unreadable

    for name in COUNTS:
        cohort = real(name)
        assert unreadable([cohort.pixels], len(cohort)) == {}
