"""A pixel store of ChestX-ray14's size: memory while building and over an epoch, and the speed of random batches.

112,120 generated grey images at 224 px make 5.6 GB on disk, in a temporary folder that is removed at the end. Memory is
RssAnon, what the process itself holds; pages of the mapped file belong to the system and are given back when others
need them. Linux only. Run with ``make bench``.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import medxai_helpers as mx
from benchmarks._report import publish
from medxai_helpers.cohorts.sources import ArrayPixels
from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.runtime import log

IMAGES, SIZE, BATCH, COLD_BATCHES = 112_120, 224, 64, 80


@dataclass(frozen=True)
class Generated:
    """Images made when asked for: a noise picture, shifted by the row's number."""

    noise: np.ndarray

    def read(self, row: int) -> np.ndarray:
        return np.roll(self.noise, row, axis=1)

    def take(self, rows: np.ndarray) -> ArrayPixels:
        return ArrayPixels(np.stack([self.read(int(row)) for row in rows]))

    def fingerprint(self) -> str:
        return f"generated {IMAGES}"


def held() -> float:
    """RssAnon in MB."""
    text = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("RssAnon"))) / 1e3


@contextmanager
def watched() -> Iterator[list[float]]:
    """Sample RssAnon twenty times a second."""
    samples, stop = [held()], threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            samples.append(held())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def make_cohort() -> mx.Cohort:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    table = pd.DataFrame({"image_id": [f"{row}" for row in range(IMAGES)], "label": "", "group": "generated"})
    return mx.Cohort(CATALOGUE["chestxray14"], table, Generated(noise), "own", "generated")


def read(store: mx.PixelStore, batches: int | None = None) -> float:
    """Images a second over an epoch, or its first batches, in shuffled order."""
    count, started = 0, time.perf_counter()
    for number, (rows, images) in enumerate(mx.stream(store, np.arange(len(store)), BATCH, seed=0)):
        assert images.shape == (len(rows), 1, SIZE, SIZE)
        count += len(rows)
        if batches is not None and number + 1 == batches:
            break
    return count / (time.perf_counter() - started)


def cold(folder: Path) -> float:
    """Images a second after the system was asked to forget the file."""
    gc.collect()  # a mapped page stays: nobody may hold the map
    with (folder / "pixels.npy").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return read(mx.PixelStore.open(folder), COLD_BATCHES)


def main() -> None:
    """Measure and publish."""
    import torch

    torch.zeros(1)  # loaded before memory is watched
    log.setLevel("WARNING")
    with tempfile.TemporaryDirectory() as cache:
        cohort, started = make_cohort(), time.perf_counter()
        with watched() as building:
            store = mx.build_store(cohort, mx.Preprocessing(size=SIZE), Path(cache))
        seconds, folder, disk = time.perf_counter() - started, store.folder, store.pixels.nbytes
        read(store)  # bring the file into the page cache
        store = mx.PixelStore.open(folder)  # a new map: its pages are in memory, but not yet in the process
        with watched() as reading:
            warm = read(store)
        del store
        cold_rate = cold(folder)
    swing = max(reading) - min(reading)
    results = (
        ("build (s)", round(seconds, 1), ""),
        ("RssAnon while building, highest (MB)", round(max(building)), "below 1,500"),
        ("the same, above the start (MB)", round(max(building) - building[0]), ""),
        ("RssAnon over an epoch, highest - lowest (MB)", round(swing, 1), "below 50"),
        (f"random batches of {BATCH}, page cache warm (images/s)", round(warm), "above 5,000"),
        (f"random batches of {BATCH}, page cache cold (images/s)", round(cold_rate), ""),
    )
    rows = [{"what": what, "measured": value, "goal": goal} for what, value, goal in results]
    publish(
        "large_store",
        rows,
        title="A store of the size of ChestX-ray14",
        images=IMAGES,
        pixels=f"{SIZE} x {SIZE}, grey",
        on_disk=f"{disk / 1e9:.1f} GB",
        source="generated",
        cold=f"first {COLD_BATCHES} batches",
    )


if __name__ == "__main__":
    main()
