from __future__ import annotations

from collections import Counter
from functools import cache

import cv2
import numpy as np
import pytest

from medxai_helpers.phantoms.catalogue import PHANTOMS
from medxai_helpers.phantoms.dermoscopy import REACH, render_ham10000
from medxai_helpers.phantoms.dermoscopy_labels import HAM10000_CLASSES, PREVALENCE, SMALLEST_SHARE, softened
from medxai_helpers.phantoms.dermoscopy_lesions import PAINTERS
from medxai_helpers.phantoms.dermoscopy_skin import TONES, draw_shot, draw_skin, field_of_view
from medxai_helpers.phantoms.kit import stream
from medxai_helpers.phantoms.rendering import Mask, Rendering
from medxai_helpers.phantoms.worker import Plan, plan_rows

SIZE = 96
PATIENTS = range(400, 406)


@cache
def rendered(label: str, patient: int, frame: int = 0) -> Rendering:
    return render_ham10000(label, patient, frame, SIZE)


def grown(mask: Mask, distance_px: float) -> Mask:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= distance_px


def field(patient: int) -> Mask:
    skin = draw_skin(stream(patient, 41))
    return field_of_view(draw_shot(skin, stream(patient, 43), stream(patient, 0, 42), SIZE))


def test_rows_name_the_classes_in_their_order() -> None:
    assert PHANTOMS["ham10000"].classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc") == tuple(PAINTERS)


@pytest.mark.parametrize("label", HAM10000_CLASSES)
def test_same_arguments_give_the_same_bytes(label: str) -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        again = render_ham10000(label, 400, 0, SIZE)
        cv2.setNumThreads(1)
        once_more = render_ham10000(label, 400, 0, SIZE)
    finally:
        cv2.setNumThreads(before)
    for other in (again, once_more):
        np.testing.assert_array_equal(other.image, rendered(label, 400).image)
        np.testing.assert_array_equal(other.twin, rendered(label, 400).twin)
        np.testing.assert_array_equal(other.mask, rendered(label, 400).mask)


@pytest.mark.parametrize("label", HAM10000_CLASSES)
def test_twins_differ_in_the_lesion_and_nowhere_beyond_its_reach(label: str) -> None:
    inside = []
    for patient in PATIENTS:
        one = rendered(label, patient)
        difference = np.abs(one.image.astype(int) - one.twin.astype(int)).max(-1)
        assert one.mask.any()
        assert not difference[~grown(one.mask, REACH * SIZE)].any()
        inside.append(difference[one.mask].mean())
    assert min(inside) > 3
    assert np.median(inside) > 15


@pytest.mark.parametrize("label", HAM10000_CLASSES)
def test_masks_lie_in_the_visible_field(label: str) -> None:
    for patient in PATIENTS:
        assert not (rendered(label, patient).mask & ~field(patient)).any()


def test_skin_hair_and_instrument_do_not_depend_on_the_label() -> None:
    for patient in PATIENTS:
        renderings = [rendered(label, patient) for label in HAM10000_CLASSES]
        nuisance = ("skin_tone", "body_site", "hairs", "ruler", "ink", "round_field")
        assert len({tuple(one.attributes[key] for key in nuisance) for one in renderings}) == 1
        for one in renderings[1:]:
            np.testing.assert_array_equal(one.twin, renderings[0].twin)


def test_attributes_have_the_same_keys_everywhere() -> None:
    assert len({tuple(rendered(label, 400).attributes) for label in HAM10000_CLASSES}) == 1


def test_only_melanocytic_lesions_have_an_atypia() -> None:
    atypia = {
        label: [float(rendered(label, patient).attributes["atypia"]) for patient in PATIENTS] for label in PAINTERS
    }
    assert np.mean(atypia["mel"]) > np.mean(atypia["nv"]) > 0
    assert not any(value for label in ("akiec", "bcc", "bkl", "df", "vasc") for value in atypia[label])


def test_every_skin_tone_is_drawn_and_darker_ones_are_darker() -> None:
    skins = [draw_skin(stream(patient, 41)) for patient in range(300)]
    share = {tone: np.mean([skin.tone == tone for skin in skins]) for tone in TONES}
    assert min(share.values()) > 0.05
    brightness = [np.mean([skin.colour.mean() for skin in skins if skin.tone == tone]) for tone in TONES]
    assert brightness == sorted(brightness, reverse=True)


def test_frames_show_one_lesion_from_other_places() -> None:
    first, second = rendered("mel", 401, 0), rendered("mel", 401, 1)
    assert first.attributes["atypia"] == second.attributes["atypia"]
    assert first.attributes["skin_tone"] == second.attributes["skin_tone"]
    assert (first.image != second.image).mean() > 0.5


def test_prevalence_is_that_of_the_original() -> None:
    assert sum(PREVALENCE.values()) == pytest.approx(1)
    assert PREVALENCE["nv"] == pytest.approx(6705 / 10015)


def test_a_cohort_is_as_imbalanced_as_the_original_but_for_the_rarest_classes() -> None:
    rows = plan_rows(Plan("ham10000", 86, SIZE, 0))
    counts = {label: sum(row.label == label for row in rows) for label in HAM10000_CLASSES}
    assert sum(counts.values()) == pytest.approx(602, abs=7)
    rare = [label for label, share in PREVALENCE.items() if share < SMALLEST_SHARE]
    assert rare == ["akiec", "df", "vasc"]
    assert [counts[label] / 602 for label in rare] == pytest.approx([SMALLEST_SHARE] * 3, abs=0.01)
    ratio = counts["nv"] / counts["mel"]
    assert ratio == pytest.approx(PREVALENCE["nv"] / PREVALENCE["mel"], rel=0.1)
    assert len({row.group for row in rows}) == len({(row.label, row.patient_seed) for row in rows}) == len(rows) / 2


def test_a_balanced_cohort_has_as_many_of_each() -> None:
    counts = Counter(row.label for row in plan_rows(Plan("ham10000", 10, SIZE, 0, balanced=True)))
    assert counts == dict.fromkeys(HAM10000_CLASSES, 10)


def test_softening_keeps_the_sum_and_the_proportions_of_frequent_classes() -> None:
    soft = softened(PREVALENCE)
    assert sum(soft.values()) == pytest.approx(1)
    assert min(soft.values()) == SMALLEST_SHARE
    assert soft["nv"] / soft["bkl"] == pytest.approx(PREVALENCE["nv"] / PREVALENCE["bkl"])
    assert softened(PREVALENCE, smallest=0) == pytest.approx(dict(PREVALENCE))
    pushed = softened({"a": 0.60, "b": 0.26, "c": 0.14}, smallest=0.25)  # making room for c pushes b below too
    assert pushed == {"a": 0.5, "b": 0.25, "c": 0.25}
    with pytest.raises(ValueError, match=r"smallest to be 0 to 1 / 7, but got 0\.2"):
        softened(PREVALENCE, smallest=0.2)


def test_masks_agree_between_sizes() -> None:
    small, large = (render_ham10000("bkl", 402, 0, size).mask for size in (64, 128))
    shrunk = cv2.resize(large.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) > 0.5
    assert (small & shrunk).sum() / (small | shrunk).sum() > 0.85


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected one of .* but got 'naevus'. Check"):
        render_ham10000("naevus", 0, 0, SIZE)
    with pytest.raises(ValueError, match="Expected a size of at least 32 px, but got 16"):
        render_ham10000("nv", 0, 0, 16)
