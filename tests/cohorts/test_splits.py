"""Splits: shares, groups, official lists, many labels, duplicates."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medxai_helpers.cohorts import Split, make_split
from medxai_helpers.cohorts.splits import merge_groups, official_split

EIGHTY = {"train": 0.8, "test": 0.2}
THREE = {"train": 0.8, "validation": 0.1, "test": 0.1}
BLANK = np.zeros((300, 2, 2), np.uint8)


@pytest.fixture
def labelled(draw):
    """300 images, three classes 180/90/30, of 100 patients with three images each, all of one class."""
    labels = np.repeat(["a", "b", "c"], [180, 90, 30])
    groups = [f"p{number // 3}" for number in range(300)]
    return draw.cohort(BLANK, labels, groups, replace(draw.card, group="patient"))


def groups_of(cohort, split):
    return {part: set(cohort.table["group"].iloc[rows]) for part, rows in split.parts.items()}


@pytest.mark.parametrize("fractions", [EIGHTY, THREE, {"train": 0.6, "validation": 0.2, "test": 0.2}])
def test_shares_and_classes_are_as_asked_for(labelled, fractions):
    split = make_split(labelled, fractions, seed=0, grouped=False)
    assert sorted(np.concatenate(list(split.parts.values()))) == list(range(300))
    for part, fraction in fractions.items():
        expected = fraction * np.array([180, 90, 30])
        assert np.abs(split.counts(labelled)[part].to_numpy() - expected).max() <= 1


@pytest.mark.parametrize("stratified", [True, False])
def test_a_patient_is_in_one_part_only(labelled, stratified):
    split = make_split(labelled, THREE, seed=0, stratified=stratified)
    parts = groups_of(labelled, split)
    assert sum(len(names) for names in parts.values()) == 100
    assert "by patient" in split.scheme


def test_the_seed_decides_and_nothing_else(labelled):
    first, again, other = (make_split(labelled, EIGHTY, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["test"], again["test"])
    assert not np.array_equal(first["test"], other["test"])


def test_a_split_survives_the_disk(labelled, tmp_path):
    split = make_split(labelled, THREE, seed=0)
    split.save(tmp_path / "split.json")
    loaded = Split.load(tmp_path / "split.json")
    assert loaded.scheme == split.scheme
    np.testing.assert_array_equal(loaded["validation"], split["validation"])


@pytest.mark.parametrize(
    "fractions", [{"train": 1.0}, {"a": 0.5, "b": 0.4}, {"a": 0.999, "b": 0.001}, {"a": 1.2, "b": -0.2}]
)
def test_fractions_that_cannot_be_are_refused(labelled, fractions):
    with pytest.raises(ValueError, match=r"sum to 1"):
        make_split(labelled, fractions, seed=0)


def test_a_class_too_small_to_stratify_is_named(draw):
    cohort = draw.cohort(BLANK[:50], np.repeat(["a", "b"], [47, 3]))
    with pytest.raises(ValueError, match=r"\['b'\] have fewer than 5 images"):
        make_split(cohort, EIGHTY, seed=0)
    assert make_split(cohort, EIGHTY, seed=0, stratified=False).sizes == {"train": 40, "test": 10}


def test_official_lists_are_taken_as_they_are(draw):
    parts = np.tile(["train", "test", "train", "validation"], 75)
    split = official_split(draw.cohort(BLANK, official=parts))
    assert split.sizes == {"train": 150, "validation": 75, "test": 75}
    np.testing.assert_array_equal(split["test"], np.flatnonzero(parts == "test"))
    assert split.scheme == "official"


def test_a_validation_part_is_cut_off_the_training_part(labelled):
    parts = np.where(np.arange(300) % 30 < 6, "test", "train")
    cohort = replace(labelled, table=labelled.table.assign(official=parts))
    split = official_split(cohort, validation=0.2, seed=3)
    np.testing.assert_array_equal(split["test"], np.flatnonzero(parts == "test"))
    assert abs(split.sizes["validation"] - 48) <= 3
    groups = groups_of(cohort, split)
    assert not groups["train"] & groups["validation"]
    assert "cut off" in split.scheme
    with pytest.raises(ValueError, match="publishes one"):
        official_split(draw_validation(cohort), validation=0.2)


def draw_validation(cohort):
    return replace(cohort, table=cohort.table.assign(official=np.tile(["train", "validation", "test"], 100)))


@pytest.mark.parametrize("strange", ["dev", "", None, np.nan])
def test_an_image_in_no_list_is_named(draw, strange):
    parts = np.array(["train"] * 299 + [strange], dtype=object)
    with pytest.raises(ValueError, match=r"1 are not, 'im0299'"):
        official_split(draw.cohort(BLANK, official=parts))


def test_a_set_without_official_lists_says_what_to_use(draw):
    with pytest.raises(ValueError, match=r"Drawn publishes no split.*make_split"):
        official_split(draw.cohort(BLANK))


@pytest.mark.parametrize("grouped", [True, False])
def test_many_labels_are_spread_evenly_the_rarest_too(multi_label, grouped):
    split = make_split(multi_label, THREE, seed=0, grouped=grouped)
    counts = split.counts(multi_label).to_numpy()
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(shares - np.array([0.8, 0.1, 0.1])).max() < 0.03
    assert abs(split.sizes["train"] - 2400) < 60
    assert sorted(np.concatenate(list(split.parts.values()))) == list(range(3000))
    assert "label by label" in split.scheme
    if grouped:
        assert (
            sum(len(names) for names in groups_of(multi_label, split).values()) == multi_label.table["group"].nunique()
        )


def test_many_labels_beat_a_blind_draw(multi_label):
    def worst(split):
        counts = split.counts(multi_label).to_numpy()
        return np.abs(counts / counts.sum(axis=1, keepdims=True) - np.array([0.8, 0.1, 0.1])).max()

    seeds = range(5)
    careful = np.mean([worst(make_split(multi_label, THREE, seed=seed)) for seed in seeds])
    blind = np.mean([worst(make_split(multi_label, THREE, seed=seed, stratified=False)) for seed in seeds])
    assert careful < blind / 2


def test_an_image_may_have_no_label_at_all(multi_label):
    empty = multi_label.subset(np.flatnonzero(multi_label.targets.sum(axis=1) == 0))
    assert sum(make_split(empty, EIGHTY, seed=0).sizes.values()) == len(empty)


def test_merging_is_transitive_and_keeps_patients_whole(draw):
    groups = ["p0", "p0", "p1", "p2", "p3", "p3"]
    cohort = draw.cohort(BLANK[:6], groups=groups, card=replace(draw.card, group="patient"))
    merged = merge_groups(cohort, pd.DataFrame({"first": [0, 2], "second": [2, 3]}))
    assert list(merged.table["group"]) == ["p0", "p0", "p0", "p0", "p3", "p3"]
    assert merged.card.group == "patient or duplicate"
    assert list(cohort.table["group"]) == groups
    unchanged = merge_groups(cohort, pd.DataFrame({"first": [], "second": []}))
    assert list(unchanged.table["group"]) == groups


def test_a_split_of_merged_groups_parts_no_pair(draw):
    pairs = pd.DataFrame({"first": np.arange(100), "second": np.arange(100) + 100})
    cohort = draw.cohort(BLANK)
    merged = merge_groups(cohort, pairs)
    split = make_split(merged, EIGHTY, seed=0)
    assert "by duplicate" in split.scheme
    part = np.empty(300, dtype=object)
    for name, rows in split.parts.items():
        part[rows] = name
    assert (part[pairs["first"]] == part[pairs["second"]]).all()


@pytest.mark.parametrize("row", [-1, 300])
def test_pairs_of_another_cohort_are_refused(draw, row):
    with pytest.raises(ValueError, match="from 0 to 299"):
        merge_groups(draw.cohort(BLANK), pd.DataFrame({"first": [0], "second": [row]}))
