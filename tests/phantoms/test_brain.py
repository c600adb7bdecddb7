from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.anatomy import anatomy_cache
from medxai_helpers.phantoms.brain import BRATS_CLASSES, TUMOUR_CLASSES, render_brain_tumor_mri, render_brats
from medxai_helpers.phantoms.brain_anatomy import SELLA, brain
from medxai_helpers.phantoms.brain_lesions import PAINTERS, REACH_RADII, T1_CONTRAST, Site, paint, pushed
from medxai_helpers.phantoms.catalogue import PHANTOMS
from medxai_helpers.phantoms.kit import as_field, stream
from medxai_helpers.phantoms.rendering import Rendering

TUMOURS = tuple(PAINTERS)
SIZE, SEEDS = 64, range(12)
PIXEL_MM = 205 / SIZE  # of the smallest field of view
BLUR_PX = 3
DISEASED = [
    *((render_brain_tumor_mri, label) for label in TUMOURS),
    (render_brats, BRATS_CLASSES[1]),
]
Render = Callable[[str, int, int, int], Rendering]


@pytest.fixture(autouse=True)
def _anatomy_from_the_cache(cache: Path) -> Iterator[None]:
    with anatomy_cache(cache):
        yield


def points(*millimetres: tuple[float, float, float]) -> NDArray[np.float32]:
    return as_field(millimetres)


def difference(one: Rendering) -> NDArray[np.int64]:
    return one.image.astype(np.int64) - one.twin


def test_classes_are_those_of_the_catalogue() -> None:
    assert PHANTOMS["brain-tumor-mri"].classes == TUMOUR_CLASSES
    assert PHANTOMS["brats"].classes == BRATS_CLASSES


def test_the_head_is_built_round_the_brain() -> None:
    anatomy = brain()
    inside, ventricle, gland, eye, outside = anatomy.distance_at(
        points((30, -20, 30), (5, -10, 18), tuple(SELLA), (32, 62, -36), (0, 130, 0))
    )
    assert inside < -15
    assert ventricle < -15
    assert -6 < gland < 12
    assert eye > 10
    assert outside > 30
    white, fluid = anatomy.t1_at(points((28, -20, 28), (8, 0, 22)))
    assert white > 0.8
    assert fluid < 0.5
    fat, air = anatomy.head_at(points((31, 42, -26), (0, 120, 0)))
    assert fat > 0.7
    assert air == 0


@pytest.mark.parametrize(("render", "label"), DISEASED)
def test_a_tumour_shows_in_its_mask_and_nowhere_beyond_its_reach(render: Render, label: str) -> None:
    for seed in SEEDS:
        one = render(label, seed, seed % 3, SIZE)
        assert one.mask.sum() >= 4
        changed = difference(one) != 0
        assert changed[one.mask].mean() > 0.6
        reach_px = (float(one.attributes["reach_mm"]) + float(one.attributes["tumour_mm"]) / 2) / PIXEL_MM + BLUR_PX
        assert ndimage.distance_transform_edt(~one.mask)[changed].max() <= reach_px
        assert changed.mean() < 0.5


@pytest.mark.parametrize(("render", "label"), DISEASED)
def test_the_tumour_lies_in_the_head(render: Render, label: str) -> None:
    for seed in SEEDS:
        one = render(label, seed, 0, SIZE)
        head = ndimage.binary_fill_holes(ndimage.binary_closing(one.twin > 40, iterations=3))
        assert head[one.mask].mean() > 0.95


@pytest.mark.parametrize("label", ["glioma", "meningioma"])
def test_the_twin_is_the_image_that_the_healthy_class_renders(label: str) -> None:
    for seed in range(4):
        twin = render_brain_tumor_mri(label, seed, 1, SIZE).twin
        np.testing.assert_array_equal(twin, render_brain_tumor_mri("notumor", seed, 1, SIZE).image)
    np.testing.assert_array_equal(render_brats("tumour", 5, 3, SIZE).twin, render_brats("no tumour", 5, 3, SIZE).image)


def test_a_healthy_slice_has_no_mask_and_is_its_own_twin() -> None:
    for one in (render_brain_tumor_mri("notumor", 3, 0, SIZE), render_brats("no tumour", 3, 0, SIZE)):
        assert not one.mask.any()
        np.testing.assert_array_equal(one.image, one.twin)
        assert one.attributes["tumour_mm"] == 0
        assert one.attributes["side"] == ""


