"""Augmentation: exact where it can be, the same distribution in both backends, and a table of what is safe."""

import numpy as np
import pytest
import torch
from scipy import stats

from medxai_helpers.augmentation import (
    FIELDS,
    MODALITIES,
    NO_CHANGE,
    POLICIES,
    SAFETY,
    SANDOVAL2024,
    VERMA2023,
    AugmentationPolicy,
    ImageAugmenter,
    augment_batch,
    augment_with_masks,
    doubts,
    prepare_batch,
    safety_table,
)
from medxai_helpers.augmentation.batch import draw_changes
from medxai_helpers.datasets import CATALOGUE

SIDE, DRAWS = 128, 300
MIDDLE = slice(56, 72)
IMAGES = torch.rand(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def seed(number):
    return torch.Generator().manual_seed(number)


def test_nothing_drawn_is_nothing_changed():
    assert torch.equal(augment_batch(IMAGES, NO_CHANGE, seed(0)), IMAGES)
    still = AugmentationPolicy("a turn too small to see", rotation=1e-6)
    torch.testing.assert_close(augment_batch(IMAGES, still, seed(0)), IMAGES, atol=1e-5, rtol=0)


@pytest.mark.parametrize("turn", [0, 1e-6], ids=["flipped", "sampled"])
def test_certain_flips_are_exact(turn):
    for axis, name in ((3, "horizontal_flip"), (2, "vertical_flip")):
        policy = AugmentationPolicy("flip", rotation=turn, **{name: 1.0})
        torch.testing.assert_close(augment_batch(IMAGES, policy, seed(0)), IMAGES.flip(axis), atol=2e-5, rtol=0)


def test_every_image_has_its_own_draw():
    flipped = augment_batch(IMAGES, AugmentationPolicy("flip", horizontal_flip=0.5), seed(0))
    same = (flipped - IMAGES).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert 18 <= int(same.sum()) <= 46  # 64 draws at one half: three and a half standard deviations


def test_the_seed_decides_and_the_input_stays():
    before = IMAGES.clone()
    for policy in POLICIES.values():
        assert torch.equal(augment_batch(IMAGES, policy, seed(1)), augment_batch(IMAGES, policy, seed(1)))
        if policy != NO_CHANGE:
            assert not torch.equal(augment_batch(IMAGES, policy, seed(1)), augment_batch(IMAGES, policy, seed(2)))
    assert torch.equal(IMAGES, before)


def test_rotation_is_a_rotation_by_at_most_the_limit():
    matrices = draw_changes(AugmentationPolicy("turn", rotation=30.0), 500, seed(0)).matrices[:, :, :2]
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(2).expand(500, 2, 2), atol=1e-5, rtol=0)
    angles = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert -30 <= angles.min() < -27
    assert 27 < angles.max() <= 30


def test_zoom_in_shows_a_smaller_part():
    scales = draw_changes(AugmentationPolicy("zoom", zoom=0.2), 500, seed(0)).matrices[:, 0, 0]
    assert 1 / 1.2 <= scales.min() < 0.85
    assert 1.2 < scales.max() <= 1 / 0.8


def test_a_shift_moves_the_picture_by_that_share_of_its_side():
    image = torch.zeros(200, 1, 40, 40)
    image[:, :, 18:22, 18:22] = 1
    moved = augment_batch(image, AugmentationPolicy("shift", translation=0.25), seed(0))
    place = torch.arange(40).float() @ moved[:, 0].sum(dim=1).T / moved.sum(dim=(1, 2, 3)) - 19.5
    assert 9 < place.max() <= 10.01
    assert -10.01 <= place.min() < -9


def test_oblong_images_are_turned_without_shear():
    image = torch.zeros(100, 1, 40, 120)
    rows, columns = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(120) - 59.5, indexing="ij")
    image[:, 0] = (rows**2 + columns**2 < 12**2).float()
    turned = augment_batch(image, AugmentationPolicy("turn", rotation=90.0), seed(0))
    assert (turned - image).abs().mean(dim=(1, 2, 3)).max() < 0.02  # a disc stays a disc


def test_the_elastic_field_has_the_spread_it_names():
    field = draw_changes(AugmentationPolicy("bend", elastic=0.03), 800, seed(0)).field / 2
    assert field.shape == (800, 2, 21, 21)
    assert field[:, :, 10, 10].std() == pytest.approx(0.03, rel=0.06)
    assert field[:, :, 0, 0].std() == pytest.approx(0.03, rel=0.06)


def test_masks_take_the_way_of_their_images():
    masks = torch.zeros(32, 64, 64, dtype=torch.bool)
    masks[:, 10:30, 20:50] = True
    policy = AugmentationPolicy(
        "all", rotation=20, zoom=0.2, horizontal_flip=0.5, vertical_flip=0.5, translation=0.1, elastic=0.02
    )
    images, moved = augment_with_masks(masks[:, None].float(), masks, policy, seed(0))
    assert moved.dtype == torch.bool
    assert ((images[:, 0] > 0.5) ^ moved).float().mean() < 0.01
    assert torch.equal(images, augment_batch(masks[:, None].float(), policy, seed(0)))
    augmenter = ImageAugmenter(policy, size=64, seed=0)
    for mask in masks[:8].numpy():
        image, changed = augmenter.with_mask(255 * mask.astype(np.uint8), mask)
        assert ((image > 127) ^ changed).mean() < 0.02


