"""Leaks: groups, exact copies and near duplicates across parts, and nothing within one."""

import os
from dataclasses import replace

import cv2
import numpy as np
import pytest

from medxai_helpers.cohorts import FilePixels, Split, make_split
from medxai_helpers.cohorts.leakage import check_leakage
from medxai_helpers.cohorts.near_duplicates import exact_copies, fingerprint_images, near_duplicates
from medxai_helpers.cohorts.splits import merge_groups, official_split


def split_of(**parts):
    return Split({name: np.asarray(rows, dtype=np.int64) for name, rows in parts.items()}, "by hand", 0)


def test_a_clean_split_is_ok_and_says_what_was_searched(draw, images):
    report = check_leakage(draw.cohort(images), split_of(train=range(40), test=range(40, 60)))
    assert report.ok
    assert str(report) == (
        "no leak found: 0 shared groups, 0 exact copies, 0 near duplicates across the parts of "
        "train 40, test 20 (by hand, seed 0)"
    )
    assert report.images("test") == ()


def test_a_shared_patient_is_named_with_its_images(draw, images):
    groups = [f"p{row}" for row in range(60)]
    groups[50] = groups[51] = groups[3] = "p7"
    cohort = draw.cohort(images, groups=groups)
    report = check_leakage(cohort, split_of(train=range(40), test=range(40, 60)))
    assert not report.ok
    row = report.groups.iloc[0]
    assert len(report.groups) == 1
    assert (row["group"], row["first_part"], row["second_part"]) == ("p7", "train", "test")
    assert (row["first_images"], row["second_images"]) == (2, 2)
    assert (row["first_id"], row["second_id"]) == ("im0003", "im0050")


def test_exact_copies_are_named_across_parts_and_not_within(draw, images):
    images[45] = images[44] = images[2]
    images[3] = images[2]
    images[59] = images[58]
    report = check_leakage(draw.cohort(images), split_of(train=range(40), test=range(40, 60)))
    pairs = list(
        report.exact[["first_part", "first_id", "second_part", "second_id"]].itertuples(index=False, name=None)
    )
    assert pairs == [("train", "im0002", "test", "im0044"), ("train", "im0002", "test", "im0045")]
    assert set(report.exact["same"]) == {"pixels"}
    assert report.images("test") == ("im0044", "im0045")
    assert len(report.near) == 0


def test_near_duplicates_are_named_with_their_measures(draw, images):
    images[50] = np.clip(images[7] * 0.8 + 20.0, 0, 255)
    images[30] = images[31]
    report = check_leakage(draw.cohort(images), split_of(test=range(40, 60), train=range(40)))
    assert len(report.near) == 1
    row = report.near.iloc[0]
    assert (row["first_part"], row["first_id"], row["second_part"], row["second_id"]) == (
        "test",
        "im0050",
        "train",
        "im0007",
    )
    assert row["correlation"] > 0.99
    assert not row["flipped"]


def test_a_near_duplicate_is_found_through_a_copy_in_the_other_part(draw, images):
    """Row 0 has an exact copy in its own part and one in the other; the changed copy in the test part still counts."""
    images[1] = images[41] = images[0]
    images[42] = np.clip(images[0] * 0.8 + 20.0, 0, 255)
    report = check_leakage(draw.cohort(images), split_of(train=range(40), test=range(40, 60)))
    assert report.images("test") == ("im0041", "im0042")


def test_three_parts_are_compared_pair_by_pair(draw, images):
    images[25] = images[45] = images[5]
    report = check_leakage(draw.cohort(images), split_of(train=range(20), validation=range(20, 40), test=range(40, 60)))
    pairs = set(report.exact[["first_part", "second_part"]].itertuples(index=False, name=None))
    assert pairs == {("train", "validation"), ("train", "test"), ("validation", "test")}


def test_rows_in_no_part_do_not_matter(draw, images):
    images[59] = images[0]
    assert check_leakage(draw.cohort(images), split_of(train=range(20), test=range(20, 40))).ok


