from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from medxai_helpers.phantoms.catalogue import PHANTOMS
from medxai_helpers.phantoms.endoscopy import (
    FINDINGS,
    KVASIR_V2_CLASSES,
    REACH,
    _draw,
    render_kvasir_seg,
    render_kvasir_v2,
)
from medxai_helpers.phantoms.endoscopy_scope import cast_shadow
from medxai_helpers.phantoms.painting import share_of
from medxai_helpers.phantoms.rendering import Mask, Rendering

SIZE = 96
PATIENTS = range(300, 306)
LESIONED = tuple(label for label in KVASIR_V2_CLASSES if FINDINGS[label].paint is not None)
NORMAL = tuple(label for label in KVASIR_V2_CLASSES if label not in LESIONED)


@cache
def rendered(label: str, patient: int, frame: int = 0) -> Rendering:
    return render_kvasir_v2(label, patient, frame, SIZE)


def grown(mask: Mask, distance_px: float) -> Mask:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= distance_px


def field(patient: int, frame: int = 0) -> Mask:
    _, _, shot = _draw(patient, frame, SIZE, None)
    return shot.visible()


def test_rows_name_the_classes_in_their_order() -> None:
    assert PHANTOMS["kvasir-v2"].classes == tuple(sorted(PHANTOMS["kvasir-v2"].classes))
    assert len(PHANTOMS["kvasir-v2"].classes) == 8
    assert PHANTOMS["kvasir-seg"].classes == ("background", "polyp")


@pytest.mark.parametrize("label", KVASIR_V2_CLASSES)
def test_same_arguments_give_the_same_bytes(label: str) -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        again = render_kvasir_v2(label, 300, 0, SIZE)
        cv2.setNumThreads(1)
        once_more = render_kvasir_v2(label, 300, 0, SIZE)
    finally:
        cv2.setNumThreads(before)
    for other in (again, once_more):
        np.testing.assert_array_equal(other.image, rendered(label, 300).image)
        np.testing.assert_array_equal(other.twin, rendered(label, 300).twin)
        np.testing.assert_array_equal(other.mask, rendered(label, 300).mask)


def test_shape_and_type() -> None:
    one = render_kvasir_v2("polyps", 1, 0, 64)
    assert one.image.shape == one.twin.shape == (64, 64, 3)
    assert one.image.dtype == np.uint8
    assert one.mask.shape == (64, 64)
    assert one.mask.dtype == np.bool_


@pytest.mark.parametrize("label", LESIONED)
def test_twins_differ_in_the_lesion_and_nowhere_beyond_its_reach(label: str) -> None:
    inside = []
    for patient in PATIENTS:
        one = rendered(label, patient)
        difference = np.abs(one.image.astype(int) - one.twin.astype(int)).max(-1)
        if one.mask.any():
            assert not difference[~grown(one.mask, REACH * SIZE)].any()
            inside.append(difference[one.mask].mean())
    assert len(inside) >= 5
    assert min(inside) > 1.5
    assert np.median(inside) > 6


@pytest.mark.parametrize("label", LESIONED)
def test_masks_lie_in_the_visible_field(label: str) -> None:
    found = 0
    for patient in PATIENTS:
        mask = rendered(label, patient).mask
        found += bool(mask.any())
        assert not (mask & ~field(patient)).any()
        assert rendered(label, patient).attributes["lesion_fraction"] == share_of(mask, field(patient))
    assert found >= 5


@pytest.mark.parametrize("label", NORMAL)
def test_normal_places_have_no_lesion(label: str) -> None:
    one = rendered(label, 300)
    assert not one.mask.any()
    np.testing.assert_array_equal(one.image, one.twin)
    assert one.attributes["lesion_fraction"] == 0
    assert one.attributes["lesion_kind"] == ""


def test_attributes_have_the_same_keys_everywhere() -> None:
    keys = [tuple(rendered(label, 300).attributes) for label in KVASIR_V2_CLASSES]
    keys += [tuple(render_kvasir_seg(label, 1, 0, SIZE).attributes) for label in PHANTOMS["kvasir-seg"].classes]
    assert len(set(keys)) == 1


def test_frame_and_overlays_do_not_depend_on_the_label() -> None:
    for patient in PATIENTS:
        renderings = [rendered(label, patient) for label in KVASIR_V2_CLASSES]
        nuisance = ("frame_shape", "position_box", "text_lines", "stool", "instrument")
        assert len({tuple(one.attributes[key] for key in nuisance) for one in renderings}) == 1
        _, _, shot = _draw(patient, 0, SIZE, None)
        surround = shot.field == 0
        surround &= ~grown(shot.field > 0, 9)  # JPEG rings across the edge
        reference = renderings[0].image[surround].astype(int)
        for one in renderings[1:]:
            assert np.abs(one.image[surround] - reference).max(initial=0) == 0


@pytest.mark.parametrize("label", ["polyps", "dyed-lifted-polyps", "ulcerative-colitis"])
def test_findings_of_a_place_share_its_twin(label: str) -> None:
    np.testing.assert_array_equal(rendered(label, 300).twin, rendered("dyed-resection-margins", 300).twin)


def test_the_intact_line_is_the_twin_of_esophagitis() -> None:
    np.testing.assert_array_equal(rendered("esophagitis", 300).twin, rendered("normal-z-line", 300).image)


def test_a_polyp_of_the_segmentation_set_has_the_background_as_its_twin() -> None:
    polyp, background = (render_kvasir_seg(label, 7, 0, SIZE) for label in ("polyp", "background"))
    assert polyp.mask.any()
    assert not background.mask.any()
    np.testing.assert_array_equal(polyp.twin, background.image)


def test_frames_show_one_lesion_from_other_places() -> None:
    first, second = rendered("polyps", 301, 0), rendered("polyps", 301, 1)
    assert first.attributes["lesion_kind"] == second.attributes["lesion_kind"]
    assert (first.image != second.image).mean() > 0.5


def test_position_box_can_be_forced_without_touching_the_rest() -> None:
    plain, boxed = (render_kvasir_v2("polyps", 5, 0, SIZE, position_box=box) for box in (False, True))
    assert plain.attributes["position_box"] == 0
    assert boxed.attributes["position_box"] == 1
    changed = (plain.image != boxed.image).any(-1)
    assert changed.any()
    assert not changed[: SIZE // 2].any()
    assert not changed[:, SIZE // 2 :].any()


def test_masks_agree_between_sizes() -> None:
    small, large = (render_kvasir_v2("polyps", 302, 0, size).mask for size in (64, 128))
    shrunk = cv2.resize(large.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) > 0.5
    assert (small & shrunk).sum() / (small | shrunk).sum() > 0.85


def test_a_near_body_shades_the_wall_away_from_the_lamp() -> None:
    log_depth = np.full((160, 160), 0.5, np.float32)
    log_depth[60:100, 60:100] = 0.0
    shadow = cast_shadow(log_depth, (0.3, 0.0))  # the lamp stands on the right
    assert shadow[80, 56] > 0.3
    assert shadow[80, 106] < 0.05
    assert cast_shadow(np.zeros((160, 160), np.float32), (0.3, 0.0)).max() == 0


@pytest.mark.parametrize("render", [render_kvasir_v2, render_kvasir_seg])
def test_mistakes_are_refused(render) -> None:
    with pytest.raises(ValueError, match=r"Expected one of .* but got 'polypus'. Check"):
        render("polypus", 0, 0, SIZE)
    with pytest.raises(ValueError, match="Expected a size of at least 32 px, but got 8"):
        render("polyps" if render is render_kvasir_v2 else "polyp", 0, 0, 8)
