import importlib
import json
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch

import medxai_helpers as mx
from benchmarks.experiments._plan import run_study
from medxai_helpers import plots, records

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture
def predictions(trained, cohort, store, split):
    return mx.predict(trained, cohort, store, split["validation"])


@pytest.fixture
def record(trained, cohort, split, predictions):
    return mx.make_record(
        study="s",
        arm="compact-cnn",
        paper="sandoval2024",
        cohort=cohort,
        split=split,
        run=trained,
        predictions=predictions,
    )


def test_a_record_says_all_that_matters(record, predictions):
    assert record.scores["accuracy"]["value"] == pytest.approx(predictions.correct.mean())
    assert record.scores["accuracy"]["n"] == 18
    assert record.settings["parameters"] == 691_270
    assert record.settings["architecture"]["name"] == "compact-cnn"
    assert record.data["images"] == 90
    assert record.split["sizes"] == {"train": 72, "validation": 18}
    assert np.sum(record.details["confusion"]) == 18
    gap = record.scores["loss_with_penalty"]["value"] - record.scores["loss"]["value"]
    assert gap == pytest.approx(record.details["penalty"], rel=1e-5)
    assert {"processor", "torch", "python"} <= set(record.hardware)
    assert record.predictions_sha256 == predictions.sha256()


def test_a_record_survives_saving(record, tmp_path):
    path = record.save(tmp_path)
    assert path.name == "compact-cnn-seed0.json"
    assert mx.RunRecord.load(path) == replace(record, settings=json.loads(json.dumps(record.settings)))


def test_a_score_without_an_interval_is_refused(record):
    with pytest.raises(ValueError, match="accuracy"):
        replace(record, scores={"accuracy": {"value": 0.9}})


def test_a_file_that_is_no_record_is_named(tmp_path):
    (tmp_path / "x-seed0.json").write_text("{}")
    with pytest.raises(ValueError, match=r"x-seed0\.json"):
        mx.RunRecord.load(tmp_path / "x-seed0.json")


def test_the_results_page_shows_paper_and_runs(record, tmp_path):
    record.save(tmp_path)
    facts = {"title": "T", "paper": "sandoval2024", "question": "Q?", "published": {"accuracy": 0.98}}
    facts |= {"published_note": "N.", "comparable": False, "differences": ["D."], "command": "make results"}
    (tmp_path / "s" / "study.json").write_text(json.dumps(facts))
    text = records.results_markdown(tmp_path)
    assert "| the paper | 0.98 |" in text
    assert f"{record.scores['accuracy']['value']:.4f} (" in text
    assert "**Comparable:** no" in text


def test_the_results_page_says_which_arm_was_split_how(record, tmp_path):
    facts = {"title": "T", "paper": "abarna", "question": "Q?", "published": {}, "published_note": "N."}
    facts |= {"comparable": False, "differences": ["D."], "command": "make results"}
    record.save(tmp_path)
    (tmp_path / "s" / "study.json").write_text(json.dumps(facts))
    one = records.results_markdown(tmp_path)
    other = replace(record, arm="other", split=record.split | {"scheme": "by patient"})
    other.save(tmp_path)
    both = records.results_markdown(tmp_path)
    assert f"({record.arm})" not in one
    assert f"({record.arm}); by patient, seed" in both
    assert "(other)" in both


def test_the_committed_records_are_whole():
    study = records.Study.load(records.results_folder() / "sandoval2024")
    assert [record.settings["seed"] for record in study.records] == [0, 1, 2]
    for record in study.records:
        assert record.data["source"] == "real"
        assert record.data["images"] == 58_954
        assert np.sum(record.details["confusion"]) == record.scores["accuracy"]["n"] == 11_790
        right = np.trace(record.details["confusion"])
        assert record.scores["accuracy"]["value"] == pytest.approx(right / 11_790)
        assert record.settings["epochs"] == 5
        assert record.settings["batch_size"] == 32


@pytest.mark.parametrize("name", ["sandoval2024", "abarna"])
def test_a_plan_runs_to_its_records_and_skips_finished_runs(name, tmp_path, monkeypatch):
    plan = importlib.import_module(f"benchmarks.experiments.{name}")
    images = {"sandoval2024": "medical-mnist", "abarna": "chest-xray-pneumonia"}[name]
    monkeypatch.setenv("MEDXAI_CACHE", str(tmp_path / "cache"))
    cohort = mx.load_dataset(images, source="phantom", per_class=20)
    arms = [replace(arm, settings=replace(arm.settings, epochs=1)) for arm in plan.arms(cohort)]
    made = run_study(plan.STUDY, cohort, arms, seeds=(0, 1), folder=tmp_path)
    written = sorted((tmp_path / name).iterdir())
    assert [path.stem for path in written] == sorted(f"{arm.name}-seed{seed}" for arm in arms for seed in (0, 1))
    assert all(record.data["source"] == "phantom" for record in made)
    assert all(record.scores["accuracy"]["n"] == record.split["sizes"][record.details["part"]] for record in made)
    before = written[0].stat().st_mtime_ns
    written[1].unlink()
    assert [record.name for record in run_study(plan.STUDY, cohort, arms, (0, 1), tmp_path)] == [written[1].stem]
    assert written[0].stat().st_mtime_ns == before


