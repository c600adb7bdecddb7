"""Set up ``.venv`` with everything the book needs: ``python tools/set_up.py``.

Uses the standard library only. A half-made environment, one of another Python, or one whose installation was
interrupted, is made afresh.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UNFINISHED = VENV / ".installing"
FINISHED = VENV / ".installed"
OLDEST, TOO_NEW = (3, 11), (3, 14)
STEPS = (
    ("install", "-c", "constraints.txt", "-e", ".[all]"),
    ("install", "--no-deps", "-r", "no-deps.txt"),
)


def complaint(version: tuple[int, int]) -> str:
    """Return what is wrong with a Python version, or nothing."""
    if OLDEST <= version < TOO_NEW:
        return ""
    found = ".".join(map(str, version))
    return (
        "The book needs Python 3.11, 3.12 or 3.13, but this is Python " + found + ". "
        "Name another one: make PYTHON=python3.12 (or: python3.12 tools/set_up.py)."
    )


def python_of(venv: Path) -> Path:
    """Return the interpreter inside a virtual environment."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_usable(venv: Path) -> bool:
    """Tell whether an environment exists, has this Python and a working pip, and was never left half-way."""
    if UNFINISHED.exists() or not python_of(venv).exists():
        return False
    check = "import sys, pip; sys.exit(sys.version_info[:2] != " + repr(tuple(sys.version_info[:2])) + ")"
    return subprocess.run([str(python_of(venv)), "-c", check], check=False, capture_output=True).returncode == 0


def main() -> int:
    """Create the environment where needed, install, and leave a mark when all of it went well."""
    problem = complaint((sys.version_info[0], sys.version_info[1]))
    if problem:
        print(problem, file=sys.stderr)
        return 1
    if not is_usable(VENV):
        print("Creating the virtual environment " + str(VENV), flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
        if made.returncode:
            print("Python could not create it; on Debian and Ubuntu install python3-venv first.", file=sys.stderr)
            return 1
    FINISHED.unlink(missing_ok=True)
    UNFINISHED.touch()
    for step in STEPS:
        if subprocess.run([str(python_of(VENV)), "-m", "pip", *step], cwd=ROOT, check=False).returncode:
            print("The installation stopped; run the same command again.", file=sys.stderr)
            return 1
    UNFINISHED.unlink()
    FINISHED.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
