"""Every architecture of the model table is explained by every method that fits it, grey and RGB."""

import numpy as np
import pytest
import torch

import medxai_helpers as mx

SMALL = [name for name, spec in mx.MODELS.items() if spec.parameters < 3e7]


def built(name, channels):
    spec = mx.MODELS[name]
    size = 64 if spec.smallest <= 64 else spec.smallest
    model = mx.build_model(name, classes=3, channels=channels, size=size)
    generator = torch.Generator().manual_seed(0)
    return model, torch.rand(2, channels, size, size, generator=generator)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMALL)
def test_the_layer_of_the_table_gives_a_map(name, channels):
    model, images = built(name, channels)
    found = mx.explain(model, images, targets=1)
    assert found.layer == mx.MODELS[name].cam_layer
    assert len(found) == 2
    assert np.isfinite(found.raw).all()
    assert min(found.raw.shape[1:]) >= 2
    names = dict(model.named_modules())
    with pytest.raises(ValueError, match="Expected a layer among") as refused:
        mx.explain(model, images, layer="nowhere")
    offered = [each for each in names if f"'{each}'" in str(refused.value)]
    assert offered
    assert len(mx.explain(model, images[:1], targets=1, layer=offered[-1])) == 1


@pytest.mark.parametrize("name", [name for name in SMALL if mx.MODELS[name].attention])
def test_attention_is_read_on_the_grid_of_the_model(name):
    model, images = built(name, 1)
    for method in ("attention-rollout", "attention-relevance"):
        assert mx.explain(model, images, method, 1).raw.shape == (2, *model.grid)
    with pytest.raises(ValueError, match="Expected a grid"):
        mx.explain(model, images, "attention-rollout", grid=(1, 3))


@pytest.mark.parametrize("name", [name for name in SMALL if not mx.MODELS[name].attention])
def test_a_network_without_attention_is_refused(name):
    model, images = built(name, 1)
    with pytest.raises(ValueError, match="Expected a transformer"):
        mx.explain(model, images, "attention-rollout")


def test_the_cascade_follows_the_stages_of_the_table():
    model, images = built("densenet63", 1)
    spec = mx.MODELS["densenet63"]
    stages = [(spec.head,), *reversed(spec.stages)]
    found = mx.cascade(model, lambda network: mx.explain(network, images, "grad-cam", 1), stages, draws=1)
    assert len(found.table) == len(stages) + 1
    assert found.table["share"].iloc[-1] > 0.999
