"""What may stand in predictions, one class or many labels, and what is refused in words."""

import numpy as np
import pandas as pd
import pytest
import torch

import medxai_helpers as mx
from medxai_helpers.predictions import metadata_of
from tests.evaluation.made import made, of_logits, random_labels, random_predictions

TRUTH = np.array([0, 1, 2])


def test_many_labels_have_sigmoids_and_binary_cross_entropy():
    predictions = random_labels(n=50)
    logits = torch.from_numpy(predictions.logits).double()
    truth = torch.from_numpy(predictions.targets).double()
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1)
    np.testing.assert_allclose(predictions.probabilities, logits.sigmoid().numpy())
    np.testing.assert_allclose(predictions.losses, losses.numpy())
    np.testing.assert_array_equal(predictions.predicted, predictions.probabilities > 0.5)
    assert predictions.correct.tolist() == (predictions.predicted == predictions.targets).all(axis=1).tolist()
    assert "labels" in str(predictions)


def test_many_labels_are_named_together():
    predictions = of_logits(np.array([[1, 0, 1], [0, 0, 0]]), [[2, -1, -1], [-3, -2, 4]])
    assert predictions.table()["true"].tolist() == ["a|c", ""]
    assert predictions.table()["predicted"].tolist() == ["a", "c"]


def test_calibrated_scores_are_used_and_raw_ones_kept():
    raw = random_predictions(n=20)
    cooler = mx.Predictions(
        raw.classes, raw.image_id, raw.group, raw.targets, raw.logits, calibrated=raw.logits / np.float32(2)
    )
    np.testing.assert_allclose(cooler.scores, raw.scores / 2)
    np.testing.assert_allclose(cooler.raw.probabilities, raw.probabilities)
    assert cooler.probabilities.max() < raw.probabilities.max()
    assert cooler.sha256() != raw.sha256() == cooler.raw.sha256()
    assert "calibrated" in str(cooler)


@pytest.mark.parametrize("many_label", [False, True])
def test_everything_survives_saving(tmp_path, many_label):
    one = random_labels(n=8) if many_label else random_predictions(n=8)
    columns = {"age": np.array([30.0, np.nan] * 4), "sex": np.array(list("FM") * 4, dtype=object)}
    full = mx.Predictions(
        one.classes, one.image_id, one.group, one.targets, one.logits, one.logits / np.float32(3), columns
    )
    full.save(tmp_path / "p.npz")
    again = mx.Predictions.load(tmp_path / "p.npz")
    assert again.sha256() == full.sha256()
    pd.testing.assert_frame_equal(again.table(metadata=True), full.table(metadata=True), check_dtype=False)


def test_rows_can_be_taken_by_index_and_by_mask():
    predictions = random_predictions(n=6, metadata={"age": np.arange(6)})
    some = predictions.take(np.array([4, 1]))
    assert some.image_id.tolist() == ["i00004", "i00001"]
    assert some.metadata["age"].tolist() == [4, 1]
    assert len(predictions.take(predictions.metadata["age"] > 3)) == 2


def test_metadata_keeps_numbers_and_names_the_unknown():
    table = pd.DataFrame({"image_id": ["a", "b"], "label": "x", "group": "g", "age": [4.0, None], "sex": ["F", None]})
    columns = metadata_of(table)
    assert list(columns) == ["age", "sex"]
    assert columns["sex"].tolist() == ["F", ""]
    assert columns["age"].dtype == float


def test_prediction_carries_the_cohorts_columns(patched_run):
    predictions = patched_run(
        pd.DataFrame({"image_id": ["1", "2"], "label": ["a", "b"], "group": "p", "sex": ["F", "M"]})
    )
    assert predictions.metadata["sex"].tolist() == ["F", "M"]


@pytest.fixture
def patched_run(monkeypatch):
    from types import SimpleNamespace

    from medxai_helpers import predictions

    def run(table):
        rows = np.arange(len(table))
        monkeypatch.setattr(predictions, "score", lambda *_: torch.tensor([[2.0, -1.0], [0.0, 1.5]]))
        cohort = SimpleNamespace(table=table, classes=("a", "b"), targets=rows)
        return predictions.predict(None, cohort, None, rows)

    return run


def test_probabilities_are_refused_where_logits_are_asked():
    softmax = random_predictions(n=5).probabilities
    with pytest.raises(ValueError, match="from_probabilities"):
        of_logits(np.zeros(5, dtype=int), softmax)
    sigmoid = random_labels(n=50)
    with pytest.raises(ValueError, match="look like probabilities"):
        of_logits(sigmoid.targets, sigmoid.probabilities)


def test_probabilities_have_their_own_way_in():
    for one in (random_predictions(n=30), random_labels(n=30)):
        again = mx.Predictions.from_probabilities(one.classes, one.image_id, one.targets, one.probabilities)
        np.testing.assert_allclose(again.probabilities, one.probabilities, atol=1e-6)
        np.testing.assert_allclose(again.losses, one.losses, atol=1e-5)
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    ids = np.array(["x", "y"])
    assert np.isfinite(mx.Predictions.from_probabilities("ab", ids, np.array([0, 0]), certain).losses).all()


@pytest.mark.parametrize(
    ("probabilities", "targets", "words"),
    [
        ([[2.0, -1.0]], [0], "between 0 and 1"),
        ([[np.nan, 0.5]], [0], "between 0 and 1"),
        ([[0.9, 0.9]], [0], "sum to 1"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, targets, words):
    with pytest.raises(ValueError, match=words):
        mx.Predictions.from_probabilities("ab", np.array(["x"]), np.array(targets), np.array(probabilities))


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.array([0, 1, 3]), "0 to 2, but got 0 to 3"),
        (np.array([0, -1, 2]), "got -1 to 2"),
        (np.array([0.0, 1.0, 2.0]), "whole numbers"),
        (np.zeros((3, 2), dtype=int), r"shape \(3, 3\)"),
        (np.full((3, 3), 2), "0 and 1"),
    ],
)
def test_targets_that_cannot_be_are_refused(targets, words):
    with pytest.raises(ValueError, match=words):
        of_logits(targets, 3 * np.eye(3))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite logits"):
        of_logits(TRUTH, np.full((3, 3), np.nan))
    good = made(TRUTH, TRUTH)
    with pytest.raises(ValueError, match="finite calibrated"):
        of_logits(TRUTH, good.logits, calibrated=np.full((3, 3), np.inf, dtype=np.float32))
    with pytest.raises(ValueError, match="calibrated logits of shape"):
        of_logits(TRUTH, good.logits, calibrated=np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="column of metadata"):
        of_logits(TRUTH, good.logits, metadata={"age": np.zeros(2)})
