"""Subgroups with their gaps, and images made worse step by step."""

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

import medxai_helpers as mx
from medxai_helpers.evaluation.corruption import LEVELS, CorruptedStore
from medxai_helpers.evaluation.subgroups import subgroup_names
from tests.evaluation.made import of_logits, patients, random_predictions


def with_sites(n=800, worse="south"):
    """Two sites; the model is worse at one of them."""
    rng = np.random.default_rng(0)
    sites = rng.choice(["north", "south", ""], size=n, p=[0.5, 0.4, 0.1])
    truth = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 3)) + np.where(sites == worse, 0.5, 2.0)[:, None] * np.eye(3)[truth]
    return of_logits(truth, logits, metadata={"site": sites, "age": rng.uniform(20, 90, n)})


def test_each_subgroup_is_scored_as_if_it_were_alone():
    predictions = with_sites()
    table = mx.subgroup_table(predictions, "site", "macro_f1").set_index("group")
    assert table.index.tolist() == ["north", "south", "not known"]
    for name in ("north", "south"):
        inside = predictions.metadata["site"] == name
        alone = mx.bootstrap_interval(predictions.take(inside), "macro_f1")
        assert table.loc[name, "value"] == pytest.approx(alone.value)
        assert table.loc[name, "n"] == table.loc[name, "patients"] == inside.sum()
        assert table.loc[name, "high"] - table.loc[name, "low"] == pytest.approx(alone.high - alone.low, rel=0.15)
        rest = mx.METRICS["macro_f1"](predictions.take(~inside))
        assert table.loc[name, "gap"] == pytest.approx(alone.value - rest)
    assert table.loc["south", "gap high"] < 0 < table.loc["north", "gap low"]


def test_without_a_real_difference_the_gap_holds_zero():
    held = 0
    for seed in range(100):
        sex = np.array(list("FM") * 100)
        predictions = random_predictions(n=200, seed=seed, metadata={"sex": sex})
        row = mx.subgroup_table(predictions, "sex", "accuracy", resamples=300).iloc[0]
        held += row["gap low"] <= 0 <= row["gap high"]
    assert held >= 88  # 95 expected, standard deviation 2


def test_ages_are_cut_and_unknown_ones_kept_apart():
    ages = np.array([0.0, 39.9, 40.0, np.nan])
    predictions = of_logits([0, 1, 0, 1], 3 * np.eye(2)[[0, 1, 0, 1]], metadata={"age": ages})
    names = subgroup_names(predictions, "age", (0, 40, 65))
    assert names.tolist() == ["0 to under 40", "0 to under 40", "40 to under 65", "not known"]
    assert mx.subgroup_table(with_sites(), "age", edges=(0, 40, 65, 120))["group"].tolist() == [
        "0 to under 40",
        "40 to under 65",
        "65 to under 120",
    ]


def test_a_handful_of_patients_gets_no_interval():
    predictions = patients(count=30, frames=4)
    site = np.where(predictions.group < "p003", "small", "large")
    predictions = of_logits(predictions.targets, predictions.logits, predictions.group, metadata={"site": site})
    table = mx.subgroup_table(predictions, "site", "accuracy").set_index("group")
    assert table.loc["small", ["n", "patients"]].tolist() == [12, 3]
    assert table.loc["small", ["low", "high", "gap low"]].isna().all()
    assert table.loc["large", ["low", "high"]].notna().all()


def test_columns_that_cannot_be_cut_are_refused():
    predictions = with_sites()
    with pytest.raises(ValueError, match="a column among"):
        mx.subgroup_table(predictions, "sex")
    with pytest.raises(ValueError, match=r"cut them with edges"):
        mx.subgroup_table(predictions, "age")
    with pytest.raises(ValueError, match="numbers in 'site'"):
        mx.subgroup_table(predictions, "site", edges=(0, 1))
    with pytest.raises(ValueError, match="rising edges"):
        mx.subgroup_table(predictions, "age", edges=(40, 0))
    with pytest.raises(ValueError, match="widen the edges"):
        mx.subgroup_table(predictions, "age", edges=(0, 50))


