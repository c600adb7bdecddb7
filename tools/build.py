"""Build the HTML book: ``python -m tools.build --chapters executed`` (or ``committed``, which executes nothing).

Every warning is an error. A build that failed leaves nothing that could make the next one look right.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.check_offline import requests_of_site
from tools.project import (
    BUILD,
    CONSTRAINTS,
    EXECUTED,
    NOTEBOOKS,
    ROOT,
    digest,
    is_stamped,
    kernel_environment,
    package_files,
    write_atomically,
)
from tools.stage import SOURCE, contents, stage

HTML = BUILD / "html"
STAMP = BUILD / "html.sha256"
STRUCTURE = ("_config.yml", "_toc.yml", "book/references.bib")
UNUSED = ("mml-*.js", "tex-mml-*.js", "tex-svg*.js", "tex-chtml-full*.js", "node-main.js", "output/svg*")
FLAGS = ("-W", "-n", "--keep-going", "-q")


def build(chapters: Path) -> int:
    """Build the book with the notebooks in the folder ``chapters``; return the exit status."""
    tree = contents(chapters)
    fingerprint = digest([*package_files(), *CONSTRAINTS, *sorted((ROOT / "tools").glob("*.py"))], _digest(tree))
    if is_stamped(STAMP, fingerprint) and (HTML / "index.html").is_file():
        print("The book is up to date.")
    else:
        status = _rebuild(tree, fingerprint)
        if status:
            return status
    print(f"Open it in a browser: {HTML / 'index.html'}")
    return 0


def _rebuild(tree: dict[str, bytes], fingerprint: str) -> int:
    start = time.perf_counter()
    STAMP.unlink(missing_ok=True)
    if any(_staged(name) != tree.get(name) for name in STRUCTURE):
        _forget()
    stage(tree)
    status = _sphinx() or _check_offline()
    if status:
        _forget()
        print("The book was not built: see the warnings above.", file=sys.stderr)
        return status
    _prune()
    write_atomically(STAMP, fingerprint.encode())
    print(f"The book was built in {time.perf_counter() - start:.1f} s.")
    return 0


def _sphinx() -> int:
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(SOURCE), "--path-output", str(ROOT), *FLAGS]
    return subprocess.run(command, env=kernel_environment(), cwd=ROOT, check=False).returncode


def _check_offline() -> int:
    found = requests_of_site(HTML)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


def _prune() -> None:
    """Remove the variants of MathJax that no page loads: half of its size."""
    folder = HTML / "_static" / "mathjax"
    for path in [path for pattern in UNUSED for path in folder.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _forget() -> None:
    """Remove what Sphinx would build on: pages without a change are not read, and not warned about, again."""
    for folder in (HTML, BUILD / ".doctrees"):
        shutil.rmtree(folder, ignore_errors=True)


def _staged(name: str) -> bytes | None:
    path = SOURCE / name
    return path.read_bytes() if path.is_file() else None


def _digest(tree: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, content in sorted(tree.items()):
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chapters", choices=("executed", "committed"), default="executed")
    options = parser.parse_args(arguments)
    return build(EXECUTED if options.chapters == "executed" else NOTEBOOKS)


if __name__ == "__main__":
    sys.exit(main())