def test_plots_draw_on_what_they_are_given(cohort, trained, predictions, store, split):
    figure, axes = plt.subplots(1, 2)
    assert plots.draw_class_counts(axes[0], cohort.counts, "Images") is axes[0]
    assert "n = 90" in axes[0].get_title()
    assert plots.draw_confusion(axes[1], mx.confusion_matrix(predictions)) is axes[1]
    shown = [int(text.get_text()) for text in axes[1].texts]
    assert sum(shown) == 18
    plt.close(figure)


def test_live_curves_grow_by_a_point_an_epoch(trained):
    from matplotlib.figure import Figure

    live = plots.LiveHistory(Figure())
    for epoch, row in trained.history.iterrows():
        live({"epoch": epoch, **row})
        curve = live.figure.axes[0].lines[1].get_ydata()
        np.testing.assert_allclose(curve, trained.history["validation_loss"].loc[:epoch])


def test_history_panels_name_their_axes(trained):
    figure, axes = plt.subplots(1, 2)
    plots.draw_history(axes, trained.history)
    assert axes[0].get_ylabel() == "cross-entropy (nats)"
    np.testing.assert_allclose(axes[1].lines[1].get_ydata(), trained.history["validation_accuracy"])
    plt.close(figure)


def test_overlays_are_titled_true_and_predicted(trained, predictions, store, split):
    from medxai_helpers.training import to_input

    rows = split["validation"][:4]
    few = mx.Predictions(
        *(
            getattr(predictions, name)[:4] if name != "classes" else predictions.classes
            for name in ("classes", "image_id", "group", "targets", "logits")
        )
    )
    maps = mx.grad_cam(trained.model, to_input(store.batch(rows), trained.settings), "block3.1")
    figure = plots.draw_overlays(plt.figure(), store.pixels[rows], maps, few, "Phantoms")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    names = cohort_names = predictions.classes
    expected = f"True: {names[few.targets[0]]} | Predicted: {cohort_names[few.predicted[0]]}"
    assert expected in titles
    plt.close(figure)


def test_samples_are_titled_with_their_origin(cohort):
    figure = plots.draw_samples(plt.figure(), cohort, per_class=2)
    assert cohort.origin in figure.get_suptitle()
    plt.close(figure)


def a_study(folder, record=None):
    published = {"accuracy": 0.9}
    facts = {"title": "A & B", "paper": "sandoval2024", "question": "?", "published": published, "published_note": "."}
    facts |= {"comparable": True, "differences": ["size < 64"], "command": "make results STUDY=s"}
    (folder / "s").mkdir(parents=True)
    (folder / "s" / "study.json").write_text(json.dumps(facts))
    if record is not None:
        record.save(folder)


def test_runs_on_real_data_are_shown_with_what_differs(tmp_path, record):
    a_study(tmp_path / "results", record)
    shown = records.on_real_data("s", tmp_path / "results")
    page = shown._repr_html_()
    assert str(shown) == "A & B: 1 runs beside sandoval2024"
    assert "A &amp; B" in page
    assert "<li>size &lt; 64</li>" in page
    assert f"{record.scores['accuracy']['value']:.4f}" in page
    assert "<code>make results STUDY=s</code>" in page


def test_without_runs_only_a_plan_that_exists_gives_a_command(tmp_path):
    results, plans = tmp_path / "results", tmp_path / "benchmarks" / "experiments"
    a_study(results)
    shown = records.on_real_data("s", results)
    assert shown.study is None
    assert "still to be written" in str(shown)
    plans.mkdir(parents=True)
    (plans / "s.py").touch()
    page = records.on_real_data("s", results)._repr_html_()
    assert "<code>make results STUDY=s</code>" in page
    assert "<table" not in page


def test_overlays_take_a_papers_words_and_break_a_long_title(trained, cohort, store, split):
    rows = split["validation"][:1]
    maps = mx.grad_cam(trained.model, torch.zeros(1, 1, 64, 64), "block3.1")
    few = mx.predict(trained, cohort, store, rows)
    words = ("Real, and a good deal more", "Predicho, and a good deal more")
    figure = plots.draw_overlays(plt.figure(), store.pixels[rows], maps, few, "Phantoms", words)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    names = [few.classes[index] for index in (few.targets[0], few.predicted[0])]
    assert f"{words[0]}: {names[0]} |\n{words[1]}: {names[1]}" in titles
    plt.close(figure)


def test_overlays_of_many_labels_list_them_and_name_the_one_explained():
    images, classes = np.zeros((2, 8, 8), np.uint8), ("mass", "nodule", "edema")
    ids, truth = np.array(["a", "b"]), np.array([[1, 0, 1], [0, 0, 0]])
    logits = np.array([[2.0, 3.0, -4.0], [-1.0, -2.0, -3.0]], np.float32)
    answers = mx.Predictions(classes, ids, ids, truth, logits)
    maps = mx.Heatmaps(np.ones((2, 2, 2), np.float32), np.array([2, 1]), "layer")
    figure = plots.draw_overlays(plt.figure(), images, maps, answers, "Phantoms")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "True: mass, edema | Predicted: mass, nodule" in titles
    assert "True: none | Predicted: none" in titles
    notes = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert notes == ["edema, raw maximum 1", "nodule, raw maximum 1"]
    plt.close(figure)
