"""Every architecture, scripted over the table: it builds, computes, learns, saves, loads and says where to look."""

from __future__ import annotations

import gc
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional

import medxai_helpers as mx
from medxai_helpers import models
from medxai_helpers.models import MODELS

NAMES = tuple(MODELS)
LIGHT = tuple(name for name in NAMES if name not in ("vit-b16", "hybrid"))
PUBLISHED = {  # millions of parameters and multiplications with 1,000 classes, as torchvision states them
    "resnet18": (11.69, 1.814),
    "resnet50": (25.56, 4.089),
    "densenet121": (7.98, 2.834),
    "efficientnet-b3": (12.23, 1.827),
    "vit-b16": (86.57, 17.564),
}


def small_size(name: str) -> int:
    """The smallest side whose last feature maps have more than one place: batch norm needs that for one image."""
    return {"vit-b16": 32, "compact-cnn": 40, "hybrid-small": 40, "simple-cnn": 32, "small-vit": 16}.get(name, 64)


def inputs(name: str, count: int, channels: int) -> torch.Tensor:
    size = small_size(name)
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def build(name: str, channels: int = 3, classes: int = 4, **options) -> nn.Module:
    return mx.build_model(name, classes=classes, channels=channels, size=small_size(name), **options)


@pytest.fixture(autouse=True)
def release_memory():
    yield
    gc.collect()


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_table(name):
    assert models.model_cost(name, classes=MODELS[name].counted_with).parameters == MODELS[name].parameters


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiplications_equal_the_published_ones(name):
    cost = models.model_cost(name, classes=1000)
    millions, billions = PUBLISHED[name]
    assert round(cost.parameters / 1e6, 2) == millions
    assert round(cost.multiplications / 1e9, 3) == billions


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_reach_every_parameter(name, channels):
    model = build(name, channels).train()
    logits = model(inputs(name, 3, channels))
    assert logits.shape == (3, 4)
    functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    without = [
        key for key, parameter in model.named_parameters() if parameter.grad is None or not parameter.isfinite().all()
    ]
    assert without == []


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("name", LIGHT)
def test_odd_batches_train_and_an_image_scores_the_same_in_any_batch(name, count):
    model, images = build(name), inputs(name, count, 3)
    assert model.train()(images).isfinite().all()
    with torch.no_grad():
        together, alone = model.eval()(images), model(images[:1])
    torch.testing.assert_close(together[:1], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_one_batch_can_be_learned_by_heart(name):
    model, images, truth = build(name, dropout=0.0), inputs(name, 4, 3), torch.tensor([0, 1, 2, 3])
    images = (images - 0.5) / 0.25
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4 if name == "vit-b16" else 1e-3)
    losses = []
    model.train()
    for _ in range(40):
        losses.append(functional.cross_entropy(model(images), truth))
        if losses[-1] < 0.2:
            break
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.2 < losses[0]


@pytest.mark.parametrize(
    ("name", "suffix"), [*product(LIGHT, [".pt", ".safetensors"]), ("vit-b16", ".pt"), ("hybrid", ".pt")]
)
def test_saved_weights_give_the_same_scores(name, suffix, tmp_path):
    from safetensors.torch import save_file

    first, path = build(name, seed=1).eval(), tmp_path / f"weights{suffix}"
    torch.save(first.state_dict(), path) if suffix == ".pt" else save_file(first.state_dict(), path)
    second = build(name, seed=2, weights=path).eval()
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(first(inputs(name, 2, 3)), second(inputs(name, 2, 3)))


@pytest.mark.parametrize("name", LIGHT)
def test_the_seed_decides_and_the_global_state_is_left_alone(name):
    before = torch.random.get_rng_state()
    first, same, other = (nn.utils.parameters_to_vector(build(name, seed=seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_the_cam_layer_depends_on_the_image_and_the_logits_on_it(name):
    model, kept = build(name).eval(), []
    handle = model.get_submodule(MODELS[name].cam_layer).register_forward_hook(
        lambda _, __, output: kept.append(output)
    )
    logits = model(inputs(name, 2, 3))
    handle.remove()
    (maps,) = kept
    copy = maps.detach().clone()
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), maps)
    assert maps.ndim == (3 if name in ("vit-b16", "small-vit") else 4)
    assert gradient.abs().max() > 0
    assert torch.equal(maps, copy)  # nothing later overwrote what the hook kept


@pytest.mark.parametrize("name", NAMES)
def test_stages_and_head_cover_the_network_once(name):
    with torch.device("meta"):
        model = build(name)
    parts = [part for stage in MODELS[name].stages for part in stage] + [MODELS[name].head]
    ids = [id(parameter) for part in parts for parameter in model.get_submodule(part).parameters()]
    rest = {key for key, parameter in model.named_parameters() if id(parameter) not in ids}
    assert len(ids) == len(set(ids))
    assert rest <= {"class_token", "encoder.pos_embedding", "encoder.ln.weight", "encoder.ln.bias"} | {
        "encoder.class_token",
        "encoder.positions",
        "encoder.norm.weight",
        "encoder.norm.bias",
    }


@pytest.mark.parametrize("name", [name for name in NAMES if MODELS[name].attention])
def test_the_attention_layout_is_that_of_the_built_network(name):
    with torch.device("meta"):
        model = mx.build_model(name, classes=2)
    layout = models.attention_of(model)
    assert layout == MODELS[name].attention
    for layer in layout.layers:
        assert isinstance(model.get_submodule(layer), models.SelfAttention | nn.MultiheadAttention)
    tokens = sum(isinstance(m, models.SelfAttention | nn.MultiheadAttention) for m in model.modules())
    assert tokens == len(layout.layers)


@pytest.mark.parametrize("backbone", [name for name in NAMES if MODELS[name].body])
def test_every_body_can_carry_the_hybrid(backbone):
    with torch.device("meta"):
        model = mx.build_model("hybrid", classes=3, size=64, backbone=backbone)
        rows, columns = models.attention_of(model).grid
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 3)
        assert model.backbone(torch.empty(1, 3, 64, 64)).shape[2:] == (rows, columns)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "small-vit", "size": 60},
        {"name": "resnet18", "size": 16},
        {"name": "resnet18", "channels": 2},
        {"name": "resnet18", "classes": 1},
        {"name": "resnet18", "dropout": 1.0},
        {"name": "resnet18", "backbone": "resnet50"},
        {"name": "hybrid", "backbone": "vit-b16"},
        {"name": "alexnet"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_words(wrong):
    with pytest.raises(ValueError, match="Expected"):
        mx.build_model(**({"classes": 4} | wrong))


def test_normalisation_follows_the_channels():
    assert MODELS["compact-cnn"].normalisation() == {"mean": 0.0, "std": 1.0}
    assert MODELS["simple-cnn"].normalisation() == {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    grey = MODELS["resnet18"].normalisation(1)
    assert grey["mean"] == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    assert MODELS["resnet18"].normalisation(3)["std"] == (0.229, 0.224, 0.225)


def test_the_bibliography_knows_every_reference():
    from tools.project import ROOT

    text = (ROOT / "book" / "references.bib").read_text()
    assert all(f"{{{spec.reference}," in text for spec in MODELS.values())
