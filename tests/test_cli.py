"""The command line: what it prints, and that errors are one line and exit code 2."""

import os
import subprocess
import sys

import pytest

from medxai_helpers import cli
from medxai_helpers.datasets import CATALOGUE, download


def test_list_names_every_set_and_which_are_here(capsys, tmp_path, monkeypatch):
    (tmp_path / "medical-mnist.zip").write_bytes(b"x")
    monkeypatch.setenv("MEDXAI_DATA", str(tmp_path))
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOGUE) + 1
    here = next(line for line in lines if line.startswith("medical-mnist"))
    assert "58,954" in here
    assert " yes " in here


def test_fetch_says_where_the_set_lies(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda name, root: root / f"{name}.zip")
    assert cli.main(["fetch", "kvasir-v2", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "kvasir-v2.zip")


@pytest.mark.parametrize("name", ["medical-mnist", "nothing-like-this"])
def test_an_error_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, name):
    monkeypatch.delitem(download.SOURCES, "medical-mnist", raising=False)
    assert cli.main(["fetch", name, "--to", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("medxai fetch: ")
    assert said.err.count("\n") == 1


def test_without_a_folder_it_says_how_to_give_one(capsys, monkeypatch):
    monkeypatch.delenv("MEDXAI_DATA", raising=False)
    assert cli.main(["fetch", "medical-mnist"]) == 2
    assert "--to DIR" in capsys.readouterr().err


def test_a_break_by_hand_is_no_traceback(capsys, monkeypatch, tmp_path):
    def broken(name, root):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "fetch", broken)
    assert cli.main(["fetch", "kvasir-v2", "--to", str(tmp_path)]) == 130
    assert "broken off" in capsys.readouterr().err


def test_no_command_prints_the_help(capsys):
    assert cli.main([]) == 2
    assert "fetch" in capsys.readouterr().out


def test_a_wrong_command_ends_with_2():
    with pytest.raises(SystemExit) as caught:
        cli.main(["fly"])
    assert caught.value.code == 2


def test_the_command_starts_without_heavy_libraries():
    code = (
        "import sys, medxai_helpers.cli as cli; cli.main([]); print([n for n in ('torch', 'cv2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the command, with its images; small, so that it learns little."""
    from unittest import mock

    folder = tmp_path_factory.mktemp("cli")
    command = ["train", "medical-mnist", "compact-cnn", "--profile", "quick", "--per-class", "20", "--epochs", "2"]
    command += ["--source", "phantom", "--batch-size", "8", "--precision", "float32", "--to", str(folder / "run")]
    with mock.patch.dict(os.environ, {"MEDXAI_CACHE": str(folder / "cache")}):
        assert cli.main(command) == 0
        yield folder, command


def test_train_keeps_what_it_was_told_and_goes_on_where_it_was(trained, capsys):
    from medxai_helpers import jobs
    from medxai_helpers.training import TrainingRun

    folder, command = trained
    job = jobs.Job.load(folder / "run")
    assert (job.dataset, job.model, job.size, job.channels, job.per_class) == (
        "medical-mnist",
        "compact-cnn",
        64,
        1,
        20,
    )
    run = TrainingRun.load(folder / "run")
    assert (run.settings.epochs, run.settings.batch_size, run.settings.optimizer) == (2, 8, "adamw")
    assert run.classes == CATALOGUE["medical-mnist"].classes
    assert cli.main(command) == 0
    assert "epoch 1/2" not in capsys.readouterr().out
    assert cli.main([*command, "--seed", "1"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_evaluate_scores_images_that_were_not_trained_on(trained, capsys):
    from medxai_helpers.predictions import Predictions

    folder, _ = trained
    assert cli.main(["evaluate", str(folder / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    predictions = Predictions.load(folder / "run" / "predictions-test.npz")
    accuracy = next(line for line in lines if line.startswith("accuracy"))
    assert f"{predictions.correct.mean():.4f}" in accuracy
    assert f"n = {len(predictions)})" in accuracy
    assert "95 % interval" in accuracy
    assert cli.main(["evaluate", str(folder / "run"), "--part", "dreams"]) == 2
    assert "('train', 'validation', 'test')" in capsys.readouterr().err


def test_predict_agrees_with_evaluate_and_draws_a_heat_map(trained, capsys):
    import cv2

    from medxai_helpers import jobs
    from medxai_helpers.predictions import Predictions

    folder, _ = trained
    assert cli.main(["evaluate", str(folder / "run")]) == 0
    predictions = Predictions.load(folder / "run" / "predictions-test.npz")
    prepared = jobs.prepare(jobs.Job.load(folder / "run"))
    row = int(prepared.split["test"][0])
    cv2.imwrite(str(folder / "case.png"), prepared.cohort.image(row))
    capsys.readouterr()
    assert cli.main(["predict", str(folder / "run"), str(folder / "case.png"), "--to", str(folder / "maps")]) == 0
    said = capsys.readouterr().out
    name, probability = predictions.classes[predictions.predicted[0]], predictions.probabilities[0].max()
    assert f"case.png: {name}, probability {probability:.3f}" in said
    drawn = cv2.imread(str(folder / "maps" / "case-heatmap.png"))
    assert drawn.std() > 10
    assert cli.main(["predict", str(folder / "run"), str(folder / "none.png")]) == 2
    assert cli.main(["predict", str(folder / "nowhere"), str(folder / "case.png")]) == 2
    assert "medxai train" in capsys.readouterr().err


def test_many_labels_get_a_loss_that_suits_them():
    from medxai_helpers import jobs
    from medxai_helpers.training import TrainingSettings

    job = jobs.make_job("chestxray14", "resnet18")
    settings = jobs.settings_of(job, TrainingSettings(epochs=1))
    assert settings.loss.kind == "binary"
    assert isinstance(settings.mean, float)
    coloured = jobs.make_job("chestxray14", "resnet18", weights="imagenet")
    assert jobs.settings_of(coloured, TrainingSettings(epochs=1)).mean == (0.485, 0.456, 0.406)
