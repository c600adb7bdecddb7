"""Where things lie in the project, what the chapters run in, and how a change is noticed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from medxai_helpers.runtime import book_environment

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "_build"
EXECUTED = BUILD / "executed"
CONSTRAINTS = (ROOT / "constraints.txt", ROOT / "no-deps.txt")
PERSONAL = ("MPLBACKEND", "MATPLOTLIBRC", "PYTHONSTARTUP", "JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "PYTHONWARNINGS")


def chapters(names: Iterable[str] = ()) -> list[Path]:
    """Return the notebooks called ``names``, or every chapter in order."""
    given = [Path(name).resolve() for name in names]
    missing = [path for path in given if not path.is_file()]
    if missing:
        raise ValueError(f"Expected existing notebooks, but found no {missing[0]}. See the names in {NOTEBOOKS}.")
    return given or sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def kernel_environment() -> dict[str, str]:
    """Return the environment of a chapter's kernel: the book's own settings, and none of the reader's habits.

    Besides the forced profile, device, data and seed, the start-up files of IPython and the style file of matplotlib
    are the project's own empty ones, so that committed outputs do not depend on who executed them.
    """
    env = {name: value for name, value in book_environment().items() if name not in PERSONAL}
    return env | {"IPYTHONDIR": str(BUILD / "ipython"), "MPLCONFIGDIR": str(BUILD / "matplotlib")}


def prepare_fonts(env: dict[str, str]) -> None:
    """Let matplotlib list the fonts once, so that its message about it lands in no chapter."""
    folder = Path(env["MPLCONFIGDIR"])
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.glob("fontlist-*.json")):
        subprocess.run(
            [sys.executable, "-c", "import matplotlib.font_manager"], env=env, check=False, capture_output=True
        )


def package_files() -> list[Path]:
    """Return the files of the helper package that a chapter's outputs depend on."""
    files = (ROOT / "medxai_helpers").rglob("*")
    return sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts)


def chapter_inputs() -> list[Path]:
    """Return every file besides the notebook that a chapter's outputs depend on: package, versions, run records.

    Measurements of speed are shown on a page of their own, and by no chapter.
    """
    records = (path for path in (ROOT / "results").glob("*/*.json") if path.parent.name != "benchmarks")
    return [*package_files(), *CONSTRAINTS, *sorted(records)]


def digest(files: Iterable[Path], *more: str) -> str:
    """Return a SHA-256 over names and contents of ``files`` and over ``more`` text."""
    total = hashlib.sha256()
    for path in files:
        total.update(f"{shown(path)}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    for text in more:
        total.update(text.encode())
    return total.hexdigest()


def read_notebook(path: Path) -> dict[str, Any]:
    """Return a notebook as plain JSON."""
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))


def without_outputs(path: Path) -> str:
    """Return what an author writes of a notebook: the cells and their metadata, not what running them left."""
    cells = read_notebook(path)["cells"]
    return json.dumps([[cell["cell_type"], cell["metadata"], "".join(cell["source"])] for cell in cells])


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step: either all of it appears under its name, or nothing does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def is_stamped(stamp: Path, fingerprint: str) -> bool:
    """Tell whether ``stamp`` holds ``fingerprint``, that is, whether this very state was finished before."""
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint


def shown(path: Path) -> str:
    """Return a path as a reader would write it, relative to the project where it lies inside."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
