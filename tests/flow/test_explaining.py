import numpy as np
import pytest
import torch
from torch import nn

import medxai_helpers as mx


class FourWeights(nn.Module):
    """Two feature maps that copy and negate the image, pooled into two classes: the map is known by hand."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(1, 2, 1, bias=False)
        self.classifier = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.features.weight[:] = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
            self.classifier.weight[:] = torch.tensor([[2.0, 0.0], [0.0, 3.0]])

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))


IMAGE = torch.tensor([[[[1.0, 2.0], [-3.0, 4.0]]]])


def test_known_answer_by_hand():
    maps = mx.grad_cam(FourWeights(), IMAGE, "features", np.array([0]))
    np.testing.assert_allclose(maps.raw[0], 2 / 4 * np.array([[1, 2], [0, 4]]))
    maps = mx.grad_cam(FourWeights(), IMAGE, "features", np.array([1]))
    np.testing.assert_allclose(maps.raw[0], 3 / 4 * np.array([[0, 0], [3, 0]]))


def test_equals_the_library_on_the_compact_cnn(trained, store, split):
    cam = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    from medxai_helpers.training import to_input

    images = to_input(store.batch(split["validation"]), trained.settings)
    ours = mx.grad_cam(trained.model, images, "block3.1")
    assert ours.raw.shape == (18, 12, 12)
    targets = [ClassifierOutputTarget(int(target)) for target in ours.targets]
    with cam.GradCAM(model=trained.model, target_layers=[trained.model.block3[1]]) as theirs:
        expected = theirs(input_tensor=images, targets=targets)
    shown = np.flatnonzero(ours.strength > 0)
    assert len(shown) >= 12
    for mine, other in zip(ours.scaled(64)[shown], expected[shown], strict=True):
        np.testing.assert_allclose((mine - mine.min()) / np.ptp(mine), other, atol=2e-3)


def test_a_batch_equals_one_by_one():
    model = mx.build_model("compact-cnn", classes=6, seed=2)
    images = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    together = mx.grad_cam(model, images, "block3.1").raw
    alone = np.concatenate([mx.grad_cam(model, images[i : i + 1], "block3.1").raw for i in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_the_model_is_left_as_it_was():
    model = mx.build_model("compact-cnn", classes=6).train()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state, before = torch.get_rng_state(), torch.is_grad_enabled()
    mx.grad_cam(model, torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)), "block3.1")
    assert model.training
    assert torch.is_grad_enabled() == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all((p.grad == 1).all() for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_everything_is_put_back_after_an_error():
    model = mx.build_model("compact-cnn", classes=6).train()
    with pytest.raises(RuntimeError):
        mx.grad_cam(model, torch.rand(2, 3, 64, 64), "block3.1")
    assert model.training
    assert torch.is_grad_enabled()
    assert not any(module._forward_hooks for module in model.modules())


def test_works_under_no_grad_and_with_frozen_weights():
    model = mx.build_model("compact-cnn", classes=6, seed=2)
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = mx.grad_cam(model, images, "block3.1").raw
    model.requires_grad_(False)
    with torch.no_grad():
        np.testing.assert_allclose(mx.grad_cam(model, images, "block3.1").raw, expected)
    assert expected.max() > 0


def test_an_in_place_relu_behind_the_layer_does_not_change_the_map():
    torch.manual_seed(0)
    conv, head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def net(inplace):
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(conv, nn.ReLU(inplace=inplace), pool, head)

    images = torch.rand(2, 1, 8, 8)
    a, b = (mx.grad_cam(net(inplace), images, "0", np.array([0, 1])).raw for inplace in (False, True))
    np.testing.assert_allclose(a, b)


def test_wrong_layers_and_targets_are_refused():
    model = mx.build_model("compact-cnn", classes=6)
    images = torch.rand(2, 1, 64, 64)
    with pytest.raises(ValueError, match=r"block3\.1"):
        mx.grad_cam(model, images, "layer4")
    with pytest.raises(ValueError, match="feature maps"):
        mx.grad_cam(model, images, "dense1")
    with pytest.raises(ValueError, match="one target per image"):
        mx.grad_cam(model, images, "block3.1", np.array([1]))


def test_scaling_keeps_an_empty_map_empty():
    raw = np.stack([np.zeros((3, 3)), np.arange(9).reshape(3, 3)]).astype(np.float32)
    maps = mx.Heatmaps(raw, np.array([0, 1]), "layer")
    scaled = maps.scaled(6)
    assert scaled[0].max() == 0
    assert scaled[1].max() == pytest.approx(1)
    assert maps.strength.tolist() == [0, 8]


def test_maps_survive_saving(tmp_path):
    maps = mx.grad_cam(FourWeights(), IMAGE, "features")
    maps.save(tmp_path / "m.npz")
    again = mx.Heatmaps.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.raw, maps.raw)
    assert str(again) == str(maps) == "1 maps of 2 x 2 at features"
