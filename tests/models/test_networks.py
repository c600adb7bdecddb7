"""Networks written here, against their description or an independent implementation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import medxai_helpers as mx
from medxai_helpers import models


def test_simple_cnn_is_the_papers_layer_by_layer():
    with torch.device("meta"):
        model = mx.build_model("simple-cnn", classes=4)
    layers = [module for module in model.modules() if not list(module.children())]
    kinds = ["Conv2d", "ReLU", "MaxPool2d"] * 4 + ["Linear", "ReLU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in layers] == kinds
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.padding) for c in convolutions] == [
        (inputs, outputs, (3, 3), (1, 1)) for inputs, outputs in ((3, 32), (32, 64), (64, 128), (128, 256))
    ]
    dense = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert dense == [(256 * 14 * 14, 512), (512, 4)]
    assert next(layer.p for layer in layers if isinstance(layer, nn.Dropout)) == 0.5
    assert sum(parameter.numel() for parameter in model.parameters()) == 26_081_092


def test_attention_equals_pytorchs():
    ours, theirs = models.SelfAttention(width=12, heads=3), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.project.weight,
            "out_proj.bias": ours.project.bias,
        }
    )
    tokens = torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(0))
    wanted, weights = theirs(tokens, tokens, tokens, average_attn_weights=False)
    torch.testing.assert_close(ours(tokens), wanted)
    torch.testing.assert_close(ours.weights(tokens), weights)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 7))


def test_explicit_attention_computes_the_same_and_can_be_hooked():
    attention, kept = models.SelfAttention(width=8, heads=2), []
    tokens = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))
    fused = attention(tokens)
    attention.seen.register_forward_hook(lambda _, __, output: kept.append(output))
    attention(tokens)
    assert kept == []
    attention.explicit = True
    torch.testing.assert_close(attention(tokens), fused)
    torch.testing.assert_close(kept[0], attention.weights(tokens))
    (gradient,) = torch.autograd.grad(attention(tokens).sum(), kept[1])
    assert gradient.shape == (1, 2, 5, 5)


def test_impossible_heads_are_refused():
    with pytest.raises(ValueError, match="divides"):
        models.SelfAttention(width=10, heads=3)


def test_an_encoder_block_equals_pytorchs():
    ours = models.EncoderBlock(width=8, heads=2)
    theirs = nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    pairs = {
        "self_attn.in_proj_weight": ours.attention.qkv.weight,
        "self_attn.in_proj_bias": ours.attention.qkv.bias,
        "self_attn.out_proj.weight": ours.attention.project.weight,
        "self_attn.out_proj.bias": ours.attention.project.bias,
        "linear1.weight": ours.dense[0].weight,
        "linear1.bias": ours.dense[0].bias,
        "linear2.weight": ours.dense[2].weight,
        "linear2.bias": ours.dense[2].bias,
    } | {
        f"{norm}.{part}": getattr(getattr(ours, norm), part)
        for norm in ("norm1", "norm2")
        for part in ("weight", "bias")
    }
    theirs.load_state_dict(pairs)
    tokens = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_small_vit_reads_patches_row_by_row():
    """The k-th token after the class token comes from the k-th patch: only its embedding sees a change there."""
    model, kept = mx.build_model("small-vit", classes=2, size=32).eval(), []
    model.encoder.blocks.register_forward_hook(lambda _, tokens, __: kept.append(tokens[0]))
    image = torch.zeros(1, 3, 32, 32)
    model(image)
    image[0, :, 8:16, 16:24] = 1  # row 1, column 2 of a 4 x 4 grid
    model(image)
    changed = (kept[0] != kept[1]).any(dim=2)[0].nonzero().flatten().tolist()
    assert changed == [1 + 1 * 4 + 2]


def test_our_densenet_computes_what_torchvisions_does():
    from torchvision.models import densenet121

    theirs = densenet121(weights=None, num_classes=3).eval()
    ours = mx.build_model("densenet121", classes=3).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_cam_of_a_densenet_is_zhous_on_the_rectified_maps():
    """With average pooling before one linear layer, Grad-CAM is the class's weights times the maps, over the places."""
    model, images = mx.build_model("densenet121", classes=3, size=64).eval(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps = functional.relu(model.features(images))
        wanted = torch.einsum("k,bkhw->bhw", model.classifier.weight[1], maps).clamp_min(0) / 4
    ours = mx.grad_cam(model, images, models.spec_of("densenet121").cam_layer, targets=torch.tensor([1, 1]).numpy())
    torch.testing.assert_close(torch.from_numpy(ours.raw), wanted, rtol=1e-4, atol=1e-6)
