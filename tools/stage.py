"""Lay out the source tree of the book in ``_build/source``: prose, executed notebooks, records, generated pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.pages import PAGES
from tools.project import BUILD, ROOT, write_atomically

SOURCE = BUILD / "source"
SINGLE = ("_config.yml", "_toc.yml", "CHANGELOG.md", "LICENSE", "LICENSE-TEXT", "CITATION.cff")


def contents(notebooks: Path) -> dict[str, bytes]:
    """Return every file of the source tree by its relative path, with the chapters taken from ``notebooks``."""
    tree = {name: (ROOT / name).read_bytes() for name in SINGLE}
    tree |= dict(_folder(ROOT / "book", "book", "*"))
    tree |= dict(_folder(ROOT / "results", "results", "*.json"))
    tree |= dict(_folder(notebooks, "notebooks", "[0-9][0-9]_*.ipynb"))
    return tree | {name: page().encode() for name, page in PAGES.items()}


def _folder(folder: Path, name: str, pattern: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob(pattern)):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield f"{name}/{relative.as_posix()}", path.read_bytes()


def stage(tree: dict[str, bytes], target: Path = SOURCE) -> None:
    """Make the folder ``target`` hold exactly ``tree``, leaving files that are already right untouched."""
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path.relative_to(target).as_posix() not in tree:
            path.unlink()
    for name, content in tree.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
