"""Holding back, and sets of classes: by hand, and with MAPIE as oracle."""

from dataclasses import replace

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from sklearn.linear_model import LogisticRegression

import medxai_helpers as mx
from tests.evaluation.made import made, of_logits, random_labels, random_predictions

SURE = [4.0, 3.0, 2.0, 1.0]


def test_risk_by_hand():
    predictions = of_logits([0, 1, 0, 0], [[s, 0] for s in SURE])  # right, wrong, right, right
    curve = mx.risk_coverage(predictions)
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1]
    assert curve["risk"].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert mx.area_under_risk(predictions) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_ties_are_answered_together():
    predictions = made([0, 0, 1, 1], [0, 1, 1, 0])
    curve = mx.risk_coverage(predictions)
    assert curve[["n", "risk"]].to_numpy().tolist() == [[4, 0.5]]
    assert mx.area_under_risk(predictions) == pytest.approx(0.5)


def test_a_model_that_knows_what_it_knows_has_less_risk_when_it_may_be_silent():
    predictions = random_predictions(n=2000)
    curve = mx.risk_coverage(predictions)
    surest = curve[curve["coverage"] <= 0.5]["risk"].iloc[-1]
    assert surest < 0.6 * curve["risk"].iloc[-1]
    assert curve["risk"].iloc[-1] == pytest.approx(1 - predictions.correct.mean())


def validation(**how):
    made_here = random_predictions(**how)
    return replace(made_here, image_id=np.char.add("v", made_here.image_id))


def mapie_sets(on, predictions, level):
    model = LogisticRegression().fit(on.logits, on.targets)
    model.coef_, model.intercept_ = np.eye(on.logits.shape[1]), np.zeros(on.logits.shape[1])
    mapie = SplitConformalClassifier(model, confidence_level=level, prefit=True, conformity_score="lac")
    mapie.conformalize(on.logits, on.targets)
    return mapie.predict_set(predictions.logits)[1][:, :, 0]


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_sets_are_those_of_mapie(level):
    on, predictions = validation(n=300, seed=1), random_predictions(n=200, seed=2)
    ours = mx.conformal(on, level, per_class=False).sets(predictions)
    np.testing.assert_array_equal(ours, mapie_sets(on, predictions, level))


def test_the_limit_by_hand():
    on = validation(n=19, classes=2, seed=3)
    own = np.sort(on.probabilities[np.arange(19), on.targets])
    assert mx.conformal(on, 0.9, per_class=False).limits[0] == own[1]  # 18 of 19 at or above: 18 = 0.9 x (19 + 1)


def test_coverage_is_what_was_promised():
    def coverage(seed, per_class):
        on = validation(n=200, classes=3, seed=seed)
        new = random_predictions(n=200, classes=3, seed=10_000 + seed)
        return mx.conformal(on, 0.9, per_class=per_class).table(new).loc["all", "coverage"]

    for per_class in (False, True):
        shares = [coverage(seed, per_class) for seed in range(150)]
        assert 0.895 <= np.mean(shares) <= 0.925  # 0.900 to 0.905 is promised together, a little more per class


def test_only_limits_per_class_protect_a_hard_class():
    def uneven(n, seed):
        rng = np.random.default_rng(seed)
        truth = (rng.random(n) < 0.15).astype(int)
        logits = rng.normal(size=(n, 2)) + np.array([1.0, 0.0])  # leans to the common class
        logits[np.arange(n), truth] += 1.5
        return of_logits(truth, logits)

    on = uneven(2000, 1)
    on = replace(on, image_id=np.char.add("v", on.image_id))
    new = uneven(4000, 2)
    together, each = (mx.conformal(on, 0.9, per_class=p).table(new) for p in (False, True))
    assert together.loc["b", "high"] < 0.9
    assert each.loc["b", "low"] <= 0.9 <= each.loc["b", "high"]


def test_too_few_images_give_the_set_of_all_classes():
    on = replace(made([0] * 20 + [1] * 3, [0] * 20 + [1] * 3), image_id=np.array([f"v{n}" for n in range(23)]))
    found = mx.conformal(on, 0.9)
    assert found.limits.tolist()[1:] == [-np.inf, -np.inf]
    assert found.n.tolist() == [20, 3, 0]
    table = found.table(random_predictions(n=50, classes=3))
    assert table.loc[["b", "c"], "coverage"].tolist() == [1, 1]


def test_a_class_without_test_images_has_no_coverage():
    on = validation(n=200, classes=3)
    table = mx.conformal(on).table(made([0, 1], [0, 1]))
    assert np.isnan(table.loc["c", "coverage"])
    assert table.loc["c", "n"] == 0


def test_what_cannot_be_is_refused():
    on = random_predictions(n=100)
    with pytest.raises(ValueError, match="100 are the same"):
        mx.conformal(on).sets(on)
    with pytest.raises(ValueError, match="level between"):
        mx.conformal(on, 90)
    for judge in (mx.risk_coverage, mx.conformal):
        with pytest.raises(ValueError, match="one class per image"):
            judge(random_labels())
        with pytest.raises(ValueError, match="at least one"):
            judge(on.take(np.arange(0)))
