"""The pixel store against reading files: building, opening, and one epoch of batches of Medical MNIST.

Run with ``make bench``. With ``MEDXAI_DATA`` set it uses all 58,954 real images, else 6,000 phantoms written as JPEGs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import medxai_helpers as mx
from benchmarks._report import publish, seconds
from medxai_helpers.cohorts import Cohort

BATCH = 32


def load() -> Cohort:
    """The real cohort where present, else phantoms as JPEG files of the real layout."""
    session = mx.current()
    if session.data_root is not None:
        return mx.load_dataset("medical-mnist", source="real", runtime=session)
    return as_files(mx.load_dataset("medical-mnist", source="phantom", per_class=1000, runtime=session))


def as_files(cohort: Cohort) -> Cohort:
    """Write a cohort as the real layout and read it back."""
    import cv2

    from medxai_helpers.datasets.readers import read_class_folders

    folder = Path(tempfile.mkdtemp())
    for name in cohort.classes:
        (folder / name).mkdir()
    for row, name in enumerate(cohort.table["label"]):
        cv2.imwrite(str(folder / name / f"{row:06d}.jpeg"), cohort.image(row))
    return read_class_folders(folder, cohort.card)


def read_files(cohort: Cohort, rows: np.ndarray) -> None:
    """One epoch of batches, every image decoded anew."""
    for start in range(0, len(rows), BATCH):
        np.stack([cohort.image(int(row)) for row in rows[start : start + BATCH]])


def read_store(store: mx.PixelStore, rows: np.ndarray) -> None:
    """One epoch of batches from the memory map."""
    for start in range(0, len(rows), BATCH):
        store.batch(rows[start : start + BATCH])


def main() -> None:
    """Measure and publish."""
    cohort, recipe = load(), mx.Preprocessing(size=64)
    rows = np.random.default_rng(0).permutation(len(cohort))
    with tempfile.TemporaryDirectory() as cache:
        build = seconds(lambda: mx.build_store(cohort, recipe, Path(cache)), repeats=1)
        store = mx.build_store(cohort, recipe, Path(cache))
        opening = seconds(lambda: mx.PixelStore.open(store.folder))
        files, mapped = seconds(lambda: read_files(cohort, rows)), seconds(lambda: read_store(store, rows))
    code = [sys.executable, "-c", "import medxai_helpers"]
    python, package = (
        seconds(lambda: subprocess.run([*code[:2], "pass"], check=True)),
        seconds(lambda: subprocess.run(code, check=True)),
    )
    publish(
        "pixel_store",
        [
            {"what": "build the store (decode all, two threads or more)", "seconds": round(build, 3)},
            {"what": "open the store", "seconds": round(opening, 5)},
            {"what": f"one epoch of batches of {BATCH} from files", "seconds": round(files, 3)},
            {"what": f"one epoch of batches of {BATCH} from the store", "seconds": round(mapped, 3)},
            {"what": "files / store", "seconds": round(files / mapped, 1)},
            {"what": "import medxai_helpers (beyond Python's own start)", "seconds": round(package - python, 4)},
        ],
        title="The pixel store against reading files",
        images=len(cohort),
        source=cohort.source,
    )


if __name__ == "__main__":
    main()
