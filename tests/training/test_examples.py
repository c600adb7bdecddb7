"""The examples in the docstrings of models, losses, training and search run as they stand."""

from __future__ import annotations

import doctest
import importlib

import pytest

from medxai_helpers import models

MODULES = {
    "losses": 2,
    "metrics": 2,
    "search": 1,
    "models.attention": 1,
    "models.build": 3,
    "models.spec": 1,
    "models.stages": 1,
    "models.table": 1,
    "training.loop": 1,
    "training.optimization": 1,
    "training.reuse": 1,
    "training.settings": 1,
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"medxai_helpers.{name}")
    names = {"MODELS": models.MODELS, "build_model": models.build_model}
    found = [test for test in doctest.DocTestFinder().find(module, extraglobs=names) if test.examples]
    result = doctest.testmod(module, extraglobs=names, optionflags=FLAGS)
    assert len(found) >= MODULES[name]
    assert result.failed == 0
