"""Whatever lies in a tree, a reader answers with an error that names the path, or lists it: nothing else, ever."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medxai_helpers.cohorts import Cohort
from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.datasets.own import cohort_from_folder
from medxai_helpers.datasets.readers import READERS
from tests.datasets import dataset_layouts as layouts

NAMES = [name for name in CATALOGUE if not name.startswith("medmnist")] + [
    "medmnist-breastmnist",
    "medmnist-chestmnist",
]
FUZZ = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
DAMAGE = st.one_of(
    st.binary(max_size=300).map(lambda noise: lambda _data: noise),
    st.floats(0, 0.98).map(lambda share: lambda data: data[: int(share * len(data))]),
    st.tuples(st.floats(0, 0.99), st.binary(min_size=1, max_size=40)).map(
        lambda pair: lambda data: data[: int(pair[0] * len(data))] + pair[1] + data[int(pair[0] * len(data)) + 40 :]
    ),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"PK\x03\x04", b"\x00" * 400]).map(
        lambda head: lambda _data: head
    ),
)
FILE_NAMES = st.text(min_size=1, max_size=12).filter(
    lambda text: not set(text) & set("/\x00") and text not in (".", "..")
)


def read(name: str, folder: Path, mode: str) -> Cohort:
    return READERS[name](folder, CATALOGUE[name], on_error=mode)


def complaint(work: Callable[[], object], otherwise: str) -> str:
    """Return the message of the ValueError that some work raises, ``otherwise`` if it raises none."""
    try:
        work()
    except ValueError as error:
        return str(error)
    return otherwise


def decode_all(cohort: Cohort) -> None:
    for row in range(len(cohort)):
        cohort.image(row)
        if cohort.masks is not None:
            cohort.mask(row)


def parts(cohort: Cohort) -> int:
    return len(cohort) + len(cohort.skipped) + (0 if cohort.boxes is None else len(cohort.boxes))


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(which=st.integers(0, 10_000), damage=DAMAGE)
def test_damage_is_an_error_with_a_path_or_a_skipped_file(name: str, which: int, damage: object) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tree"
        layouts.LAYOUTS[name](root)
        whole = read(name, root, "skip")
        files = sorted(path for path in root.rglob("*") if path.is_file())
        victim = files[which % len(files)]
        victim.write_bytes(damage(victim.read_bytes()))  # type: ignore[operator]
        assert str(root) in complaint(lambda: decode_all(read(name, root, "raise")), str(root))
        found: list[Cohort] = []
        assert str(root) in complaint(lambda: found.append(read(name, root, "skip")), str(root))
        for cohort in found:
            decode_all(cohort)
            accounted = parts(cohort) >= parts(whole) or set(cohort.skipped["path"]) - set(whole.skipped["path"])
            assert accounted or set(cohort.missing) - set(whole.missing) or not is_picture(victim)


def is_picture(path: Path) -> bool:
    """Tables decide what the set is: a damaged one that still reads describes another set."""
    return path.suffix not in (".csv", ".txt", ".json", ".xml", ".xlsx")


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(which=st.integers(0, 10_000), file_name=FILE_NAMES, content=st.binary(max_size=200))
def test_a_strange_file_anywhere(name: str, which: int, file_name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tree"
        expected = layouts.LAYOUTS[name](root)
        folders = sorted({path.parent for path in root.rglob("*") if path.is_file()})
        stranger = folders[which % len(folders)] / file_name
        if stranger.exists():
            return
        try:
            stranger.write_bytes(content)
        except (OSError, UnicodeEncodeError):
            return
        found: list[Cohort] = []
        assert str(root) in complaint(lambda: found.append(read(name, root, "raise")), str(root))
        assert len((found or [read(name, root, "skip")])[0]) == expected.images


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(files=st.dictionaries(FILE_NAMES, st.binary(max_size=200), max_size=6))
def test_own_folder_of_noise(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "own"
        layouts.write_image(root / "good" / "zz-one.png")
        (root / "noise").mkdir()
        written = 0
        for name, content in files.items():
            try:
                (root / "noise" / name).write_bytes(content)
            except (OSError, UnicodeEncodeError):
                continue
            written += 1
        visible = [p for p in (root / "noise").iterdir() if not p.name.startswith(".")]
        cohort = cohort_from_folder(root, on_error="skip")
        decode_all(cohort)
        assert len(cohort) - 1 + len(cohort.skipped) >= len(visible)
        if visible:
            with pytest.raises(ValueError, match="own"):
                decode_all(cohort_from_folder(root))
