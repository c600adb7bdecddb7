"""The official tables that a package carries: counts as published (Wang et al., CVPR 2017, and the release of 2020)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medxai_helpers import CATALOGUE, chestxray14_boxes, chestxray14_labels
from medxai_helpers.files import packaged_file
from medxai_helpers.phantoms.chest_labels import CHESTXRAY14_FINDINGS, OFFICIAL_COUNTS

CARD = CATALOGUE["chestxray14"]


def test_the_label_table_has_the_published_numbers() -> None:
    table = chestxray14_labels()
    assert len(table) == CARD.images == 112_120
    assert table["image_id"].is_unique
    assert table["group"].nunique() == 30_805
    assert set(table["view"]) == {"PA", "AP"}
    assert set(table["sex"]) == {"M", "F"}
    counts = table["label"].str.get_dummies("|").sum()
    assert set(counts.index) == set(CARD.classes)
    assert tuple(counts[list(CHESTXRAY14_FINDINGS)]) == OFFICIAL_COUNTS
    assert (table["label"] == "").sum() == 60_361
    assert table.loc[table["image_id"] == "00000001_002", "label"].item() == "Cardiomegaly|Effusion"


def test_the_boxes_belong_to_listed_images_and_findings() -> None:
    boxes, table = chestxray14_boxes(), chestxray14_labels().set_index("image_id")
    assert len(boxes) == 984
    assert set(boxes["label"]) <= set(CARD.classes)
    named = table.loc[boxes["image_id"], "label"]
    inside = [label in names.split("|") for label, names in zip(boxes["label"], named, strict=True)]
    assert sum(inside) / len(inside) > 0.97  # a few boxes name a finding that the mined label lacks
    assert (boxes["x"] + boxes["width"] <= 1024).all()


def test_the_package_is_read_and_not_imported() -> None:
    code = (
        "import sys, medxai_helpers as mx; mx.chestxray14_boxes(); print({'torchxrayvision', 'torch'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr


def test_a_missing_package_is_explained() -> None:
    with pytest.raises(ImportError, match=r"'no_such_package', which is not installed"):
        packaged_file("no_such_package", "table.csv")
    with pytest.raises(ImportError, match=r"'torchxrayvision', which is incomplete.*--no-deps torchxrayvision"):
        packaged_file("torchxrayvision", "data/no_such_table.csv")
