"""Killed runs go on exactly; saved runs load; finished runs are found again; several processes agree with one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import medxai_helpers as mx
from medxai_helpers import training
from medxai_helpers.training import checkpoints
from tests.training.training_kit import CHOSEN, NAMES, TOGETHER, network, tiny_store

HERE = Path(__file__).parent
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
import medxai_helpers as mx
from medxai_helpers.training import checkpoints
from tests.training.training_kit import CHOSEN, NAMES, network, parts_of, tiny_store

class Keeper(checkpoints.Keeper):
    def save(self, progress):
        super().save(progress)
        if (progress.epoch, progress.step) == (2, 3):
            os.kill(os.getpid(), signal.SIGKILL)

mx.training.loop.Keeper = Keeper
store, targets = tiny_store()
mx.fit(network(), store, targets, **parts_of(), settings=CHOSEN, classes=NAMES, folder=Path(sys.argv[1]), save_every=3)
"""
SHARED = """
import sys
from pathlib import Path
import numpy as np
import torch
import medxai_helpers as mx
from medxai_helpers import training
from tests.training.training_kit import TOGETHER, network, parts_of, tiny_store

store, targets = tiny_store()
run = mx.fit(network("small-vit"), store, targets, **parts_of(), settings=TOGETHER)
if torch.distributed.get_rank() == 0:
    assert torch.distributed.get_world_size() == 2
    np.save(sys.argv[1], training.logits_of(run.model, store, np.arange(60), run.settings).numpy())
    run.history.to_csv(sys.argv[1] + ".csv")
"""


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_a_run_killed_in_the_middle_of_an_epoch_ends_with_the_same_weights(tmp_path, data, parts, capsys):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "epoch 1/3" in done.stdout
    assert "epoch 2/3" not in done.stdout
    whole = mx.fit(network(), *data, **parts, settings=CHOSEN, classes=NAMES)
    capsys.readouterr()
    resumed = mx.fit(network(seed=9), *data, **parts, settings=CHOSEN, classes=NAMES, folder=tmp_path)
    said = capsys.readouterr().out
    assert "Going on in epoch 2 after 3 batches" in said
    assert "epoch 1/3" not in said
    assert torch.equal(weights(resumed.model), weights(whole.model))
    measured = [column for column in whole.history if column != "seconds"]
    assert resumed.history[measured].equals(whole.history[measured])
    again = mx.fit(network(), *data, **parts, settings=CHOSEN, classes=NAMES, folder=tmp_path)
    assert torch.equal(weights(again.model), weights(whole.model))


def test_a_checkpoint_of_other_classes_settings_or_data_is_refused(tmp_path, data, parts):
    mx.fit(network(), *data, **parts, settings=CHOSEN, classes=NAMES, folder=tmp_path)
    others = ("right", "middle", "left")
    with pytest.raises(ValueError, match="trained for") as caught:
        mx.fit(network(), *data, **parts, settings=CHOSEN, classes=others, folder=tmp_path)
    assert str(list(NAMES)) in str(caught.value)
    assert str(list(others)) in str(caught.value)
    with pytest.raises(ValueError, match=r"\['batch_size'\] differ"):
        mx.fit(network(), *data, **parts, settings=replace(CHOSEN, batch_size=9), classes=NAMES, folder=tmp_path)
    with pytest.raises(ValueError, match=r"\['data'\] differ"):
        mx.fit(network(), *tiny_store(seed=1), **parts, settings=CHOSEN, classes=NAMES, folder=tmp_path)