def test_colours_of_grey_images_stay():
    policy = AugmentationPolicy("colour", saturation=0.5, tint=0.3)
    assert torch.equal(augment_batch(IMAGES, policy, seed(0)), IMAGES)


def test_brightness_is_cut_off_at_black_and_white():
    changed = augment_batch(IMAGES, AugmentationPolicy("light", brightness=0.9, contrast=0.9), seed(0))
    assert changed.min() == 0
    assert changed.max() == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("policy", [None, *POLICIES.values()], ids=str)
def test_preparing_is_scaling_augmenting_and_standardising(policy, layout, channels):
    shape = (16, channels, 24, 24)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seed(0)).to(memory_format=layout)
    mean, std = ((0.5,), (0.25,)) if channels == 1 else ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    before = pixels.clone()
    ours = prepare_batch(pixels, mean=mean, std=std, policy=policy, generator=seed(1))
    scaled = pixels.float() / 255
    changed = scaled if policy is None else augment_batch(scaled, policy, seed(1))
    expected = (changed - torch.tensor(mean).reshape(1, -1, 1, 1)) / torch.tensor(std).reshape(1, -1, 1, 1)
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-5)
    assert torch.equal(pixels, before)
    torch.testing.assert_close(prepare_batch(pixels, mean=0.5, std=2.0), (scaled - 0.5) / 2)


def test_preparing_refuses_what_it_cannot_do():
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(TypeError, match="uint8"):
        prepare_batch(pixels.float())
    with pytest.raises(ValueError, match="generator"):
        prepare_batch(pixels, policy=SANDOVAL2024)
    with pytest.raises(ValueError, match="numbers"):
        prepare_batch(pixels, mean=(0.5, 0.5), std=1.0)


# The two backends draw the same distribution: each quantity is read off a test pattern, not from the code.


def position_pattern():
    """Red tells the column, green the row: what arrives in the middle tells where it came from."""
    column = np.tile(2 * np.arange(SIDE, dtype=np.uint8), (SIDE, 1))
    return np.dstack([column, column.T, np.full_like(column, 128)])


