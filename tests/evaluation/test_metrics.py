"""Metrics: by hand, against scikit-learn and torchmetrics, and at the edges."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.functional import classification as tm

import medxai_helpers as mx
from medxai_helpers.evaluation.metrics import METRICS, find_metric
from medxai_helpers.evaluation.ranking import Ranking, auroc_statistic, average_precision_statistic, ranking_scores
from tests.evaluation.made import made, of_logits, random_labels, random_predictions

KNOWN = made([0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2, 2, 2])
ONE_CLASS = [name for name, metric in METRICS.items() if "multi-class" in metric.tasks]
LABELS = [name for name, metric in METRICS.items() if "many-label" in metric.tasks]


def whole(statistic, predictions):
    return statistic(predictions)(np.ones((len(predictions), 1)))[0]


def test_metrics_by_hand():
    # Confusion: a 3 1 0 / b 0 1 1 / c 0 0 2. Recall 3/4, 1/2, 1; precision 1, 1/2, 2/3; F1 6/7, 1/2, 4/5.
    by_hand = {
        "accuracy": 6 / 8,
        "balanced_accuracy": 0.75,
        "macro_recall": 0.75,
        "macro_precision": (1 + 1 / 2 + 2 / 3) / 3,
        "macro_f1": (6 / 7 + 1 / 2 + 4 / 5) / 3,
        "weighted_f1": (4 * 6 / 7 + 2 * 1 / 2 + 2 * 4 / 5) / 8,
        "macro_specificity": (4 / 4 + 5 / 6 + 5 / 6) / 3,
        # Margins: true 4, 2, 2; called 3, 2, 3. Their products 12 + 4 + 6, their squares 24 and 22.
        "kappa": (6 / 8 - 22 / 64) / (1 - 22 / 64),
        "mcc": (6 * 8 - 22) / np.sqrt((64 - 24) * (64 - 22)),
    }
    assert {name: METRICS[name](KNOWN) for name in by_hand} == pytest.approx(by_hand)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_scikit_learn(seed):
    predictions = random_predictions(classes=5, seed=seed)
    truth, guess, p = predictions.targets, predictions.predicted, predictions.probabilities
    theirs = {
        "accuracy": sk.accuracy_score(truth, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, guess),
        "mcc": sk.matthews_corrcoef(truth, guess),
        "kappa": sk.cohen_kappa_score(truth, guess),
        "macro_precision": sk.precision_score(truth, guess, average="macro"),
        "macro_recall": sk.recall_score(truth, guess, average="macro"),
        "macro_f1": sk.f1_score(truth, guess, average="macro"),
        "weighted_f1": sk.f1_score(truth, guess, average="weighted"),
        "macro_auroc": sk.roc_auc_score(predictions.one_hot, ranking_scores(predictions), average="macro"),
        "macro_ap": sk.average_precision_score(predictions.one_hot, p, average="macro"),
        "nll": sk.log_loss(truth, p),
        "brier": ((p - predictions.one_hot) ** 2).sum(axis=1).mean(),
    }
    assert {name: METRICS[name](predictions) for name in theirs} == pytest.approx(theirs)
    assert mx.top_k(2)(predictions) == pytest.approx(sk.top_k_accuracy_score(truth, p, k=2))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_many_labels_agree_with_scikit_learn(seed):
    predictions = random_labels(seed=seed)
    truth, guess, p = predictions.targets, predictions.predicted, predictions.probabilities
    theirs = {
        "exact_match": sk.accuracy_score(truth, guess),
        "label_accuracy": 1 - sk.hamming_loss(truth, guess),
        "micro_f1": sk.f1_score(truth, guess, average="micro"),
        "macro_precision": sk.precision_score(truth, guess, average="macro", zero_division=np.nan),
        "macro_recall": sk.recall_score(truth, guess, average="macro"),
        "macro_f1": sk.f1_score(truth, guess, average="macro"),
        "weighted_f1": sk.f1_score(truth, guess, average="weighted"),
        "macro_auroc": sk.roc_auc_score(truth, p, average="macro"),
        "macro_ap": sk.average_precision_score(truth, p, average="macro"),
        "nll": np.mean([sk.log_loss(truth[:, k], p[:, k]) for k in range(4)]),
        "brier": np.mean([sk.brier_score_loss(truth[:, k], p[:, k]) for k in range(4)]),
    }
    assert {name: METRICS[name](predictions) for name in theirs} == pytest.approx(theirs)


def test_metrics_agree_with_torchmetrics():
    predictions = random_predictions(classes=4, seed=5)
    truth, logits = torch.from_numpy(predictions.targets), torch.from_numpy(predictions.logits)
    specificity = tm.multiclass_specificity(logits, truth, 4, average="macro").item()
    assert METRICS["macro_specificity"](predictions) == pytest.approx(specificity, abs=1e-6)
    auroc = tm.multiclass_auroc(logits, truth, 4, average="macro").item()
    assert METRICS["macro_auroc"](predictions) == pytest.approx(auroc, abs=1e-6)


@pytest.mark.parametrize("name", ONE_CLASS)
def test_weights_are_the_same_as_repeated_images(name):
    predictions = random_predictions(n=120, seed=3)
    rng = np.random.default_rng(0)
    counts = np.stack([np.bincount(rng.integers(120, size=120), minlength=120) for _ in range(5)], axis=1)
    scores = METRICS[name].prepare(predictions)(counts.astype(np.float32))
    repeated = [METRICS[name](predictions.take(np.repeat(np.arange(120), column))) for column in counts.T]
    np.testing.assert_allclose(scores, repeated, rtol=2e-6)


@pytest.mark.parametrize("name", LABELS)
def test_weights_are_the_same_as_repeated_images_of_many_labels(name):
    predictions = random_labels(n=120, seed=3)
    counts = np.bincount(np.random.default_rng(0).integers(120, size=120), minlength=120)
    score = METRICS[name].prepare(predictions)(counts[:, None].astype(np.float32))[0]
    assert score == pytest.approx(METRICS[name](predictions.take(np.repeat(np.arange(120), counts))), rel=2e-6)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_rankings_with_ties_agree_with_scikit_learn(levels):
    rng = np.random.default_rng(levels)
    truth, scores = rng.random(400) < 0.3, rng.integers(levels, size=400) / levels
    weights = rng.integers(0, 4, size=(400, 1)).astype(float)
    ranking, heavy = Ranking(scores, truth), {"sample_weight": weights[:, 0]}
    assert ranking.auroc(weights)[0] == pytest.approx(sk.roc_auc_score(truth, scores, **heavy))
    assert ranking.average_precision(weights)[0] == pytest.approx(sk.average_precision_score(truth, scores, **heavy))


def test_an_absent_class_is_nan_with_its_count_and_left_out_of_means():
    predictions = made([0, 0, 1, 1], [0, 0, 1, 2])
    aurocs = whole(auroc_statistic, predictions)
    assert np.isnan(aurocs).tolist() == [False, False, True]
    assert METRICS["macro_auroc"](predictions) == pytest.approx(np.nanmean(aurocs))
    assert np.isnan(whole(average_precision_statistic, predictions)[2])
    assert METRICS["balanced_accuracy"](predictions) == pytest.approx((1 + 1 / 2) / 2)
    report = mx.per_class_report(predictions)
    assert report.loc["c", "n"] == 0
    assert report.loc["c", ["precision", "recall", "f1"]].isna().all()
    assert report.loc["macro mean", "recall"] == pytest.approx(0.75)
    assert report.loc["weighted mean", "recall"] == pytest.approx(0.75)


def test_one_class_only_has_no_ranking_and_no_correlation():
    predictions = made([1, 1, 1], [1, 1, 0])
    for name in ("macro_auroc", "mcc"):
        assert np.isnan(METRICS[name](predictions)), name
    assert METRICS["balanced_accuracy"](predictions) == pytest.approx(2 / 3)
    assert np.isnan(METRICS["kappa"](made([1, 1], [1, 1])))
    with pytest.raises(ValueError, match="some images have and others do not"):
        mx.roc_curves(predictions)


def test_a_constant_score_knows_nothing():
    predictions = of_logits([0, 0, 0, 1], np.zeros((4, 2)))
    assert whole(auroc_statistic, predictions).tolist() == [0.5, 0.5]
    assert whole(average_precision_statistic, predictions).tolist() == pytest.approx([0.75, 0.25])
    assert mx.top_k(1)(predictions) == 0


def test_rounding_to_one_makes_no_ties():
    predictions = of_logits([0, 0, 1, 1], [[90, 0], [80, 0], [70, 0], [60, 0]])
    assert np.unique(predictions.probabilities[:, 0]).size == 1
    assert METRICS["macro_auroc"](predictions) == 1


def test_one_image_can_be_scored():
    predictions = made([1], [1])
    assert METRICS["accuracy"](predictions) == 1
    assert METRICS["nll"](predictions) == pytest.approx(np.log(np.exp(3) + 2) - 3)
    assert np.isnan(METRICS["macro_auroc"](predictions))


def test_what_does_not_go_is_refused_in_words():
    with pytest.raises(ValueError, match="metric among"):
        find_metric("f1-macro")
    with pytest.raises(ValueError, match="for many-label predictions, but got 'accuracy': choose"):
        METRICS["accuracy"](random_labels())
    with pytest.raises(ValueError, match="at least one prediction"):
        METRICS["accuracy"](KNOWN.take(np.arange(0)))
    with pytest.raises(ValueError, match="more than k = 3"):
        mx.top_k(3)(KNOWN)
    with pytest.raises(ValueError, match="label_counts"):
        mx.confusion_matrix(random_labels())
    with pytest.raises(ValueError, match="normalise among"):
        mx.confusion_matrix(KNOWN, "rows")


def test_confusion_normalised_by_hand():
    assert mx.confusion_matrix(KNOWN, "true").loc["a"].tolist() == [0.75, 0.25, 0]
    assert mx.confusion_matrix(KNOWN, "predicted")["b"].tolist() == [0.5, 0.5, 0]
    assert mx.confusion_matrix(KNOWN, "all").to_numpy().sum() == pytest.approx(1)
    assert mx.confusion_matrix(made([0, 1], [0, 1]), "true").loc["c"].isna().all()


def test_label_counts_by_hand():
    predictions = of_logits(np.array([[1, 0], [1, 1], [0, 0]]), [[2, 3], [-1, 4], [-1, -2]])
    assert mx.label_counts(predictions).loc["a"].tolist() == [1, 1, 0, 1]
    assert mx.label_counts(predictions).loc["b"].tolist() == [1, 0, 1, 1]


def test_top_losses_come_surest_mistake_first():
    predictions = of_logits([0, 1, 0], [[-5, 5], [0, 1], [4, 0]])
    table = mx.top_losses(predictions, 2)
    assert table["row"].tolist() == [0, 1]
    assert table["loss"].iloc[0] == pytest.approx(np.log1p(np.exp(10)))


def test_curves_are_scikit_learns():
    predictions = random_predictions(classes=3, seed=2)
    roc, pr = mx.roc_curves(predictions), mx.precision_recall_curves(predictions)
    b = roc[roc["class"] == "b"]
    area = sk.auc(b["false_positive_rate"], b["true_positive_rate"])
    assert area == pytest.approx(sk.roc_auc_score(predictions.targets == 1, predictions.probabilities[:, 1]))
    assert set(pr["class"]) == {"a", "b", "c"}
    assert pr.groupby("class")["recall"].agg(["min", "max"]).to_numpy().tolist() == [[0, 1]] * 3


BINARY = mx.Predictions.from_probabilities(
    ("well", "ill"),
    np.array(list("abcdef")),
    np.array([0, 0, 0, 1, 1, 1]),
    np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.25, 0.75], [0.1, 0.9]]),
)


@pytest.mark.parametrize(
    ("rule", "at_least", "threshold"),
    [("youden", None, 0.75), ("f1", None, 0.75), ("sensitivity", 1.0, 0.2), ("specificity", 0.6, 0.75)],
)
def test_thresholds_by_hand(rule, at_least, threshold):
    chosen = mx.choose_thresholds(BINARY, rule, at_least=at_least)
    assert chosen["ill"] == pytest.approx(threshold)


def test_rates_at_a_threshold_by_hand():
    table = mx.at_thresholds(BINARY, {"ill": 0.35}).set_index("metric")
    assert table["value"].to_dict() == pytest.approx(
        {"sensitivity": 2 / 3, "specificity": 1 / 3, "PPV": 2 / 4, "NPV": 1 / 2}
    )
    assert table["n"].tolist() == [3, 3, 4, 2]
    wilson = mx.wilson_interval(2, 3)
    assert table.loc["sensitivity", ["low", "high"]].tolist() == [wilson.low, wilson.high]


def test_rates_over_patients_use_the_bootstrap():
    from tests.evaluation.made import patients

    table = mx.at_thresholds(patients(), {"a": 0.5}, resamples=200)
    assert table["method"].unique().tolist() == ["bootstrap over patients, 200"]
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_a_threshold_for_a_class_without_images_is_nan_and_left_out():
    chosen = mx.choose_thresholds(made([0, 0, 1, 1], [0, 0, 1, 2]))
    assert np.isnan(chosen["c"])
    table = mx.at_thresholds(KNOWN, chosen)
    assert table["class"].unique().tolist() == ["a", "b"]


def test_nobody_called_positive_leaves_ppv_undefined():
    table = mx.at_thresholds(BINARY, {"ill": 1.0}).set_index("metric")
    assert pd.isna(table.loc["PPV", "value"])
    assert table.loc["PPV", "n"] == 0


def test_thresholds_that_do_not_go_are_refused():
    with pytest.raises(ValueError, match="at_least"):
        mx.choose_thresholds(BINARY, "sensitivity")
    with pytest.raises(ValueError, match="rule among"):
        mx.choose_thresholds(BINARY, "best")
    with pytest.raises(ValueError, match="thresholds of the classes"):
        mx.at_thresholds(BINARY, {"dead": 0.5})


def test_predictive_values_follow_bayes():
    ppv, npv = mx.predictive_values(0.9, 0.8, np.array([0.5, 0.1, 0.0]))
    assert ppv.tolist() == pytest.approx([0.45 / 0.55, 0.09 / 0.27, 0])
    assert npv.tolist() == pytest.approx([0.4 / 0.45, 0.72 / 0.73, 1])
    with pytest.raises(ValueError, match="divide per cent"):
        mx.predictive_values(90, 80, 10)
