import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import medxai_helpers as mx
from medxai_helpers import training
from medxai_helpers.augmentation import SANDOVAL2024

LAYERS = [320, 18_496, 73_856, 589_952, 8_256, 390]


def test_the_compact_cnn_has_the_papers_parameters():
    model = mx.build_model("compact-cnn", classes=6)
    modules = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [sum(p.numel() for p in module.parameters()) for module in modules] == LAYERS
    assert sum(p.numel() for p in model.parameters()) == 691_270


def test_it_equals_the_same_layers_in_a_row():
    model = mx.build_model("compact-cnn", classes=6, seed=3).eval()
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    dense = [m for m in model.modules() if isinstance(m, nn.Linear)]
    x = torch.rand(2, 1, 64, 64)
    out = x
    for conv in convs:
        out = functional.max_pool2d(functional.relu(functional.conv2d(out, conv.weight, conv.bias)), 2)
    out = out.flatten(1)
    for layer in dense[:-1]:
        out = functional.relu(layer(out))
    torch.testing.assert_close(model(x), dense[-1](out))


def test_dropout_rates_and_places():
    model = mx.build_model("compact-cnn", classes=6)
    names = {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    assert names == {"dropout": 0.3, "head.1": 0.5, "head.4": 0.5}


def test_weights_are_glorot_uniform_and_biases_zero():
    model = mx.build_model("compact-cnn", classes=6)
    weight = model.dense1.weight
    limit = (6 / (4608 + 128)) ** 0.5
    assert limit * 0.98 < weight.abs().max().item() <= limit
    assert all((p == 0).all() for name, p in model.named_parameters() if name.endswith("bias"))


def test_the_penalty_is_of_the_first_dense_kernel_only():
    model = mx.build_model("compact-cnn", classes=6)
    model.zero_grad()
    model.penalty().backward()
    touched = [name for name, p in model.named_parameters() if p.grad is not None]
    assert touched == ["dense1.weight"]
    assert model.penalty().item() == pytest.approx(0.01 * (model.dense1.weight.detach().numpy() ** 2).sum(), rel=1e-5)


@pytest.mark.parametrize(("channels", "size"), [(1, 22), (3, 64), (1, 96)])
def test_other_sizes_and_channels_are_variants(channels, size):
    model = mx.build_model("compact-cnn", classes=4, channels=channels, size=size)
    assert model(torch.rand(3, channels, size, size)).shape == (3, 4)


@pytest.mark.parametrize("wrong", [{"classes": 1}, {"classes": 6, "channels": 2}, {"classes": 6, "size": 20}])
def test_impossible_models_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        mx.build_model("compact-cnn", **wrong)
    with pytest.raises(ValueError, match="compact-cnn"):
        mx.build_model("alexnet", classes=6)


def test_the_seed_decides_the_weights():
    first, same, other = (mx.build_model("compact-cnn", classes=6, seed=seed).dense1.weight for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_training_learns_the_classes(trained, cohort, store, split):
    predictions = mx.predict(trained, cohort, store, split["validation"])
    assert mx.summary(predictions)["accuracy"] >= 0.7  # chance: 1/6
    assert trained.history["train_loss"].iloc[-1] < 0.6 * trained.history["train_loss"].iloc[0]
    assert list(trained.history.index) == list(range(1, 17))


def test_the_same_seed_gives_the_same_run(cohort, store, split):
    def weights(seed):
        model = mx.build_model("compact-cnn", classes=6, seed=0)
        settings = mx.TrainingSettings(epochs=1, batch_size=20, augmentation=SANDOVAL2024, seed=seed)
        parts = {"train": split["train"], "validation": split["validation"]}
        return mx.fit(model, store, cohort.targets, **parts, settings=settings).model.dense1.weight.detach()

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_one_step_is_adam_on_cross_entropy_plus_penalty(cohort, store, split):
    rows = split["train"][:8]
    settings = mx.TrainingSettings(epochs=1, batch_size=8, learning_rate=1e-3, seed=4)
    ours = mx.build_model("compact-cnn", classes=6, seed=1)
    hand = mx.build_model("compact-cnn", classes=6, seed=1).to(memory_format=torch.channels_last).train()
    mx.fit(ours, store, cohort.targets, train=rows, validation=split["validation"], settings=settings)
    optimizer = torch.optim.Adam(hand.parameters(), lr=1e-3)
    with mx.seeded(4) as generator:
        (batch,) = training.batches(rows, 8, generator)
        logits = hand(training.to_input(store.batch(batch), settings))
        loss = functional.cross_entropy(logits, torch.from_numpy(cohort.targets[batch]))
        (loss + 0.01 * hand.dense1.weight.square().sum()).backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_history_keeps_loss_and_penalty_apart(trained, cohort, store, split):
    last = trained.history.iloc[-1]
    predictions = mx.predict(trained, cohort, store, split["validation"])
    assert last["validation_loss"] == pytest.approx(predictions.losses.mean(), rel=1e-4)
    assert last["penalty"] == pytest.approx(trained.model.penalty().item(), rel=1e-5)


def test_validation_images_are_not_augmented(cohort, store, split, monkeypatch):
    seen = []
    monkeypatch.setattr(training.inputs, "augment_batch", lambda images, *_: (seen.append(len(images)), images)[1])
    model = mx.build_model("compact-cnn", classes=6)
    settings = mx.TrainingSettings(epochs=1, batch_size=36, augmentation=SANDOVAL2024)
    mx.fit(model, store, cohort.targets, train=split["train"], validation=split["validation"], settings=settings)
    assert sum(seen) == len(split["train"])


def test_a_run_survives_saving(trained, cohort, store, split, tmp_path):
    trained.save(tmp_path / "run")
    again = mx.TrainingRun.load(tmp_path / "run", mx.build_model("compact-cnn", classes=6))
    first, second = (mx.predict(run, cohort, store, split["validation"]).logits for run in (trained, again))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    assert again.settings == trained.settings
    assert again.history["seconds"].sum() == pytest.approx(trained.seconds)


def test_bad_input_is_refused_in_words(cohort, store, split):
    model, settings = mx.build_model("compact-cnn", classes=6), mx.TrainingSettings(epochs=1)
    train, validation = split["train"], split["validation"]
    with pytest.raises(ValueError, match="no row in both parts"):
        mx.fit(model, store, cohort.targets, train=train, validation=train[:3], settings=settings)
    with pytest.raises(ValueError, match="one target per stored image"):
        mx.fit(model, store, cohort.targets[:5], train=train, validation=validation, settings=settings)
    with pytest.raises(ValueError, match="epochs"):
        mx.TrainingSettings(epochs=0)


def test_a_loss_that_is_no_number_stops_the_run(cohort, store, split):
    model = mx.build_model("compact-cnn", classes=6)
    with torch.no_grad():
        model.dense1.weight.fill_(float("nan"))
    settings = mx.TrainingSettings(epochs=1)
    with pytest.raises(FloatingPointError, match="epoch 1"):
        mx.fit(model, store, cohort.targets, train=split["train"], validation=split["validation"], settings=settings)


def test_bfloat16_runs_and_scores_in_float32(cohort, store, split):
    model = mx.build_model("compact-cnn", classes=6)
    settings = mx.TrainingSettings(epochs=1, precision="bfloat16")
    run = mx.fit(model, store, cohort.targets, train=split["train"], validation=split["validation"], settings=settings)
    assert mx.predict(run, cohort, store, split["validation"]).logits.dtype == np.float32


def test_scoring_gives_the_models_mode_back(trained, store):
    trained.model.train()
    training.logits_of(trained.model, store, np.arange(3), trained.settings)
    assert trained.model.training
    trained.model.eval()
