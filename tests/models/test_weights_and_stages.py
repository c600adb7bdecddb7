"""Weights that are fetched, read, fitted or refused, and stages that are frozen."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import medxai_helpers as mx
from medxai_helpers import models
from medxai_helpers.models import MODELS, weights
from medxai_helpers.preprocessing import resize


class Trap:
    """Creates a file when unpickled the careless way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDXAI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def test_code_in_a_file_is_refused_and_not_run(tmp_path):
    path, touched = tmp_path / "weights.pt", tmp_path / "touched"
    torch.save({"a": torch.ones(1), "b": Trap(touched)}, path)
    with pytest.raises(ValueError, match="nothing was run"):
        models.read_weights(path)
    path.write_bytes(pickle.dumps(Trap(touched)))
    with pytest.raises(ValueError, match="nothing was run"):
        models.read_weights(path)
    assert not touched.exists()


def test_files_that_hold_something_else_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is none"):
        models.read_weights(tmp_path / "none.pt")
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="named tensors"):
        models.read_weights(tmp_path / "list.pt")
    torch.save(mx.build_model("compact-cnn", classes=6).state_dict(), tmp_path / "cnn.pt")
    with pytest.raises(ValueError, match="are missing"):
        mx.build_model("small-vit", classes=6, weights=tmp_path / "cnn.pt")


def test_without_a_network_the_error_says_which_file_goes_where(cache, no_network):
    with pytest.raises(OSError, match="get that file elsewhere") as caught:
        mx.build_model("resnet18", classes=2, weights="imagenet")
    assert str(cache / "resnet18-f37072fd.pth") in str(caught.value)


def test_a_file_put_there_is_taken_and_the_head_for_other_classes_stays(cache, no_network, capsys):
    stored = mx.build_model("resnet18", classes=10, seed=5)
    cache.mkdir(parents=True)
    torch.save(stored.state_dict(), cache / "resnet18-f37072fd.pth")
    fresh = mx.build_model("resnet18", classes=2, seed=0)
    model = mx.build_model("resnet18", classes=2, dropout=0.5, seed=0, weights="imagenet")
    assert torch.equal(model.conv1.weight, stored.conv1.weight)
    assert torch.equal(model.layer4[1].bn2.running_var, stored.layer4[1].bn2.running_var)
    assert torch.equal(model.fc[1].weight, fresh.fc.weight)
    assert "stays fresh" in capsys.readouterr().out


def test_a_head_for_the_same_classes_is_taken_also_behind_dropout(tmp_path):
    stored = mx.build_model("resnet18", classes=3, seed=5)
    torch.save(stored.state_dict(), tmp_path / "w.pt")
    model = mx.build_model("resnet18", classes=3, dropout=0.5, seed=0, weights=tmp_path / "w.pt")
    assert torch.equal(model.fc[1].weight, stored.fc.weight)


def test_own_networks_have_no_published_weights():
    with pytest.raises(ValueError, match="has none"):
        mx.build_model("small-vit", classes=2, weights="imagenet")


def test_names_of_the_oldest_densenet_files_are_understood():
    old = {"features.denseblock1.denselayer1.norm.1.weight": 0, "features.norm5.weight": 1, "classifier.bias": 2}
    new = ["features.denseblock1.denselayer1.norm1.weight", "features.norm5.weight", "classifier.bias"]
    assert list(weights._modern_names(old)) == new
    assert set(new) <= set(mx.build_model("densenet121", classes=2).state_dict())


def test_lite0_with_the_packages_weights_knows_a_cat_and_a_cup():
    from skimage import data
    from torchvision.models import ResNet18_Weights

    model, spec = (
        mx.build_model("efficientnet-lite0", classes=1000, weights="imagenet").eval(),
        MODELS["efficientnet-lite0"],
    )
    names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    for picture, wanted in (
        (data.chelsea(), {"Egyptian cat", "tabby", "tiger cat"}),
        (data.coffee(), {"espresso", "cup"}),
    ):
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = resize(picture[top : top + side, left : left + side].copy(), spec.size)
        image = (torch.from_numpy(square).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
        probability = model(image).softmax(dim=1)[0]
        assert names[int(probability.argmax())] in wanted
        assert probability.max() > 0.3


def test_grey_weights_answer_as_colour_ones_to_three_equal_channels():
    colour = mx.build_model("efficientnet-lite0", classes=4, channels=3, weights="imagenet").eval()
    grey = mx.build_model("efficientnet-lite0", classes=4, channels=1, weights="imagenet").eval()
    grey.classifier.load_state_dict(colour.classifier.state_dict())
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(grey(images), colour(images.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-3)


def test_a_hybrid_takes_the_weights_of_its_backbone():
    model = mx.build_model("hybrid", classes=2, size=64, backbone="efficientnet-lite0", weights="imagenet")
    whole = mx.build_model("efficientnet-lite0", classes=2, weights="imagenet")
    assert torch.equal(model.backbone.conv_head.weight, whole.conv_head.weight)


def test_positions_are_resized_to_another_grid(tmp_path):
    torch.save(mx.build_model("small-vit", classes=2, size=32).state_dict(), tmp_path / "w.pt")
    stored = models.read_weights(tmp_path / "w.pt")["encoder.positions"]
    model = mx.build_model("small-vit", classes=2, size=64, weights=tmp_path / "w.pt")
    there = model.encoder.positions
    assert there.shape == (1, 65, 192)
    assert torch.equal(there[:, 0], stored[:, 0])
    corners = there[0, 1:].unflatten(0, (8, 8))[[0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, stored[0, 1:].unflatten(0, (4, 4))[[0, 0, -1, -1], [0, -1, 0, -1]])


@pytest.mark.parametrize("name", ["compact-cnn", "resnet18", "small-vit", "hybrid-small"])
def test_freezing_goes_from_the_front(name):
    model, spec = mx.build_model(name, classes=3), MODELS[name]
    free = []
    for count in range(len(spec.stages) + 1):
        models.freeze(model, count)
        free.append({key for key, parameter in model.named_parameters() if parameter.requires_grad})
    assert len(free[0]) == len(list(model.parameters()))
    assert all(later < earlier for earlier, later in pairwise(free))
    assert free[-1] == {key for key, _ in model.named_parameters() if key.startswith(spec.head)}
    models.freeze(model)
    assert {key for key, parameter in model.named_parameters() if parameter.requires_grad} == free[-1]


def test_a_frozen_stage_keeps_its_batch_norm_in_training():
    model = mx.build_model("resnet18", classes=3, size=64)
    models.freeze(model, 2)
    models.train_mode(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model(torch.rand(4, 3, 64, 64))
    moved = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"layer2", "layer3", "layer4"}
    assert model.training
    assert not model.layer1.training


def test_impossible_stages_are_refused():
    with pytest.raises(ValueError, match="0 to 5 stages"):
        models.freeze(mx.build_model("resnet18", classes=3), 6)
    with pytest.raises(ValueError, match="elsewhere"):
        models.freeze(torch.nn.Linear(2, 2))


def test_a_network_can_be_built_again_from_its_architecture():
    model = mx.build_model("hybrid-small", classes=5, channels=1, size=48, dropout=0.2, backbone="simple-cnn")
    plan = models.architecture_of(model)
    again = models.rebuild(models.Architecture(**plan.as_dict()))
    again.load_state_dict(model.state_dict())
    assert models.architecture_of(again) == plan
