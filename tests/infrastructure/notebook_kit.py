"""Helpers for tests on notebooks: small ones made on the spot, and nbval run on a file."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.project import ROOT
from tools.validate import OPTIONS

NOT_COMPARED = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
REPLAY = """
import json, sys
from IPython.display import display
for kind, value in json.loads({content!r}):
    if kind == "error":
        raise type(value[0], (Exception,), {{}})(value[1])
    if kind == "data":
        display(value, raw=True)
    else:
        print(value, end="", file=getattr(sys, kind), flush=True)
"""


def code(source: str, *tags: str, outputs: list | None = None, count: int | None = None):
    """Return a code cell."""
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, metadata=metadata, outputs=outputs or [], execution_count=count)


def save(path: Path, *cells) -> Path:
    """Write a notebook of ``cells`` and return its path."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def stdout(text: str):
    """Return a stored line of standard output."""
    return new_output("stream", name="stdout", text=text)


def nbval(path: Path, *options: str) -> tuple[int, list[str]]:
    """Run nbval on one notebook; return the exit status and, per code cell, passed, failed or skipped."""
    report = path.with_suffix(".xml")
    command = [sys.executable, "-m", "pytest", *OPTIONS, f"--junitxml={report}", *options, str(path)]
    status = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=120).returncode
    return status, [_outcome(case) for case in ET.parse(report).iter("testcase")]  # noqa: S314


def _outcome(case: ET.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"
