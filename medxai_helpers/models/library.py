"""Networks that torchvision or timm already builds well, with our number of channels, classes and dropout."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class ReadableDenseNet(nn.Module):
    """A DenseNet that overwrites nothing one may want to read. Introduced in chapter 07.

    Parameters
    ----------
    network : Module
        torchvision's, whose ``features`` and ``classifier`` are taken over under the same names.
    """

    features: nn.Module
    classifier: nn.Module

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.features = network.get_submodule("features")
        self.relu = nn.ReLU()
        self.classifier = network.get_submodule("classifier")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (b, C, H, W) to logits (b, classes)."""
        maps = self.relu(self.features(images))
        logits: torch.Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits


def resnet18(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build ResNet18 (He et al. 2016). Introduced in chapter 06."""
    return _resnet("resnet18", classes, channels, dropout)


def resnet50(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build ResNet50 (He et al. 2016). Introduced in chapter 08."""
    return _resnet("resnet50", classes, channels, dropout)


def resnet10(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build a small sibling of ResNet18: one block a stage instead of two. Introduced in chapter 07."""
    from torchvision.models.resnet import BasicBlock, ResNet

    return _adapted_resnet(ResNet(BasicBlock, [1, 1, 1, 1], num_classes=classes), channels, dropout)


def resnet14(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build a small sibling of ResNet50: one bottleneck block a stage. Introduced in chapter 08."""
    from torchvision.models.resnet import Bottleneck, ResNet

    return _adapted_resnet(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=classes), channels, dropout)


def densenet121(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build DenseNet121 (Huang et al. 2017). Introduced in chapter 07.

    torchvision ends it with a ReLU that overwrites the last feature maps, so that whoever kept them finds them changed.
    Here that ReLU is a layer of its own, named ``relu``, which leaves its input alone; names of weights stay the same.
    """
    from torchvision import models

    return _adapted_densenet(models.densenet121(weights=None, num_classes=classes), channels, dropout)


def densenet63(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build a small sibling of DenseNet121: half its layers, half its growth. Introduced in chapter 07."""
    from torchvision.models import DenseNet

    return _adapted_densenet(DenseNet(16, (3, 6, 12, 8), 32, num_classes=classes), channels, dropout)


def efficientnet_b3(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build EfficientNet-B3 (Tan and Le 2019). Introduced in chapter 10."""
    from torchvision import models

    model: nn.Module = models.efficientnet_b3(num_classes=classes, dropout=dropout)
    _first_convolution(model.get_submodule("features.0"), "0", channels)
    return model


def efficientnet_lite0(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:  # noqa: ARG001
    """Build EfficientNet-Lite0 as timm has it. Introduced in chapter 06."""
    try:
        import timm
    except ImportError as error:
        raise ImportError("EfficientNet-Lite0 needs timm: pip install 'medxai-helpers[pretrained]'.") from error
    model: nn.Module = timm.create_model(
        "tf_efficientnet_lite0", num_classes=classes, in_chans=channels, drop_rate=dropout
    )
    return model


def vit_b16(*, classes: int, channels: int, size: int, dropout: float) -> nn.Module:
    """Build ViT-B/16 (Dosovitskiy et al. 2021). Introduced in chapter 11."""
    from torchvision import models

    model: nn.Module = models.vit_b_16(num_classes=classes, image_size=size, dropout=dropout)
    _first_convolution(model, "conv_proj", channels)
    # torchvision starts the classifier at zero; that leaves every gradient before it at zero in the first step
    head: Any = model.get_submodule("heads.head")
    nn.init.trunc_normal_(head.weight, std=0.02)
    return model


def _resnet(name: str, classes: int, channels: int, dropout: float) -> nn.Module:
    from torchvision import models

    return _adapted_resnet(models.get_model(name, weights=None, num_classes=classes), channels, dropout)


def _adapted_resnet(model: nn.Module, channels: int, dropout: float) -> nn.Module:
    _first_convolution(model, "conv1", channels)
    model.fc = _classifier(model.get_submodule("fc"), dropout)
    return model


def _adapted_densenet(network: nn.Module, channels: int, dropout: float) -> nn.Module:
    model = ReadableDenseNet(network)
    _first_convolution(model.features, "conv0", channels)
    model.classifier = _classifier(model.classifier, dropout)
    return model


def _classifier(linear: nn.Module, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Dropout(dropout), linear) if dropout else linear


def _first_convolution(parent: nn.Module, name: str, channels: int) -> None:
    """Replace the convolution that reads the image by one that reads this many channels."""
    old: Any = getattr(parent, name)
    if old.in_channels == channels:
        return
    facts = {key: getattr(old, key) for key in ("kernel_size", "stride", "padding")}
    new = nn.Conv2d(channels, old.out_channels, bias=old.bias is not None, **facts)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    setattr(parent, name, new)
