"""Fetch a data set: resumed after a break, checked when complete, and never half a file under its final name.

Why not pooch: it begins a broken download again from the first byte, which for the 42 GB of ChestX-ray14 means never to
arrive. What is here is the part that pooch lacks; checksums, a temporary name and a progress bar it would have had.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.datasets.addresses import BY_HAND, SOURCES, Download
from medxai_helpers.datasets.catalogue import CATALOGUE
from medxai_helpers.runtime import log

if TYPE_CHECKING:
    import requests

__all__ = ["BY_HAND", "SOURCES", "Download", "Limits", "ManualDownloadError", "fetch", "fetch_file", "manual_steps"]

CHUNK = 1 << 16
GAIN = 1 << 20
"""An attempt that brings at least this many bytes starts the count of attempts anew."""
TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP answers that are worth another attempt; every other error is final."""
PARTIAL, RANGE_REFUSED = 206, 416
LINE_STEP = 25_000_000
"""Bytes between two lines of progress, at least, where no bar can be drawn."""


@dataclass(frozen=True)
class Limits:
    """How patient a download is. Introduced in chapter 01.

    Parameters
    ----------
    attempts : int
        Attempts in a row that may fail before giving up.
    stall : float
        Seconds without an answer, or with less than ``slowest`` bytes a second, after which the connection is dropped.
    slowest : float
        Bytes a second.
    pause : float
        Seconds before the second attempt; doubled before each further one, with a random share of it.
    longest_pause : float
        Seconds: no pause is longer, whatever the server asks for.
    """

    attempts: int = 6
    stall: float = 60.0
    slowest: float = 100.0
    pause: float = 1.0
    longest_pause: float = 60.0


class ManualDownloadError(ValueError):
    """A login or a form stands before the data set: the message says what to do by hand."""


class _AttemptError(Exception):
    """An attempt failed, another may not; ``wait`` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(name: str, data_root: Path, limits: Limits | None = None) -> Path:
    """Download a data set into the data root and return where it lies. Introduced in chapter 01.

    A set of one archive lies directly under the data root, one of several files in a folder of its name; in both places
    :func:`load_dataset` finds it and unpacks it into the cache. Call it again after a break: what is complete is
    checked and kept, what was begun is continued.

    Parameters
    ----------
    name : str
        A key of ``CATALOGUE``; for MedMNIST also with a size, ``"medmnist-pathmnist_224"``.
    data_root : Path
        Folder of the data sets; made if it is missing.
    limits : Limits, optional
        Patience; the default suits slow connections.

    Raises
    ------
    ManualDownloadError
        If the set cannot be fetched without a login or form; the message lists the steps.
    ValueError
        If the name is unknown, the address is gone, or the file is not what it should be.
    OSError
        If the connection keeps failing, or the disk is too small. What has arrived is kept for the next call.
    """
    card = _card(name)
    if name not in SOURCES:
        raise ManualDownloadError(manual_steps(card, data_root))
    files = SOURCES[name]
    alone = len(files) == 1 and files[0].filename == card.archive
    folder = data_root if alone else data_root / card.name
    for number, file in enumerate(files, start=1):
        log.info("%s: file %d of %d, %s", card.title, number, len(files), file.filename)
        fetch_file(file, folder, limits)
    if name in BY_HAND:
        log.info("%s. Put them into %s.", BY_HAND[name], folder)
    return folder / card.archive if alone else folder


def manual_steps(card: DatasetCard, data_root: Path) -> str:
    """Say how to get a set that stands behind a login or form, and where to put it."""
    return (
        f"{card.title} cannot be fetched without you. {card.how_to_get} Home page: {card.home}. "
        f"Put {card.archive}, or the folder it unpacks to, into {data_root}."
    )


def fetch_file(file: Download, folder: Path, limits: Limits | None = None) -> Path:
    """Download one file; a complete one is checked and kept, one that was begun is continued. Introduced in chapter 01.

    Raises
    ------
    ValueError, OSError
        As :func:`fetch`; also if another process is fetching the same file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, patience = folder / file.filename, limits or Limits()
    if final.exists():
        _check(file, final, keep=True)
        return final
    with _alone(final):
        part = _Part(final)
        if not part.complete(file.url):
            _download(file, part, patience)
        _check(file, part.path, keep=False)
        part.publish(final)
    return final


