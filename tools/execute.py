"""Execute the chapters on the embedded default: ``python -m tools.execute [--refresh] [notebooks/NN_slug.ipynb ...]``.

A chapter is executed when the notebook, the helper package or the pinned versions changed since its last execution.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tools.project import (
    EXECUTED,
    NOTEBOOKS,
    ROOT,
    chapter_inputs,
    chapters,
    digest,
    is_stamped,
    kernel_environment,
    prepare_fonts,
    shown,
    without_outputs,
    write_atomically,
)

LIMIT = 600.0
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class ChapterError(Exception):
    """A chapter did not run to its end; the message names notebook, cell and cause."""


class _ThisPython(KernelSpecManager):
    """Give the kernel of the running interpreter under every name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class _ThisPythonManager(AsyncKernelManager):
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return _ThisPython(parent=self)


def execute(notebook: Path, limit: float = LIMIT) -> bytes:
    """Run one notebook from top to bottom in a fresh kernel and return it with its outputs.

    Parameters
    ----------
    notebook : Path
        A notebook; its kernel runs in the notebook's folder with the book's own settings.
    limit : float
        Seconds that the whole chapter may take.

    Raises
    ------
    ChapterError
        If a cell fails or the limit is reached.
    """
    book = nbformat.read(notebook, as_version=4)
    place = _Place()
    client = NotebookClient(
        book,
        kernel_manager_class=_ThisPythonManager,
        resources={"metadata": {"path": str(notebook.parent)}},
        timeout_func=_Countdown(limit),
        startup_timeout=120,
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        on_cell_execute=place,
    )
    env = kernel_environment()
    prepare_fonts(env)
    try:
        client.execute(env=env)
    except CellTimeoutError as error:
        raise ChapterError(f"{shown(notebook)}, {place}: the chapter's limit of {limit:g} s is reached.") from error
    except DeadKernelError as error:
        raise ChapterError(f"{shown(notebook)}, {place}: the kernel died, perhaps for want of memory.") from error
    except CellExecutionError as error:
        raise ChapterError(f"{shown(notebook)}, {place}:\n{COLOURS.sub('', str(error))}") from error
    _tidy(book)
    text: str = nbformat.writes(book)
    return (text.rstrip("\n") + "\n").encode()


class _Place:
    """Remember which cell was begun last."""

    index = -1

    def __call__(self, cell: Any, cell_index: int) -> None:  # noqa: ARG002
        self.index = cell_index

    def __str__(self) -> str:
        return f"cell {self.index + 1}" if self.index >= 0 else "before the first cell"


class _Countdown:
    """Give each cell what is left of the chapter's time."""

    def __init__(self, limit: float) -> None:
        self.end = time.monotonic() + limit

    def __call__(self, cell: Any) -> int:  # noqa: ARG002
        return max(1, round(self.end - time.monotonic()))


def _tidy(book: nbformat.NotebookNode) -> None:
    """Keep only what is the same on every machine."""
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in book.cells:
        cell.metadata.pop("execution", None)


def bring_up_to_date(notebook: Path, out: Path, limit: float, force: bool) -> None:
    """Execute ``notebook`` into the folder ``out``, unless the result there is of this very state."""
    target, stamp = out / notebook.name, out / f".{notebook.stem}.sha256"
    fingerprint = digest([*chapter_inputs(), Path(__file__)], without_outputs(notebook))
    if target.is_file() and is_stamped(stamp, fingerprint) and not force:
        print(f"{shown(notebook)}: unchanged", flush=True)
        return
    stamp.unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    print(f"{shown(notebook)}: ", end="", flush=True)
    start = time.perf_counter()
    try:
        content = execute(notebook, limit)
    except ChapterError:
        print("failed", flush=True)
        raise
    write_atomically(target, content)
    write_atomically(stamp, fingerprint.encode())
    print(f"{time.perf_counter() - start:.1f} s", flush=True)


def _remove_strangers(out: Path, keep: list[Path]) -> None:
    for path in out.glob("*.ipynb"):
        if path.name not in {notebook.name for notebook in keep}:
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Execute what changed; return 1 when a chapter failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="chapters to execute (default: all)")
    parser.add_argument("--out", type=Path, default=EXECUTED, help="folder for the executed copies")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a chapter may take")
    parser.add_argument("--force", action="store_true", help="execute even what did not change")
    parser.add_argument("--refresh", action="store_true", help="also put the executed copies into notebooks/")
    options = parser.parse_args(arguments)
    selected = chapters(options.notebooks)
    if not options.notebooks:
        _remove_strangers(options.out, selected)
    failures = []
    for notebook in selected:
        try:
            bring_up_to_date(notebook, options.out, options.limit, options.force)
        except ChapterError as error:
            failures.append(str(error))
            continue
        if options.refresh and notebook.is_relative_to(NOTEBOOKS):
            write_atomically(notebook, (options.out / notebook.name).read_bytes())
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    print(f"{len(selected) - len(failures)} of {len(selected)} chapters are executed in {options.out.resolve()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
