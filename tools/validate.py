"""Run the chapters under nbval, comparing marked outputs: ``python -m tools.validate [notebooks/NN_slug.ipynb ...]``.

A chapter is run when it, the helper package or the pinned versions changed since it last passed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tools.project import (
    BUILD,
    NOTEBOOKS,
    ROOT,
    chapter_inputs,
    chapters,
    digest,
    is_stamped,
    kernel_environment,
    prepare_fonts,
    shown,
    write_atomically,
)

STAMPS = BUILD / "nbval"
SECONDS = 300
OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist", "--nbval-lax", "--nbval-current-env")


def validate(notebook: Path, force: bool = False) -> int:
    """Run one chapter under nbval unless this very state passed before; return the exit status."""
    stamp = STAMPS / f"{notebook.stem}.sha256"
    fingerprint = digest([*chapter_inputs(), notebook, NOTEBOOKS / "conftest.py", Path(__file__)])
    if is_stamped(stamp, fingerprint) and not force:
        print(f"{shown(notebook)}: passed before, unchanged", flush=True)
        return 0
    stamp.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", *OPTIONS, f"--nbval-cell-timeout={SECONDS}", str(notebook)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status == 0:
        write_atomically(stamp, fingerprint.encode())
    return status


def main(arguments: list[str] | None = None) -> int:
    """Validate what changed; return 1 when a chapter failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="chapters to run (default: all)")
    parser.add_argument("--force", action="store_true", help="run even what passed before")
    options = parser.parse_args(arguments)
    prepare_fonts(kernel_environment())
    failed = [path for path in chapters(options.notebooks) if validate(path, options.force)]
    for path in failed:
        print(f"{shown(path)}: failed under nbval", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
