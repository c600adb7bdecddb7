"""The minimum report: everything in it, equal to the parts, and fit for a paper."""

from dataclasses import replace

import numpy as np
import pytest

import medxai_helpers as mx
from tests.evaluation.made import made, patients, random_labels, random_predictions

SEX = np.array(list("FM") * 200)
TEST = random_predictions(n=400, metadata={"sex": SEX, "age": np.linspace(20, 89, 400)})
VALIDATION = replace(random_predictions(n=300, seed=1), image_id=np.array([f"v{n}" for n in range(300)]))


@pytest.fixture(scope="module")
def report():
    return mx.evaluate(TEST, validation=VALIDATION, subgroups={"sex": None, "age": (0, 40, 65, 120)}, resamples=400)


def test_the_report_holds_the_minimum(report):
    assert set(report.sections) == {"images", "scores", "per_class", "operating", "calibration", "subgroups"}
    assert report.images.set_index("class").loc["all"].tolist() == [400, 400]
    assert {
        "accuracy",
        "balanced_accuracy",
        "mcc",
        "kappa",
        "macro_f1",
        "macro_auroc",
        "macro_ap",
        "nll",
        "brier",
    } <= set(report.scores["metric"])
    assert set(report.per_class["metric"]) == {
        "sensitivity",
        "specificity",
        "precision",
        "F1",
        "AUROC",
        "average precision",
    }
    assert set(report.operating["metric"]) == {"sensitivity", "specificity", "PPV", "NPV"}
    assert set(report.subgroups["column"]) == {"sex", "age"}


def test_every_score_has_its_interval_and_n(report):
    for name in ("scores", "per_class", "operating", "subgroups"):
        table = report.sections[name]
        assert (table["low"] <= table["value"]).all(), name
        assert (table["value"] <= table["high"]).all(), name
        assert (table["n"] > 0).all(), name


def test_the_report_repeats_the_parts(report):
    row = report.scores.set_index("metric").loc["macro_auroc"]
    alone = mx.bootstrap_interval(TEST, "macro_auroc", resamples=400)
    assert (row["value"], row["low"], row["high"]) == (alone.value, alone.low, alone.high)
    a = report.per_class.set_index(["class", "metric"]).loc[("a", "F1")]
    assert a["value"] == pytest.approx(mx.per_class_report(TEST).loc["a", "f1"])
    thresholds = mx.choose_thresholds(VALIDATION)
    assert report.operating.drop_duplicates("class").set_index("class")["threshold"].to_dict() == thresholds
    assert report.calibration["value"].iloc[0] == mx.calibration_error(TEST)
    floor = mx.calibration_floor(TEST, draws=500)
    assert report.calibration["floor"].iloc[0] == floor.value


def test_one_tidy_table_holds_every_number(report):
    frame = report.frame()
    assert len(frame) == 2 * 5 + sum(len(table) for name, table in report.sections.items() if name != "images")
    assert frame.columns.tolist()[:7] == ["section", "class", "metric", "value", "low", "high", "n"]
    images = frame[(frame["section"] == "images") & (frame["metric"] == "images")].set_index("class")["value"]
    assert images["all"] == 400


def test_markdown_and_latex_can_be_lifted_into_a_paper(report):
    markdown, latex = report.to_markdown(), report.to_latex()
    cell = report.scores.set_index("metric").loc["macro_f1"]
    written = f"{cell['value']:.3f} ({cell['low']:.3f} to {cell['high']:.3f})"
    assert f"| Macro F1 | {written} | 400 |" in markdown
    assert rf"Macro F1 & {written} & 400 \\" in latex
    for text in (markdown, latex):
        assert "n = 400 images" in text
        assert "nan" not in text.lower().replace("nats", "")
    assert latex.count(r"\begin{table}") == latex.count(r"\end{tabular}") == 6
    assert r"95 \%" in latex
    assert str(report) == markdown
    assert report._repr_html_().count("<table") == 6


def test_names_are_escaped():
    strange = replace(TEST, classes=("a_1", "b|2", "c & d", "e%"))
    report = mx.evaluate(strange, resamples=100)
    assert r"a\_1" in report.to_latex()
    assert r"c \& d" in report.to_latex()
    assert r"b\|2" in report.to_markdown()


def test_many_labels_have_a_report_too():
    report = mx.evaluate(random_labels(), resamples=200)
    assert "exact_match" in report.scores["metric"].tolist()
    assert report.calibration["metric"].tolist() == ["classwise_ece"]
    assert report.operating is None
    assert report.subgroups is None


def test_an_absent_class_is_named_and_left_out():
    predictions = made([0, 0, 1, 1] * 10, [0, 0, 1, 2] * 10)
    report = mx.evaluate(predictions, resamples=200)
    absent = report.per_class[report.per_class["class"] == "c"]
    assert absent["value"].isna().all()
    assert (absent["n"] == 0).all()
    assert "left out of every mean: c." in report.to_markdown()
    assert "| c | not defined |" in report.to_markdown()


def test_one_class_only_says_what_is_not_defined():
    report = mx.evaluate(made([1] * 20, [1] * 19 + [0]), resamples=200)
    scores = report.scores.set_index("metric")["value"]
    assert scores["accuracy"] == 0.95
    assert np.isnan([scores["macro_auroc"], scores["mcc"]]).all()


def test_a_constant_score_and_a_calibrated_one():
    from tests.evaluation.made import of_logits

    report = mx.evaluate(of_logits([0, 1] * 30, np.zeros((60, 2))), resamples=200)
    assert report.scores.set_index("metric").loc["macro_auroc", "value"] == 0.5
    calibrated = replace(TEST, calibrated=TEST.logits / np.float32(2))
    assert "Probabilities are calibrated." in mx.evaluate(calibrated, resamples=100).notes[0]


def test_patients_are_counted_and_drawn():
    report = mx.evaluate(patients(count=40, frames=3), resamples=200)
    assert report.images.set_index("class").loc["all"].tolist() == [120, 40]
    assert "120 images of 40 patients" in report.notes[0]
    assert report.scores["method"].unique().tolist() == ["bootstrap over patients, 200"]


def test_what_cannot_be_reported_is_refused():
    with pytest.raises(ValueError, match="at least 2 patients"):
        mx.evaluate(made([0], [0]))
    with pytest.raises(ValueError, match="flatters the model"):
        mx.evaluate(TEST, validation=TEST)
    with pytest.raises(ValueError, match="a column among"):
        mx.evaluate(TEST, subgroups=["site"], resamples=100)