IMAGE = np.tile(np.linspace(60, 190, 64).astype(np.uint8), (64, 1))
IMAGE[20:40, 20:40] = 250


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("image", [IMAGE, np.stack([IMAGE, IMAGE // 2, 255 - IMAGE], axis=2)], ids=["grey", "rgb"])
def test_each_step_is_worse_than_the_one_before(kind, image):
    away = []
    for severity in range(6):
        worse = mx.corrupt(image, kind, severity, np.random.default_rng(0))
        assert worse.shape == image.shape
        assert worse.dtype == np.uint8
        away.append(np.abs(worse.astype(float) - image).mean())
    assert away[0] == 0
    assert (np.diff(away) > 0).all()


def test_corruptions_by_hand():
    assert mx.corrupt(IMAGE, "brighter", 1)[0, 0] == 80
    assert mx.corrupt(IMAGE, "brighter", 5)[30, 30] == 255
    assert mx.corrupt(IMAGE, "darker", 5)[0, 0] == 0
    flat = np.full((8, 8), 100, np.uint8)
    for kind in ("contrast", "blur"):
        assert (mx.corrupt(flat, kind, 5) == 100).all(), kind
    noise = mx.corrupt(np.full((200, 200), 128, np.uint8), "noise", 1, np.random.default_rng(0)).astype(float)
    assert noise.std() == pytest.approx(8, rel=0.03)
    half = mx.corrupt(IMAGE, "contrast", 3).astype(float)
    np.testing.assert_allclose(half - IMAGE.mean(), 0.5 * (IMAGE - IMAGE.mean()), atol=1)


def test_jpeg_is_opencvs_and_keeps_red_red():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    worse = mx.corrupt(red, "jpeg", 1)
    assert worse[..., 0].mean() > 150 > 60 > worse[..., 2].mean()
    coded = cv2.imdecode(cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mx.corrupt(IMAGE, "jpeg", 4), coded)


def test_what_cannot_be_corrupted_is_refused():
    with pytest.raises(ValueError, match="kind among"):
        mx.corrupt(IMAGE, "fog", 1)
    with pytest.raises(ValueError, match="severity 0 to 5"):
        mx.corrupt(IMAGE, "blur", 6)
    with pytest.raises(ValueError, match="uint8"):
        mx.corrupt(IMAGE / 255, "blur", 1)
    with pytest.raises(ValueError, match="generator for noise"):
        mx.corrupt(IMAGE, "noise", 1)


class Store:
    """Two kinds of image: dark and bright, of one grey channel."""

    def __init__(self, n=40):
        self.pixels = np.stack([np.full((8, 8), 60 + 100 * (row % 2), np.uint8) for row in range(n)])

    def batch(self, rows):
        return self.pixels[rows][:, None]

    def __len__(self):
        return len(self.pixels)


def test_noise_of_a_row_does_not_depend_on_its_batch():
    noisy = CorruptedStore(Store(), "noise", 3, seed=1)
    alone, together = noisy.batch(np.array([5])), noisy.batch(np.array([3, 5]))
    assert together.shape == (2, 1, 8, 8)
    np.testing.assert_array_equal(alone[0], together[1])
    assert len(noisy) == 40


def test_a_curve_falls_where_the_corruption_hides_the_sign(monkeypatch):
    """The stand-in calls an image bright above 120, so that only brightness can fool it."""
    from medxai_helpers import predictions

    def score(run, store, rows):
        bright = store.batch(rows).reshape(len(rows), -1).mean(axis=1) - 120
        return torch.from_numpy(np.stack([-bright, bright], axis=1).astype(np.float32))

    monkeypatch.setattr(predictions, "score", score)
    table = pd.DataFrame({"image_id": np.arange(40).astype(str), "group": np.arange(40).astype(str), "label": "x"})
    cohort = SimpleNamespace(table=table, classes=("dark", "bright"), targets=np.arange(40) % 2)
    curve = mx.corruption_curve(None, cohort, Store(), np.arange(40), kinds=("brighter", "blur"), resamples=200)
    value = curve.set_index(["kind", "severity"])["value"]
    assert value["blur"].tolist() == [1] * 6
    assert value["brighter"].tolist() == [1, 1, 1, 1, 0.5, 0.5]
    assert (curve["n"] == 40).all()
