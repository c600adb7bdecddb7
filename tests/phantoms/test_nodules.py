from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medxai_helpers.datasets import load_dataset
from medxai_helpers.phantoms.anatomy import anatomy_cache
from medxai_helpers.phantoms.catalogue import PHANTOMS
from medxai_helpers.phantoms.kit import as_field, stream
from medxai_helpers.phantoms.nodules import NODULE_CLASSES, PATCH_MM, render_nodule, render_nodule_slices
from medxai_helpers.phantoms.nodules_anatomy import lungs
from medxai_helpers.phantoms.nodules_lesions import draw_traits, paint_nodule
from medxai_helpers.pixels import build_store
from medxai_helpers.preprocessing import Preprocessing
from medxai_helpers.runtime import Runtime

SIZE, SEEDS = 64, range(20)
BLUR_PX = 4


@pytest.fixture(autouse=True)
def _anatomy_from_the_cache(cache: Path) -> Iterator[None]:
    with anatomy_cache(cache):
        yield


def test_classes_are_those_of_the_catalogue() -> None:
    assert PHANTOMS["lidc-idri"].classes == NODULE_CLASSES


def test_places_lie_in_air_filled_lung() -> None:
    anatomy = lungs()
    assert len(anatomy.places) == len(anatomy.depth_mm) == len(anatomy.by_vessel)
    assert anatomy.depth_mm.min() > 2
    assert 0.02 < anatomy.by_vessel.mean() < 0.98
    assert (anatomy.hounsfield[tuple(anatomy.places.T)] < -820).all()


@pytest.mark.parametrize("label", NODULE_CLASSES)
def test_four_readers_decide_the_class(label: str) -> None:
    rating = []
    for seed in SEEDS:
        facts = render_nodule(label, seed, 0, 32).attributes
        readers = [int(facts[f"rating_{number}"]) for number in (1, 2, 3, 4)]
        assert set(readers) <= {1, 2, 3, 4, 5}
        assert np.mean(readers) == facts["rating"]
        rating.append(float(facts["rating"]))
        assert 1 <= int(facts["spiculation"]) <= 5
    assert all(one < 3 for one in rating) if label == "benign" else all(one > 3 for one in rating)
    assert len(set(rating)) > 3


def test_malignant_nodules_are_larger_on_average_but_not_always() -> None:
    benign, malignant = (
        np.array([2 * draw_traits(stream(seed), label).radius_mm for seed in range(300)]) for label in NODULE_CLASSES
    )
    assert malignant.mean() > benign.mean() + 3
    assert benign.max() > np.median(malignant)


@pytest.mark.parametrize("label", NODULE_CLASSES)
def test_a_nodule_shows_in_its_mask_and_nowhere_beyond_its_reach(label: str) -> None:
    for seed in SEEDS:
        one = render_nodule(label, seed, 0, SIZE)
        change = one.image.astype(int) - one.twin
        assert one.mask.sum() >= 6
        assert change[one.mask].mean() > 10
        rows, columns = np.nonzero(change)
        # The nodule's middle lies within 3 mm of the patch's in each direction (three spreads of the jitter).
        middle_mm = np.hypot(rows - SIZE / 2 + 0.5, columns - SIZE / 2 + 0.5) * (0.92 * PATCH_MM / SIZE)
        assert middle_mm.max() <= float(one.attributes["reach_mm"]) + 3 * np.sqrt(2) + BLUR_PX * PATCH_MM / SIZE


def test_the_twin_does_not_depend_on_the_class() -> None:
    for seed in range(6):
        benign, malignant = (render_nodule(label, seed, 1, SIZE).twin for label in NODULE_CLASSES)
        np.testing.assert_array_equal(benign, malignant)


def test_masks_lie_in_the_lung_or_on_its_border() -> None:
    for seed in SEEDS:
        one = render_nodule("malignant", seed, 0, SIZE)
        lung = ndimage.binary_dilation(one.twin < 150, iterations=4)  # vessels are narrower than eight pixels
        assert lung[one.mask].mean() > 0.9


def test_frames_cut_one_nodule_at_other_heights() -> None:
    first, second, same = (render_nodule("malignant", 7, frame, SIZE) for frame in (0, 1, 0))
    assert first.attributes == second.attributes
    assert (first.image != second.image).mean() > 0.5
    np.testing.assert_array_equal(first.image, same.image)


@pytest.mark.parametrize("label", NODULE_CLASSES)
def test_three_slices_hold_the_patch_between_its_neighbours(label: str) -> None:
    for seed in range(6):
        one, three = render_nodule(label, seed, 1, SIZE), render_nodule_slices(label, seed, 1, SIZE)
        assert three.image.shape == (SIZE, SIZE, 3)
        np.testing.assert_array_equal(three.image[..., 1], one.image)
        np.testing.assert_array_equal(three.twin[..., 1], one.twin)
        np.testing.assert_array_equal(three.mask, one.mask)
        assert three.attributes == one.attributes


def test_a_large_nodule_runs_through_all_slices_and_neighbours_differ_in_noise() -> None:
    sizes = [draw_traits(stream(seed, 33, 1), "malignant").radius_mm for seed in range(40)]
    large = render_nodule_slices("malignant", int(np.argmax(sizes)), 0, SIZE)
    change = large.image.astype(int) - large.twin
    assert (change[SIZE // 2 - 3 : SIZE // 2 + 3, SIZE // 2 - 3 : SIZE // 2 + 3].mean(axis=(0, 1)) > 10).all()
    fine = large.twin.astype(float) - ndimage.gaussian_filter(large.twin.astype(float), (2, 2, 0))
    quiet = fine[large.twin.max(axis=2) < 120]
    assert np.abs(np.corrcoef(quiet.T)[np.triu_indices(3, 1)]).max() < 0.6


def test_three_slices_come_through_the_door_and_into_a_store(cache: Path, tmp_path: Path) -> None:
    runtime = Runtime("quick", "cpu", None, cache, 0)
    single = load_dataset("lidc-idri", source="phantom", per_class=4, runtime=runtime)
    triple = load_dataset("lidc-idri", source="phantom", per_class=4, runtime=runtime, slices=3)
    assert (single.card.channels, triple.card.channels) == (1, 3)
    assert triple.table.equals(single.table)
    np.testing.assert_array_equal(triple.image(5)[..., 1], single.image(5))
    assert build_store(triple, Preprocessing(64), tmp_path).batch(np.arange(2)).shape == (2, 3, 64, 64)


def test_a_nodule_ends_exactly_at_its_reach() -> None:
    traits = draw_traits(stream(5), "malignant")
    along = as_field(np.linspace(0.1, 2 * traits.reach_mm, 60)[:, None] * np.array([[0.8, 0.6, 0.0]]))
    nodule = paint_nodule(stream(6), traits, along)
    beyond = np.linalg.norm(along, axis=1) >= traits.reach_mm
    assert not nodule.opacity[beyond].any()
    assert nodule.opacity[0] > 0.9


def test_an_unknown_label_is_explained() -> None:
    with pytest.raises(ValueError, match=r"benign.*got 'unsure'"):
        render_nodule("unsure", 0, 0)
