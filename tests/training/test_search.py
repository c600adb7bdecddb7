"""The search for settings: what it draws, prunes, logs, and goes on from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import medxai_helpers as mx
from medxai_helpers.search import DATABASE
from tests.training.training_kit import CLASSES, tiny_store

SETTINGS = mx.TrainingSettings(epochs=4, batch_size=15)
SPACE = {
    "learning_rate": mx.Between(1e-5, 3e-2, log=True),
    "batch_size": mx.OneOf((5, 15, 45)),
    "hidden": mx.Between(2, 16),
}
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training import test_search
calls = []
def make_model(hidden):
    calls.append(hidden)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return test_search.make_model(hidden)
test_search.look(Path(sys.argv[1]), 8, make_model)
"""


def make_model(hidden: int) -> nn.Module:
    with mx.seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(24 * 24, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))


def look(folder: Path, trials: int, build=make_model, **changes) -> mx.Search:
    store, targets = tiny_store()
    rows = {"train": np.arange(45), "validation": np.arange(45, 60)}
    chosen = {"settings": SETTINGS, "space": SPACE} | changes
    return mx.search_settings(build, store, targets, **rows, trials=trials, folder=folder, **chosen)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return look(tmp_path_factory.mktemp("search"), 12)


def test_it_finds_better_settings_than_it_began_with(found):
    table = found.table()
    assert len(table) == 12
    complete = table[table["state"] == "complete"]
    assert found.study.best_value == complete["value"].min() < complete["value"].iloc[0]
    assert found.best.learning_rate == table.loc[complete["value"].idxmin(), "learning_rate"]
    assert found.best.epochs == 4
    assert set(found.best_of_model) == {"hidden"}
    assert table["hidden"].between(2, 16).all()
    assert set(table["batch_size"]) <= {5, 15, 45}


def test_poor_trials_are_given_up_early_and_logged(found):
    table, curves = found.table(), found.curves()
    pruned = table[table["state"] == "pruned"]
    assert len(pruned)
    assert (pruned["epochs"] < 4).all()
    for trial in pruned.index:
        epoch = int(curves[trial].last_valid_index())
        earlier = [number for number in table.index[table["state"] == "complete"] if number < trial]
        assert curves[trial].min() > np.median([curves.loc[:epoch, number].min() for number in earlier])
    best = table["best so far"].dropna()
    assert best.is_monotonic_decreasing
    assert best.iloc[-1] == found.study.best_value


def test_the_drawing_shows_what_the_table_says(found):
    import matplotlib.pyplot as plt

    from medxai_helpers import plots

    table = found.table()
    figure, axes = plt.subplots()
    plots.draw_search(axes, table, "validation loss (nats)")
    finished, given_up = (len(points.get_offsets()) for points in axes.collections)
    assert (finished, given_up) == ((table["state"] == "complete").sum(), (table["state"] == "pruned").sum())
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), table["best so far"])
    plt.close(figure)


def test_importances_are_shares(found):
    shares = found.importances()
    assert set(shares) == set(SPACE)
    assert sum(shares.values()) == pytest.approx(1)


def test_a_killed_search_goes_on_and_draws_nothing_twice(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    table = look(tmp_path, 8).table()
    assert (tmp_path / DATABASE).is_file()
    finished = table[table["state"].isin(["complete", "pruned"])]
    assert len(finished) == 8
    assert finished["learning_rate"].is_unique
    assert len(look(tmp_path, 8).table()) == len(table)


def test_a_measure_that_should_be_high_is_maximised(tmp_path):
    from dataclasses import replace

    settings = replace(SETTINGS, monitor="validation_accuracy", epochs=2)
    found = look(tmp_path, 3, settings=settings)
    assert found.study.best_value == found.table()["value"].max()


def test_what_cannot_be_searched_is_refused(tmp_path):
    with pytest.raises(ValueError, match="low < high"):
        mx.Between(2, 1)
    with pytest.raises(ValueError, match="space"):
        look(tmp_path, 2, space={})
