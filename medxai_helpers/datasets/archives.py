"""Find a data set under the data root and unpack its archives once, safely, into the cache.

Zip and tar (plain, gzip, bzip2, xz) are read; a folder may hold one archive or a dozen. What comes out of an archive is
not trusted: nothing is written outside the target folder, no link is followed, nothing executable is kept, and the
sizes that an archive claims are checked against those it delivers. That is stricter than Python's own "data" filter for
tar files, and the same for zip. Archives inside archives stay as they are.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.files import atomic_folder
from medxai_helpers.runtime import log

TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
SUFFIXES = (".zip", *TAR_SUFFIXES)
UNFINISHED = (".part", ".part.json")
"""Suffixes of a download that is not complete; such files are never read."""
LARGEST_RATIO = 200
"""An archive that grows more than this when unpacked is refused as a bomb; real image archives stay below 20."""
SMALLEST_BOMB = 100_000_000
"""Archives that unpack to fewer bytes than this do no harm, whatever their ratio (label tables compress very well)."""
MOST_MEMBERS = 2_000_000
"""More members than this are refused; the largest set of the book has a quarter of a million."""
LONGEST_NAME = 240
"""Bytes of one path component: most file systems take 255."""
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError)
NO_SPACE = (28, 122)
"""Error numbers of a full disk and an exceeded quota."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive: its path as stored, its size in bytes, and whether it is a file, a folder or else."""

    name: str
    size: int
    kind: str

    @property
    def path(self) -> PurePosixPath:
        """The path with forward slashes, whatever the archive was made on."""
        return PurePosixPath(self.name.replace("\\", "/"))


def find(card: DatasetCard, data_root: Path) -> Path | None:
    """Return the folder or archive of a data set under the data root, or ``None``: a folder with content is preferred.

    Looked for are the set's name, the usual name of its archive and the card's aliases.
    """
    names = dict.fromkeys((card.name, stem(card.archive), *card.aliases))
    folders = (data_root / name for name in names)
    archives = (
        data_root / name for name in (card.archive, *(f"{name}{suffix}" for name in names for suffix in SUFFIXES))
    )
    return next((place for place in (*folders, *archives) if _has_content(place)), None)


