"""Every method over small networks: known answers, agreement with libraries, and a model left as it was."""

import gc
import re

import numpy as np
import pytest
import torch
from torch import nn

import medxai_helpers as mx
from tests.explanation.small_networks import FourWeights, OneAttention, TinyViT, built, pictures, small_cnn
from tools.project import ROOT

LAYER = "5"
ON_LAYERS = [name for name, method in mx.METHODS.items() if method.reads == "layer"]
ON_PIXELS = [name for name, method in mx.METHODS.items() if method.reads == "pixels"]
ON_ATTENTION = [name for name, method in mx.METHODS.items() if method.reads == "attention"]
IMAGE = torch.tensor([[[[1.0, 2.0], [-3.0, 4.0]]]])


def explained(name, model, images, targets=None, **options):
    if name in ON_LAYERS:
        options.setdefault("layer", "patches" if isinstance(model, TinyViT) else LAYER)
    return mx.explain(model, images, name, targets, **options)


def every_case():
    cases = [(name, small_cnn) for name in ON_LAYERS + ON_PIXELS]
    return cases + [(name, TinyViT) for name in ["grad-cam", *ON_ATTENTION, *ON_PIXELS]]


over_all = pytest.mark.parametrize(("name", "maker"), every_case(), ids=lambda value: getattr(value, "__name__", value))


@over_all
@pytest.mark.parametrize("channels", [1, 3])
def test_a_map_for_every_image_in_the_order_of_the_images(name, maker, channels):
    model, images = built(maker, channels=channels), pictures(3, channels)
    together = explained(name, model, images)
    assert len(together) == 3
    assert together.method == name
    assert together.raw.dtype == np.float32
    assert np.isfinite(together.raw).all()
    assert together.raw.any()
    alone = np.concatenate([explained(name, model, images[row : row + 1]).raw for row in range(3)])
    np.testing.assert_allclose(together.raw, alone, rtol=1e-3, atol=1e-5)


@over_all
def test_everything_is_left_as_it_was(name, maker):
    model, images = built(maker).train(), pictures()
    frozen = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.LayerNorm))
    frozen.eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    modes = [module.training for module in model.modules()]
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    state, input_before = torch.get_rng_state(), images.clone()
    explained(name, model, images)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert torch.equal(images, input_before)
    assert not images.requires_grad
    assert all((parameter.grad == 1).all() for parameter in model.parameters())
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


@over_all
def test_frozen_weights_no_grad_and_inference_mode_change_nothing(name, maker):
    model, images = built(maker), pictures()
    expected = explained(name, model, images, 1).raw
    model.requires_grad_(False)
    with torch.no_grad():
        np.testing.assert_allclose(explained(name, model, images, 1).raw, expected, atol=1e-6)
    with torch.inference_mode():
        made_here = images * 1
        np.testing.assert_allclose(explained(name, model, made_here, 1).raw, expected, atol=1e-6)


@over_all
def test_under_autocast_the_map_is_nearly_the_same_and_training_can_go_on(name, maker):
    model, images = built(maker), pictures()
    expected = explained(name, model, images, 1).raw
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = explained(name, model, images, 1).raw
        model.train()(images).sum().backward()
    agreed = np.corrcoef(found.ravel(), expected.ravel())[0, 1]
    assert agreed > (0.7 if name == "occlusion" else 0.98)  # small differences of numbers with eight bits
    assert all(parameter.grad is not None for parameter in model.parameters())


@over_all
def test_the_class_matters_where_the_table_says_so(name, maker):
    model, images = built(maker), pictures()
    one, other = (explained(name, model, images, target).raw for target in (0, 2))
    assert mx.METHODS[name].by_class != np.allclose(one, other)


@pytest.mark.parametrize("name", ["grad-cam", "hires-cam"])
def test_known_answers_of_four_weights(name):
    for target, expected in ((0, 2 / 4 * np.array([[1, 2], [0, 4]])), (1, 3 / 4 * np.array([[0, 0], [3, 0]]))):
        found = mx.explain(FourWeights(), IMAGE, name, target, layer="features")
        np.testing.assert_allclose(found.raw[0], expected)


def test_known_answer_of_layer_cam():
    found = mx.explain(FourWeights(), IMAGE, "layer-cam", 0, layer="features")
    np.testing.assert_allclose(found.raw[0], 2 / 4 * np.array([[1, 2], [0, 4]]))


