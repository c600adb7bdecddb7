"""Rules for running the chapters under nbval: the book's own settings, and no failure that hides as expected."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any
from unittest import mock

import pytest

from tools.project import kernel_environment


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Hide the reader's environment while a cell runs; the kernel that its first cell starts inherits the book's."""
    with mock.patch.dict(os.environ, kernel_environment(), clear=True):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count an expected failure as a failure: after a time-out nbval expects the rest of a chapter to fail."""
    report = yield
    if hasattr(report, "wasxfail"):
        reason = report.wasxfail
        del report.wasxfail
        report.outcome = "failed"
        report.longrepr = report.longrepr or f"{item.name} must pass, but was expected to fail: {reason}"
    return report
