"""What the drawings show is what they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import medxai_helpers as mx
from medxai_helpers import plots
from tests.explanation.test_grading import maps_of, pixels_of


@pytest.fixture
def axes():
    figure, panels = plt.subplots(1, 2)
    yield panels
    plt.close(figure)


def test_an_overlay_has_its_map_title_note_and_outline(axes):
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    heat = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    shown = plots.draw_overlay(axes[0], np.zeros((8, 8), np.uint8), heat, title="T", note="N", outline=mask)
    np.testing.assert_allclose(shown.get_array(), heat)
    assert axes[0].get_title() == "T"
    assert [text.get_text() for text in axes[0].texts] == ["N"]
    before = len(axes[0].collections)
    plots.draw_overlay(axes[1], np.zeros((8, 8), np.uint8), heat, outline=np.zeros((8, 8), bool))
    assert len(axes[1].collections) < before


def test_grades_cascades_and_curves_are_drawn_as_they_are(axes, teacher, seen):
    images, _, masks = seen
    maps = maps_of(teacher, images)
    graded = mx.grade({"grad-cam": maps}, masks, pixels_of(images), correct=np.ones(len(images), bool))
    plots.draw_grades(axes[0], graded.summary(), "energy in mask", chance=float(masks.mean()))
    points = [line.get_xdata()[0] for line in axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points, graded.summary()["value"].xs("energy in mask", level="measure"))
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["grad-cam", *mx.CONTROLS]
    found = mx.cascade(teacher, lambda network: maps_of(network, images), draws=1)
    plots.draw_cascade(axes[1], {"grad-cam": found})
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), found.table["value"])
    for panel in axes:
        panel.clear()
    curves = mx.deletion_insertion(teacher, images, maps, steps=4)
    plots.draw_curves(axes, {"grad-cam": curves})
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), curves.deletion.mean(axis=0))
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), curves.insertion.mean(axis=0))