def test_known_answers_on_pixels():
    """The score of class 0 is half the sum of the pixels, so each pixel's share is half its value."""
    for name, options in (("integrated-gradients", {"steps": 4}), ("occlusion", {"window": 1})):
        found = mx.explain(FourWeights(), IMAGE, name, 0, **options)
        np.testing.assert_allclose(found.raw[0], 0.5 * np.array([[1, 2], [-3, 4]]), atol=1e-6)


@pytest.mark.parametrize("library", [False, True])
def test_known_answers_of_attention(library):
    """The class token is 0, so it attends to all five tokens alike; its score is the mean of the tokens."""
    model = OneAttention(library)
    rolled = mx.explain(model, IMAGE, "attention-rollout")
    np.testing.assert_allclose(rolled.raw[0], np.full((2, 2), 0.1), atol=1e-6)  # (1/5 + 0) / 2
    up, down = (mx.explain(model, IMAGE, "attention-relevance", target).raw[0] for target in (0, 1))
    np.testing.assert_allclose(up, np.array([[1, 2], [0, 4]]) / 5, atol=1e-6)
    np.testing.assert_allclose(down, np.array([[0, 0], [3, 0]]) / 5, atol=1e-6)


def test_hires_cam_equals_grad_cam_at_a_pooled_linear_head(cnn):
    one, other = (explained(name, cnn, pictures()).raw for name in ("grad-cam", "hires-cam"))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ON_LAYERS if name != "eigen-cam"])
def test_equal_to_the_library_after_its_scaling(name):
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    kinds = {"grad-cam": "GradCAM", "grad-cam++": "GradCAMPlusPlus", "hires-cam": "HiResCAM"}
    kinds |= {"layer-cam": "LayerCAM", "score-cam": "ScoreCAM"}
    model, images = built(small_cnn).eval(), pictures()
    model[5].inplace = False
    ours = explained(name, model, images, np.array([0, 1, 2]))
    targets = [ClassifierOutputTarget(target) for target in range(3)]
    with getattr(library, kinds[name])(model=model, target_layers=[model[5]]) as theirs:
        expected = theirs(input_tensor=images, targets=targets)
    scaled = scale_cam_image(scale_cam_image(ours.raw, (16, 16)))  # the library scales before and after enlarging
    np.testing.assert_allclose(scaled, expected, atol=1e-4)


def test_relevance_of_one_block_equals_the_gradient_of_the_library_weights():
    """The oracle takes the weights from MultiheadAttention itself and rebuilds the output from them."""
    attention = built(lambda: nn.MultiheadAttention(8, 2, batch_first=True)).eval()
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    _, weights = attention(tokens, tokens, tokens, average_attn_weights=False)
    seen = []
    with mx.WatchedAttention(lambda block: seen.append(block) or block), torch.no_grad():
        out, _ = attention(tokens, tokens, tokens, need_weights=False)
    plain, _ = attention(tokens, tokens, tokens, need_weights=False)
    torch.testing.assert_close(seen[0], weights.detach())
    torch.testing.assert_close(out, plain.detach())


def test_rollout_joins_heads_and_discards(vit):
    maps = {
        heads: mx.explain(vit, pictures(), "attention-rollout", heads=heads).raw for heads in ("mean", "max", "min")
    }
    assert not np.allclose(maps["mean"], maps["max"])
    assert not np.allclose(maps["mean"], maps["min"])
    full = mx.explain(vit, pictures(), "attention-rollout")
    thinned = mx.explain(vit, pictures(), "attention-rollout", discard=0.8)
    assert not np.allclose(full.raw, thinned.raw)
    with pytest.raises(ValueError, match="discard"):
        mx.explain(vit, pictures(), "attention-rollout", discard=1.0)


def test_rollout_equals_a_product_written_out(vit):
    images, blocks = pictures(2), []
    with torch.no_grad(), mx.WatchedAttention(lambda block: blocks.append(block) or block):
        vit.eval()(images)
    halves = [(block.mean(dim=1) + torch.eye(17)) / 2 for block in blocks]
    expected = (halves[1] @ halves[0])[:, 0, 1:].reshape(2, 4, 4)
    np.testing.assert_allclose(mx.explain(vit, images, "attention-rollout").raw, expected, rtol=1e-5)


def test_integrated_gradients_add_up_to_the_score(cnn):
    images = pictures()
    found = mx.explain(cnn, images, "integrated-gradients", 1, steps=200).raw.sum(axis=(1, 2))
    with torch.no_grad():
        expected = cnn.eval()(images)[:, 1] - cnn(torch.zeros_like(images))[:, 1]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3)


