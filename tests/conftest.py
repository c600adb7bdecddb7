"""Rules for all tests: no setting of the reader reaches a test, and tests marked ``real`` need real archives."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any
from unittest import mock

import pytest

from medxai_helpers import runtime

KEPT_FOR_REAL = {"MEDXAI_DATA", "MEDXAI_CACHE"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests on real archives where there are none, and say so."""
    marked = [item for item in items if item.get_closest_marker("real")]
    if marked and runtime.current().data_root is None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs real archives: set MEDXAI_DATA to the folder they lie in"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Hide ``MEDXAI_*`` from a test and its fixtures; those marked ``real`` keep the folders."""
    kept = KEPT_FOR_REAL if item.get_closest_marker("real") else set()
    with mock.patch.dict(os.environ):
        for name in set(runtime.VARIABLES) - kept:
            os.environ.pop(name, None)
        return (yield)
