from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medxai_helpers.phantoms import PHANTOMS, PhantomSet, build_phantom
from medxai_helpers.phantoms.anatomy import anatomy_cache
from medxai_helpers.phantoms.build import BOX_COLUMNS
from medxai_helpers.phantoms.chest_cohorts import COVID_CLASSES, KERMANY_CLASSES, tight_box
from medxai_helpers.phantoms.chest_labels import CHESTXRAY14_FINDINGS, OFFICIAL_COUNTS, draw_findings, draw_germ

NAMES = ("covid19-radiography", "chest-xray-pneumonia", "chestxray14")
PATIENTS = 3000


@pytest.fixture(autouse=True)
def _anatomy_from_the_cache(cache: Path) -> Iterator[None]:
    with anatomy_cache(cache):
        yield


@pytest.fixture(scope="module")
def covid(cache: Path) -> PhantomSet:
    return build_phantom("covid19-radiography", per_class=12, cache=cache)


@pytest.fixture(scope="module")
def children(cache: Path) -> PhantomSet:
    return build_phantom("chest-xray-pneumonia", per_class=12, cache=cache)


@pytest.fixture(scope="module")
def many(cache: Path) -> PhantomSet:
    return build_phantom("chestxray14", per_class=3, cache=cache)


def test_the_catalogue_and_the_renderers_agree_on_the_classes() -> None:
    assert PHANTOMS["covid19-radiography"].classes == COVID_CLASSES
    assert PHANTOMS["chest-xray-pneumonia"].classes == KERMANY_CLASSES
    assert PHANTOMS["chestxray14"].classes == CHESTXRAY14_FINDINGS
    assert [PHANTOMS[name].task for name in NAMES] == ["multi-class", "multi-class", "multi-label"]


def test_only_diseased_films_differ_from_their_twins(covid: PhantomSet, children: PhantomSet, many: PhantomSet) -> None:
    for cohort in (covid, children, many):
        assert cohort.masks is not None
        assert cohort.twins is not None
        diseased = ~cohort.table["label"].isin(["Normal", "NORMAL", ""]).to_numpy()
        assert 0 < diseased.sum() < len(cohort)
        np.testing.assert_array_equal(cohort.masks.any((1, 2)), diseased)
        np.testing.assert_array_equal((cohort.images != cohort.twins).any((1, 2)), diseased)
        np.testing.assert_array_equal(cohort.table["side"] != "none", diseased)
        np.testing.assert_array_equal(cohort.table["severity"] > 0, diseased)
        assert np.allclose(cohort.table["area_fraction"], cohort.masks.mean((1, 2)), atol=1e-4)


def test_lesions_lie_where_their_class_has_them(covid: PhantomSet) -> None:
    classes = dict(tuple(covid.table.groupby("label")))
    assert (classes["COVID"]["side"] == "both").mean() > 0.7
    assert (classes["COVID"]["zone"] != "upper").all()
    assert (classes["Viral Pneumonia"]["side"] == "both").mean() > 0.9
    assert (classes["Lung_Opacity"]["side"] != "both").mean() > 0.9
    assert (classes["Viral Pneumonia"]["lobe"] == "several").all()
    assert classes["Viral Pneumonia"]["area_fraction"].mean() > 2 * classes["Lung_Opacity"]["area_fraction"].mean()


def test_covid_is_lower_and_further_out_than_viral_pneumonia(covid: PhantomSet) -> None:
    assert covid.masks is not None
    rows, columns = np.indices(covid.masks.shape[1:])
    centre = covid.masks.shape[2] / 2
    where = {}
    for label in ("COVID", "Viral Pneumonia"):
        masks = covid.masks[(covid.table["label"] == label).to_numpy()]
        where[label] = [np.mean([field[mask].mean() for mask in masks]) for field in (rows, abs(columns - centre))]
    assert where["COVID"][0] > where["Viral Pneumonia"][0] + 5
    assert where["COVID"][1] > where["Viral Pneumonia"][1] + 5


