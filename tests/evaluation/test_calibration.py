"""Calibration: by hand, torchmetrics and scikit-learn as oracles, floors that a calibrated model shows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torchmetrics.functional.classification import multiclass_calibration_error

import medxai_helpers as mx
from tests.evaluation.made import of_logits, random_labels, random_predictions

IDS = np.array(list("abcdefgh"))
KNOWN = mx.Predictions.from_probabilities(
    ("well", "ill"),
    IDS,
    np.array([1, 1, 1, 0, 1, 0, 0, 1]),
    np.array([[0.1, 0.9]] * 4 + [[0.3, 0.7]] * 4),
)


def calibrated_model(n, seed, classes=3):
    """Unit noise around a shift of s has the posterior softmax(s x): truth follows the probabilities exactly."""
    return random_predictions(n=n, seed=seed, classes=classes, skill=1.5, scale=1.5)


def test_error_by_hand():
    # Two bins: promised 0.9, true 3 of 4; promised 0.7, true 2 of 4. Mean gap (0.15 + 0.20) / 2.
    assert mx.calibration_error(KNOWN, bins=10) == pytest.approx(0.175, abs=1e-6)
    table = mx.reliability(KNOWN, bins=10)
    assert table["n"].tolist() == [4, 4]
    assert table["confidence"].tolist() == pytest.approx([0.7, 0.9], abs=1e-6)
    assert table["observed"].tolist() == [0.5, 0.75]
    wilson = mx.wilson_interval(3, 4)
    assert table.loc[1, ["low", "high"]].tolist() == [wilson.low, wilson.high]


@pytest.mark.parametrize("bins", [5, 15])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_error_agrees_with_torchmetrics(bins, scale):
    predictions = random_predictions(n=500, scale=scale)
    theirs = multiclass_calibration_error(
        torch.from_numpy(predictions.probabilities), torch.from_numpy(predictions.targets), 4, n_bins=bins, norm="l1"
    )
    assert mx.calibration_error(predictions, bins=bins) == pytest.approx(theirs.item(), abs=1e-6)


def test_classwise_error_is_the_mean_over_the_classes():
    predictions = random_predictions(n=300)
    errors = []
    for name in predictions.classes:
        table = mx.reliability(predictions, label=name)
        errors.append(((table["observed"] - table["confidence"]).abs() * table["n"]).sum() / 300)
    assert mx.calibration_error(predictions, kind="classwise") == pytest.approx(np.mean(errors))


def test_bins_of_equal_mass_hold_equally_many():
    table = mx.reliability(random_predictions(n=600), bins=6, scheme="mass")
    assert table["n"].tolist() == [100] * 6
    top = random_predictions(n=600)
    by_hand = ((table["observed"] - table["confidence"]).abs() * table["n"]).sum() / 600
    assert mx.calibration_error(top, bins=6, scheme="mass") == pytest.approx(by_hand)


def test_a_constant_score_fits_into_one_bin():
    constant = of_logits([0, 1, 1, 1], np.zeros((4, 2)))
    for scheme in ("width", "mass"):
        assert mx.calibration_error(constant, scheme=scheme) == pytest.approx(0.25)  # promised 1/2, right 1 of 4


def test_one_image_has_the_gap_of_that_image():
    one = KNOWN.take(np.array([0]))
    assert mx.calibration_error(one) == pytest.approx(0.1, abs=1e-6)
    assert mx.reliability(one)["n"].tolist() == [1]


def test_many_labels_are_judged_label_by_label():
    predictions = random_labels(n=200)
    assert mx.calibration_error(predictions) == mx.calibration_error(predictions, kind="classwise")
    assert mx.reliability(predictions, label="b")["n"].sum() == 200
    with pytest.raises(ValueError, match="no top one"):
        mx.reliability(predictions)


@pytest.mark.parametrize("n", [100, 500, 2000])
def test_the_floor_is_what_calibrated_models_show(n):
    shown = [mx.calibration_error(calibrated_model(n, seed)) for seed in range(100)]
    floor = mx.calibration_floor(calibrated_model(n, 0), draws=300)
    assert floor.value == pytest.approx(np.mean(shown), rel=0.1)
    assert np.mean((floor.low <= np.array(shown)) & (np.array(shown) <= floor.high)) >= 0.9


def test_floors_of_classes_and_labels():
    shown = [mx.calibration_error(calibrated_model(400, seed), kind="classwise") for seed in range(60)]
    floor = mx.calibration_floor(calibrated_model(400, 0), kind="classwise", draws=200)
    assert floor.value == pytest.approx(np.mean(shown), rel=0.1)
    labels = random_labels(n=200)
    assert 0 < mx.calibration_floor(labels, draws=100).value < mx.calibration_error(labels)


def test_bootstrapping_the_error_would_promise_too_much():
    """Why there is no interval of the error: resamples of a calibrated model lie above what it shows, nearly all."""
    predictions, rng = calibrated_model(400, 1), np.random.default_rng(0)
    again = [mx.calibration_error(predictions.take(rng.integers(400, size=400))) for _ in range(200)]
    assert np.mean(np.array(again) > mx.calibration_error(predictions)) > 0.9


def on_other_images(predictions):
    return replace(predictions, image_id=np.char.add("v", predictions.image_id))


def test_temperature_of_a_model_that_is_too_sure():
    sure = random_predictions(n=20_000, classes=3, scale=1.5 * 2.5)  # calibrated at a scale of 1.5
    found = mx.fit_temperature(on_other_images(sure))
    assert found.temperature == pytest.approx(2.5, rel=0.03)
    cooler = found.apply(sure)
    assert cooler.predicted.tolist() == sure.predicted.tolist()
    assert mx.calibration_error(cooler) < mx.calibration_floor(cooler, draws=100).high < mx.calibration_error(sure)
    np.testing.assert_allclose(cooler.scores, sure.scores / found.temperature, rtol=1e-5)
    assert f"{found.temperature:.3f}" in str(found)


def test_temperature_agrees_with_scikit_learn():
    predictions = random_predictions(n=500, scale=3.0, seed=7)
    model = LogisticRegression().fit(predictions.logits, predictions.targets)
    model.coef_, model.intercept_ = np.eye(4), np.zeros(4)  # passes the logits through
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    theirs.fit(predictions.logits, predictions.targets)
    ours = mx.fit_temperature(predictions).apply(predictions, same_images=True)
    np.testing.assert_allclose(ours.probabilities, theirs.predict_proba(predictions.logits), atol=1e-4)


def test_vector_scaling_undoes_a_scale_and_a_shift_per_class():
    honest = random_predictions(n=20_000, classes=3, scale=1.5)
    bent = replace(honest, logits=(honest.logits * [1, 2, 0.5] + [0, 1, -1]).astype(np.float32))
    found = mx.fit_vector_scaling(on_other_images(bent), penalty=1e-6)
    np.testing.assert_allclose(found.apply(bent).probabilities, honest.probabilities, atol=0.03)
    temperature = mx.fit_temperature(on_other_images(bent))
    assert found.apply(bent).losses.mean() < temperature.apply(bent).losses.mean() - 0.01
    assert np.isnan(found.temperature)


def test_many_labels_are_scaled_one_by_one():
    honest = random_labels(n=5_000)
    bent = replace(honest, logits=honest.logits * np.float32(4) + np.float32(2))
    for fit in (mx.fit_temperature, mx.fit_vector_scaling):
        better = fit(on_other_images(bent)).apply(bent)
        assert better.losses.mean() < bent.losses.mean() - 0.1
    platt = mx.fit_vector_scaling(on_other_images(bent), penalty=0)
    theirs = LogisticRegression(C=np.inf).fit(bent.logits[:, [2]], bent.targets[:, 2])
    assert platt.scale[2] == pytest.approx(theirs.coef_[0, 0], rel=1e-2)
    assert platt.shift[2] == pytest.approx(theirs.intercept_[0], rel=1e-2)


def test_scaling_is_not_applied_to_the_images_it_was_fitted_on():
    predictions = random_predictions(n=100)
    for fit in (mx.fit_temperature, mx.fit_vector_scaling):
        with pytest.raises(ValueError, match="100 of 100 had: fit on validation"):
            fit(predictions).apply(predictions)


def test_a_validation_set_without_mistakes_gives_no_temperature():
    all_right = of_logits([0, 1, 0], [[3, 0], [0, 3], [3, 0]])
    with pytest.raises(ValueError, match=r"3, 0 wrong\) do not tell"):
        mx.fit_temperature(all_right)
    assert np.isfinite(mx.fit_vector_scaling(all_right).scale).all()


def test_before_and_after_can_be_compared_with_intervals():
    sure = random_predictions(n=800, scale=4.0)
    cooler = mx.fit_temperature(on_other_images(random_predictions(n=800, scale=4.0, seed=1))).apply(sure)
    nll, brier, accuracy = mx.compare_metrics(cooler, sure, ["nll", "brier", "accuracy"])
    assert nll.difference.high < 0
    assert brier.difference.high < 0
    assert accuracy.difference.value == 0


def test_bins_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="scheme among"):
        mx.calibration_error(KNOWN, scheme="depth")
    with pytest.raises(ValueError, match="bins of at least 1"):
        mx.calibration_error(KNOWN, bins=0)
    with pytest.raises(ValueError, match="kind among"):
        mx.calibration_error(KNOWN, kind="all")
    with pytest.raises(ValueError, match="at least one prediction"):
        mx.calibration_error(KNOWN.take(np.arange(0)))
    with pytest.raises(ValueError, match="a class among"):
        mx.reliability(KNOWN, label="dead")
    with pytest.raises(ValueError, match="penalty of at least 0"):
        mx.fit_vector_scaling(KNOWN, penalty=-1)
