"""Running chapters: the book's settings whatever the reader's are, and nothing left behind by a failure."""

from __future__ import annotations

import json

import nbformat
import pytest

from tests.infrastructure.notebook_kit import code, nbval, save, stdout
from tools import execute
from tools.project import NOTEBOOKS

READER = {
    "MEDXAI_PROFILE": "full",
    "MEDXAI_DEVICE": "cuda",
    "MEDXAI_DATA": "/nonexistent",
    "MEDXAI_CACHE": "/nonexistent/cache",
    "MEDXAI_SEED": "7",
    "MPLBACKEND": "pdf",
}
LOOK = """
import json, os
from medxai_helpers.runtime import current
seen = current()
print(json.dumps([seen.profile, seen.device, seen.data_root, seen.seed, seen.cache.name,
                  sorted(name for name in os.environ if name.startswith("MEDXAI")), "MPLBACKEND" in os.environ]))
"""
FORCED = ["quick", "cpu", None, 0, ".cache", ["MEDXAI_DEVICE", "MEDXAI_PROFILE", "MEDXAI_SEED"], False]


@pytest.fixture
def reader(monkeypatch):
    for name, value in READER.items():
        monkeypatch.setenv(name, value)


def run(path, *options: str) -> int:
    return execute.main([str(path), "--out", str(path.parent / "out"), *options])


def executed(path):
    return nbformat.read(path.parent / "out" / path.name, as_version=4)


@pytest.mark.usefixtures("reader")
def test_execution_ignores_the_readers_environment(tmp_path):
    path = save(tmp_path / "01_look.ipynb", code(LOOK))
    assert run(path) == 0
    seen = json.loads(executed(path).cells[0].outputs[0].text)
    seen[-1] = False  # ipykernel sets the backend for inline figures by itself
    assert seen == FORCED


@pytest.mark.usefixtures("reader")
def test_figures_are_inline_whatever_the_readers_backend(tmp_path):
    path = save(tmp_path / "01_figure.ipynb", code("import matplotlib.pyplot as plt\nplt.plot([1, 2]);\nplt.show()"))
    assert run(path) == 0
    assert "image/png" in executed(path).cells[0].outputs[0].data


@pytest.mark.usefixtures("reader")
def test_nbval_ignores_the_readers_environment(tmp_path):
    (tmp_path / "conftest.py").write_text((NOTEBOOKS / "conftest.py").read_text())
    source = LOOK.replace(', "MPLBACKEND" in os.environ', ", False")
    cell = code(source, "nbval-check-output", outputs=[stdout(json.dumps(FORCED) + "\n")], count=1)
    assert nbval(save(tmp_path / "01_look.ipynb", cell)) == (0, ["passed"])


def test_a_failing_cell_is_named_and_nothing_is_left(tmp_path, capsys):
    path = save(tmp_path / "01_fail.ipynb", code("fine = 1"), code("fine / 0"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / path.name).write_text("an older result")
    assert run(path) == 1
    message = capsys.readouterr().err
    assert "01_fail.ipynb, cell 2" in message
    assert "ZeroDivisionError" in message
    assert list((tmp_path / "out").iterdir()) == []


def test_a_chapter_has_a_time_limit(tmp_path, capsys):
    path = save(tmp_path / "01_slow.ipynb", code("import time\ntime.sleep(30)"))
    assert run(path, "--limit", "2") == 1
    assert "limit of 2 s" in capsys.readouterr().err


def test_only_a_changed_chapter_is_run_again(tmp_path, capsys):
    path = save(tmp_path / "01_same.ipynb", code("print('hello')"))
    assert run(path) == 0
    first = (tmp_path / "out" / path.name).read_bytes()
    assert run(path) == 0
    assert "unchanged" in capsys.readouterr().out
    path.write_bytes(first)  # what `make refresh` does: outputs alone are no reason to run again
    assert run(path) == 0
    assert "unchanged" in capsys.readouterr().out
    save(path, code("print('goodbye')"))
    assert run(path) == 0
    assert "goodbye" in executed(path).cells[0].outputs[0].text


def test_stubs_are_not_run_and_expected_errors_are_kept(tmp_path):
    stub = code("...\nraise SystemError", "skip-execution", "nbval-skip")
    path = save(tmp_path / "01_tags.ipynb", stub, code("int('x')", "raises-exception"), code("1 + 1"))
    assert run(path) == 0
    cells = executed(path).cells
    assert cells[0].outputs == []
    assert cells[1].outputs[0].ename == "ValueError"
    assert cells[2].outputs[0].data["text/plain"] == "2"


def test_an_unknown_notebook_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected existing notebooks"):
        run(tmp_path / "99_absent.ipynb")


def test_after_a_time_out_the_other_cells_count_as_failed(tmp_path):
    (tmp_path / "conftest.py").write_text((NOTEBOOKS / "conftest.py").read_text())
    path = save(tmp_path / "01_slow.ipynb", code("import time\ntime.sleep(30)"), code("1 + 1"), code("1 / 0"))
    assert nbval(path, "--nbval-cell-timeout=1") == (1, ["failed", "failed", "failed"])