def flat_pattern(*colours):
    stripes = [np.full((SIDE, SIDE // len(colours), 3), colour, np.uint8) for colour in colours]
    return np.concatenate(stripes, axis=1)


def drawn(backend, policy, pattern, count=DRAWS):
    """Return ``count`` changed copies of a pattern as floats of 0 to 255, (count, H, W, 3)."""
    if backend == "batch":
        batch = torch.from_numpy(pattern).permute(2, 0, 1)[None].expand(count, -1, -1, -1).float() / 255
        changed = 255 * augment_batch(batch, policy, seed(0)).permute(0, 2, 3, 1).numpy()
        return np.rint(changed)  # as the other backend, which works on bytes
    augmenter = ImageAugmenter(policy, size=SIDE, seed=0)
    return np.stack([augmenter(pattern) for _ in range(count)]).astype(float)


def motions(images):
    """Fit where the middle came from: angle, scale, shift in the target's frame, and flips of each draw."""
    place = np.arange(SIDE)[MIDDLE] - (SIDE - 1) / 2
    columns, rows = (axis.ravel() for axis in np.meshgrid(place, place))
    design = np.column_stack([columns, rows, np.ones_like(rows)])
    sources = images[:, MIDDLE, MIDDLE, :2].reshape(len(images), -1, 2) / 2 - (SIDE - 1) / 2
    fits = np.stack([np.linalg.lstsq(design, source, rcond=None)[0].T for source in sources])
    linear, shift = fits[:, :, :2], fits[:, :, 2]
    flips = np.sign(np.diagonal(linear, axis1=1, axis2=2))
    turns = linear * flips[:, None, :]
    moved = np.linalg.solve(turns, -shift[:, :, None])[:, :, 0]
    return {
        "angle": np.rad2deg(np.arctan2(turns[:, 1, 0], turns[:, 0, 0])),
        "scale": 1 / np.sqrt(np.abs(np.linalg.det(linear))),
        "right": moved[:, 0] / SIDE,
        "down": moved[:, 1] / SIDE,
        "horizontal flip": flips[:, 0],
        "vertical flip": flips[:, 1],
    }


def bends(images):
    """Read the displacement at four places, far enough from each other and from the edges."""
    places = np.array([48, 80])
    offset = images[:, places][:, :, places, :2] / 2
    right, down = offset[..., 0] - places, offset[..., 1] - places[:, None]
    return {"right": right.ravel() / SIDE, "down": down.ravel() / SIDE}


def lights(images):
    dark, light = (images[:, :, part].mean(axis=(1, 2, 3)) for part in (slice(0, SIDE // 2), slice(SIDE // 2, SIDE)))
    gain = (light - dark) / 60
    return {"gain": gain, "offset": (dark - 80 * gain) / 255}


def colours(images):
    red, _, blue = images.mean(axis=(1, 2)).T
    return {"saturation": (red - blue) / 60}


def tints(images):
    return dict(zip("rgb", images.mean(axis=(1, 2)).T - 128, strict=True))


MOVE = {"rotation": 20.0, "zoom": 0.2, "translation": 0.1, "horizontal_flip": 0.3, "vertical_flip": 0.6}
CASES = {
    "motion": (MOVE, position_pattern(), motions),
    "elastic": ({"elastic": 0.02}, position_pattern(), bends),
    "light": ({"brightness": 0.15, "contrast": 0.2}, flat_pattern((80,) * 3, (140,) * 3), lights),
    "saturation": ({"saturation": 0.3}, flat_pattern((150, 120, 90)), colours),
    "tint": ({"tint": 0.1}, flat_pattern((128,) * 3), tints),
}
CASE = pytest.mark.parametrize(("setting", "pattern", "measure"), CASES.values(), ids=CASES)


def disagreement(first, second):
    """The smallest p value over all quantities: two samples of one distribution, or not?"""
    return min(stats.ks_2samp(first[name], second[name]).pvalue for name in first)


@CASE
def test_both_backends_draw_the_same_distribution(setting, pattern, measure):
    policy = AugmentationPolicy("both", **setting)
    batch, single = (measure(drawn(backend, policy, pattern)) for backend in ("batch", "single"))
    assert disagreement(batch, single) > 0.01, {name: (batch[name].std(), single[name].std()) for name in batch}


@CASE
def test_that_comparison_notices_a_range_that_is_half_wider(setting, pattern, measure):
    wider = {name: 1.5 * value for name, value in setting.items()}
    batch = measure(drawn("batch", AugmentationPolicy("both", **setting), pattern))
    single = measure(drawn("single", AugmentationPolicy("wider", **wider), pattern))
    assert disagreement(batch, single) < 0.01


def test_the_ranges_are_those_of_the_policy():
    for backend in ("batch", "single"):
        found = motions(drawn(backend, AugmentationPolicy("move", **MOVE), position_pattern()))
        assert np.abs(found["angle"]).max() == pytest.approx(20, abs=1)
        assert found["scale"].min() == pytest.approx(0.8, abs=0.02)
        assert found["scale"].max() == pytest.approx(1.2, abs=0.02)
        assert np.abs(found["right"]).max() == pytest.approx(0.1, abs=0.01)
        assert (found["vertical flip"] < 0).mean() == pytest.approx(0.6, abs=0.12)


def test_the_same_seed_repeats_a_sequence_of_single_images():
    first, same, other = (ImageAugmenter(VERMA2023, size=SIDE, seed=number) for number in (1, 1, 2))
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    for _ in range(3):
        np.testing.assert_array_equal(first(image), same(image))
    assert not np.array_equal(first(image), other(image))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_named_policy_runs_both_ways(policy):
    grey = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    for image in (grey, np.repeat(grey[..., None], 3, axis=2)):
        assert ImageAugmenter(policy, size=SIDE, seed=0)(image).shape == image.shape


def test_impossible_policies_and_batches_are_refused():
    for wrong, words in (
        ({"rotation": 200}, "rotation"),
        ({"zoom": 1.0}, "zoom"),
        ({"horizontal_flip": 2}, "probabilities"),
        ({"brightness": -0.1}, "brightness"),
        ({"elastic": 1.5}, "elastic"),
    ):
        with pytest.raises(ValueError, match=words):
            AugmentationPolicy("x", **wrong)
    for batch in (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(1, 4, 4), torch.zeros(2, 2, 4, 4)):
        with pytest.raises(ValueError, match="Expected float images"):
            augment_batch(batch, SANDOVAL2024, seed(0))
    with pytest.raises(ValueError, match="mask"):
        augment_with_masks(torch.zeros(2, 1, 4, 4), torch.zeros(2, 5, 5, dtype=torch.bool), SANDOVAL2024, seed(0))


def test_the_safety_table_covers_every_change_for_every_modality():
    from dataclasses import fields

    assert set(SAFETY) == set(MODALITIES)
    assert all(set(part) == set(FIELDS) for part in SAFETY.values())
    assert {name for names in FIELDS.values() for name in names} == {
        field.name for field in fields(AugmentationPolicy)
    } - {"name"}
    table = safety_table()
    assert len(table) == len(MODALITIES) * len(FIELDS)
    assert set(table["safe"]) == {"yes", "with care", "no"}
    assert set(sum(MODALITIES.values(), ())) <= set(CATALOGUE)


def test_doubts_name_what_a_policy_does_to_a_modality():
    assert doubts(SANDOVAL2024, "chestxray14")["vertical flip"].safe == "no"
    assert doubts(SANDOVAL2024, "medical-mnist") == {}
    assert doubts(NO_CHANGE, "endoscopy") == {}
    with pytest.raises(ValueError, match="dermoscopy"):
        doubts(SANDOVAL2024, "ultrasound")
