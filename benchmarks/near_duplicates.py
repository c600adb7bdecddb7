"""Search 60,000 images for near duplicates: seconds and memory of each step, and whether planted copies are found.

Run ``python -m benchmarks.near_duplicates [--images N]``. With ``MEDXAI_DATA`` set and Medical MNIST in
it, the real images are searched; otherwise smooth random images of the same size. A thousand of them are planted a
second time: recoded, reduced, brightened or cropped.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmarks._report import publish
from medxai_helpers import runtime
from medxai_helpers.cohorts import Cohort
from medxai_helpers.cohorts.near_duplicates import exact_copies, fingerprint_images, near_duplicates
from medxai_helpers.datasets import CATALOGUE, load_dataset

SIZE, PLANTED = 64, 1000
CARD = CATALOGUE["medical-mnist"]
MOST_SECONDS = 120


def recoded(image: np.ndarray) -> np.ndarray:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))


def reduced(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA))


def brightened(image: np.ndarray) -> np.ndarray:
    return np.clip(0.85 * image + 15, 0, 255).astype(np.uint8)


def cropped(image: np.ndarray) -> np.ndarray:
    return image[1:-1, 1:-1]


CHANGES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (recoded, reduced, brightened, cropped)


@dataclass(frozen=True)
class Planted:
    """The first ``count`` images of a cohort or stack, followed by altered copies of the ``originals`` among them."""

    read_original: Callable[[int], np.ndarray]
    count: int
    originals: np.ndarray

    def read(self, row: int) -> np.ndarray:
        number = row - self.count
        if number < 0:
            return self.read_original(row)
        return CHANGES[number % len(CHANGES)](self.read_original(int(self.originals[number])))


def generated(count: int) -> np.ndarray:
    """Smooth random images: noise at 12 x 12 pixels, enlarged."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 12, 12), dtype=np.uint8)
    return np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for image in coarse])


def planted_cohort(images: int, real: bool) -> tuple[Cohort, Planted]:
    base: Any = load_dataset("medical-mnist", source="real") if real else generated(images - PLANTED)
    count = min(len(base), images - PLANTED)
    read = base.image if real else base.__getitem__
    pixels = Planted(read, count, np.random.default_rng(1).choice(count, PLANTED, replace=False))
    ids = [f"{number:06d}" for number in range(count + PLANTED)]
    table = pd.DataFrame({"image_id": ids, "label": CARD.classes[0], "group": ids})
    source = "real" if real else "phantom"
    return Cohort(CARD, table, pixels, source, source), pixels  # type: ignore[arg-type]


def found_shares(pixels: Planted, *tables: pd.DataFrame) -> dict[str, float]:
    """Share of the planted copies that were paired with their original, for each change."""
    pairs = {pair for table in tables for pair in zip(table["first"], table["second"], strict=True)}
    found = [(row, pixels.count + number) in pairs for number, row in enumerate(pixels.originals)]
    return {
        f"found: {change.__name__}": float(np.mean(found[kind :: len(CHANGES)])) for kind, change in enumerate(CHANGES)
    }


def timed(job: Callable[[Any], Any], argument: object) -> tuple[Any, float]:
    started = time.perf_counter()
    result = job(argument)
    return result, round(time.perf_counter() - started, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60_000)
    wanted = parser.parse_args()
    real = runtime.current().data_root is not None
    cohort, pixels = planted_cohort(wanted.images, real)
    prints, reading = timed(fingerprint_images, cohort)
    copies, exact = timed(exact_copies, prints)
    pairs, near = timed(near_duplicates, prints)
    measured = {
        "reading and fingerprints, s": reading,
        "exact copies, s": exact,
        "near duplicates, s": near,
        "peak memory, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "exact copies, pairs": len(copies),
        "near duplicates, pairs": len(pairs),
        **found_shares(pixels, copies, pairs),
    }
    publish(
        "near_duplicates",
        [{"what": what, "measured": round(value, 3)} for what, value in measured.items()],
        title="Near duplicates among many images",
        images=len(cohort),
        source="Medical MNIST" if real else "generated",
        planted=PLANTED,
        goal=f"under {MOST_SECONDS} s in all for 60,000 images",
    )
    return 0 if reading + exact + near < MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