def test_a_broken_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    checkpoints._write(path, {"a": torch.ones(1)})
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoints._write(path, {"a": torch.zeros(1)})
    assert torch.load(path, weights_only=True)["a"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["last.pt"]


def test_the_best_weights_outlive_a_kill(tmp_path, data, parts):
    best = replace(CHOSEN, epochs=8, learning_rate=2e-2, keep="best", ema_decay=None, schedule="constant")
    whole = mx.fit(network("small-vit"), *data, **parts, settings=best)
    stop = int(whole.history["validation_loss"].idxmin())

    def fall(row):
        if row["epoch"] == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mx.fit(network("small-vit"), *data, **parts, settings=best, folder=tmp_path, on_epoch=fall)
    resumed = mx.fit(network("small-vit"), *data, **parts, settings=best, folder=tmp_path)
    assert torch.equal(weights(resumed.model), weights(whole.model))


def test_a_saved_run_is_built_again_from_its_folder(tmp_path, data, parts):
    store, _ = data
    run = mx.fit(network(), *data, **parts, settings=CHOSEN, classes=NAMES)
    run.save(tmp_path)
    again = mx.TrainingRun.load(tmp_path, classes=NAMES)
    assert (again.settings, again.classes) == (run.settings, NAMES)
    rows = np.arange(5)
    before, after = (training.logits_of(each.model, store, rows, each.settings) for each in (run, again))
    torch.testing.assert_close(before, after)
    with pytest.raises(ValueError, match="trained for"):
        mx.TrainingRun.load(tmp_path, classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="saved run"):
        mx.TrainingRun.load(tmp_path / "nothing")


def test_a_run_of_a_device_that_is_not_here_loads_onto_the_cpu(tmp_path, data, parts):
    run = mx.fit(network(), *data, **parts, settings=replace(CHOSEN, epochs=1))
    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    replace(run, settings=replace(run.settings, device=absent)).save(tmp_path)
    assert mx.TrainingRun.load(tmp_path).settings.device == "cpu"


def test_load_or_train_trains_once(tmp_path, data, parts, capsys):
    def ask(**changes):
        chosen = {"settings": replace(CHOSEN, epochs=1), "seed": 0} | changes
        model = network(seed=chosen.pop("seed"))
        run = mx.load_or_train(model, *data, **parts, **chosen, cache=tmp_path)
        assert run.model is model
        return weights(model), "Trained before" in capsys.readouterr().out

    first, taken = ask()
    assert not taken
    again, taken = ask()
    assert taken
    assert torch.equal(first, again)
    assert not ask(seed=1)[1]
    assert not ask(settings=replace(CHOSEN, epochs=1, seed=6))[1]
    assert not ask(classes=NAMES)[1]
    assert ask(seed=1)[1]


def test_two_processes_give_the_predictions_of_one(tmp_path, data, parts):
    """45 rows in batches of 8: the last batch of 5 cannot be shared evenly, and is weighed."""
    script, out = tmp_path / "script.py", tmp_path / "logits.npy"
    script.write_text(SHARED)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29611"]
    done = subprocess.run([*command, str(script), str(out)], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    store, _ = data
    alone = mx.fit(network("small-vit"), *data, **parts, settings=TOGETHER)
    logits = training.logits_of(alone.model, store, np.arange(60), TOGETHER).numpy()
    np.testing.assert_allclose(np.load(out), logits, rtol=1e-3, atol=1e-4)
    import pandas as pd

    together = pd.read_csv(f"{out}.csv", index_col="epoch")
    measured = [column for column in together if column != "seconds"]
    np.testing.assert_allclose(together[measured], alone.history[measured], rtol=1e-3, atol=1e-5)


def test_training_from_a_store_needs_no_other_heavy_library(tmp_path):
    blocked = (
        "torchvision",
        "timm",
        "lightning_fabric",
        "cv2",
        "sklearn",
        "scipy",
        "albumentations",
        "matplotlib",
    )
    code = f"""
import sys
for name in {blocked}:
    sys.modules[name] = None
import medxai_helpers as mx
from tests.training.training_kit import CHOSEN, network, parts_of, tiny_store
run = mx.fit(network(), *tiny_store(), **parts_of(), settings=CHOSEN)
run.save(__import__("pathlib").Path({str(tmp_path)!r}))
mx.TrainingRun.load(__import__("pathlib").Path({str(tmp_path)!r}))
print("trained")
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.endswith("trained\n")