def test_a_search_of_groups_alone_says_that_pixels_were_not_looked_at(draw, images):
    images[50] = images[0]
    report = check_leakage(draw.cohort(images), split_of(train=range(40), test=range(40, 60)), pixels=False)
    assert report.ok
    assert "not searched: exact copies, near duplicates" in str(report)


def test_fingerprints_at_hand_are_used(draw, images):
    images[50] = images[0]
    cohort = draw.cohort(images)
    prints = fingerprint_images(cohort)
    unread = replace(cohort, pixels=None)
    assert len(check_leakage(unread, split_of(train=range(40), test=range(40, 60)), fingerprints=prints).exact) == 1
    with pytest.raises(ValueError, match="fingerprints of all 30 images"):
        check_leakage(cohort.subset(np.arange(30)), split_of(train=[0], test=[1]), fingerprints=prints)


def test_a_split_of_another_cohort_is_refused(draw, images):
    with pytest.raises(ValueError, match="names row 60"):
        check_leakage(draw.cohort(images), split_of(train=[0], test=[60]))


def test_merged_groups_make_a_split_without_copies(draw, images):
    images[30:] = images[:30]
    images[20:30] = np.clip(images[:10] * 0.8 + 20.0, 0, 255)
    cohort = draw.cohort(images)
    naive = make_split(cohort, {"train": 0.8, "test": 0.2}, seed=0)
    assert not check_leakage(cohort, naive).ok
    prints = fingerprint_images(cohort)
    merged = merge_groups(merge_groups(cohort, exact_copies(prints)), near_duplicates(prints))
    safe = make_split(merged, {"train": 0.8, "test": 0.2}, seed=0)
    assert check_leakage(merged, safe, fingerprints=prints).ok


def test_the_same_file_is_told_from_the_same_pixels(draw, images, tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), images[0], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    cv2.imwrite(str(tmp_path / "1.png"), images[0], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    cv2.imwrite(str(tmp_path / "2.png"), images[0], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    cohort = replace(draw.cohort(images[:3]), pixels=FilePixels(tmp_path, ("0.png", "1.png", "2.png"), 1))
    report = check_leakage(cohort, split_of(train=[0], test=[1, 2]))
    assert list(report.exact["same"]) == ["file", "pixels"]


def test_markdown_shows_the_first_pairs_and_how_many_there_are(draw, images):
    images[40:60] = images[:20]
    text = check_leakage(draw.cohort(images), split_of(train=range(40), test=range(40, 60))).to_markdown(most=3)
    assert "Exact copies (20, the first 3)" in text
    assert "| train | im0000 | test | im0040 | pixels |" in text
    assert "im0045" not in text
    assert "Shared groups" not in text


@pytest.mark.real
def test_the_copied_brain_scans_are_found():
    from medxai_helpers import load_dataset

    cohort = load_dataset("brain-tumor-mri", source="real")
    report = check_leakage(cohort, official_split(cohort))
    assert report.exact["second_part"].eq("test").all()
    assert report.exact["second_id"].nunique() == 216
    assert len(report.images("test")) > 400
    assert not report.ok


@pytest.mark.real
def test_the_shared_kermany_patients_are_found():
    from medxai_helpers import load_dataset

    cohort = load_dataset("chest-xray-pneumonia", source="real")
    split = official_split(cohort)
    report = check_leakage(cohort, split, pixels=False)
    by_hand = {part: set(cohort.table["group"].iloc[rows]) for part, rows in split.parts.items()}
    assert set(report.groups["group"]) == by_hand["train"] & by_hand["test"]
    assert len(report.groups) > 10


@pytest.mark.real
@pytest.mark.skipif(os.environ.get("CI") == "true", reason="a minute")
def test_a_merged_split_of_the_brain_scans_leaks_nothing():
    from medxai_helpers import load_dataset

    cohort = load_dataset("brain-tumor-mri", source="real")
    prints = fingerprint_images(cohort)
    merged = merge_groups(merge_groups(cohort, exact_copies(prints)), near_duplicates(prints))
    split = make_split(merged, {"train": 0.8, "test": 0.2}, seed=0)
    assert check_leakage(merged, split, fingerprints=prints).ok
