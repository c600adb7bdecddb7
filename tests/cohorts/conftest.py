"""Small cohorts drawn by the tests: smooth random images, so that no two are alike unless a test copies them."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from medxai_helpers.cohorts import ArrayPixels, Cohort, DatasetCard

SIZE = 96
CARD = DatasetCard(
    name="drawn",
    title="Drawn",
    modality="drawing",
    task="multi-class",
    classes=("a", "b", "c"),
    channels=1,
    counts={},
    group=None,
    licence="none",
    home="none",
    how_to_get="none",
    citation="none",
    archive="drawn.zip",
)


class Mixed:
    """Pixels of several sizes."""

    def __init__(self, images):
        self.images = list(images)

    def read(self, row):
        return self.images[row]

    def take(self, rows):
        return Mixed([self.images[row] for row in rows])

    def fingerprint(self):
        return "mixed"


def smooth_images(count, seed=0, size=SIZE):
    coarse = np.random.default_rng(seed).integers(20, 236, (count, 9, 9), dtype=np.uint8)
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse])


def cohort_of(images, labels=None, groups=None, card=CARD, **columns):
    ids = [f"im{number:04d}" for number in range(len(images))]
    table = pd.DataFrame({"image_id": ids, "label": labels if labels is not None else "a", "group": groups or ids})
    pixels = ArrayPixels(images) if isinstance(images, np.ndarray) else Mixed(images)
    return Cohort(replace(card), table.assign(**columns), pixels, "own", "drawn by a test")


@pytest.fixture
def draw():
    """The drawing functions: test modules cannot import from each other."""
    return SimpleNamespace(cohort=cohort_of, images=smooth_images, card=CARD)


@pytest.fixture
def images():
    return smooth_images(60)


@pytest.fixture
def multi_label():
    """3,000 images of 900 patients with five labels, the rarest in 1 % of them."""
    rng = np.random.default_rng(0)
    classes = ("v", "w", "x", "y", "z")
    patients = rng.integers(0, 900, 3000)
    has = rng.random((3000, 5)) < np.array([0.3, 0.2, 0.1, 0.03, 0.01])
    labels = ["|".join(np.array(classes)[row]) for row in has]
    card = replace(CARD, task="multi-label", classes=classes, group="patient")
    return cohort_of(np.zeros((3000, 2, 2), np.uint8), labels, [f"p{number}" for number in patients], card)
