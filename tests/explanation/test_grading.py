"""Grades by hand, against a library, on a network that is known to look at a square, and on maps that know nothing."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

import medxai_helpers as mx
from medxai_helpers.explanation import localisation
from medxai_helpers.explanation.grading import cluster_mean
from tests.explanation.small_networks import FourWeights, built, taught

MASK = np.array([[[0, 0, 0], [0, 1, 1], [0, 0, 0]]], dtype=bool)
MAP = np.array([[[1, 0, 0], [0, 4, 2], [1, 0, 0]]], dtype=float)
NOTHING = np.zeros_like(MASK)


def maps_of(model, images, name="grad-cam", target=1, **options):
    layer = {"layer": "5"} if mx.METHODS[name].reads == "layer" else {}
    return mx.explain(model, images, name, target, **layer, **options)


def pixels_of(images):
    return ((images[:, 0].numpy() + 2) * 40).clip(0, 255).astype(np.uint8)


def test_grades_of_three_by_three_pixels():
    assert localisation.pointing_game(MAP, MASK) == 1
    assert localisation.energy_in_mask(MAP, MASK) == 6 / 8
    assert localisation.overlap(MAP, MASK, threshold=0.5) == 1
    assert localisation.overlap(MAP, MASK, threshold=0.2) == 2 / 4
    assert localisation.overlap(MAP, MASK, threshold=0.2, measure="dice") == 4 / 6
    assert localisation.average_precision(MAP, MASK) == 1


def test_the_pointing_game_forgives_and_shares():
    off = np.array([[[0, 5, 0], [0, 4, 2], [1, 0, 0]]], dtype=float)
    assert localisation.pointing_game(off, MASK) == 0
    assert localisation.pointing_game(off, MASK, tolerance=1) == 1
    tied = np.array([[[4, 0, 0], [0, 4, 2], [1, 0, 0]]], dtype=float)
    assert localisation.pointing_game(tied, MASK) == 0.5


def test_evidence_against_counts_as_none():
    assert localisation.energy_in_mask(MAP - 3 * ~MASK, MASK) == 1


@pytest.mark.parametrize("measure", localisation.MEASURES.values(), ids=list(localisation.MEASURES))
@pytest.mark.parametrize(
    ("maps", "masks"), [(MAP, NOTHING), (np.zeros_like(MAP), MASK), (-MAP, MASK), (MAP * 0 + 2, MASK)]
)
def test_an_empty_mask_and_a_flat_map_are_not_graded(measure, maps, masks):
    assert np.isnan(measure(maps, masks)).all()


def test_average_precision_equals_scikit_learn_and_an_even_map_scores_the_area():
    rng = np.random.default_rng(0)
    maps, masks = rng.random((4, 20, 20)), rng.random((4, 20, 20)) > 0.8
    expected = [average_precision_score(mask.ravel(), each.ravel()) for each, mask in zip(maps, masks, strict=True)]
    np.testing.assert_allclose(localisation.average_precision(maps, masks), expected)
    assert np.mean(expected) == pytest.approx(masks.mean(), abs=0.05)


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 24, 24), bool)
    masks[:, 8:16, 8:16] = True
    maps = masks * 0.7 + rng.uniform(0, 0.3, masks.shape)
    assert 0.3 <= localisation.choose_map_threshold(maps, masks) <= 0.7
    best = localisation.overlap(maps, masks, threshold=localisation.choose_map_threshold(maps, masks)).mean()
    assert all(localisation.overlap(maps, masks, threshold=level).mean() <= best for level in (0.1, 0.2, 0.8, 0.9))
    assert localisation.overlap(maps, masks).mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: localisation.energy_in_mask(MAP, MASK[0]), "one shape"),
        (lambda: localisation.energy_in_mask(MAP * np.nan, MASK), "finite"),
        (lambda: localisation.overlap(MAP, MASK, threshold=1.0), "threshold"),
        (lambda: localisation.overlap(MAP, MASK, threshold="half"), "threshold"),
        (lambda: localisation.overlap(MAP, MASK, measure="jaccard"), "measure"),
        (lambda: localisation.pointing_game(MAP, MASK, tolerance=-1), "tolerance"),
        (lambda: mx.control_maps("noise", np.zeros((1, 8, 8), np.uint8)), "control"),
        (lambda: mx.similarity(MAP, MAP[0]), "one shape"),
        (lambda: mx.randomise(FourWeights(), ["layer9"]), "submodules or parameters"),
    ],
)
def test_mistakes_are_answered(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_network_that_looks_at_the_square_beats_every_control(teacher, seen):
    images, _, masks = seen
    correct = teacher(images).argmax(dim=1).numpy() == 1
    graded = mx.grade({"grad-cam": maps_of(teacher, images)}, masks, pixels_of(images), correct=correct, tolerance=1)
    assert set(graded.table["method"]) == {"grad-cam", *mx.CONTROLS}
    for measure in ("energy in mask", "average precision"):
        for control in mx.CONTROLS:
            assert graded.difference("grad-cam", control, measure).low > 0
    summary = graded.summary()
    assert summary.loc[("random map", "energy in mask"), "value"] == pytest.approx(masks.mean(), abs=0.02)
    assert (summary["low"] <= summary["value"]).all()
    assert (summary["value"] <= summary["high"]).all()
    assert (summary["n"] + summary["undecided"] == len(images)).all()


def test_what_could_not_be_graded_is_counted_and_splits_add_up(teacher, seen, tmp_path):
    images, _, masks = seen
    masks = masks.copy()
    masks[:4] = False
    masks[4:10, :8] = True
    correct = np.arange(len(images)) % 3 > 0
    graded = mx.grade({"grad-cam": maps_of(teacher, images)}, masks, pixels_of(images), correct=correct, threshold=0.5)
    assert (graded.summary()["undecided"] == 4).all()
    by_correct = graded.summary("correct")["n"].groupby(["method", "measure"]).sum()
    assert (by_correct == len(images) - 4).all()
    assert {"IoU", "Dice"} <= set(graded.measures)
    assert set(graded.table["lesion"]) <= {"", "small", "medium", "large"}
    graded.save(tmp_path / "grades.csv")
    again = mx.Grades.load(tmp_path / "grades.csv")
    assert again.measures == graded.measures
    np.testing.assert_allclose(again.summary()["value"], graded.summary()["value"])
    assert str(again) == str(graded) == "4 methods on 40 images, 7 measures"
    with pytest.raises(ValueError, match="Expected methods"):
        graded.difference("grad-cam", "rollout", "IoU")
    with pytest.raises(ValueError, match="same images"):
        mx.grade({"grad-cam": maps_of(teacher, images[:3])}, masks, pixels_of(images), correct=correct)


def test_terciles_of_the_lesion_are_of_equal_number(seen):
    masks = np.zeros((9, 16, 16), bool)
    for row in range(9):
        masks[row, : row + 1] = True
    maps = mx.control_maps("centre", np.zeros((9, 16, 16), np.uint8))
    graded = mx.grade({"c": maps}, masks, np.zeros((9, 16, 16), np.uint8), correct=np.ones(9, bool), controls=False)
    assert graded.table["lesion"].tolist() == ["small"] * 3 + ["medium"] * 3 + ["large"] * 3


def test_intervals_draw_groups():
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], 10)
    alone = cluster_mean(values, np.arange(60))
    grouped = cluster_mean(values, np.repeat(np.arange(6), 10))
    assert alone.value == grouped.value == 0.5
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    assert np.isnan(cluster_mean(np.array([np.nan, 1.0]), np.arange(2)).low)
    rng = np.random.default_rng(0)
    hits = [cluster_mean(rng.normal(0, 1, 40), np.arange(40), seed=run) for run in range(200)]
    assert 0.88 <= np.mean([found.low <= 0 <= found.high for found in hits]) <= 0.99


def test_the_causal_grade_by_hand():
    """Class 0 of the four weights scores half the sum of the pixels; the lesion adds 4 and 2 in two corners."""
    twins = torch.zeros(1, 1, 2, 2)
    images = torch.tensor([[[[4.0, 0.0], [0.0, 2.0]]]])
    model = FourWeights()
    assert mx.lesion_effect(model, images, twins, 0) == 3
    effects = mx.region_effects(model, images, twins, 0, cells=2)
    np.testing.assert_allclose(effects[0], [[2, 0], [0, 1]])
    found, twin = (mx.explain(model, each, "grad-cam", 0, layer="features") for each in (images, twins))
    masks = images[:, 0].numpy() > 0
    assert mx.change_in_mask(found, twin, masks) == 1
    assert mx.change_in_mask(found, twin, ~masks) == 0
    assert np.isnan(mx.change_in_mask(twin, twin, masks))
    assert mx.rank_agreement(found, effects) > 0.9
    assert mx.rank_agreement(mx.Heatmaps(-found.raw + 4, found.targets, ""), effects) < -0.9
    with pytest.raises(ValueError, match="a twin for every image"):
        mx.lesion_effect(model, images, twins[:, :, :1], 0)


def test_the_causal_grade_of_a_taught_network(teacher, seen):
    images, twins, masks = seen
    assert (mx.lesion_effect(teacher, images, twins, 1) > 0).mean() > 0.9
    effects = mx.region_effects(teacher, images, twins, 1, cells=4)
    found, twin = maps_of(teacher, images), maps_of(teacher, twins)
    blind = mx.control_maps("random map", pixels_of(images))
    assert np.nanmean(mx.rank_agreement(found, effects)) > np.nanmean(mx.rank_agreement(blind, effects)) + 0.3
    assert np.nanmean(mx.change_in_mask(found, twin, masks)) > 3 * masks.mean()


def test_deletion_and_insertion_of_four_weights():
    """Removing the one pixel that carries the evidence drops the score at once; bringing it first restores it."""
    images = torch.zeros(2, 1, 4, 4)
    images[:, 0, 1, 2] = 8
    model = FourWeights()
    maps = mx.explain(model, images, "grad-cam", 0, layer="features")
    curves = mx.deletion_insertion(model, images, maps, steps=16, baseline=0.0)
    high, low = (1 / (1 + np.exp(-value)) for value in (8 / 16 * 2 + 8 / 16 * 3, 0))
    np.testing.assert_allclose(curves.deletion[0], [high] + [low] * 16, rtol=1e-5)
    np.testing.assert_allclose(curves.insertion[0], [low] + [high] * 16, rtol=1e-5)
    upside_down = mx.Heatmaps(8 - maps.raw, maps.targets, "")
    worse = mx.deletion_insertion(model, images, upside_down, steps=16, baseline=0.0)
    assert (worse.deletion_area > curves.deletion_area).all()
    assert (worse.insertion_area < curves.insertion_area).all()


def test_deletion_and_insertion_need_no_more_calls_than_promised(teacher, seen, capsys):
    images, calls = seen[0], []
    maps = maps_of(teacher, images)
    handle = teacher.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    curves = mx.deletion_insertion(teacher, images, maps, steps=20, batch_size=10, progress=True)
    handle.remove()
    assert len(calls) <= 20 * len(images) / 10
    assert curves.deletion.shape == (40, 21)
    assert "80/80" in capsys.readouterr().err
    with torch.no_grad():
        expected = teacher(images).softmax(dim=1)[:, 1]
    np.testing.assert_allclose(curves.deletion[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(curves.insertion[:, -1], expected, rtol=1e-4)
    with pytest.raises(ValueError, match="one class for each"):
        mx.deletion_insertion(teacher, images[:3], maps)


def test_ties_are_not_broken_from_top_to_bottom():
    from medxai_helpers.explanation.faithfulness import _ranks

    ranks = _ranks(np.zeros((1, 16, 16), np.float32), seed=0)[0]
    assert sorted(ranks.ravel()) == [place / 256 for place in range(256)]
    assert abs(np.corrcoef(ranks.ravel(), np.arange(256))[0, 1]) < 0.2


def test_road_infidelity_and_stability_tell_a_map_from_noise(teacher, seen):
    images = seen[0][:12]
    maps = maps_of(teacher, images)
    noise = mx.Heatmaps(mx.control_maps("random map", pixels_of(images)).raw, maps.targets, "")
    state = torch.get_rng_state()
    assert mx.road(teacher, images, maps).mean() > mx.road(teacher, images, noise).mean() + 0.1
    assert mx.infidelity(teacher, images, maps).mean() < mx.infidelity(teacher, images, noise).mean()
    assert mx.stability(lambda each: maps_of(teacher, each), images).mean() > 0.9
    low, high = (mx.max_sensitivity(lambda each: maps_of(teacher, each), images, radius=r).mean() for r in (0.01, 1.0))
    assert 0 < low < high
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("maker", ["resnet18", "vit_b_16"])
def test_randomising_changes_every_parameter(maker):
    import torchvision.models

    from medxai_helpers.explanation.sanity import changed_share

    model = built(getattr(torchvision.models, maker), num_classes=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    drawn = mx.randomise(model)
    assert changed_share(model, drawn) > 0.999
    assert all((one != two).any() for one, two in zip(model.parameters(), drawn.parameters(), strict=True))
    assert all((value > 0).all() for key, value in drawn.named_buffers() if key.endswith("running_var"))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with torch.no_grad():
        size = {"resnet18": 64, "vit_b_16": 224}[maker]
        assert torch.isfinite(drawn.eval()(torch.zeros(1, 3, size, size))).all()


def test_the_cascade_drives_grad_cam_to_the_control_and_catches_a_map_that_ignores_the_weights(teacher, seen):
    images = seen[0]
    found = mx.cascade(teacher, lambda network: maps_of(network, images))
    assert found.table["value"].iloc[0] == pytest.approx(1)
    assert found.table["share"].iloc[-1] > 0.999
    assert found.table["share"].is_monotonic_increasing
    assert found.passed
    assert found.table["value"].iloc[-1] < 0.35
    blind = mx.cascade(teacher, lambda _: mx.control_maps("image edges", pixels_of(images)))
    assert blind.table["value"].iloc[-1] == pytest.approx(1)
    assert not blind.passed


def test_random_labels_give_other_maps(teacher, seen):
    images = seen[0]
    trained, again, shuffled = (
        maps_of(network, images, "integrated-gradients").raw
        for network in (teacher, taught(seed=3), taught(shuffled=True))
    )
    assert mx.similarity(trained, again).mean() > mx.similarity(trained, shuffled).mean() + 0.15


def test_controls_know_nothing_of_the_model():
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    pixels[:, :, 16:] = 200
    edges = mx.control_maps("image edges", pixels).raw
    assert edges.shape == (2, 32, 32)
    assert set(edges.argmax(axis=2).ravel()) <= {15, 16}
    centre = mx.control_maps("centre", pixels).raw[0]
    assert np.unravel_index(centre.argmax(), centre.shape) in [(15, 15), (15, 16), (16, 15), (16, 16)]
    one, other = (mx.control_maps("random map", pixels, cells=7, seed=seed).raw for seed in (0, 1))
    assert one.shape == (2, 7, 7)
    assert not np.allclose(one, other)
