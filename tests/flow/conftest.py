"""A small Medical MNIST in the layout of the real one, drawn by the tests themselves."""

import zipfile

import cv2
import numpy as np
import pytest

from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.runtime import Runtime

PER_CLASS = 15


def draw(kind: int, rng: np.random.Generator) -> np.ndarray:
    """A bright bar whose angle tells the class, with noise and a shift."""
    image = rng.normal(60, 15, (64, 64))
    canvas = np.zeros((64, 64), np.uint8)
    angle = np.deg2rad(30 * kind)
    centre = rng.uniform(26, 38, 2)
    step = 26 * np.array([np.cos(angle), np.sin(angle)])
    cv2.line(canvas, tuple(np.int32(centre - step)), tuple(np.int32(centre + step)), 120, 7)
    return np.clip(image + canvas, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def archive_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "medical-mnist"
    rng = np.random.default_rng(0)
    for kind, name in enumerate(CATALOGUE["medical-mnist"].classes):
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            cv2.imwrite(str(folder / name / f"{number:06d}.jpeg"), draw(kind, rng))
    return folder


@pytest.fixture
def copy_of_folder(archive_folder, tmp_path):
    import shutil

    return shutil.copytree(archive_folder, tmp_path / "data" / "medical-mnist")


@pytest.fixture
def archive_zip(archive_folder, tmp_path):
    path = tmp_path / "data" / "medical-mnist.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(archive_folder.rglob("*.jpeg")):
            archive.write(file, file.relative_to(archive_folder))
    return path


@pytest.fixture
def runtime_for(tmp_path):
    def make(data_root):
        return Runtime("quick", "cpu", data_root, tmp_path / "cache", 0)

    return make


@pytest.fixture(scope="session")
def cohort(archive_folder, tmp_path_factory):
    from medxai_helpers.datasets import load_dataset

    root = archive_folder.parent
    return load_dataset("medical-mnist", runtime=Runtime("quick", "cpu", root, tmp_path_factory.mktemp("cache"), 0))


@pytest.fixture(scope="session")
def store(cohort, tmp_path_factory):
    import medxai_helpers as mx

    return mx.build_store(cohort, mx.Preprocessing(size=64), tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="session")
def split(cohort):
    import medxai_helpers as mx

    return mx.make_split(cohort, {"train": 0.8, "validation": 0.2}, seed=0)


@pytest.fixture(scope="session")
def trained(cohort, store, split):
    import medxai_helpers as mx

    model = mx.build_model("compact-cnn", classes=6, seed=0)
    settings = mx.TrainingSettings(epochs=16, batch_size=12, learning_rate=2e-3, seed=0)
    parts = {"train": split["train"], "validation": split["validation"]}
    return mx.fit(model, store, cohort.targets, **parts, settings=settings)
