"""What a program can check of the rules for a chapter, on every chapter as it is stored."""

from __future__ import annotations

import json
import re

import nbformat
import pytest

from tools.project import ROOT, chapters

MACHINE_PATH = re.compile(r"(?:/work|/home|/root|/Users|/tmp|/opt)/[\w.-]|[A-Z]:\\+Users")
pytestmark = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def prose(book) -> str:
    """Return the Markdown of a notebook without its fenced code."""
    text = "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    return re.sub(r"^```(?!\{).*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def rich_outputs(cell):
    return [output for output in cell.outputs if "data" in output]


def words(cell) -> str:
    """Return source, metadata and textual outputs of a cell."""
    texts = [cell.source, json.dumps(cell.metadata)]
    for output in cell.get("outputs", []):
        texts += [output.get("text", ""), *output.get("traceback", [])]
        texts += [str(value) for kind, value in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join(texts)


def test_file_is_small_and_in_the_table_of_contents(path):
    assert path.stat().st_size <= 1.5e6
    assert f"notebooks/{path.stem}" in (ROOT / "_toc.yml").read_text()


def test_kernel_is_the_plain_one_and_no_widget_is_stored(path):
    book = read(path)
    assert book.metadata.kernelspec.name == "python3"
    assert "widgets" not in book.metadata
    kinds = {kind for cell in code_cells(book) for output in rich_outputs(cell) for kind in output.data}
    assert not {kind for kind in kinds if "widget" in kind}


def test_one_title_and_a_box_at_a_glance(path):
    book = read(path)
    assert len(re.findall(r"^# ", prose(book), flags=re.MULTILINE)) == 1
    assert book.cells[0].source.startswith("# ")
    start = "\n".join(cell.source for cell in book.cells[:3])
    assert re.search(r"^(?::{3,}|`{3,})\{\w+\} At a glance", start, flags=re.MULTILINE)


def test_code_cells_are_short(path):
    long = [cell.source for cell in code_cells(read(path)) if len(cell.source.splitlines()) > 25]
    assert not long


def test_every_cell_was_run_without_an_error(path):
    run = [cell for cell in code_cells(read(path)) if "skip-execution" not in tags(cell)]
    assert not [cell.source for cell in run if cell.execution_count is None]
    failed = [cell for cell in run if any(output.output_type == "error" for output in cell.outputs)]
    assert not [cell.source for cell in failed if "raises-exception" not in tags(cell)]


def test_cells_were_run_from_top_to_bottom_in_a_fresh_kernel(path):
    counts = [cell.execution_count for cell in code_cells(read(path)) if cell.execution_count is not None]
    assert counts == list(range(1, len(counts) + 1))


def test_stubs_are_skipped_by_nbval_too(path):
    stubs = [cell for cell in code_cells(read(path)) if "skip-execution" in tags(cell)]
    assert not [cell.source for cell in stubs if "nbval-skip" not in tags(cell) or cell.outputs]


def test_at_least_two_cells_are_compared(path):
    assert sum("nbval-check-output" in tags(cell) for cell in code_cells(read(path))) >= 2


def test_figures_have_an_alternative_text(path):
    for cell in code_cells(read(path)):
        if any(kind.startswith("image/") for output in rich_outputs(cell) for kind in output.data):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 20, f"This figure needs an alternative text:\n{cell.source}"


def test_no_path_of_a_machine(path):
    found = [match.group() for cell in read(path).cells for match in MACHINE_PATH.finditer(words(cell))]
    assert not found
