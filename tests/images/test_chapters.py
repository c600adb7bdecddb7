"""What the chapters on images need: a cell that no build executes, and their plot."""

import nbformat
import pytest

import medxai_helpers as mx
from medxai_helpers import plots
from tools.project import ROOT


def test_the_explorer_of_clahe_makes_sliders_that_draw():
    book = nbformat.read(ROOT / "notebooks" / "03_clahe_and_denoising.ipynb", as_version=4)
    [cell] = [cell for cell in book.cells if cell.cell_type == "code" and "ipywidgets.interact" in cell.source]
    assert {"skip-execution", "nbval-skip"} <= set(cell.metadata.tags)
    seen = []
    space = {"show_clahe": lambda clip_limit, tiles, axes: seen.append((clip_limit, tiles, axes))}
    exec(cell.source, space)  # noqa: S102  # it is ours
    assert seen
    clip_limit, tiles, axes = seen[-1]
    assert 0.5 <= clip_limit <= 20
    assert 1 <= tiles <= 32
    assert axes is None


def test_effects_are_drawn_from_top_to_bottom_with_their_intervals():
    plt = pytest.importorskip("matplotlib.pyplot")
    effects = {"first": mx.wilson_interval(8, 10), "second": mx.wilson_interval(1, 10)}
    figure, axes = plt.subplots()
    plots.draw_effects(axes, effects, "accuracy", "n = 10")
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2][:2]
    assert [tuple(bar) for bar in bars] == [(effect.low, effect.high) for effect in effects.values()]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first", "second"]
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "accuracy, 95 % interval"
    plt.close(figure)
