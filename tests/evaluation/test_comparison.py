"""Tests between models: known answers, statsmodels and brute force as oracles, and what may not be compared."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

import medxai_helpers as mx
from medxai_helpers.evaluation.comparison import aligned, delong_covariance, two_sided
from tests.evaluation.made import made, of_logits, patients, random_labels, random_predictions

GOOD = random_predictions(n=400, seed=1)
WORSE = replace(GOOD, logits=GOOD.logits + np.random.default_rng(9).normal(size=GOOD.logits.shape).astype(np.float32))


def shuffled(predictions, seed=0):
    return predictions.take(np.random.default_rng(seed).permutation(len(predictions)))


def test_unsorted_ids_are_brought_into_order():
    mixed = shuffled(WORSE)
    assert mixed.image_id.tolist() != WORSE.image_id.tolist()
    assert aligned(GOOD, mixed).image_id.tolist() == GOOD.image_id.tolist()
    assert mx.compare(GOOD, mixed) == mx.compare(GOOD, WORSE)
    assert mx.mcnemar(GOOD, mixed) == mx.mcnemar(GOOD, WORSE)
    assert mx.delong(GOOD, mixed, "a") == mx.delong(GOOD, WORSE, "a")
    back = aligned(shuffled(GOOD, 1), shuffled(GOOD, 2))
    assert back.image_id.tolist() == shuffled(GOOD, 1).image_id.tolist()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (GOOD.take(np.arange(399)), "same images, but got 400 and 399 with 399 in common"),
        (replace(GOOD, image_id=np.char.add("x", GOOD.image_id)), "0 in common"),
        (replace(GOOD, targets=np.roll(GOOD.targets, 1)), "same truth"),
        (replace(GOOD, group=np.char.add("p", GOOD.group)), "same truth and patients"),
        (replace(GOOD, classes=tuple("wxyz")), "same classes"),
        (GOOD.take(np.append(np.arange(399), 0)), "every image once"),
    ],
)
def test_predictions_on_different_images_are_refused(other, words):
    with pytest.raises(ValueError, match=words):
        mx.compare(GOOD, other)


@pytest.mark.parametrize("metric", ["accuracy", "macro_auroc", "nll"])
def test_a_model_beside_itself_differs_by_nothing(metric):
    same = mx.compare(GOOD, GOOD, metric)
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert same.p_value == 1


def test_the_paired_interval_is_the_one_of_the_differences():
    found = mx.compare(GOOD, WORSE, "nll", resamples=20_000)
    gaps = GOOD.losses - WORSE.losses
    half = 1.96 * gaps.std() / np.sqrt(len(gaps))
    assert found.difference.value == pytest.approx(gaps.mean())
    ends = found.difference.low, found.difference.high
    assert ends == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.04 * half)
    unpaired = np.hypot(found.a.high - found.a.low, found.b.high - found.b.low)
    assert found.difference.high - found.difference.low < 0.9 * unpaired


def test_several_metrics_share_their_resamples():
    both = mx.compare_metrics(GOOD, WORSE, ["accuracy", "macro_f1"])
    assert both[0] == mx.compare(GOOD, WORSE, "accuracy")
    assert both[1] == mx.compare(GOOD, WORSE, "macro_f1")
    assert "accuracy:" in str(both[0])
    assert mx.compare(random_labels(), random_labels(seed=0), "macro_ap").difference.value == 0


def test_two_sided_by_hand():
    assert two_sided(np.array([1.0] * 99 + [-1.0])) == pytest.approx(2 * 2 / 101)
    assert two_sided(np.ones(99)) == pytest.approx(2 / 100)
    assert two_sided(np.zeros(5)) == 1
    assert np.isnan(two_sided(np.array([np.nan])))


def test_under_no_difference_few_p_values_are_small():
    def pair(seed):
        rng = np.random.default_rng(seed)
        truth, shared = rng.integers(2, size=150), rng.normal(size=(150, 2))
        shared[np.arange(150), truth] += 1
        return [of_logits(truth, shared + rng.normal(size=(150, 2))) for _ in range(2)]

    p = [mx.compare(*pair(seed), "macro_auroc", resamples=300).p_value for seed in range(400)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09  # 5 %, standard deviation 1.1 %
    p = [mx.delong(*pair(seed), "b").p_value for seed in range(400)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


def test_mcnemar_by_hand():
    truth = np.zeros(12, dtype=int)
    first, second = np.zeros(12, dtype=int), np.zeros(12, dtype=int)
    first[:1], second[1:7], first[7:9], second[7:9] = 1, 1, 1, 1  # only b right 1, only a right 6, both wrong 2
    found = mx.mcnemar(made(truth, first), made(truth, second))
    assert (found.both, found.only_a, found.only_b, found.neither) == (3, 6, 1, 2)
    assert found.p_value == pytest.approx(2 * (1 + 7) / 2**7)
    assert "only a right 6" in str(found)


def test_mcnemar_agrees_with_statsmodels_and_the_binomial():
    found = mx.mcnemar(GOOD, WORSE)
    cells = [[found.both, found.only_a], [found.only_b, found.neither]]
    assert found.p_value == pytest.approx(statsmodels_mcnemar(cells, exact=True).pvalue)
    assert found.p_value == pytest.approx(stats.binomtest(found.only_a, found.only_a + found.only_b).pvalue)
    assert mx.mcnemar(GOOD, GOOD).p_value == 1


def brute_force_delong(scores, positive):
    """Compare every positive with every negative, as the definition says."""
    wins = (scores[:, positive][:, :, None] > scores[:, ~positive][:, None]) + 0.5 * (
        scores[:, positive][:, :, None] == scores[:, ~positive][:, None]
    )
    first, second = wins.mean(axis=2), wins.mean(axis=1)
    return wins.mean(axis=(1, 2)), np.cov(first) / first.shape[1] + np.cov(second) / second.shape[1]


@pytest.mark.parametrize("levels", [3, 1000])
def test_fast_delong_is_the_slow_one(levels):
    rng = np.random.default_rng(levels)
    positive = rng.random(120) < 0.3
    scores = np.round((rng.normal(size=(3, 120)) + positive) * levels / 4)
    areas, covariance = delong_covariance(scores, positive)
    slow_areas, slow_covariance = brute_force_delong(scores, positive)
    np.testing.assert_allclose(areas, slow_areas)
    np.testing.assert_allclose(covariance, slow_covariance)
    assert areas[0] == pytest.approx(sk.roc_auc_score(positive, scores[0]))


def test_delong_agrees_with_the_paired_bootstrap():
    truth = np.random.default_rng(3).integers(2, size=500)
    a = of_logits(truth, np.random.default_rng(4).normal(size=(500, 2)) + np.eye(2)[truth])
    b = replace(a, logits=a.logits + np.random.default_rng(5).normal(size=(500, 2)).astype(np.float32))
    exact, drawn = mx.delong(a, b, "b"), mx.compare(a, b, "macro_auroc", resamples=4000)
    assert exact.difference.value == pytest.approx(drawn.difference.value)
    width = exact.difference.high - exact.difference.low
    assert drawn.difference.high - drawn.difference.low == pytest.approx(width, rel=0.06)
    assert 0.3 < exact.correlation < 0.95
    assert "correlation" in str(exact)


def test_delong_of_a_model_beside_itself():
    same = mx.delong(GOOD, GOOD, "a")
    assert same.p_value == 1
    assert same.correlation == pytest.approx(1)


def test_tests_for_independent_images_refuse_patients():
    one = patients()
    for test in (lambda **how: mx.mcnemar(one, one, **how), lambda **how: mx.delong(one, one, "a", **how)):
        with pytest.raises(ValueError, match="unit='image' if that is meant"):
            test()
        assert test(unit="image").p_value == 1


def test_delong_needs_both_kinds_and_a_known_class():
    with pytest.raises(ValueError, match="two images or more of both kinds"):
        mx.delong(made([0, 0, 1], [0, 0, 1]), made([0, 0, 1], [0, 0, 1]), "b")
    with pytest.raises(ValueError, match="a class among"):
        mx.delong(GOOD, GOOD, "z")


def test_p_values_of_several_models_are_corrected_like_statsmodels():
    third = replace(GOOD, logits=GOOD.logits * np.float32(0.5) + WORSE.logits * np.float32(0.5))
    table = mx.compare_models({"good": GOOD, "worse": WORSE, "between": third}, "accuracy", correction="holm")
    assert list(zip(table["a"], table["b"], strict=True)) == [
        ("good", "worse"),
        ("good", "between"),
        ("worse", "between"),
    ]
    np.testing.assert_allclose(table["p_corrected"], multipletests(table["p"], method="holm")[1])
    assert (table["p_corrected"] >= table["p"]).all()
    with pytest.raises(ValueError, match="two models"):
        mx.compare_models({"good": GOOD})
    with pytest.raises(ValueError, match="correction among"):
        mx.compare_models({"good": GOOD, "worse": WORSE}, correction="none")


def test_seeds_and_images_are_told_apart():
    def runs(own, count=8, n=400):
        rng = np.random.default_rng(0)
        truth, base = rng.integers(3, size=n), rng.normal(size=(n, 3))
        base[np.arange(n), truth] += 1
        skills = rng.normal(size=count) * own
        return [of_logits(truth, base + skill * np.eye(3)[truth]) for skill in skills]

    alike, unlike = mx.across_seeds(runs(0.0), "accuracy"), mx.across_seeds(runs(0.5), "accuracy")
    p = alike.scores[0]
    assert alike.seed_deviation == pytest.approx(0, abs=1e-12)
    assert alike.image_deviation == pytest.approx(np.sqrt(p * (1 - p) / 400), rel=0.05)
    assert unlike.seed_deviation == pytest.approx(np.std(unlike.scores, ddof=1))
    assert unlike.mean.high - unlike.mean.low > 1.3 * (alike.mean.high - alike.mean.low)
    assert "over seeds" in str(unlike)
    with pytest.raises(ValueError, match="two runs"):
        mx.across_seeds([GOOD])


@pytest.mark.parametrize(("share", "width"), [(0.5, 0.2), (0.9, 0.1), (0.99, 0.02), (1.0, 0.05)])
def test_sample_size_is_the_smallest_that_does(share, width):
    def wilson_width(n):
        z = stats.norm.ppf(0.975)
        return 2 * z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)

    n = mx.sample_size(share, width)
    assert wilson_width(n) <= width < wilson_width(n - 1)


def test_sample_size_refuses_per_cent():
    with pytest.raises(ValueError, match="between 0 and 1"):
        mx.sample_size(90, 0.1)
