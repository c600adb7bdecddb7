"""``medxai explain``: what lies in the folder is what was explained."""

import json
import os
from unittest import mock

import numpy as np
import pytest

import medxai_helpers as mx
from medxai_helpers import cli
from medxai_helpers.predictions import Predictions


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    command = ["train", "kvasir-seg", "compact-cnn", "--profile", "quick", "--per-class", "24", "--epochs", "1"]
    command += ["--source", "phantom", "--batch-size", "8", "--precision", "float32", "--to", str(folder / "run")]
    with mock.patch.dict(os.environ, {"MEDXAI_CACHE": str(folder / "cache")}):
        assert cli.main(command) == 0
        yield folder


def test_maps_overlays_grades_manifest_and_page(trained, capsys):
    import cv2

    out = trained / "sheet"
    command = ["explain", str(trained / "run"), "--method", "grad-cam", "--method", "occlusion", "--part", "train"]
    assert cli.main([*command, "--images", "6", "--to", str(out)]) == 0
    assert f"2 methods on 6 images in {out / 'index.html'}" in capsys.readouterr().out
    facts = json.loads((out / "manifest.json").read_text())
    assert facts["images"] == len(facts["image_id"]) == 6
    assert facts["source"] == "phantom"
    answers = Predictions.load(out / "predictions.npz")
    page = (out / "index.html").read_text()
    assert page.count("<img ") == page.count(' alt="') == 12
    assert "PHANTOM" in page
    assert "://" not in page
    for name in facts["methods"]:
        maps = mx.Heatmaps.load(out / "maps" / f"{name}.npz")
        assert maps.method == name
        assert maps.targets.tolist() == answers.predicted.tolist()
        drawn = [cv2.imread(str(path)) for path in sorted((out / "overlays").glob(f"{name}-0*.png"))]
        assert len(drawn) == 6
        assert min(image.std() for image in drawn) > 5
    grades = mx.Grades.load(out / "grades.csv")
    assert set(grades.table["method"]) == {"grad-cam", "occlusion", *mx.CONTROLS}
    healthy = int((grades.table["share"][:6] == 0).sum())
    assert grades.summary().loc[("random map", "energy in mask"), "undecided"] == healthy
    assert np.isfinite(grades.summary()["value"]).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--method", "magic"], "Expected methods among"),
        (["--part", "dreams"], "Expected a part among"),
        (["--images", "0"], "1 image or more"),
        (["--method", "attention-rollout"], "Expected a transformer"),
    ],
)
def test_mistakes_end_with_one_line(trained, capsys, wrong, message):
    assert cli.main(["explain", str(trained / "run"), *wrong]) == 2
    assert message in capsys.readouterr().err
    assert cli.main(["explain", str(trained / "nowhere")]) == 2
