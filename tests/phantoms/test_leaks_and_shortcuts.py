"""What a cohort of phantoms gives away, and what it must not: patients are recognised, classes only by their lesions.

A nearest neighbour memorises, so it shows what a split lets through; a logistic regression on frame and exposure sees
what no label may depend on; a small network shows that the lesion, and not its surroundings, is what is learned.
"""

from __future__ import annotations

from functools import cache as remember
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from medxai_helpers import Cohort, load_dataset, make_split, wilson_interval
from medxai_helpers.phantoms import PHANTOMS
from medxai_helpers.runtime import Runtime

pytest.importorskip("sklearn")

IMAGES = {"ham10000": 240, "kvasir-v2": 240, "lidc-idri": 240, "kvasir-seg": 400, "covid19-radiography": 120}
RECOGNISED = ("ham10000", "kvasir-v2", "lidc-idri", "kvasir-seg")
SAME_TWIN = ("covid19-radiography", "ham10000", "kvasir-seg", "lidc-idri")
"""Sets whose twins show the same kind of place in every class: in Kvasir v2 the place is the class."""
SHARES = {"train": 0.8, "test": 0.2}
SEEDS = range(6)


@remember
def cohort_of(name: str, cache: Path) -> Cohort:
    per_class = IMAGES[name] // len(PHANTOMS[name].classes)
    return load_dataset(name, source="phantom", per_class=per_class, runtime=Runtime("quick", "cpu", None, cache, 0))


def shrunk(cohort: Cohort, edge: int = 16) -> NDArray[np.float64]:
    """Thumbnails with mean 0 and deviation 1 in each, (n, features)."""
    small = [cv2.resize(cohort.image(row), (edge, edge), interpolation=cv2.INTER_AREA) for row in range(len(cohort))]
    flat = np.stack(small).reshape(len(cohort), -1).astype(np.float64)
    return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)


def nearest(known: NDArray[np.float64], asked: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row of ``known`` that is nearest to each row of ``asked``, other than itself."""
    squared = (known**2).sum(1) - 2 * asked @ known.T
    if known is asked:
        np.fill_diagonal(squared, np.inf)
    return np.asarray(squared.argmin(1), np.int64)


@pytest.mark.parametrize("name", RECOGNISED)
def test_the_same_patient_is_found_far_above_chance(name: str, cache: Path) -> None:
    cohort = cohort_of(name, cache)
    features, patients = shrunk(cohort), cohort.table["group"].to_numpy()
    found = patients[nearest(features, features)] == patients
    chance = np.mean([(patients == patient).sum() - 1 for patient in patients]) / (len(cohort) - 1)
    assert chance < 0.01
    assert wilson_interval(int(found.sum()), len(found)).low > 20 * chance


def right_by_split(cohort: Cohort, *, grouped: bool) -> NDArray[np.float64]:
    """For each seed: share of test images whose nearest training image has their class."""
    features, targets = shrunk(cohort), cohort.targets
    shares = []
    for seed in SEEDS:
        split = make_split(cohort, SHARES, seed=seed, grouped=grouped)
        train, test = split["train"], split["test"]
        shares.append(np.mean(targets[train][nearest(features[train], features[test])] == targets[test]))
    return np.array(shares)


@pytest.mark.parametrize("name", RECOGNISED)
def test_a_split_by_image_scores_above_one_by_patient(name: str, cache: Path) -> None:
    cohort = cohort_of(name, cache)
    gap = right_by_split(cohort, grouped=False) - right_by_split(cohort, grouped=True)
    half_width = 2.571 * gap.std(ddof=1) / np.sqrt(len(gap))  # 95 %, five degrees of freedom
    assert gap.mean() - half_width > 0
    assert gap.mean() > 0.1


@pytest.mark.parametrize("name", SAME_TWIN)
def test_frame_and_exposure_do_not_tell_the_class(name: str, cache: Path) -> None:
    """Judged on the twins, where marker, tubes, border and exposure are all that is left to differ."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    cohort = cohort_of(name, cache)
    twins = np.stack(
        [cv2.resize(cohort.twin(row), (32, 32), interpolation=cv2.INTER_AREA) for row in range(len(cohort))]
    )
    outer = np.ones((32, 32), np.bool_)
    outer[3:-3, 3:-3] = False
    levels = twins.reshape(len(twins), 32 * 32, -1) / 255
    features = np.hstack([levels.mean(1), levels.std(1), (twins[:, outer] / 255).reshape(len(twins), -1)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300, class_weight="balanced"))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    guess = cross_val_predict(model, features, cohort.targets, groups=cohort.table["group"], cv=folds)
    assert balanced_accuracy_score(cohort.targets, guess) < 1 / len(cohort.classes) + 0.12


def test_a_network_that_was_right_calls_the_twin_normal(cache: Path) -> None:
    """The effect of a lesion on a model is exact: everything else in the two pictures is the same."""
    torch = pytest.importorskip("torch")
    cohort = cohort_of("kvasir-seg", cache)
    split = make_split(cohort, {"train": 0.75, "test": 0.25}, seed=0)
    images, labels = inputs_of(cohort), torch.tensor(cohort.targets)
    network = trained_network(images[split["train"]], labels[split["train"]])
    polyp, test = cohort.classes.index("polyp"), split["test"]
    with torch.no_grad():
        before = network(images[test]).argmax(1).numpy()
        after = network(inputs_of(cohort.lesion_free())[test]).argmax(1).numpy()
    assert np.mean(before == cohort.targets[test]) > 0.6
    right = (before == polyp) & (cohort.targets[test] == polyp)
    assert right.sum() > 12
    normal = after[right] != polyp
    assert wilson_interval(int(normal.sum()), len(normal)).low > 0.5


def inputs_of(cohort: Cohort):  # type: ignore[no-untyped-def]
    """Images (n, 3, 64, 64), standardised one by one."""
    import torch

    images = np.stack(
        [cv2.resize(cohort.image(row), (64, 64), interpolation=cv2.INTER_AREA) for row in range(len(cohort))]
    )
    floats = torch.from_numpy(images).float().permute(0, 3, 1, 2)
    return (floats - floats.mean((1, 2, 3), keepdim=True)) / floats.std((1, 2, 3), keepdim=True)


def trained_network(images, labels, epochs=20):  # type: ignore[no-untyped-def]
    """Four convolutions, one cycle of the learning rate, mirrored and shifted images."""
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for before, after in ((3, 16), (16, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 2))
        optimiser = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=0.05)
        steps = epochs * -(-len(labels) // 32)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(32):
                shift = torch.randint(-4, 5, (2,)).tolist()
                batch = torch.roll(images[rows].flip(3) if torch.rand(()) < 0.5 else images[rows], shift, (2, 3))
                loss = nn.functional.cross_entropy(network(batch), labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return network.eval()