def _card(name: str) -> DatasetCard:
    base = name if name in CATALOGUE else re.sub(r"_\d+$", "", name)
    if base not in CATALOGUE or (base != name and name not in SOURCES):
        raise ValueError(f"Expected a data set among {', '.join(CATALOGUE)}, but got {name!r}. See `medxai list`.")
    return CATALOGUE[base]


@contextmanager
def _alone(final: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(final.with_name(f".{final.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise OSError(f"Another process is fetching {final}. Wait for it, or end it and try again.") from error
    try:
        yield
    finally:
        lock.release()


class _Part:
    """A file on its way: its bytes so far, and which version of the remote file they belong to."""

    def __init__(self, final: Path) -> None:
        self.path = final.with_name(f"{final.name}.part")
        self.note = final.with_name(f"{final.name}.part.json")

    @property
    def have(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def complete(self, url: str) -> bool:
        """True when every byte had arrived before the break."""
        return str(self.have) == self.known(url).get("length")

    def known(self, url: str) -> dict[str, str]:
        """What the server said about the version that these bytes belong to; empty for another address."""
        try:
            note = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("url") == url else {}

    def begin(self, url: str, headers: Mapping[str, str], length: int | None) -> None:
        validator = headers.get("ETag", "")
        weak = not validator or validator.startswith("W/")
        validator = headers.get("Last-Modified", "") if weak else validator
        self.note.write_text(json.dumps({"url": url, "validator": validator, "length": str(length or "")}))

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def publish(self, final: Path) -> None:
        self.path.replace(final)
        self.note.unlink(missing_ok=True)


def _download(file: Download, part: _Part, limits: Limits) -> None:
    """Attempt until the file is complete; attempts that bring something do not count."""
    import requests

    failed = 0
    with requests.Session() as session:
        while True:
            before = part.have
            try:
                _attempt(session, file, part, limits)
                return
            except _AttemptError as error:
                failed = 1 if part.have - before >= GAIN else failed + 1
                if failed >= limits.attempts:
                    raise OSError(
                        f"{file.url} failed {failed} times in a row ({error}). {part.have:,} bytes are kept in "
                        f"{part.path}: call again to go on from there."
                    ) from error
                pause = limits.pause * 2 ** (failed - 1) * random.uniform(0.5, 1)
                log.info("%s: %s; trying again.", file.filename, error)
                time.sleep(min(max(pause, error.wait), limits.longest_pause))


def _attempt(session: requests.Session, file: Download, part: _Part, limits: Limits) -> None:
    """One connection: ask for what is missing, write what comes, and see that it is all of it."""
    with _answer(session, file, part, limits) as answer:
        start, length = _place_of(answer, file, part)
        _must_fit(part.path.parent, (length or 0) - start)
        if start == 0:
            part.begin(file.url, answer.headers, length)
        with part.path.open("r+b" if start else "wb") as sink, _progress(file.filename, start, length) as advance:
            sink.seek(start)
            for block in _blocks(answer, limits):
                sink.write(block)
                advance(len(block))
    if length is not None and part.have != length:
        raise _AttemptError(f"the connection ended after {part.have:,} of {length:,} bytes")


@contextmanager
def _answer(session: requests.Session, file: Download, part: _Part, limits: Limits) -> Iterator[requests.Response]:
    """Open the connection; network trouble while it is open becomes :class:`_AttemptError`."""
    import requests
    import urllib3

    headers = {"Accept-Encoding": "identity", "User-Agent": "medxai"} | _resume(file, part)
    try:
        with session.get(file.url, headers=headers, stream=True, timeout=limits.stall) as answer:
            answer.raw.enforce_content_length = False  # _attempt compares the lengths, and says which they are
            yield answer
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as error:
        raise ValueError(f"Expected a web address, but got {file.url!r} ({error}).") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError, ConnectionError) as error:
        raise _AttemptError(f"the connection failed ({type(error).__name__})") from error


def _resume(file: Download, part: _Part) -> dict[str, str]:
    """Headers that ask for the rest, when it is sure, or will be checked, that the rest belongs to the beginning."""
    known = part.known(file.url)
    validator = known.get("validator", "")
    if not part.have or not known or not (validator or file.md5 or file.sha256):
        part.drop()
        return {}
    return {"Range": f"bytes={part.have}-"} | ({"If-Range": validator} if validator else {})


def _place_of(answer: requests.Response, file: Download, part: _Part) -> tuple[int, int | None]:
    """Where the bytes of this answer begin, and how long the whole file is; ``None`` if the server does not say."""
    if answer.status_code == RANGE_REFUSED:
        part.drop()
        raise _AttemptError("the server does not continue this file; beginning again")
    if answer.status_code in TEMPORARY:
        raise _AttemptError(f"the server answers {answer.status_code}", _wait(answer.headers.get("Retry-After", "")))
    if not answer.ok:
        raise ValueError(
            f"Expected the file at {file.url}, but the server answers {answer.status_code} {answer.reason}. "
            "The address may have moved: download it from the home page of the data set."
        )
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise ValueError(
            f"Expected a file at {file.url}, but got a web page: the address has moved or asks for a login. "
            "Download it from the home page of the data set."
        )
    start, length = _range_of(answer, file, part) if answer.status_code == PARTIAL else (0, _length(answer))
    if file.size is not None and length is not None and length != file.size:
        part.drop()
        raise ValueError(
            f"Expected {file.size:,} bytes at {file.url}, but the server offers {length:,}: the file has changed. "
            "Download it from the home page of the data set and compare."
        )
    return start, length or file.size


def _range_of(answer: requests.Response, file: Download, part: _Part) -> tuple[int, int]:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    length = part.known(file.url).get("length")
    if found is None or int(found[1]) != part.have or (length and length != found[2]):
        part.drop()
        raise _AttemptError("the server continues another file or at another place; beginning again")
    return int(found[1]), int(found[2])


def _length(answer: requests.Response) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _wait(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0


def _blocks(answer: requests.Response, limits: Limits) -> Iterator[bytes]:
    """Bytes as they come; a connection that only drips is dropped."""
    mark, since = time.monotonic(), 0
    while block := answer.raw.read1(CHUNK, decode_content=False):
        yield block
        since += len(block)
        if time.monotonic() - mark > limits.stall:
            if since < limits.slowest * limits.stall:
                raise _AttemptError(f"fewer than {limits.slowest:g} bytes a second came")
            mark, since = time.monotonic(), 0


def _must_fit(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > 0.98 * free:
        raise OSError(f"{size / 1e9:.2f} GB are still to come, but {folder} has {free / 1e9:.2f} GB free. Free some.")


def _check(file: Download, path: Path, *, keep: bool) -> None:
    """Compare length and checksum; without a checksum a zip archive must at least be one, with its end in place."""
    problem = _problem(file, path)
    if not problem:
        return
    if not keep:
        _Part(path.with_name(path.name.removesuffix(".part"))).drop()
    advice = (
        "Delete it and fetch it again." if keep else "Nothing is kept; fetch it again, or by hand from its home page."
    )
    raise ValueError(f"Expected {file.filename} as published, but {problem} ({path}). {advice}")


def _problem(file: Download, path: Path) -> str:
    have = path.stat().st_size
    if file.size is not None and have != file.size:
        return f"it has {have:,} bytes instead of {file.size:,}"
    for kind, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected:
            found = _checksum(path, kind)
            return "" if found == expected else f"its {kind} is {found} instead of {expected}"
    whole = not file.filename.endswith((".zip", ".npz")) or zipfile.is_zipfile(path)
    return "" if whole else f"its {have:,} bytes are no complete zip archive"


def _checksum(path: Path, kind: str) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


@contextmanager
def _progress(name: str, start: int, length: int | None) -> Iterator[Callable[[int], object]]:
    """Yield a function that takes bytes: a bar in a terminal, a line for every tenth elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines(name, start, length).advance
        return
    from tqdm import tqdm

    with tqdm(desc=name, initial=start, total=length, unit="B", unit_scale=True, unit_divisor=1000) as bar:
        yield bar.update


class _Lines:
    """Progress where no bar can be drawn."""

    def __init__(self, name: str, start: int, length: int | None) -> None:
        self.name, self.have, self.length = name, start, length
        self.step = max((length or 0) // 10, LINE_STEP)
        self.next = start + self.step

    def advance(self, size: int) -> None:
        self.have += size
        if self.have >= self.next:
            share = f" of {self.length / 1e6:,.0f} MB ({100 * self.have // self.length} %)" if self.length else " MB"
            log.info("%s: %s%s", self.name, f"{self.have / 1e6:,.0f}", share)
            self.next += self.step
