"""The lesion-free twins of a phantom, seen through the cohort that a reader has in hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medxai_helpers import Cohort, load_dataset
from medxai_helpers.phantoms import PHANTOMS
from medxai_helpers.runtime import Runtime

WITH_LESIONS = sorted(name for name, phantom in PHANTOMS.items() if phantom.lesions)
HEALTHY = {"", "Normal", "NORMAL", "notumor", "no tumour", "background"}
HEALTHY |= {"normal-cecum", "normal-pylorus", "normal-z-line"}
"""Labels of images without a lesion: those are their own twins."""


def small(name: str, cache: Path) -> Cohort:
    per_class = 12 if PHANTOMS[name].task == "multi-class" else 3
    return load_dataset(name, source="phantom", per_class=per_class, runtime=Runtime("quick", "cpu", None, cache, 0))


@pytest.mark.parametrize("name", WITH_LESIONS)
def test_a_phantom_cohort_has_the_twin_of_every_image(name: str, cache: Path) -> None:
    cohort = small(name, cache)
    differs = [bool((cohort.image(row) != cohort.twin(row)).any()) for row in range(len(cohort))]
    healthy = cohort.table["label"].isin(HEALTHY).to_numpy()
    assert 0 < sum(differs) <= len(cohort)
    np.testing.assert_array_equal(differs, ~healthy)
    assert all(cohort.twin(row).shape == cohort.image(row).shape for row in range(len(cohort)))


def test_twins_follow_their_rows_into_a_subset(cache: Path) -> None:
    cohort = small("brain-tumor-mri", cache)
    part = cohort.subset([7, 2])
    for new, old in enumerate([7, 2]):
        np.testing.assert_array_equal(part.twin(new), cohort.twin(old))


def test_twins_are_saved_and_loaded(cache: Path, tmp_path: Path) -> None:
    cohort = small("brain-tumor-mri", cache)
    cohort.save(tmp_path)
    again = Cohort.load(tmp_path)
    assert again.twins is not None
    assert cohort.twins is not None
    assert again.twins.fingerprint() == cohort.twins.fingerprint()
    replace(cohort, twins=None, masks=None, boxes=None).save(tmp_path)
    bare = Cohort.load(tmp_path)
    assert (bare.twins, bare.masks, bare.boxes) == (None, None, None)


def test_a_lesion_free_cohort_has_the_twins_as_its_images(cache: Path) -> None:
    cohort = small("brain-tumor-mri", cache)
    free = cohort.lesion_free()
    assert free.table.equals(cohort.table)
    assert all((free.image(row) == cohort.twin(row)).all() for row in range(len(cohort)))
    assert free.pixels.fingerprint() != cohort.pixels.fingerprint()  # so that the two have separate pixel stores
    assert (free.masks, free.boxes, free.twins) == (None, None, None)
    assert "lesion-free" in str(free)
    assert "PHANTOM" in str(free)


def test_a_cohort_without_twins_says_what_to_do(cache: Path) -> None:
    cohort = small("medical-mnist", cache)
    for call in (lambda: cohort.twin(0), cohort.lesion_free):
        with pytest.raises(ValueError, match=r"lesion-free twins.*Medical MNIST.*source='phantom'"):
            call()
