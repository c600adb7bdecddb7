"""Grad-CAM and attention rollout against other libraries and against one plain forward pass, at 224 x 224 pixels.

All sides run in one process with the same threads, model, images and targets, and all end with maps of the size of the
image. Run with ``make bench``, or with ``--quick`` for batches of 16 alone. It asks for torch-cam: the extra ``bench``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision import models as library

import medxai_helpers as mx
from benchmarks._report import publish, seconds
from medxai_helpers.runtime import seeded

SIZE, CLASSES = 224, 8
LAYERS = {"resnet18": "layer4", "resnet50": "layer4", "densenet121": "features"}
TARGETS = np.arange(64) % CLASSES


def build(name: str) -> nn.Module:
    """A network with fresh weights and eight classes; its time does not depend on what the weights are."""
    with seeded(0):
        model: nn.Module = getattr(library, name)(weights=None, num_classes=CLASSES)
    return model.eval()


def plain_forward(model: nn.Module, images: torch.Tensor) -> None:
    """What no explanation can do without."""
    with torch.no_grad():
        model(images)


def by_grad_cam(model: nn.Module, images: torch.Tensor, layer: str, targets: np.ndarray) -> np.ndarray:
    """The library grad-cam, one batched call."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=model, target_layers=[model.get_submodule(layer)]) as cam:
        return cam(input_tensor=images, targets=[ClassifierOutputTarget(int(target)) for target in targets])


def by_torch_cam(model: nn.Module, images: torch.Tensor, layer: str, targets: np.ndarray) -> torch.Tensor:
    """The library torch-cam, one batched call, enlarged to the image."""
    from torchcam.methods import GradCAM

    with GradCAM(model, target_layer=layer) as extractor:
        (maps,) = extractor(targets.tolist(), model(images))
    return nn.functional.interpolate(maps[:, None], size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def ours(model: nn.Module, images: torch.Tensor, layer: str, targets: np.ndarray) -> np.ndarray:
    """This package, enlarged and scaled as the libraries do."""
    return mx.explain(model, images, "grad-cam", targets, layer=layer).scaled(SIZE)


def together(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Best times of several actions that take turns, so that a disturbance hits all of them."""
    best = dict.fromkeys(sides, np.inf)
    for _ in range(repeats):
        for name, action in sides.items():
            best[name] = min(best[name], seconds(action, repeats=1))
    return best


def race(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """One architecture, one size of batch, four sides."""
    model, layer, targets = build(name), LAYERS[name], TARGETS[:batch]
    images = torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    arguments = (model, images, layer, targets)
    for side in (ours, by_grad_cam, by_torch_cam):  # imports and first allocations are not what is measured
        side(model, images[:2], layer, targets[:2])
    sides = {
        "forward": lambda: plain_forward(model, images),
        "ours": lambda: ours(*arguments),
        "grad-cam": lambda: by_grad_cam(*arguments),
        "torch-cam": lambda: by_torch_cam(*arguments),
    }
    best = together(sides, repeats)
    milliseconds = {f"{side}, ms per image": round(1000 * time / batch, 1) for side, time in best.items()}
    return {
        "what": f"Grad-CAM, {name}, batch {batch}",
        **milliseconds,
        "grad-cam / ours": round(best["grad-cam"] / best["ours"], 2),
        "torch-cam / ours": round(best["torch-cam"] / best["ours"], 2),
        "ours / forward": round(best["ours"] / best["forward"], 2),
        "largest difference": f"{difference(*arguments):.1e}",
    }


def difference(model: nn.Module, images: torch.Tensor, layer: str, targets: np.ndarray) -> float:
    """The largest difference from grad-cam's maps after the same normalisation, where its activations are right.

    DenseNet's ``features`` are overwritten by an in-place ReLU after the library stored them; reading the map behind
    that ReLU is the same for both, so a copy of the network without the trap is compared there.
    """
    from pytorch_grad_cam.utils.image import scale_cam_image

    few = slice(0, 4)
    one = mx.explain(model, images[few], "grad-cam", targets[few], layer=layer).raw
    mended = Apart(model) if hasattr(model, "features") else model
    other = by_grad_cam(mended, images[few], layer, targets[few])
    twice = scale_cam_image(scale_cam_image(one, (SIZE, SIZE)))
    return float(np.abs(twice - other).max())


class Apart(nn.Module):
    """DenseNet with an ordinary ReLU behind its features."""

    def __init__(self, densenet: nn.Module) -> None:
        super().__init__()
        self.features, self.classifier = densenet.features, densenet.classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        pooled: torch.Tensor = torch.relu(self.features(images)).mean(dim=(2, 3))
        return self.classifier(pooled)


def rollout(batch: int, repeats: int) -> dict[str, Any]:
    """ViT-B/16: rollout and relevance against one forward pass."""
    model = build("vit_b_16")
    images = torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    best = together(
        {
            "forward": lambda: plain_forward(model, images),
            "ours": lambda: mx.explain(model, images, "attention-rollout", 0),
            "relevance": lambda: mx.explain(model, images, "attention-relevance", 0),
        },
        repeats,
    )
    return {
        "what": f"attention rollout, vit_b_16, batch {batch}",
        "forward, ms per image": round(1000 * best["forward"] / batch, 1),
        "ours, ms per image": round(1000 * best["ours"] / batch, 1),
        "ours / forward": round(best["ours"] / best["forward"], 2),
        "relevance / forward": round(best["relevance"] / best["forward"], 2),
    }


def perturbation(images_count: int = 64, steps: int = 20, batch: int = 64) -> dict[str, Any]:
    """Count the model calls of deletion and insertion together."""
    model, calls = build("resnet18"), []
    images = torch.randn(images_count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    maps = mx.explain(model, images, "grad-cam", TARGETS[:images_count], layer="layer4")
    handle = model.register_forward_pre_hook(lambda *_: calls.append(1))
    time = seconds(
        lambda: mx.deletion_insertion(model, images, maps, steps=steps, batch_size=batch, progress=True), repeats=1
    )
    handle.remove()
    return {
        "what": f"deletion and insertion, resnet18, {images_count} images, {steps} steps, batch {batch}",
        "ours, ms per image": round(1000 * time / images_count, 1),
        "model calls": len(calls),
        "calls allowed": steps * images_count // batch,
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="batches of 16 alone, once each")
    quick = parser.parse_args().quick
    repeats = 1 if quick else 3
    sizes = (16,) if quick else (16, 64)
    rows = [race(name, batch, repeats if batch == 16 else 2) for name in LAYERS for batch in sizes]
    rows += [rollout(16, repeats), perturbation()]
    publish(
        "explanation",
        [{key: row.get(key, "") for key in dict.fromkeys(key for each in rows for key in each)} for row in rows],
        title="Explaining: Grad-CAM and attention rollout at 224 x 224 pixels",
        threads=torch.get_num_threads(),
        goals="grad-cam / ours at least 2.5 (batch 16) and 3 (batch 64); torch-cam / ours at least 1; ours / forward "
        "at most 1.3 on ResNet18 and for rollout; difference at most 1e-4",
        versions={name: _version(name) for name in ("grad-cam", "torchcam")},
    )


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


if __name__ == "__main__":
    main()