def test_a_contrast_is_the_difference_before_the_relu():
    weights = mx.contrast(0, 1, classes=2)
    found = mx.explain(FourWeights(), IMAGE, "grad-cam", weights, layer="features")
    np.testing.assert_allclose(found.raw[0], np.maximum((2 / 4 + 3 / 4) * np.array([[1, 2], [-3, 4]]), 0))
    assert found.targets.tolist() == [[1, -1]]


def test_the_findings_of_a_many_label_image_are_explained_together():
    images = torch.cat([IMAGE, IMAGE, IMAGE])
    findings = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.uint8)
    found = mx.explain(FourWeights(), images, "grad-cam", findings, layer="features")
    first = np.array([[1, 2], [-3, 4]]) / 2
    np.testing.assert_allclose(found.raw[0], np.maximum(first, 0))
    np.testing.assert_allclose(found.raw[1], np.maximum(first - 1.5 * first, 0))
    assert found.strength[2] == 0


def test_tokens_are_laid_out_on_the_grid_and_a_dead_layer_is_refused(vit):
    found = mx.explain(vit, pictures(), "grad-cam", layer="encoder.layers.1.norm1")
    assert found.raw.shape == (3, 4, 4)
    with pytest.raises(ValueError, match="Only the class token"):
        mx.explain(vit, pictures(), "grad-cam", layer="encoder.layers.1")
    with pytest.raises(ValueError, match=r"4, 4"):
        mx.explain(vit, pictures(), "grad-cam", layer="encoder.layers.1.norm1", grid=(3, 5))
    with pytest.raises(ValueError, match=r"encoder\.layers\.1\.norm1"):
        mx.explain(vit, pictures(), "grad-cam", layer="head")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "gradcam"}, "Expected a method among"),
        ({"layer": "layer4"}, r"'2', '5'"),
        ({"layer": None}, "model table does not know"),
        ({"discard": 0.5}, "Expected options"),
        ({"targets": [0, 1]}, "one target per image"),
        ({"targets": 3}, "targets from 0 to 2"),
        ({"targets": -1}, "targets from 0 to 2"),
        ({"targets": np.zeros((3, 2), np.float32)}, "finite weights of shape"),
        ({"targets": np.array([0.0, np.nan, 1.0])}, "finite weights"),
        ({"targets": "polyp"}, "class indices"),
        ({"method": "attention-rollout", "layer": None}, "Expected a transformer"),
        ({"images": torch.zeros(3, 1, 16, 16, dtype=torch.uint8)}, "standardised float images"),
        ({"method": "occlusion", "layer": None, "window": 99}, "window"),
    ],
)
def test_mistakes_are_answered_with_what_would_do(cnn, wrong, message):
    with pytest.raises(ValueError, match=message):
        mx.explain(cnn, **({"images": pictures(), "method": "grad-cam", "layer": LAYER} | wrong))
    assert not any(module._forward_hooks for module in cnn.modules())


@pytest.mark.parametrize(("wanted", "rival"), [(1, 1), (3, 0), (0, -1)])
def test_a_contrast_needs_two_classes(wanted, rival):
    with pytest.raises(ValueError, match="two different classes"):
        mx.contrast(wanted, rival, classes=3)


def test_masked_attention_is_refused():
    attention = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    tokens = torch.zeros(1, 3, 4)
    with mx.WatchedAttention(lambda block: block):
        with pytest.raises(ValueError, match="without masks"):
            attention(tokens, tokens, tokens, attn_mask=torch.zeros(3, 3))
        with pytest.raises(ValueError, match="without a mask"):
            nn.functional.scaled_dot_product_attention(tokens, tokens, tokens, torch.zeros(3, 3))


def test_hooks_and_memory_do_not_grow_over_200_calls(cnn, vit):
    def once():
        explained("grad-cam", cnn, pictures())
        explained("attention-relevance", vit, pictures())

    def tensors():
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    for _ in range(3):
        once()
    before = tensors()
    for _ in range(200):
        once()
    assert tensors() <= before + 2
    assert not any(module._forward_hooks for module in cnn.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
@over_all
def test_on_a_graphics_card(name, maker):
    model, images = built(maker), pictures()
    expected = explained(name, model, images, 1).raw
    found = explained(name, model.to("cuda"), images.to("cuda"), 1).raw
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_the_bibliography_knows_every_method():
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), flags=re.MULTILINE))
    assert {method.reference for method in mx.METHODS.values()} <= keys
