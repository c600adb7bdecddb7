"""Through the one door: archives under the data root, settings of the readers, files to skip."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medxai_helpers.datasets import CATALOGUE, load_dataset
from medxai_helpers.runtime import Runtime
from tests.datasets import dataset_layouts as layouts


@pytest.fixture
def session(tmp_path: Path) -> Runtime:
    (tmp_path / "data").mkdir()
    return Runtime("quick", "cpu", tmp_path / "data", tmp_path / "cache", 0)


def data(session: Runtime) -> Path:
    assert session.data_root is not None
    return session.data_root


@pytest.mark.parametrize("name", [name for name in CATALOGUE if not name.startswith("medmnist")])
def test_the_archive_under_its_usual_name_is_read(name: str, session: Runtime, tmp_path: Path) -> None:
    expected = layouts.LAYOUTS[name](tmp_path / "tree")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "tree")
    Path(archive).rename(data(session) / CATALOGUE[name].archive)
    cohort = load_dataset(name, source="real", runtime=session)
    assert cohort.counts == expected.counts
    assert cohort.source == "real"


@pytest.mark.parametrize("size", [28, 64])
def test_a_medmnist_archive_is_mapped_not_read(size: int, session: Runtime) -> None:
    layouts.medmnist("bloodmnist")(data(session), size=size)
    cohort = load_dataset("medmnist-bloodmnist", source="real", runtime=session)
    assert cohort.image(0).shape == (size, size, 3)
    assert type(cohort.pixels).__name__ == "NpyPixels"


def test_a_folder_of_medmnist_archives(session: Runtime) -> None:
    for size in (28, 128):
        layouts.medmnist("bloodmnist")(data(session) / "medmnist", size=size)
    assert load_dataset("medmnist-bloodmnist", source="real", runtime=session).image(0).shape[0] == 128
    assert load_dataset("medmnist-bloodmnist", source="real", runtime=session, size=28).image(0).shape[0] == 28


def test_settings_reach_the_reader(session: Runtime) -> None:
    layouts.brats(data(session) / "brats")
    assert len(load_dataset("brats", source="real", runtime=session, every=2, modality="t1")) == 10
    with pytest.raises(ValueError, match=r"\['modality', 'every', 'min_tumour_pixels'\], but got \['size'\]"):
        load_dataset("brats", runtime=session, size=3)


def test_on_error_reaches_the_reader(session: Runtime) -> None:
    layouts.medical_mnist(data(session) / "medical-mnist")
    (data(session) / "medical-mnist" / "Hand" / "000000.jpeg").write_bytes(b"")
    with pytest.raises(ValueError, match="0 bytes"):
        load_dataset("medical-mnist", source="real", runtime=session)
    cohort = load_dataset("medical-mnist", source="real", runtime=session, on_error="skip")
    assert (len(cohort), len(cohort.skipped)) == (11, 1)
    assert "1 skipped" in str(cohort)
