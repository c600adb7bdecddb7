"""Your own images in one call: mixed sizes and modes, groups, tables, several labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medxai_helpers.datasets.own import cohort_from_csv, cohort_from_folder
from tests.datasets import dataset_layouts as layouts


def test_a_folder_of_anything(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "sick" / "a.jpg", shape=(20, 30))
    layouts.write_image(tmp_path / "sick" / "b.PNG".lower(), shape=(40, 10))
    layouts.write_dicom(tmp_path / "sick" / "1.2.840.113619.2", np.arange(64, dtype=np.uint16).reshape(8, 8))
    Image.new("1", (9, 7)).save(tmp_path / "well" / "c.tif") if (tmp_path / "well").mkdir() is None else None
    cohort = cohort_from_folder(tmp_path)
    assert cohort.counts == {"sick": 3, "well": 1}
    assert (cohort.source, cohort.card.channels, cohort.card.group) == ("own", 1, None)
    shapes = {Path(cohort.table["path"][row]).name: cohort.image(row).shape for row in range(4)}
    assert shapes == {"a.jpg": (20, 30), "b.png": (40, 10), "1.2.840.113619.2": (8, 8), "c.tif": (7, 9)}


def test_one_colour_image_makes_the_set_rgb(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "a" / "1.png")
    layouts.write_image(tmp_path / "b" / "1.png", shape=(8, 8, 3))
    assert cohort_from_folder(tmp_path).card.channels == 3
    assert cohort_from_folder(tmp_path, channels=1).image(1).ndim == 2
    with pytest.raises(ValueError, match="channels"):
        cohort_from_folder(tmp_path, channels=2)  # type: ignore[arg-type]


def test_one_folder_per_patient_is_a_group(tmp_path: Path) -> None:
    for name in ("p1/1.png", "p1/2.png", "p2/1.png"):
        layouts.write_image(tmp_path / "a" / name)
    layouts.write_image(tmp_path / "b" / "loose.png")
    cohort = cohort_from_folder(tmp_path)
    assert list(cohort.table["group"]) == ["a/p1", "a/p1", "a/p2", "b/loose"]
    assert cohort.card.group == "folder"


def test_names_beyond_ascii(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "größe" / "Übersicht 一.png")
    layouts.write_image(tmp_path / "日本" / "é.png")
    cohort = cohort_from_folder(tmp_path)
    assert cohort.image(0).shape == (24, 32)
    cohort.pixels.fingerprint()
    cohort.save(tmp_path.parent / "saved-own")
    assert type(cohort).load(tmp_path.parent / "saved-own").table.equals(cohort.table)


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "a" / "good.png")
    bad = tmp_path / "a" / "bad\udcff.png"
    try:
        bad.write_bytes((tmp_path / "a" / "good.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(ValueError, match="no valid UTF-8"):
        cohort_from_folder(tmp_path)
    cohort = cohort_from_folder(tmp_path, on_error="skip")
    assert len(cohort) == 1
    assert "bad" in cohort.skipped["path"].iloc[0]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a/x.png", b"", "0 bytes"),
        ("a/x.png", b"\x00\x01noise", "does not begin like an image"),
        ("a/x.txt", b"hello", "another suffix"),
        ("x.png", b"\x89PNG\r\n\x1a\n", "beside the class folders"),
    ],
)
def test_what_does_not_belong_is_named(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    layouts.write_image(tmp_path / "a" / "good.png")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        cohort_from_folder(tmp_path)
    assert Path(name).name in str(caught.value)
    cohort = cohort_from_folder(tmp_path, on_error="skip")
    assert len(cohort) == 1
    assert cohort.skipped["path"].iloc[0].endswith(name)


def test_empty_class_duplicates_and_truncation(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "a" / "1.png")
    layouts.write_image(tmp_path / "a" / "1.jpg")
    (tmp_path / "b").mkdir()
    layouts.write_image(tmp_path / "c" / "cut.png")
    (tmp_path / "c" / "cut.png").write_bytes((tmp_path / "c" / "cut.png").read_bytes()[:300])
    with pytest.raises(ValueError, match="b holds no image"):
        cohort_from_folder(tmp_path)
    cohort = cohort_from_folder(tmp_path, on_error="skip")
    assert cohort.counts == {"a": 1, "b": 0, "c": 0}
    reasons = " ".join(cohort.skipped["reason"])
    for text in ("holds no image", "second file for the id 'a/1'", "does not decode"):
        assert text in reasons
    (tmp_path / "b").rmdir()
    with pytest.raises(ValueError, match=r"1\.png is the second file"):
        cohort_from_folder(tmp_path)


def test_no_class_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one folder per class"):
        cohort_from_folder(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for number in range(4):
        layouts.write_image(tmp_path / "img" / f"{number}.png", seed=number)
    path = tmp_path / "labels.csv"
    path.write_text(
        "file,finding,patient,age\n" + "".join(f"img/{n}.png,{'AB'[n % 2]},p{n // 2},0{n}\n" for n in range(4))
    )
    return path


def test_a_table(table: Path) -> None:
    cohort = cohort_from_csv(table, image="file", label="finding", group="patient")
    assert cohort.counts == {"A": 2, "B": 2}
    assert list(cohort.table["group"]) == ["p0", "p0", "p1", "p1"]
    assert list(cohort.table["age"]) == ["00", "01", "02", "03"]
    assert cohort.card.group == "patient"
    assert cohort.image(3).shape == (24, 32)
    ordered = cohort_from_csv(table, image="file", label="finding", classes=("B", "A"))
    assert ordered.targets.tolist() == [1, 0, 1, 0]


def test_a_table_elsewhere(table: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    moved = table.rename(tmp_path / "tables" / "labels.csv")
    with pytest.raises(ValueError, match="does not exist"):
        cohort_from_csv(moved, image="file", label="finding")
    assert len(cohort_from_csv(moved, image="file", label="finding", root=tmp_path)) == 4
    absolute = moved.read_text().replace("img/", f"{tmp_path}/img/")
    moved.write_text(absolute)
    assert len(cohort_from_csv(moved, image="file", label="finding")) == 4


def test_several_labels(table: Path) -> None:
    table.write_text("path,label\nimg/0.png,Edema|Mass\nimg/1.png,\nimg/2.png,Mass\n")
    cohort = cohort_from_csv(table)
    assert cohort.classes == ("Edema", "Mass")
    assert cohort.targets.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert cohort.counts == {"Edema": 1, "Mass": 2}


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("img/9.png,A", "9.png does not exist"),
        ("img/0.png,A", "0.png is the second file"),
        ("img/3.png,C", "3.png has the label 'C'"),
        ("img/3.png,", "3.png has the label ''"),
        (",A", "does not exist"),
    ],
)
def test_rows_that_cannot_be_used(table: Path, row: str, match: str) -> None:
    table.write_text(f"path,label\nimg/0.png,A\nimg/1.png,B\n{row}\n")
    with pytest.raises(ValueError, match=match):
        cohort_from_csv(table, classes=("A", "B"))
    cohort = cohort_from_csv(table, classes=("A", "B"), on_error="skip")
    assert (len(cohort), len(cohort.skipped)) == (2, 1)


def test_tables_that_are_none(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image=, label="):
        cohort_from_csv(table)
    with pytest.raises(ValueError, match=r"absent\.csv"):
        cohort_from_csv(tmp_path / "absent.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x00\x81")
    with pytest.raises(ValueError, match=r"bytes\.csv"):
        cohort_from_csv(tmp_path / "bytes.csv")
