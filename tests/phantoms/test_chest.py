from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

from medxai_helpers.phantoms.anatomy import anatomy_cache
from medxai_helpers.phantoms.chest import ChestFilm, _pose, film_chest, lung_zones, render_chest
from medxai_helpers.phantoms.chest_anatomy import chest_anatomy
from medxai_helpers.phantoms.chest_lesions import FINDINGS
from medxai_helpers.phantoms.chest_view import project_lungs
from medxai_helpers.phantoms.film import apply_curves, draw_film, local_curves

FOUR_CLASSES = ("COVID", "Lung_Opacity", "Viral Pneumonia")
FOCAL = ("Lung_Opacity", "Atelectasis", "Mass", "Nodule")
LESS_DENSE = ("Pneumothorax", "Emphysema")
SIZE = 96


@pytest.fixture(autouse=True)
def _anatomy_from_the_cache(cache: Path) -> Iterator[None]:
    with anatomy_cache(cache):
        yield


@pytest.fixture(scope="module")
def films(cache: Path) -> dict[str, list[ChestFilm]]:
    """Four patients with every finding."""
    with anatomy_cache(cache):
        return {name: [film_chest((name,), seed, 0, SIZE) for seed in range(4)] for name in FINDINGS}


def change(film: ChestFilm) -> np.ndarray:
    return film.image.astype(int) - film.twin


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_finding_shows_in_its_mask_and_its_twin_is_the_normal_film(
    finding: str, films: dict[str, list[ChestFilm]]
) -> None:
    for seed, one in enumerate(films[finding]):
        np.testing.assert_array_equal(one.twin, film_chest((), seed, 0, SIZE).image)
        assert one.mask.any()
        assert list(one.masks) == [finding]
    changes = np.stack([change(one) for one in films[finding]]) * (-1 if finding in LESS_DENSE else 1)
    mask = np.stack([one.mask for one in films[finding]])
    assert changes[mask].mean() > 5
    assert abs(changes[mask]).mean() > 2 * abs(changes[~mask]).mean()


@pytest.mark.parametrize("finding", FOCAL)
def test_far_from_a_focal_lesion_the_twin_is_the_same(finding: str, films: dict[str, list[ChestFilm]]) -> None:
    for one in films[finding]:
        far = ndimage.distance_transform_edt(~one.mask) > 0.25 * SIZE  # the reach of scattered rays
        assert far.mean() > 0.3
        assert abs(change(one))[far].max() <= 4
        assert abs(change(one))[far].mean() < 0.2


@pytest.mark.parametrize("finding", sorted(set(FINDINGS) - {"Cardiomegaly"}))
def test_masks_lie_inside_the_lungs(finding: str, films: dict[str, list[ChestFilm]]) -> None:
    for seed, one in enumerate(films[finding]):
        right, left = project_lungs(chest_anatomy(), _pose(seed, 0, SIZE)[1])
        near_lung = cv2.dilate((right + left > 5).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        assert near_lung[one.mask].mean() > 0.98


def test_marker_and_hardware_do_not_depend_on_the_findings(films: dict[str, list[ChestFilm]]) -> None:
    for seed in range(4):
        assert len({films[name][seed].marker for name in FINDINGS}) == 1
        assert len({films[name][seed].twin.tobytes() for name in FINDINGS}) == 1


def test_several_findings_share_one_twin_and_keep_their_masks() -> None:
    both = film_chest(("Cardiomegaly", "Effusion"), 2, 0, SIZE)
    effusion = film_chest(("Effusion",), 2, 0, SIZE)
    np.testing.assert_array_equal(both.twin, effusion.twin)
    np.testing.assert_array_equal(both.masks["Effusion"], effusion.mask)
    np.testing.assert_array_equal(both.mask, both.masks["Cardiomegaly"] | both.masks["Effusion"])


def test_an_enlarged_heart_is_wider_than_the_patients_own() -> None:
    for seed in range(4):
        one = film_chest(("Cardiomegaly",), seed, 0, SIZE)
        columns = np.flatnonzero(one.mask.any(0))
        assert np.ptp(columns) > 0.3 * SIZE
        assert (change(one)[one.mask] > 10).mean() > 0.1


def test_a_pneumothorax_darkens_the_rim_of_one_lung() -> None:
    for seed in range(4):
        one = film_chest(("Pneumothorax",), seed, 0, SIZE)
        sides = [np.isin(one.zones, zones) & one.mask for zones in ((1, 2, 3), (4, 5, 6))]
        assert min(side.sum() for side in sides) < 0.1 * max(side.sum() for side in sides)


def test_a_normal_film_has_no_mask() -> None:
    normal = render_chest((), 3, 1, SIZE)
    assert not normal.mask.any()
    np.testing.assert_array_equal(normal.image, normal.twin)
    assert normal.attributes["finding"] == "Normal"


@pytest.mark.parametrize("finding", FOUR_CLASSES)
def test_frames_of_a_patient_differ_and_repeat(finding: str) -> None:
    one, same, other = (render_chest((finding,), 5, frame, 64).image for frame in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.5


def test_lung_zones_follow_the_pose_and_not_the_finding() -> None:
    for seed in range(4):
        zones = lung_zones(seed, 1, SIZE)
        np.testing.assert_array_equal(zones, film_chest(("COVID",), seed, 1, SIZE).zones)
        assert set(np.unique(zones)) == set(range(7))
        rows, columns = (np.array([np.nonzero(zones == zone)[axis].mean() for zone in range(1, 7)]) for axis in (0, 1))
        assert (columns[:3] < columns[3:]).all()  # the right lung is left in the picture
        assert (np.diff(rows[:3]) > 0).all()
        assert (np.diff(rows[3:]) > 0).all()
        assert 0.1 < (zones > 0).mean() < 0.5


def test_local_curves_do_what_opencv_does() -> None:
    compared = 0
    image = film_chest((), 1, 0, 128).twin
    for seed in range(8):
        film = draw_film(np.random.default_rng(seed), 128)
        ours = apply_curves(image, local_curves(image, film)).astype(int)
        if film.clahe:
            theirs = cv2.createCLAHE(film.clahe, (4, 4)).apply(image)
            assert abs(ours - theirs).mean() < 5  # it rounds the clipped histogram
            assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
            compared += 1
        else:
            np.testing.assert_array_equal(ours, image)
    assert 0 < compared < 8


def test_bad_chest_input_is_explained() -> None:
    with pytest.raises(ValueError, match=r"COVID.*got \['Flu'\]"):
        render_chest(("Flu",), 0, 0)
    with pytest.raises(ValueError, match="at least 32 pixels, but got 8"):
        render_chest((), 0, 0, 8)
    with pytest.raises(ValueError, match="at least 32 pixels, but got 8"):
        lung_zones(0, 0, 8)
