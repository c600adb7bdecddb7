"""The command line: what it prints, and that errors are one line and exit code 2."""

import subprocess
import sys

import pytest

from medxai_helpers import cli
from medxai_helpers.datasets import CATALOGUE, download


def test_list_names_every_set_and_which_are_here(capsys, tmp_path, monkeypatch):
    (tmp_path / "medical-mnist.zip").write_bytes(b"x")
    monkeypatch.setenv("MEDXAI_DATA", str(tmp_path))
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOGUE) + 1
    here = next(line for line in lines if line.startswith("medical-mnist"))
    assert "58,954" in here
    assert " yes " in here


def test_fetch_says_where_the_set_lies(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda name, root: root / f"{name}.zip")
    assert cli.main(["fetch", "kvasir-v2", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "kvasir-v2.zip")


@pytest.mark.parametrize("name", ["medical-mnist", "nothing-like-this"])
def test_an_error_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, name):
    monkeypatch.delitem(download.SOURCES, "medical-mnist", raising=False)
    assert cli.main(["fetch", name, "--to", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("medxai fetch: ")
    assert said.err.count("\n") == 1


def test_without_a_folder_it_says_how_to_give_one(capsys, monkeypatch):
    monkeypatch.delenv("MEDXAI_DATA", raising=False)
    assert cli.main(["fetch", "medical-mnist"]) == 2
    assert "--to DIR" in capsys.readouterr().err


def test_a_break_by_hand_is_no_traceback(capsys, monkeypatch, tmp_path):
    def broken(name, root):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "fetch", broken)
    assert cli.main(["fetch", "kvasir-v2", "--to", str(tmp_path)]) == 130
    assert "broken off" in capsys.readouterr().err


def test_no_command_prints_the_help(capsys):
    assert cli.main([]) == 2
    assert "fetch" in capsys.readouterr().out


def test_a_wrong_command_ends_with_2():
    with pytest.raises(SystemExit) as caught:
        cli.main(["fly"])
    assert caught.value.code == 2


def test_the_command_starts_without_heavy_libraries():
    code = (
        "import sys, medxai_helpers.cli as cli; cli.main([]); print([n for n in ('torch', 'cv2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
