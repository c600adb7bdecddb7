"""Training input, images a second: files opened and equalised in every epoch, against the pixel store.

The first way is the one the papers describe: a data set that opens the file and lets Albumentations resize it, apply
CLAHE, flip it, change brightness and contrast and normalise it, under a DataLoader. The second builds the store once
and then streams, augments and standardises batches. Both end with the same float tensor, use the same number of workers
and are allowed as many threads as workers. Run with ``make bench``; the pictures are phantoms.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as album
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from torch.utils.data import DataLoader, Dataset

import medxai_helpers as mx
from benchmarks._report import publish
from medxai_helpers.augmentation import ARAGON2025, ImageAugmenter
from medxai_helpers.cohorts import Cohort
from medxai_helpers.cohorts.sources import FilePixels
from medxai_helpers.runtime import log

BATCH, CLIP, WORKERS, SECONDS = 64, 2.0, (0, 1, 2), 3.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AFFINE = replace(ARAGON2025, name="aragon2025 and affine", rotation=10.0, zoom=0.1)
CASES = {
    "224 px RGB from 720 x 576 JPEG": ("kvasir-v2", 224, (720, 576), 60),
    "64 px grey from 64 x 64 JPEG": ("medical-mnist", 64, (64, 64), 400),
}


class OpenedFiles(Dataset[torch.Tensor]):
    """One image an item, everything done anew each time."""

    def __init__(self, cohort: Cohort, size: int, policy: mx.AugmentationPolicy) -> None:
        assert isinstance(cohort.pixels, FilePixels)
        self.paths = [str(cohort.pixels.root / name) for name in cohort.pixels.paths]
        self.grey = cohort.card.channels == 1
        mean, std = ((0.5,), (0.5,)) if self.grey else (MEAN, STD)
        change = ImageAugmenter(policy, size=size, seed=0)._pipeline.transforms
        first = [album.Resize(size, size, interpolation=cv2.INTER_AREA), album.CLAHE((CLIP, CLIP), (8, 8), p=1)]
        self.steps = album.Compose([*first, *change, album.Normalize(mean, std), ToTensorV2()])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        if self.grey:
            image = cv2.imread(self.paths[row], cv2.IMREAD_GRAYSCALE)
        else:
            image = cv2.cvtColor(cv2.imread(self.paths[row]), cv2.COLOR_BGR2RGB)
        tensor: torch.Tensor = self.steps(image=image)["image"]
        return tensor


def one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def papers_way(cohort: Cohort, size: int, policy: mx.AugmentationPolicy, workers: int) -> Iterable[torch.Tensor]:
    dataset = OpenedFiles(cohort, size, policy)
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, worker_init_fn=one_thread)
    while True:
        yield from loader


def our_way(store: mx.PixelStore, policy: mx.AugmentationPolicy, workers: int) -> Iterable[torch.Tensor]:
    grey, generator, epoch = store.channels == 1, torch.Generator().manual_seed(0), 0
    mean, std = (0.5, 0.5) if grey else (MEAN, STD)
    while True:
        for _, pixels in mx.stream(store, np.arange(len(store)), BATCH, seed=0, epoch=epoch, workers=workers):
            yield mx.prepare_batch(pixels, mean=mean, std=std, policy=policy, generator=generator)
        epoch += 1


def rate(batches: Iterable[torch.Tensor], least: float = SECONDS) -> float:
    """Images a second in steady state: the first batches, in which workers start, do not count."""
    source = iter(batches)
    for _ in range(4):
        next(source)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < least:
        count += len(next(source))
    return count / (time.perf_counter() - started)


def as_jpegs(name: str, side: tuple[int, int], per_class: int, folder: Path) -> Cohort:
    """Render a phantom, write it as JPEG files of the size of the real ones, and return the cohort of the files."""
    phantom, names = mx.load_dataset(name, source="phantom", per_class=per_class), []
    rng = np.random.default_rng(0)
    for row in range(len(phantom)):
        image = cv2.resize(phantom.image(row), side, interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        names.append(f"{row:06d}.jpg")
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        cv2.imwrite(str(folder / names[-1]), noisy[..., ::-1] if noisy.ndim == 3 else noisy, quality)
    source = FilePixels(folder, tuple(names), phantom.card.channels)
    return replace(phantom, pixels=source, masks=None)


def measure(label: str, cohort: Cohort, size: int, cache: Path) -> list[dict[str, Any]]:
    """Both ways for one kind of picture: with and without affine, for each number of workers."""
    started = time.perf_counter()
    store = mx.build_store(cohort, mx.Preprocessing(size=size, clahe=CLIP), cache)
    build = time.perf_counter() - started
    rows = []
    for policy, name in ((ARAGON2025, "flip, brightness, contrast"), (AFFINE, "the same and affine")):
        for workers in WORKERS:
            torch.set_num_threads(max(1, workers))
            cv2.setNumThreads(max(1, workers))
            papers, ours = rate(papers_way(cohort, size, policy, workers)), rate(our_way(store, policy, workers))
            slow, fast = len(cohort) / papers, len(cohort) / ours
            rows.append(
                {
                    "pictures": label,
                    "augmentation": name,
                    "workers": workers,
                    "from files (images/s)": round(papers),
                    "from the store (images/s)": round(ours),
                    "times faster": round(ours / papers, 1),
                    "first epoch, files (s)": round(slow, 2),
                    "first epoch, build and store (s)": round(build + fast, 2),
                    "even after epochs": round(build / (slow - fast), 2),
                }
            )
    return rows


def main() -> None:
    """Measure and publish."""
    log.setLevel("WARNING")
    rows, sizes = [], []
    for label, (name, size, side, per_class) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "files"
            files.mkdir()
            cohort = as_jpegs(name, side, per_class, files)
            kilobytes = sum(path.stat().st_size for path in files.iterdir()) / len(cohort) / 1000
            sizes.append(f"{len(cohort):,} of {kilobytes:.0f} kB")
            rows += measure(label, cohort, size, Path(folder) / "cache")
    goals = "6 times at 224 px, 4 times at 64 px, with flip, brightness and contrast"
    publish(
        "input_pipeline",
        rows,
        title="Training input: files opened in every epoch, against the pixel store",
        files="; ".join(sizes),
        batch=BATCH,
        clip_limit=CLIP,
        goal=goals,
        page_cache="warm on both sides",
    )


if __name__ == "__main__":
    main()
