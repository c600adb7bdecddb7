"""The drawings show the numbers they are given."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import medxai_helpers as mx
from medxai_helpers import plots
from tests.evaluation.made import random_predictions

mpl.use("Agg")
import matplotlib.pyplot as plt

PREDICTIONS = random_predictions(n=200, classes=3)


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_curves_are_drawn_per_class(axes):
    curves = mx.roc_curves(PREDICTIONS)
    assert plots.draw_roc(axes, curves, "n = 200") is axes
    b = curves[curves["class"] == "b"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), b["true_positive_rate"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "c"]


def test_precision_stands_beside_prevalence(axes):
    prevalence = dict(zip("abc", PREDICTIONS.one_hot.mean(axis=0), strict=True))
    plots.draw_precision_recall(axes, mx.precision_recall_curves(PREDICTIONS), prevalence, "n = 200")
    assert axes.lines[1].get_ydata()[0] == prevalence["a"]
    assert axes.lines[1].get_color() == axes.lines[0].get_color()


def test_intervals_are_drawn_in_order(axes):
    table = pd.DataFrame({"metric": ["x", "y"], "value": [0.5, 0.7], "low": [0.4, 0.6], "high": [0.6, 0.9]})
    plots.draw_estimates(axes, table, "metric", "n = 9", reference=0.5)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y"]
    assert axes.collections[0].get_segments()[1][:, 0].tolist() == [0.6, 0.9]
    assert axes.yaxis_inverted()


def test_reliability_shows_its_counts(axes):
    table = mx.reliability(PREDICTIONS)
    plots.draw_reliability(axes, table, "n = 200")
    bars = axes.figure.axes[1].patches
    assert sum(bar.get_height() for bar in bars) == 200
    np.testing.assert_allclose(np.asarray(axes.lines[1].get_xdata(), dtype=float), table["confidence"])


def test_risk_and_corruption_are_drawn(axes):
    plots.draw_risk_coverage(axes, {"model": mx.risk_coverage(PREDICTIONS)}, "n = 200")
    assert axes.lines[0].get_xdata()[-1] == 1
    curves = pd.DataFrame({"kind": ["blur"] * 2, "severity": [0, 1], "value": [0.9, 0.7], "low": [0.8, 0.6]})
    plots.draw_corruption(axes, curves.assign(high=[1.0, 0.8]), "balanced accuracy", "n = 200")
    assert axes.lines[1].get_ydata().tolist() == [0.9, 0.7]
