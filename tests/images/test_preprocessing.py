"""Preprocessing against OpenCV, NumPy and scikit-image, and against bad input."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import medxai_helpers as mx
from medxai_helpers import preprocessing as pre

RNG = np.random.default_rng(0)
GREY = cv2.GaussianBlur(RNG.integers(0, 256, (90, 120), dtype=np.uint8), (0, 0), 2)
COLOUR = cv2.GaussianBlur(RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8), (0, 0), 2)
IMAGES = pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
STEPS = {
    "clahe": pre.clahe,
    "denoise": lambda image: pre.denoise(image, search=9),
    "normalise": pre.normalise,
    "resize": lambda image: pre.resize(image, 32),
    "letterbox": lambda image: pre.resize(image, 32, keep_aspect=True),
    "view": pre.crop_to_view,
}
EVERY_STEP = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def plain_opencv(image, clip, tiles):
    equaliser = cv2.createCLAHE(clip, (tiles, tiles))
    if image.ndim == 2:
        return equaliser.apply(image)
    lightness, green_red, blue_yellow = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    return cv2.cvtColor(cv2.merge([equaliser.apply(lightness), green_red, blue_yellow]), cv2.COLOR_LAB2RGB)


@settings(max_examples=60, deadline=None)
@given(
    image=hnp.arrays(np.uint8, st.tuples(st.integers(17, 70), st.integers(17, 70), st.just(3))),
    grey=st.booleans(),
    clip=st.floats(0.1, 50),
    tiles=st.integers(1, 16),
)
def test_clahe_is_byte_equal_to_opencv(image, grey, clip, tiles):
    image = image[..., 0].copy() if grey else image
    np.testing.assert_array_equal(pre.clahe(image, clip, tiles), plain_opencv(image, clip, tiles))


def test_clahe_of_a_grey_image_is_not_clahe_of_its_rgb_copy():
    as_rgb = np.repeat(GREY[..., None], 3, axis=2)
    difference = np.abs(pre.clahe(as_rgb)[..., 0].astype(int) - pre.clahe(GREY).astype(int)).mean()
    assert 0.5 < difference < 6


def test_clahe_of_colour_keeps_the_hue():
    before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(int) for image in (COLOUR, pre.clahe(COLOUR, 1.5)))
    assert np.abs(before[..., 1:] - after[..., 1:]).mean() < 3
    assert np.abs(before[..., 0] - after[..., 0]).mean() > 5


def test_denoising_is_opencvs_with_red_and_blue_in_their_places():
    np.testing.assert_array_equal(pre.denoise(GREY, 7, 5, 9), cv2.fastNlMeansDenoising(GREY, None, 7, 5, 9))
    swapped = cv2.fastNlMeansDenoisingColored(cv2.cvtColor(COLOUR, cv2.COLOR_RGB2BGR), None, 7, 7, 5, 9)
    np.testing.assert_array_equal(pre.denoise(COLOUR, 7, 5, 9), cv2.cvtColor(swapped, cv2.COLOR_BGR2RGB))


def test_denoising_removes_noise_and_agrees_with_scikit_image():
    restoration = pytest.importorskip("skimage.restoration")
    clean = np.kron(RNG.integers(40, 216, (6, 6)), np.ones((12, 12)))
    noisy = (clean + RNG.normal(0, 10, clean.shape)).clip(0, 255).astype(np.uint8)
    ours = pre.denoise(noisy, 10)
    theirs = restoration.denoise_nl_means(noisy.astype(float), 7, 10, h=10, fast_mode=True)
    assert np.abs(ours - clean).mean() < 0.5 * np.abs(noisy - clean).mean()
    assert np.abs(ours - theirs).mean() < 2.5


@pytest.mark.parametrize(("side", "size"), [(100, 64), (30, 64), (64, 64)])
def test_resize_keeps_a_constant_image_constant(side, size):
    image = np.full((side, side), 77, np.uint8)
    np.testing.assert_array_equal(pre.resize(image, size), np.full((size, size), 77, np.uint8))


def test_resize_down_is_the_mean_of_the_area():
    image = np.kron(np.array([[10, 20], [30, 40]]), np.ones((3, 3))).astype(np.uint8)
    image[0, 0] = 19  # the mean of nine: 11
    assert pre.resize(image, 2).tolist() == [[11, 20], [30, 40]]


def test_keeping_the_aspect_fills_with_black_on_both_sides():
    wide = pre.resize(np.full((50, 100, 3), 200, np.uint8), 20, keep_aspect=True)
    assert wide.shape == (20, 20, 3)
    assert (wide[5:15] == 200).all()
    assert not wide[:5].any()
    assert not wide[15:].any()
    assert pre.resize(np.ones((1000, 1), np.uint8), 10, keep_aspect=True).any()  # a sliver keeps one pixel


def test_enlarged_float_images_stay_within_range():
    image = np.zeros((8, 8), np.float32)
    image[3:5, 3:5] = 1
    big = pre.resize(image, 40)
    assert big.dtype == np.float32
    assert big.min() == 0
    assert big.max() == 1


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("size", [32, 200])
def test_masks_follow_their_images(size, keep_aspect):
    mask = np.zeros((90, 120), bool)
    mask[20:60, 70:100] = True
    shown = pre.resize(np.where(mask, 255, 1).astype(np.uint8), size, keep_aspect=keep_aspect)
    moved = pre.resize_mask(mask, size, keep_aspect=keep_aspect)
    assert moved.dtype == np.bool_
    assert (moved != (shown > 127)).mean() < 0.005


def endoscope(radius=60, centre=(80, 110), text=True):
    rows, columns = np.ogrid[:160, :220]
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    image = np.where(inside[..., None], (180, 90, 70), (6, 4, 5)).astype(np.uint8)
    if text:
        cv2.putText(image, "12 MAY", (2, 14), cv2.FONT_HERSHEY_PLAIN, 0.9, (255, 255, 255))
    return image, inside


def test_the_field_of_view_is_found_beside_printed_text():
    image, inside = endoscope()
    view = pre.find_view(image)
    assert abs(view.top - 20) <= 1
    assert abs(view.left - 50) <= 1
    assert view.radius == pytest.approx(60, abs=1.5)
    cropped = pre.crop_to_view(image)
    assert abs(cropped.shape[0] - 121) <= 2
    assert cropped[0, 0].tolist() == [0, 0, 0]
    assert view.crop(inside).sum() == pytest.approx(inside.sum(), rel=0.02)


def test_a_cut_circle_loses_nothing_that_is_lit():
    image, inside = endoscope(radius=100, centre=(80, 110), text=False)
    view = pre.find_view(image)
    assert (view.top, view.height) == (0, 160)
    assert view.crop(inside).sum() > 0.985 * inside.sum()


@pytest.mark.parametrize("image", [np.full((40, 60), 200, np.uint8), np.zeros((40, 60), np.uint8)])
def test_an_image_without_a_surround_or_without_light_stays_whole(image):
    np.testing.assert_array_equal(pre.crop_to_view(image), image)


def test_ct_windows_show_the_range_they_name():
    values = np.array([-3000, -1350, -600, 150, 3000], np.int16)
    assert pre.ct_window(values, *pre.CT_WINDOWS["lung"]).tolist() == [0, 0, 128, 255, 255]
    with pytest.raises(ValueError, match="finite"):
        pre.ct_window(np.array([np.nan]), 40, 400)
    with pytest.raises(ValueError, match="window"):
        pre.ct_window(values, 40, 0)


@IMAGES
def test_normalising_undoes_a_change_of_brightness_and_contrast(image):
    dim = (image * 0.5 + 20).astype(np.uint8)
    difference = np.abs(pre.normalise(image).astype(int) - pre.normalise(dim).astype(int))
    assert difference.mean() < 3
    np.testing.assert_array_equal(pre.normalise(np.full((5, 5), 9, np.uint8)), np.full((5, 5), 9))


def test_standardising_is_that_of_torchvision():
    torch, transforms = pytest.importorskip("torch"), pytest.importorskip("torchvision.transforms.v2.functional")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = transforms.normalize(torch.from_numpy(COLOUR).permute(2, 0, 1).float() / 255, mean, std)
    np.testing.assert_allclose(pre.standardise(COLOUR, mean, std), theirs.permute(1, 2, 0), rtol=1e-5, atol=1e-6)
    for wrong in [((1, 2), 1), (0, 0), (0, (1, 1))]:
        with pytest.raises(ValueError, match="Expected a"):
            pre.standardise(COLOUR, *wrong)


@EVERY_STEP
@IMAGES
def test_steps_are_pure_and_agree_on_bytes_and_floats(step, image):
    before = image.copy()
    as_bytes = step(image)
    as_floats = step((image / 255).astype(np.float32))
    np.testing.assert_array_equal(image, before)
    assert as_bytes.dtype == np.uint8
    assert as_floats.dtype == np.float32
    assert as_bytes.shape == as_floats.shape
    assert 0 <= as_floats.min() <= as_floats.max() <= 1
    np.testing.assert_allclose(255 * as_floats, as_bytes, atol=1.01)


BAD_IMAGES = {
    "below 0": (np.full((64, 64), -0.1), "within"),
    "above 1": (np.full((64, 64), 200.0), "within"),
    "NaN": (np.where(np.eye(64) > 0, np.nan, 0.5), "NaN"),
    "two channels": (np.zeros((64, 64, 2), np.uint8), "RGB"),
    "transparency": (np.zeros((64, 64, 4), np.uint8), "RGB"),
    "channels first": (np.zeros((3, 64, 64), np.uint8), "channels last"),
    "a batch": (np.zeros((2, 64, 64, 3), np.uint8), "batch"),
    "no pixels": (np.zeros((0, 64), np.uint8), "non-empty"),
    "no columns": (np.zeros((64, 0, 3), np.uint8), "non-empty"),
}


@EVERY_STEP
@pytest.mark.parametrize(("image", "words"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_what_is_no_image_is_refused_in_words(step, image, words):
    with pytest.raises(ValueError, match=words):
        step(image)


@EVERY_STEP
@pytest.mark.parametrize("image", [np.zeros((64, 64), np.int16), np.zeros((64, 64), bool), [[1, 2]]])
def test_other_types_are_refused_in_words(step, image):
    with pytest.raises(TypeError, match="Expected"):
        step(image)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pre.clahe(GREY, 0), "clip limit above 0"),
        (lambda: pre.clahe(GREY, -1), "clip limit above 0"),
        (lambda: pre.clahe(GREY, float("nan")), "clip limit above 0"),
        (lambda: pre.clahe(GREY, 2, 0), "tiles"),
        (lambda: pre.clahe(GREY, 2, 91), "one a tile"),
        (lambda: pre.denoise(GREY, 0), "strength"),
        (lambda: pre.denoise(GREY, 5, 4), "patch"),
        (lambda: pre.denoise(GREY, 5, 7, 0), "search"),
        (lambda: pre.normalise(GREY, 99, 1), "percentiles"),
        (lambda: pre.resize(GREY, 0), "size"),
        (lambda: pre.find_view(GREY, 255), "level"),
        (lambda: pre.resize_mask(np.zeros((3, 3, 3), bool), 2), "mask"),
        (lambda: mx.Preprocessing(size=0), "size"),
        (lambda: mx.Preprocessing(size=64, clahe=0), "clip limit"),
        (lambda: mx.Preprocessing(size=4, clahe=2), "tile"),
        (lambda: mx.Preprocessing(size=64, denoise=-1), "strength"),
        (lambda: mx.Preprocessing(size=64, percentiles=(5, 5)), "percentiles"),
        (lambda: pre.named_recipe("lenet", 64), "aragon2025"),
        (lambda: mx.Preprocessing(size=8).mask(np.zeros((3, 3), bool), GREY), "frame"),
    ],
)
def test_impossible_settings_are_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_recipe_composes_its_steps_in_the_order_it_names():
    recipe = mx.Preprocessing(
        size=48, field_of_view=True, keep_aspect=True, percentiles=(2, 98), denoise=5, clahe=3, tiles=4
    )
    image, _ = endoscope()
    by_hand = pre.resize(pre.crop_to_view(image), 48, keep_aspect=True)
    by_hand = pre.clahe(pre.denoise(pre.normalise(by_hand, 2, 98), 5), 3, 4)
    np.testing.assert_array_equal(recipe(image), by_hand)
    assert str(recipe) == (
        "field of view, 48 px, aspect kept, percentiles 2 to 98, non-local means (5), CLAHE (clip limit 3, 4 x 4 tiles)"
    )
    with pytest.raises(TypeError, match="uint8"):
        recipe(GREY / 255)


def test_the_recipe_takes_masks_through_its_geometry():
    image, inside = endoscope()
    lesion = np.zeros_like(inside)
    lesion[70:100, 90:130] = True
    marked = image.copy()
    marked[lesion] = 255
    recipe = mx.Preprocessing(size=64, field_of_view=True, keep_aspect=True)
    moved, shown = recipe.mask(lesion, image), recipe(marked).min(axis=2) > 200
    assert (moved & shown).sum() / (moved | shown).sum() > 0.9


def test_recipes_are_hashable_and_equal_by_their_settings():
    assert len({mx.Preprocessing(size=64), mx.Preprocessing(size=64), mx.Preprocessing(size=64, clahe=2.0)}) == 2
    assert pre.named_recipe("aragon2025", 224).as_dict()["clahe"] == 2.0
    assert mx.Preprocessing.for_model(mx.MODELS["compact-cnn"], clahe=2.0) == mx.Preprocessing(size=64, clahe=2.0)
    assert set(pre.RECIPES) == {"sandoval2024", "aragon2025", "abarna", "verma2023"}
