"""How long a folder of many small images takes to become a cohort, and how much memory.

Run with ``python -m benchmarks.scan_folder [--images N]``. It writes tiny files into a temporary folder
(about 400 MB of disk at 4 KB a file), reads them in a fresh process per measurement, prints a table and writes
``results/benchmarks/scan_folder.json``.
Goals: 100,000 images in under 30 s and 1 GB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks._report import publish
from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.datasets.own import cohort_from_csv, cohort_from_folder
from medxai_helpers.datasets.readers import READERS

GOAL_SECONDS, GOAL_MEGABYTES = 30.0, 1000.0
CLASSES = CATALOGUE["medical-mnist"].classes
KILO = 1024 if sys.platform == "linux" else 1024**2


def write_tree(root: Path, images: int) -> None:
    """One folder per class and a table beside them; the files are a few hundred bytes each."""
    rng = np.random.default_rng(0)
    contents = [cv2.imencode(".jpeg", rng.integers(0, 256, (16, 16), dtype=np.uint8))[1].tobytes() for _ in range(50)]
    rows = ["path,label,group"]
    for name in CLASSES:
        (root / name).mkdir()
    for number in range(images):
        name = CLASSES[number % len(CLASSES)]
        path = f"{name}/{number:06d}.jpeg"
        (root / path).write_bytes(contents[number % len(contents)])
        rows.append(f"{path},{name},p{number // 3}")
    (root.parent / "labels.csv").write_text("\n".join(rows))


def scan_reader(root: Path) -> int:
    return len(READERS["medical-mnist"](root, CATALOGUE["medical-mnist"]))


def scan_reader_skipping(root: Path) -> int:
    return len(READERS["medical-mnist"](root, CATALOGUE["medical-mnist"], on_error="skip"))


def scan_own_folder(root: Path) -> int:
    return len(cohort_from_folder(root))


def scan_own_table(root: Path) -> int:
    return len(cohort_from_csv(root.parent / "labels.csv", group="group", root=root))


WAYS: dict[str, Callable[[Path], int]] = {
    "reader": scan_reader,
    "reader, every image decoded": scan_reader_skipping,
    "own folder": scan_own_folder,
    "own table": scan_own_table,
}


def measure(way: str, root: Path) -> tuple[int, float, float]:
    """Return images, seconds and peak megabytes of this process."""
    started = time.perf_counter()
    images = WAYS[way](root)
    seconds = time.perf_counter() - started
    return images, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILO / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    settings = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tree"
        root.mkdir()
        write_tree(root, settings.images)
        for way in WAYS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                images, seconds, megabytes = pool.apply(measure, (way, root))
            rows.append({"way": way, "images": images, "seconds": round(seconds, 2), "megabytes": round(megabytes)})
    goal = f"under {GOAL_SECONDS:g} s and {GOAL_MEGABYTES:g} MB for 100,000 images"
    publish("scan_folder", rows, title="A folder of many small images becomes a cohort", goal=goal)


if __name__ == "__main__":
    main()
