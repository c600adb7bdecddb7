from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("nibabel")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests here: the anatomy is prepared once."""
    return tmp_path_factory.mktemp("cache")
