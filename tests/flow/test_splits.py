from dataclasses import replace

import numpy as np
import pytest

import medxai_helpers as mx


def test_an_80_20_split_is_stratified_and_complete(cohort, split):
    assert split.sizes == {"train": 72, "validation": 18}
    assert (split.counts(cohort)["validation"] == 3).all()
    assert sorted([*split["train"], *split["validation"]]) == list(range(90))


def test_the_seed_decides(cohort):
    def rows(seed):
        return mx.make_split(cohort, {"train": 0.8, "test": 0.2}, seed=seed)["test"].tolist()

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_groups_stay_together(cohort):
    groups = [f"patient-{row // 3}" for row in range(90)]
    grouped = replace(cohort, table=cohort.table.assign(group=groups))
    split = mx.make_split(grouped, {"train": 0.6, "validation": 0.2, "test": 0.2}, seed=0, grouped=True)
    owners = [set(np.array(groups)[rows]) for rows in split.parts.values()]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    assert split.sizes == {"train": 54, "validation": 18, "test": 18}


@pytest.mark.parametrize(
    "fractions", [{"a": 1.0}, {"a": 0.8, "b": 0.3}, {"a": 0.995, "b": 0.005}, {"a": 1.2, "b": -0.2}]
)
def test_impossible_fractions_are_refused(cohort, fractions):
    with pytest.raises(ValueError, match="sum to 1"):
        mx.make_split(cohort, fractions, seed=0)


def test_classes_too_small_to_cut_are_named(cohort):
    few = cohort.subset([*range(15), 20, 21])
    with pytest.raises(ValueError, match="BreastMRI"):
        mx.make_split(few, {"train": 0.8, "validation": 0.2}, seed=0)
    loose = mx.make_split(few, {"train": 0.8, "validation": 0.2}, seed=0, stratified=False)
    assert sum(loose.sizes.values()) == 17


def test_a_row_in_two_parts_is_refused():
    with pytest.raises(ValueError, match="one part only"):
        mx.Split({"a": np.array([1, 2]), "b": np.array([2])}, "by hand", 0)


def test_a_split_survives_saving(split, tmp_path):
    split.save(tmp_path / "split.json")
    again = mx.Split.load(tmp_path / "split.json")
    assert str(again) == str(split)
    np.testing.assert_array_equal(again["train"], split["train"])
    with pytest.raises(KeyError, match="validation"):
        split["tset"]
