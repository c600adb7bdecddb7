"""List what a built page would fetch from the network: ``python -m tools.check_offline [_build/html]``.

Links that a reader may click are fine; scripts, styles, fonts, images and frames from elsewhere are not.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

from tools.project import BUILD

LOADED = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "input": ("src",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
HARMLESS_LINKS = {"canonical", "author", "license", "next", "prev", "search", "index", "help", "copyright", "contents"}
REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
ADDRESS = r"((?:https?:)?//"
IN_STYLE = re.compile(
    r"url\(\s*['\"]?\s*" + ADDRESS + r"[^)'\"]+)|@import\s+['\"]" + ADDRESS + r"[^'\"]+)", re.IGNORECASE
)
IN_SCRIPT = re.compile(
    r"['\"`]" + ADDRESS + r"[^'\"`\s]+?\.(?:m?js|css|wasm|json|woff2?)(?:\?[^'\"`]*)?)['\"`]", re.IGNORECASE
)


class _Page(HTMLParser):
    """Collect what the browser would load by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag if tag in {"script", "style"} else ""
        values = dict(attrs)
        if tag == "link" and set((values.get("rel") or "").split()) & HARMLESS_LINKS:
            return
        for name in LOADED.get(tag, ()):
            parts = (values.get(name) or "").split(",") if name == "srcset" else [values.get(name) or ""]
            self.found += [f"<{tag} {name}> {part.strip()}" for part in parts if REMOTE.match(part)]
        self.found += [f"style {url}" for url in _urls(IN_STYLE, values.get("style") or "")]

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.found += [f"script {url}" for url in _urls(IN_SCRIPT, data)]
        elif self.inside == "style":
            self.found += [f"style {url}" for url in _urls(IN_STYLE, data)]


def _urls(pattern: re.Pattern[str], text: str) -> list[str]:
    return [next(group for group in match.groups() if group) for match in pattern.finditer(text)]


def requests_of_page(text: str) -> list[str]:
    """Return what one HTML page would fetch from elsewhere when it is opened."""
    page = _Page()
    page.feed(text)
    return page.found


def requests_of_site(folder: Path) -> list[str]:
    """Return ``file: what it would fetch`` for all pages and style sheets of a built book."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        found += [f"{path.relative_to(folder)}: {what}" for what in requests_of_page(path.read_text(encoding="utf-8"))]
    for path in sorted(folder.rglob("*.css")):
        urls = _urls(IN_STYLE, path.read_text(encoding="utf-8", errors="replace"))
        found += [f"{path.relative_to(folder)}: {url}" for url in urls]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print every request; return 1 when there is one, or when there is no page."""
    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0]) if given else BUILD / "html"
    pages = list(folder.rglob("*.html"))
    found = requests_of_site(folder)
    for line in found:
        print(line)
    print(f"{len(pages)} pages, {len(found)} requests to the network")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
