"""Bootstrap intervals: known answers, SciPy as oracle, and how often they cover the truth."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

import medxai_helpers as mx
from medxai_helpers.evaluation.metrics import METRICS
from medxai_helpers.evaluation.resampling import bca_ends, make_sampling, percentile_ends
from tests.evaluation.made import made, of_logits, patients, random_labels, random_predictions


def first_weights(predictions, **how):
    return next(make_sampling(predictions, **how).weights(50, seed=0))


def test_every_resample_draws_as_many_images_as_there_are():
    weights = first_weights(random_predictions(n=40))
    assert weights.shape == (40, 50)
    assert (weights.sum(axis=0) == 40).all()
    assert np.mean(weights == 0) == pytest.approx((1 - 1 / 40) ** 40, abs=0.02)


def test_patients_are_drawn_with_all_their_images():
    predictions = patients(count=10, frames=4)
    weights = first_weights(predictions).reshape(10, 4, 50)
    assert (weights == weights[:, :1]).all()
    assert (weights[:, 0].sum(axis=0) == 10).all()
    assert not (first_weights(predictions, unit="image").reshape(10, 4, 50) == weights).all()


def test_strata_keep_their_size():
    predictions = patients(count=30, frames=2)
    for unit in ("image", "patient"):
        weights = first_weights(predictions, unit=unit, stratified=True)
        drawn = np.stack([weights[predictions.targets == k].sum(axis=0) for k in range(3)])
        assert (drawn == np.bincount(predictions.targets)[:, None]).all()


def test_blocks_do_not_change_what_is_scored(monkeypatch):
    from medxai_helpers.evaluation import resampling

    predictions = random_predictions(n=50)
    whole = mx.bootstrap_interval(predictions, "macro_f1", method="bca", resamples=300)
    monkeypatch.setattr(resampling, "BLOCK", 50 * 7)
    parts = mx.bootstrap_interval(predictions, "macro_f1", method="bca", resamples=300)
    assert parts.value == whole.value
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.03)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_agree_with_scipy(method):
    predictions = random_predictions(n=150, seed=4)
    ours = mx.bootstrap_interval(predictions, "nll", method=method, resamples=20_000)
    theirs = stats.bootstrap(
        (predictions.losses,), np.mean, n_resamples=20_000, method=method, rng=1, vectorized=True, batch=500
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(predictions.losses.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_bca_of_the_same_draws_is_scipys():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=25)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=2000, method="BCa", rng=3)
    left_out = (values.sum() - values) / 24
    ends = bca_ends(theirs.bootstrap_distribution, values.mean(), left_out, 0.95)
    assert ends == pytest.approx(list(theirs.confidence_interval), rel=0.01)


def test_bca_falls_back_where_it_is_not_defined():
    all_right = made([0, 1, 2] * 5, [0, 1, 2] * 5)
    estimate = mx.bootstrap_interval(all_right, "accuracy", method="bca", resamples=200)
    assert (estimate.low, estimate.high) == (1, 1)
    assert np.isnan(bca_ends(np.full(3, np.nan), np.nan, np.zeros(3), 0.95)).all()


def test_undefined_scores_are_left_out_of_the_ends():
    scores = np.array([[0.1, np.nan], [0.3, np.nan], [np.nan, np.nan]])
    ends = percentile_ends(scores, 0.5)
    assert ends[:, 0].tolist() == pytest.approx([0.15, 0.25])
    assert np.isnan(ends[:, 1]).all()


def test_a_table_of_metrics_shares_its_resamples():
    predictions = random_predictions()
    table = mx.bootstrap_table(predictions, ["macro_f1", METRICS["nll"]])
    assert table["macro_f1"] == mx.bootstrap_interval(predictions, "macro_f1")
    assert table["nll"] == mx.bootstrap_interval(predictions, "nll")
    assert table["nll"].method == "bootstrap over images, 2000"
    assert mx.bootstrap_interval(patients(), "nll").method == "bootstrap over patients, 2000"


def test_images_of_one_patient_make_the_interval_longer():
    predictions = patients(count=80, frames=5)
    by_patient = mx.bootstrap_interval(predictions, "accuracy")
    by_image = mx.bootstrap_interval(predictions, "accuracy", unit="image")
    assert by_patient.value == by_image.value
    assert by_patient.high - by_patient.low > 1.6 * (by_image.high - by_image.low)


def test_what_cannot_be_drawn_is_refused():
    one = made([1], [1])
    with pytest.raises(ValueError, match="at least 2 patients"):
        mx.bootstrap_interval(one)
    with pytest.raises(ValueError, match="at least 2 patients"):
        mx.bootstrap_interval(patients(count=1, frames=6), "accuracy")
    with pytest.raises(ValueError, match="stratified=False"):
        mx.bootstrap_interval(random_labels(), "macro_f1", stratified=True)
    with pytest.raises(ValueError, match="unit among"):
        mx.bootstrap_interval(random_predictions(), unit="study")
    with pytest.raises(ValueError, match="100 resamples"):
        mx.bootstrap_interval(random_predictions(), resamples=10)
    with pytest.raises(ValueError, match="method among"):
        mx.bootstrap_interval(random_predictions(), method="BCa")
    with pytest.raises(ValueError, match="one class per image"):
        mx.bootstrap_interval(random_labels(), lambda confusion: confusion.sum(axis=(1, 2)))


# Coverage: of many cohorts drawn from one population, how many intervals hold the population's score?
# With 1,000 cohorts, a true coverage of 95 % is counted with a standard deviation of 0.7 per cent.


def covered(make, metric, truth, cohorts=1000, **how):
    hits = 0
    for seed in range(cohorts):
        estimate = mx.bootstrap_interval(make(seed), metric, resamples=400, seed=seed, **how)
        hits += estimate.low <= truth <= estimate.high
    return hits / cohorts


@pytest.mark.parametrize("metric", ["macro_f1", "macro_auroc", "balanced_accuracy"])
def test_95_per_cent_intervals_cover_93_to_97_per_cent(metric):
    truth = METRICS[metric](random_predictions(n=400_000, classes=3, seed=10**6))
    assert 0.93 <= covered(lambda seed: random_predictions(n=300, classes=3, seed=seed), metric, truth) <= 0.97


def test_bca_intervals_cover_too():
    truth = METRICS["macro_ap"](random_predictions(n=400_000, classes=3, seed=10**6))

    def make(seed):
        return random_predictions(n=200, classes=3, seed=seed)

    assert 0.93 <= covered(make, "macro_ap", truth, method="bca", cohorts=800) <= 0.97


def test_with_patients_only_the_interval_over_patients_covers():
    truth = METRICS["accuracy"](patients(count=100_000, frames=1, seed=10**6))

    def make(seed):
        return patients(count=150, frames=4, seed=seed)

    assert 0.93 <= covered(make, "accuracy", truth) <= 0.97
    assert covered(make, "accuracy", truth, unit="image", cohorts=300) < 0.85


def test_wilson_covers_on_average_over_all_shares():
    n = 50
    intervals = [mx.wilson_interval(right, n) for right in range(n + 1)]
    shares = np.linspace(0.02, 0.98, 97)
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares)
    inside = [[i.low <= share <= i.high for share in shares] for i in intervals]
    assert 0.94 < (chances * np.array(inside)).sum(axis=0).mean() < 0.96


def test_a_constant_score_has_a_point_for_an_interval():
    predictions = of_logits([0, 1] * 20, np.zeros((40, 2)))
    estimate = mx.bootstrap_interval(predictions, "macro_auroc")
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)


def test_an_undefined_score_stays_undefined():
    estimate = mx.bootstrap_interval(made([1, 1, 1], [1, 1, 0]), "macro_auroc")
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
    assert estimate.n == 3


def test_ranking_report_agrees_with_scikit_learn_label_by_label():
    predictions = random_labels(n=200)
    report = mx.ranking_report(predictions, resamples=200)
    truth, scores = predictions.targets, predictions.probabilities
    np.testing.assert_allclose(report["auroc"], metrics.roc_auc_score(truth, scores, average=None))
    np.testing.assert_allclose(report["ap"], metrics.average_precision_score(truth, scores, average=None))
    np.testing.assert_array_equal(report["positives"], truth.sum(axis=0))
    assert (report["auroc_low"] < report["auroc"]).all()
    assert (report["auroc"] < report["auroc_high"]).all()
    assert (report["ap_low"] < report["ap_high"]).all()


def test_ranking_report_draws_patients_and_leaves_absent_classes_open():
    predictions = patients(count=30, frames=6)
    by_patient, by_image = (mx.ranking_report(predictions, unit=unit) for unit in ("patient", "image"))
    widths = [(each["auroc_high"] - each["auroc_low"]).mean() for each in (by_patient, by_image)]
    assert widths[0] > 1.3 * widths[1]
    absent = mx.ranking_report(of_logits([0, 0, 1], 2 * np.eye(3)), resamples=100).loc["c"]
    assert absent["positives"] == 0
    assert np.isnan(absent["auroc"])
    assert np.isnan(absent["auroc_low"])