def test_ground_glass_is_less_dense_than_other_opacities(covid: PhantomSet) -> None:
    assert covid.masks is not None
    assert covid.twins is not None
    change = covid.images.astype(int) - covid.twins
    strength = {
        label: change[covid.masks & (covid.table["label"] == label).to_numpy()[:, None, None]].mean()
        for label in COVID_CLASSES
        if label != "Normal"
    }
    assert strength["Lung_Opacity"] > 1.2 * strength["COVID"] > 0
    assert strength["Lung_Opacity"] > 1.2 * strength["Viral Pneumonia"] > 0


def test_germs_look_as_they_are_called(children: PhantomSet) -> None:
    germs = dict(tuple(children.table.groupby("germ")))
    assert (germs["none"]["label"] == "NORMAL").all()
    assert (germs["bacteria"]["side"] != "both").mean() > 0.9
    assert germs["bacteria"]["area_fraction"].mean() < 0.15
    assert 0.3 < np.mean([draw_germ(seed) == "virus" for seed in range(PATIENTS)]) < 0.4


def test_every_finding_has_one_tight_box(many: PhantomSet) -> None:
    assert many.boxes is not None
    assert many.masks is not None
    assert tuple(many.boxes.columns) == BOX_COLUMNS
    boxed = many.boxes.groupby("image_id")["label"].agg("|".join)
    labels = many.table.set_index("image_id")["label"]
    assert (boxed == labels[labels != ""]).all()
    for image_id, boxes in many.boxes.groupby("image_id"):
        mask = many.masks[many.table.index[many.table["image_id"] == image_id][0]]
        covered = np.zeros_like(mask)
        for box in boxes.itertuples():
            assert mask[box.y, box.x : box.x + box.width].any()
            assert mask[box.y : box.y + box.height, box.x + box.width - 1].any()
            covered[box.y : box.y + box.height, box.x : box.x + box.width] = True
        assert covered[mask].all()


def test_a_single_lesion_has_the_box_of_its_mask(covid: PhantomSet) -> None:
    assert covid.boxes is not None
    assert covid.masks is not None
    masks = dict(zip(covid.table["image_id"], covid.masks, strict=True))
    assert len(covid.boxes) == 36
    for box in covid.boxes.itertuples():
        expected = tight_box(box.label, masks[box.image_id])
        assert (box.label, box.x, box.y, box.width, box.height) == expected


def test_findings_come_in_the_official_order_and_proportions() -> None:
    drawn = [draw_findings(seed).split("|") for seed in range(PATIENTS)]
    assert max(map(len, drawn)) == 3
    assert all(names == [name for name in CHESTXRAY14_FINDINGS if name in names] for names in drawn if names != [""])
    counts = Counter(name for names in drawn for name in names)
    shares = [counts[name] / PATIENTS for name in CHESTXRAY14_FINDINGS]
    assert np.corrcoef(shares, np.sqrt(OFFICIAL_COUNTS))[0, 1] > 0.7
    assert min(shares) > 0.04
    assert 0.18 < counts[""] / PATIENTS < 0.26


def test_companions_come_together_and_a_moved_lung_stays_alone() -> None:
    drawn = [set(draw_findings(seed).split("|")) for seed in range(PATIENTS)]
    edema = [names for names in drawn if "Edema" in names]
    assert np.mean(["Effusion" in names for names in edema]) > 1.3 * np.mean(["Effusion" in names for names in drawn])
    collapsed = [names for names in drawn if "Pneumothorax" in names]
    assert set().union(*collapsed) <= {"Pneumothorax", "Cardiomegaly", "Emphysema"}


@pytest.mark.parametrize(
    ("name", "label"),
    [("covid19-radiography", "Covid"), ("chest-xray-pneumonia", "Pneumonia"), ("chestxray14", "Mass|Hernia")],
)
def test_an_unknown_class_is_explained(name: str, label: str) -> None:
    with pytest.raises(ValueError, match=f"Expected one of .*got '{label.split('|')[-1]}'. Check"):
        PHANTOMS[name].render(label, 0, 0, 64)