def stem(name: str) -> str:
    """Return a file name without the suffix of an archive: ``"images_001.tar.gz"`` gives ``"images_001"``."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def as_folder(place: Path, cache: Path) -> Path:
    """Return a folder with the data set's files: ``place`` itself, or one in the cache that it is unpacked into.

    A folder that holds archives and no other folder is unpacked too, every archive of it into one, together with the
    loose files beside them (label tables): so a set that comes in twelve parts is used as downloaded. Unpacking happens
    once, and appears whole or not at all, also when two processes begin it together. Introduced in chapter 05.

    Parameters
    ----------
    place : Path
        A folder or an archive, as :func:`find` returns it.
    cache : Path
        Folder under which unpacked archives are kept (``runtime.cache``).

    Raises
    ------
    ValueError
        If an archive is truncated, damaged, encrypted or unsafe (a path out of its folder, a link, a bomb, two names
        that differ in case alone); the message names the file and what to do, and nothing is left in the cache.
    OSError
        If the disk is too small; nothing is left in the cache.
    """
    archives, loose = _content(place)
    if not archives:
        return place
    final = cache / "unpacked" / f"{stem(place.name)}-{_key([*archives, *loose])}"
    if final.is_dir():
        return final
    log.info("Unpacking %s once into the cache.", place.name)
    with atomic_folder(final, ".unpacking-") as scratch:
        for archive in archives:
            unpack(archive, scratch)
        for file in loose:
            shutil.copyfile(file, scratch / file.name)
    return final


def unpack(archive: Path, target: Path) -> None:
    """Unpack one archive into a folder, after checking every member. Introduced in chapter 01.

    Raises
    ------
    ValueError, OSError
        As :func:`as_folder`; ``target`` may then hold a part of the files.
    """
    with _explained(archive), _opened(archive) as reader:
        for member in _checked(reader.members(), archive, target):
            goal = target / member.path
            if member.kind == "folder":
                goal.mkdir(parents=True, exist_ok=True)
                continue
            if goal.exists():
                raise ValueError(f"its member {member.name!r} is also in another archive of the same folder")
            goal.parent.mkdir(parents=True, exist_ok=True)
            with reader.open(member) as source, goal.open("xb") as sink:
                _copy(source, sink, member)


def _content(place: Path) -> tuple[list[Path], list[Path]]:
    """Archives to unpack and loose files to put beside them; no archives when the folder is to be used as it is."""
    if not place.is_dir():
        return [place], []
    entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith((".", "__MACOSX")))
    archives = [entry for entry in entries if entry.is_file() and entry.name.lower().endswith(SUFFIXES)]
    if any(entry.is_dir() for entry in entries):
        if archives:
            log.info("%s holds folders: its archives (%s, ...) are left alone.", place, archives[0].name)
        return [], []
    return archives, [entry for entry in entries if entry not in archives and not entry.name.endswith(UNFINISHED)]


def _has_content(place: Path) -> bool:
    if not place.is_dir():
        return place.is_file()
    return any(not (entry.name.startswith(".") or entry.name.endswith(UNFINISHED)) for entry in place.iterdir())


def _key(files: Iterable[Path]) -> str:
    """Short hash of names, sizes and times of last change: another download is another folder."""
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


class _Zip:
    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)

    def members(self) -> Iterator[Member]:
        for info in self.archive.infolist():
            if info.flag_bits & 1:
                raise ValueError(f"its member {info.filename!r} is encrypted")
            kind = stat.S_IFMT(info.external_attr >> 16)
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            folder = info.filename.endswith(
                "/"
            )  # is_dir() of Python 3.11 fails for the empty name of a damaged archive
            yield Member(info.filename, info.file_size, "else" if not plain else "folder" if folder else "file")

    def open(self, member: Member) -> IO[bytes]:
        return self.archive.open(member.name)


class _Tar:
    def __init__(self, path: Path) -> None:
        self.archive = tarfile.open(path)  # noqa: SIM115 - closed by _opened
        self.known: dict[str, tarfile.TarInfo] = {}

    def members(self) -> Iterator[Member]:
        for info in self.archive:
            self.known[info.name] = info
            yield Member(info.name, info.size, "folder" if info.isdir() else "file" if info.isreg() else "else")
        self._must_end_well()

    def _must_end_well(self) -> None:
        """A tar file that was cut between two members reads without complaint: look for the block of zeros."""
        source = self.archive.fileobj
        if source is not None:
            source.seek(self.archive.offset)
            if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError("the end of the archive is missing")

    def open(self, member: Member) -> IO[bytes]:
        source = self.archive.extractfile(self.known[member.name])
        if source is None:
            raise ValueError(f"its member {member.name!r} is no file")
        return source


@contextmanager
def _opened(path: Path) -> Iterator[_Zip | _Tar]:
    reader = _Tar(path) if path.name.lower().endswith(TAR_SUFFIXES) else _Zip(path)
    with reader.archive:
        yield reader


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever a damaged archive raises into one ValueError that names it."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise
        if isinstance(error, PermissionError):
            raise ValueError(f"Cannot read {path}: give yourself read permission ({error}).") from error
        kind = "tar" if path.name.lower().endswith(TAR_SUFFIXES) else "zip"
        raise ValueError(
            f"Expected a complete {kind} archive, but {path} is truncated or damaged ({_brief(error)}). "
            "Delete it and download it again."
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"Refusing to unpack {path}: {error}. Download the archive again from the data set's home page."
        ) from error


def _brief(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _checked(members: Iterable[Member], archive: Path, target: Path) -> list[Member]:
    """Refuse the whole archive for one bad member, before anything is written; stop reading as soon as it is bad."""
    packed, size, known = archive.stat().st_size, 0, list[Member]()
    for member in members:
        _check_member(member)
        known.append(member)
        size += member.size
        if len(known) > MOST_MEMBERS:
            raise ValueError(f"it has more than {MOST_MEMBERS:,} members")
        if size > max(LARGEST_RATIO * packed, SMALLEST_BOMB):
            raise ValueError(f"{packed:,} bytes would become {size:,} or more, as in a bomb")
    _check_collisions([member for member in known if member.kind == "file"])
    if size > 0.95 * shutil.disk_usage(target).free:
        problem = f"Unpacking {archive} needs {size / 1e9:.1f} GB, more than the cache's disk has: set MEDXAI_CACHE"
        raise OSError(NO_SPACE[0], problem)
    return known


def _check_member(member: Member) -> None:
    parts = member.path.parts
    if member.kind == "else":
        raise ValueError(f"its member {member.name!r} is a link or a device")
    drive = bool(parts) and ":" in parts[0]
    if not parts and member.kind == "folder":  # "./", the archive's own root
        return
    if not parts or member.path.is_absolute() or ".." in parts or drive:
        raise ValueError(f"its member {member.name!r} points out of the folder")
    if "\0" in member.name or max(len(part.encode("utf-8", "surrogateescape")) for part in parts) > LONGEST_NAME:
        raise ValueError(f"its member {member.name[:60]!r}... has a name that cannot be a file's")


def _check_collisions(files: list[Member]) -> None:
    """Two names that differ in case alone are one file on many disks: one image would silently replace another."""
    seen: dict[str, str] = {}
    for member in files:
        folded = str(member.path).casefold()
        if folded in seen:
            raise ValueError(f"its members {seen[folded]!r} and {member.name!r} collide")
        seen[folded] = member.name


def _copy(source: IO[bytes], sink: IO[bytes], member: Member) -> None:
    """Copy one member and hold it to the size it claims: a false header is how a bomb gets past the check above."""
    written = 0
    while block := source.read(1 << 20):
        written += len(block)
        if written > member.size:
            raise ValueError(f"its member {member.name!r} is larger than it claims ({member.size:,} bytes)")
        sink.write(block)
    if written < member.size:
        raise EOFError(f"{member.name!r} ends after {written:,} of {member.size:,} bytes")
