"""The training loop against the same steps written out, and what it says when something is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import medxai_helpers as mx
from medxai_helpers import models, training
from medxai_helpers.augmentation import SANDOVAL2024
from medxai_helpers.losses import Loss
from medxai_helpers.training import optimization
from tests.training.training_kit import CLASSES, network, tiny_store


def linear() -> nn.Module:
    with mx.seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(24 * 24, CLASSES))


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def settings(**changes) -> mx.TrainingSettings:
    return mx.TrainingSettings(**({"epochs": 2, "batch_size": 10, "learning_rate": 1e-3} | changes))


def test_every_choice_together_equals_a_loop_written_out(data, parts):
    """AdamW with decay on matrices, warm-up and cosine, clipping, smoothing and a moving average."""
    store, targets = data
    chosen = settings(
        optimizer="adamw", weight_decay=0.1, schedule="cosine", warmup_epochs=0.5, clip_norm=0.5, ema_decay=0.8,
        loss=Loss(label_smoothing=0.1), mean=0.4, std=0.2, seed=3,
    )  # fmt: skip
    run = mx.fit(network("small-vit"), store, targets, **parts, settings=chosen)

    hand = network("small-vit").train()
    matrices = [p for p in hand.parameters() if p.ndim > 1]
    others = [p for p in hand.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    average = [p.detach().clone() for p in hand.parameters()]
    generator, step, steps = torch.Generator().manual_seed(3), 0, 5
    for _ in range(2):
        order = parts["train"][torch.randperm(45, generator=generator).numpy()]
        for first in range(0, 45, 10):
            rows = order[first : first + 10]
            epochs = step / steps
            factor = (epochs + 1 / steps) / 0.5 if epochs < 0.5 else 0.5 * (1 + np.cos(np.pi * (epochs - 0.5) / 1.5))
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * min(factor, 1)
            images = (torch.from_numpy(store.batch(rows)) / 255 - 0.4) / 0.2
            loss = functional.cross_entropy(hand(images), torch.from_numpy(targets[rows]), label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(hand.parameters(), 0.5)
            optimizer.step()
            step += 1
            for kept, parameter in zip(average, hand.parameters(), strict=True):
                kept.copy_(parameter.detach() if step == 1 else 0.8 * kept + 0.2 * parameter.detach())
    wanted = torch.cat([each.flatten() for each in average])
    torch.testing.assert_close(weights(run.model), wanted, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(wanted, weights(hand), atol=1e-4)


@pytest.mark.parametrize("accumulate", [2, 3, 10])
def test_accumulation_changes_memory_and_not_the_step(data, parts, accumulate):
    """Gradients are compared, for Adam's steps hide a wrong factor."""
    sizes, gradients, losses = [], [], []
    for count in (1, accumulate):
        model = linear()
        model.register_forward_hook(lambda module, inputs, _: sizes.append(len(inputs[0])) if module.training else None)
        run = mx.fit(model, *data, **parts, settings=settings(accumulate=count, epochs=1, batch_size=45))
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in run.model.parameters()]))
        losses.append(run.history["train_loss"].iloc[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
    assert losses[0] == pytest.approx(losses[1])
    assert sizes[0] == 45 == sum(sizes[1:])
    assert max(sizes[1:]) == -(-45 // accumulate)


def test_the_learning_rate_is_pytorchs(data):
    chosen = settings(epochs=8, schedule="cosine")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    for epoch in range(8):
        assert training.rate_factor(chosen, epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    stepped = settings(epochs=8, schedule="step", step_epochs=3, step_factor=0.5)
    assert [training.rate_factor(stepped, epoch) for epoch in range(8)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    warm = settings(epochs=8, warmup_epochs=2)
    assert [training.rate_factor(warm, epoch) for epoch in (0, 1, 2, 3)] == [0, 0.5, 1, 1]


def test_the_rate_of_every_epoch_is_in_the_history(data, parts):
    run = mx.fit(network(), *data, **parts, settings=settings(epochs=3, schedule="step", step_epochs=1))
    assert run.history["learning_rate"].tolist() == pytest.approx([1e-4, 1e-5, 1e-6])


def test_early_stopping_waits_as_long_as_it_was_told(data, parts):
    rows = []
    chosen = settings(epochs=30, learning_rate=5e-3, monitor="validation_accuracy", patience=3)
    run = mx.fit(network(), *data, **parts, settings=chosen, on_epoch=rows.append)
    curve = run.history["validation_accuracy"]
    assert len(curve) < 30
    assert len(curve) - curve.idxmax() == 3
    assert [row["epoch"] for row in rows] == curve.index.tolist()


def test_the_best_epoch_can_be_kept(data, parts):
    """On labels that mean nothing the validation loss soon rises."""
    store, targets = data
    nonsense = np.random.default_rng(0).permutation(targets)
    chosen = settings(epochs=8, learning_rate=2e-2, keep="best")
    run = mx.fit(linear(), store, nonsense, **parts, settings=chosen)
    logits = training.logits_of(run.model, store, parts["validation"], chosen)
    now = functional.cross_entropy(logits, torch.from_numpy(nonsense[parts["validation"]])).item()
    assert now == pytest.approx(run.history["validation_loss"].min(), rel=1e-4)
    assert run.history["validation_loss"].idxmin() < 8


def test_an_unknown_measure_is_refused_with_those_there_are(data, parts):
    with pytest.raises(ValueError, match="validation_balanced_accuracy"):
        mx.fit(network(), *data, **parts, settings=settings(monitor="f1"))


def test_many_labels_are_learned_and_watched_by_auroc(data, parts):
    store, targets = data
    labels = np.stack([targets == 0, targets == 1, targets != 2], axis=1).astype(np.uint8)
    chosen = settings(epochs=8, learning_rate=3e-3, loss=Loss("binary"), monitor="validation_auroc", keep="best")
    run = mx.fit(network(), store, labels, **parts, settings=chosen)
    assert {"validation_auroc", "validation_accuracy", "validation_loss"} <= set(run.history)
    assert run.history["validation_auroc"].max() > 0.9
    with pytest.raises(ValueError, match="Loss\\('binary'\\)"):
        mx.fit(network(), store, labels, **parts, settings=settings())
    with pytest.raises(ValueError, match="one label"):
        mx.fit(network(), store, targets, **parts, settings=chosen)


def test_what_is_frozen_does_not_move(data, parts):
    store, targets = tiny_store(channels=3)
    model = mx.build_model("resnet18", classes=CLASSES, size=32)
    models.freeze(model, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mx.fit(model, store, targets, **parts, settings=settings(epochs=1))
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"layer3", "layer4", "fc"}


def test_a_head_trained_on_cached_features_sits_in_the_network(data, parts):
    store, targets = tiny_store(channels=3)
    model = mx.build_model("resnet18", classes=CLASSES, size=32)
    chosen = settings(epochs=5, learning_rate=1e-2, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    features = training.cache_features(model, store, chosen)
    assert features.values.shape == (60, 512)
    run = mx.fit(model.get_submodule("fc"), features, targets, **parts, settings=chosen)
    whole = training.logits_of(model, store, parts["validation"], chosen)
    alone = training.logits_of(run.model, features, parts["validation"], chosen)
    torch.testing.assert_close(whole, alone, rtol=1e-3, atol=1e-4)
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]
    with pytest.raises(ValueError, match="augmentation"):
        mx.fit(model.fc, features, targets, **parts, settings=replace(chosen, augmentation=SANDOVAL2024))


def test_grey_images_become_three_channels_at_the_end(data):
    store, _ = data
    pixels = store.batch(np.arange(2))
    chosen = settings(mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.25))
    images = training.to_input(pixels, chosen)
    scaled = torch.from_numpy(pixels).float() / 255
    wanted = torch.cat([(scaled - m) / s for m, s in zip(chosen.mean, chosen.std, strict=True)], dim=1)
    torch.testing.assert_close(images, wanted)
    assert images.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="3 channels"):
        training.to_input(np.zeros((1, 3, 4, 4), np.uint8), settings(mean=(0.1, 0.2), std=(1.0, 1.0)))


def test_a_loss_that_is_no_number_names_step_rate_and_rows(data, parts):
    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.calls = nn.Linear(24 * 24, CLASSES), 0

        def forward(self, images):
            self.calls += 1
            return self.dense(images.flatten(1)) * (float("nan") if self.calls == 3 else 1)

    with pytest.raises(FloatingPointError, match=r"epoch 1, step 3 of 5, at learning rate 0\.001") as caught:
        mx.fit(Breaks(), *data, **parts, settings=settings(seed=2))
    order = parts["train"][torch.randperm(45, generator=torch.Generator().manual_seed(2)).numpy()]
    assert str(order[20:30].tolist()) in str(caught.value)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_out_of_memory_says_which_batch_size_to_try(data, parts, error):
    class Greedy(nn.Linear):
        def forward(self, _):
            raise error

    with pytest.raises(MemoryError, match=r"batch_size=5, or accumulate=4"):
        mx.fit(Greedy(1, 1), *data, **parts, settings=settings(accumulate=2))


def test_other_runtime_errors_are_not_called_memory(data, parts):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        mx.fit(nn.Sequential(nn.Flatten(), nn.Linear(3, CLASSES)), *data, **parts, settings=settings())
    assert not isinstance(caught.value, MemoryError)


def test_a_frozen_network_is_refused(data, parts):
    model = network()
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="thaw"):
        mx.fit(model, *data, **parts, settings=settings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"std": (0.5, 0.0)},
        {"optimizer": "lion"},
        {"precision": "int8"},
        {"accumulate": 0},
        {"warmup_epochs": 5},
        {"ema_decay": 1.0},
        {"weight_decay": -1.0},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        settings(**wrong)


def test_settings_survive_a_file():
    import json

    chosen = settings(
        mean=(0.1, 0.2, 0.3), augmentation=SANDOVAL2024, loss=Loss("focal", class_weights=(1.0, 2.0, 3.0))
    )
    assert mx.TrainingSettings.from_dict(json.loads(json.dumps(chosen.as_dict()))) == chosen
    with pytest.raises(ValueError, match="momentum"):
        mx.TrainingSettings.from_dict(chosen.as_dict() | {"momentum": 1})


def test_automatic_precision_is_settled_before_the_run_and_recorded(data, parts, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    run = mx.fit(network(), *data, **parts, settings=settings(epochs=1, precision="auto"))
    assert run.settings.precision == "bfloat16"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert training.resolved(settings(precision="auto")).precision == "float32"


def test_compiled_training_gives_the_same_weights(data, parts, monkeypatch):
    compiled = []

    def compile_eagerly(model):
        compiled.append(model)
        return torch._dynamo.optimize("eager")(model)

    monkeypatch.setattr(torch, "compile", compile_eagerly)
    plain, fast = (
        mx.fit(network("small-vit"), *data, **parts, settings=settings(epochs=1, compile=choice))
        for choice in (False, True)
    )
    assert len(compiled) == 1
    torch.testing.assert_close(weights(plain.model), weights(fast.model), rtol=1e-4, atol=1e-5)


def test_float16_steps_are_scaled_and_clipped_in_true_size(data, parts):
    """Without a GPU the scaler runs on the CPU; its factor must not reach the weights."""
    from medxai_helpers.training.devices import OneDevice

    chosen = settings(precision="float16")
    engine = OneDevice(chosen)
    layer = nn.Linear(2, 1, bias=False)
    model, optimizer = engine.setup(layer, torch.optim.SGD(layer.parameters(), lr=1.0))
    before = layer.weight.detach().clone()
    engine.backward(model(torch.tensor([[30.0, 40.0]])).sum())
    engine.clip_gradients(model, optimizer, max_norm=1.0)
    optimizer.step()
    torch.testing.assert_close(before - layer.weight.detach(), torch.tensor([[0.6, 0.8]]), rtol=1e-3, atol=1e-4)
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_decay_spares_biases_and_norms():
    groups = optimization.make_optimizer(network("small-vit"), settings(weight_decay=0.3)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert all(parameter.ndim > 1 for parameter in groups[0]["params"])
    assert all(parameter.ndim == 1 for parameter in groups[1]["params"])