@pytest.mark.parametrize("render", [render_brain_tumor_mri, render_brats])
def test_every_rendering_has_the_same_attributes(render: Render) -> None:
    classes = TUMOUR_CLASSES if render is render_brain_tumor_mri else BRATS_CLASSES
    keys = {tuple(render(label, 2, 0, 32).attributes) for label in classes}
    assert keys == {("plane", "slice_mm", "tumour_mm", "side", "oedema_mm2", "reach_mm")}


def test_the_frames_of_a_patient_are_near_slices_of_one_plane() -> None:
    for seed in range(6):
        frames = [render_brain_tumor_mri("glioma", seed, frame, SIZE) for frame in range(3)]
        assert len({one.attributes["plane"] for one in frames}) == 1
        assert np.ptp([float(one.attributes["slice_mm"]) for one in frames]) <= 5.1
        assert (frames[0].image != frames[1].image).mean() > 0.3


def test_all_planes_occur_and_the_mask_of_brats_contains_the_oedema() -> None:
    planes = {render_brain_tumor_mri("notumor", seed, 0, 32).attributes["plane"] for seed in range(12)}
    assert planes == {"sagittal", "coronal", "axial"}
    larger = [render_brats("tumour", seed, 0, SIZE) for seed in range(6)]
    assert all(one.attributes["plane"] == "axial" for one in larger)
    assert sum(float(one.attributes["oedema_mm2"]) > 50 for one in larger) >= 3


@pytest.mark.parametrize("kind", TUMOURS)
def test_a_tumour_ends_exactly_at_its_reach(kind: str) -> None:
    radius = 10.0
    along = np.linspace(0.1, 4 * radius, 80)[:, None] * np.array([[0.6, 0.0, 0.8]])
    site = Site(as_field(along), np.full(80, -20, np.float32), radius)
    tumour = paint(kind, stream(1), site, T1_CONTRAST)
    beyond = site.radii >= REACH_RADII
    assert not tumour.share[beyond].any()
    assert not tumour.oedema[beyond].any()
    assert not pushed(site, tumour.push)[beyond].any()
    assert pushed(site, tumour.push)[~beyond].any()


def test_glioma_shows_on_the_side_that_its_attribute_names() -> None:
    found = [render_brats("tumour", seed, 0, SIZE) for seed in range(8)]
    for one in found:
        columns = np.nonzero(one.mask)[1].mean() - SIZE / 2
        if one.attributes["side"] != "midline":
            assert (columns > 0) == (one.attributes["side"] == "left")  # the patient's left is on the picture's right


def test_unknown_labels_are_explained() -> None:
    with pytest.raises(ValueError, match=r"notumor.*got 'no_tumor'"):
        render_brain_tumor_mri("no_tumor", 0, 0)
    with pytest.raises(ValueError, match=r"no tumour.*got 'present'"):
        render_brats("present", 0, 0)


def test_neither_border_nor_brightness_tells_the_class() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    patients = 48
    renderings = [
        render_brain_tumor_mri(label, 100 * i + k, 0, 32)
        for i, label in enumerate(TUMOUR_CLASSES)
        for k in range(patients)
    ]
    images = np.stack([one.image for one in renderings]) / 255.0
    labels, test = np.repeat(np.arange(4), patients), np.arange(4 * patients) % 3 == 0
    border = np.ones((32, 32), np.bool_)
    border[3:-3, 3:-3] = False
    for features in (images[:, border], np.stack([images.mean((1, 2)), images.std((1, 2))], axis=1)):
        model = linear.LogisticRegression(C=0.1, max_iter=300).fit(features[~test], labels[~test])
        assert model.score(features[test], labels[test]) < 0.45  # chance is 0.25, its spread 0.05


def test_a_pituitary_tumour_changes_the_pose_of_none_but_the_slices_beside_the_sella() -> None:
    same = [
        np.array_equal(
            render_brain_tumor_mri("pituitary", seed, 0, 32).twin, render_brain_tumor_mri("notumor", seed, 0, 32).image
        )
        for seed in range(40)
    ]
    assert 0.55 < np.mean(same) < 0.95  # NEAR_SELLA is 0.75
