"""nbval must fail on every compared output that is not what the code gives.

A copy of each chapter is made in which every cell with compared outputs only emits again what is stored for it, once
beside the right stored outputs, and once beside each of them corrupted. That takes a second a chapter, not a whole
execution.
"""

from __future__ import annotations

import copy
import json

import nbformat
import pytest
from nbformat.v4 import new_output

from tests.infrastructure.notebook_kit import NOT_COMPARED, REPLAY, code, nbval, save, stdout
from tools.project import chapters


def compared_cells(book) -> list:
    return [
        cell
        for cell in book.cells
        if cell.cell_type == "code" and "nbval-check-output" in cell.metadata.get("tags", [])
    ]


def replayed(cell, outputs):
    """Return a cell that emits what ``cell`` stores, beside the stored ``outputs``."""
    content = []
    for output in cell.outputs:
        if output.output_type == "stream":
            content.append((output.name, output.text))
        elif output.output_type == "error":
            content.append(("error", (output.ename, output.evalue)))
        else:
            content.append(("data", dict(output.data)))
    again = code("", *cell.metadata["tags"])
    again.source = REPLAY.format(content=json.dumps(content))
    again.outputs, again.execution_count = outputs, 1
    return again


def corruptions(cell):
    """Yield the cell's outputs with one compared part of one of them changed."""
    for index, output in enumerate(cell.outputs):
        parts = {"stream": ["text"], "error": ["ename", "evalue"]}.get(output.output_type)
        for part in parts or sorted(set(output.data) - NOT_COMPARED):
            outputs = copy.deepcopy(cell.outputs)
            holder = outputs[index] if parts else outputs[index].data
            holder[part] = f"{holder[part]} corrupted"
            yield outputs


def check(path, folder) -> None:
    """Assert that nbval passes what is stored and fails on each corruption of it."""
    cells, expected = [], []
    for cell in compared_cells(nbformat.read(path, as_version=4)):
        wrong = [replayed(cell, outputs) for outputs in corruptions(cell)]
        assert wrong, f"{path.name} compares a cell without any output to compare:\n{cell.source}"
        cells += [replayed(cell, cell.outputs), *wrong]
        expected += ["passed", *["failed"] * len(wrong)]
    assert expected.count("passed") >= 2, f"{path.name} compares fewer than two cells"
    assert nbval(save(folder / "replayed.ipynb", *cells))[1] == expected


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_each_corrupted_output_of_a_chapter_fails(path, tmp_path):
    check(path, tmp_path)


def test_every_kind_of_output_is_compared(tmp_path):
    tag = "nbval-check-output"
    table = {"text/plain": "   n\n0  3", "text/html": "<table><tr><td>3</td></tr></table>"}
    error = new_output("error", ename="ValueError", evalue="Expected 3, but got 4.", traceback=["..."])
    path = save(
        tmp_path / "sample.ipynb",
        code("print(3)", tag, outputs=[stdout("3\n")], count=1),
        code("table", tag, outputs=[new_output("execute_result", data=table, execution_count=2)], count=2),
        code("check(4)", tag, "raises-exception", outputs=[stdout("checking\n"), error], count=3),
    )
    check(path, tmp_path)


def test_a_compared_cell_with_only_a_figure_is_refused(tmp_path):
    figure = new_output("display_data", data={"image/png": "iVBORw0KGgo="})
    path = save(tmp_path / "sample.ipynb", code("plot()", "nbval-check-output", outputs=[figure], count=1))
    with pytest.raises(AssertionError, match="without any output to compare"):
        check(path, tmp_path)
