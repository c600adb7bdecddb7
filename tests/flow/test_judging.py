import numpy as np
import pytest
from sklearn import metrics

import medxai_helpers as mx
from medxai_helpers.evaluation import intervals


def made(targets, predicted, classes=3, confidence=3.0):
    logits = np.zeros((len(targets), classes), np.float32)
    logits[np.arange(len(targets)), predicted] = confidence
    ids = np.array([f"i{n}" for n in range(len(targets))])
    names = tuple("abcdefgh"[:classes])
    return mx.Predictions(names, ids, ids, np.asarray(targets, dtype=np.int64), logits)


KNOWN = made([0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2, 2, 2])


def random_predictions(n=300, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    return made(truth, np.where(rng.random(n) < 0.7, truth, rng.integers(classes, size=n)), classes)


def test_confusion_by_hand():
    assert mx.confusion_matrix(KNOWN).to_numpy().tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 2]]


def test_report_by_hand():
    report = mx.per_class_report(KNOWN)
    assert report.loc["a"].tolist() == pytest.approx([1, 0.75, 6 / 7, 4])
    assert report.loc["b"].tolist() == pytest.approx([0.5, 0.5, 0.5, 2])
    assert report.loc["c"].tolist() == pytest.approx([2 / 3, 1, 0.8, 2])
    assert report.loc["macro mean", "recall"] == pytest.approx(0.75)
    assert report.loc["weighted mean", "recall"] == pytest.approx(0.75)
    assert report.loc["macro mean", "n"] == 8


def test_report_agrees_with_scikit_learn():
    predictions = random_predictions()
    ours = mx.per_class_report(predictions)
    theirs = metrics.classification_report(predictions.targets, predictions.predicted, output_dict=True)
    assert ours.loc["macro mean", "f1"] == pytest.approx(theirs["macro avg"]["f1-score"])
    assert ours.loc["weighted mean", "precision"] == pytest.approx(theirs["weighted avg"]["precision"])


def test_a_class_never_predicted_has_no_precision():
    report = mx.per_class_report(made([0, 1, 2], [0, 0, 2]))
    assert np.isnan(report.loc["b", "precision"])
    assert np.isnan(report.loc["macro mean", "precision"])


def test_summary_agrees_with_scikit_learn():
    predictions = random_predictions()
    ours = mx.summary(predictions)
    truth, guess = predictions.targets, predictions.predicted
    assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    assert ours["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, guess))
    assert ours["loss"] == pytest.approx(metrics.log_loss(truth, predictions.probabilities), rel=1e-6)


def test_most_confused_leaves_out_the_diagonal_and_zeros():
    pairs = mx.most_confused(mx.confusion_matrix(KNOWN))
    assert pairs.to_numpy().tolist() == [["a", "b", 1], ["b", "c", 1]]


def test_wilson_by_hand_and_at_the_ends():
    z, p, n = 1.959964, 0.9, 300
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    estimate = mx.wilson_interval(270, 300)
    assert (estimate.low, estimate.high) == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert mx.wilson_interval(10, 10).high == 1
    assert mx.wilson_interval(0, 10).low == 0
    with pytest.raises(ValueError, match="successes <= n"):
        mx.wilson_interval(11, 10)


def test_bootstrap_of_accuracy_is_the_binomial_interval():
    predictions = random_predictions(n=800)

    def accuracy(confusion):
        return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))

    boot = mx.bootstrap_interval(predictions, accuracy, resamples=20_000)
    p = predictions.correct.mean()
    half = 1.96 * np.sqrt(p * (1 - p) / 800)
    assert boot.value == pytest.approx(p)
    assert (boot.low, boot.high) == pytest.approx((p - half, p + half), abs=0.003)


def test_balanced_accuracy_ignores_absent_classes():
    confusion = np.array([[8, 2, 0], [0, 5, 5], [0, 0, 0]], float)
    assert intervals.balanced_accuracy(confusion) == pytest.approx(0.65)


def test_bootstrap_is_seeded_and_covers():
    predictions = random_predictions()
    assert mx.bootstrap_interval(predictions, seed=1) == mx.bootstrap_interval(predictions, seed=1)
    assert mx.bootstrap_interval(predictions, seed=1) != mx.bootstrap_interval(predictions, seed=2)
    hits = 0
    for seed in range(200):
        estimate = mx.bootstrap_interval(random_predictions(seed=seed), resamples=400)
        hits += estimate.low <= 0.7 + 0.3 / 4 <= estimate.high
    assert 180 <= hits <= 198  # 95 % of 200 is 190, standard deviation 3


def test_mean_interval_is_the_normal_one_for_many_values():
    values = np.random.default_rng(0).normal(2, 1, 1000)
    estimate = mx.mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(1000)
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)
    with pytest.raises(ValueError, match="finite"):
        mx.mean_interval(np.array([1.0, np.nan]))


def test_predictions_refuse_what_does_not_fit():
    good = KNOWN
    with pytest.raises(ValueError, match="shape"):
        mx.Predictions(good.classes, good.image_id, good.group, good.targets, good.logits[:, :2])
    with pytest.raises(ValueError, match="finite"):
        mx.Predictions(good.classes, good.image_id, good.group, good.targets, good.logits * np.nan)


def test_predictions_survive_saving(tmp_path):
    KNOWN.save(tmp_path / "p.npz")
    again = mx.Predictions.load(tmp_path / "p.npz")
    assert again.sha256() == KNOWN.sha256()
    assert again.classes == KNOWN.classes
    assert again.table().equals(KNOWN.table())
    assert made([0, 1], [1, 1]).sha256() != made([0, 1], [0, 1]).sha256()


def test_probabilities_and_losses_are_softmax_and_cross_entropy():
    import torch

    predictions = random_predictions(n=20)
    logits = torch.from_numpy(predictions.logits).double()
    np.testing.assert_allclose(predictions.probabilities, logits.softmax(1).numpy())
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(predictions.targets), reduction="none")
    np.testing.assert_allclose(predictions.losses, expected.numpy())


def test_probabilities_do_not_overflow():
    extreme = made([0, 1], [0, 1], confidence=5e4)
    assert np.isfinite(extreme.probabilities).all()
    assert np.isfinite(extreme.losses).all()
