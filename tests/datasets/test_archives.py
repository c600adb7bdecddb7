"""Archives: what is unpacked, what is refused, and that nothing is left of what was."""

import bz2
import io
import multiprocessing
import os
import struct
import tarfile
import zipfile
from collections import namedtuple
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medxai_helpers.datasets import CATALOGUE, archives
from medxai_helpers.datasets.archives import as_folder, find, stem

FILES = {"top/a/1.png": b"one" * 100, "top/a/2.png": b"", "top/b/3.png": b"three" * 1000}


def make_zip(path, files, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes.get("mode", 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def make_tar(path, files, mode="w:gz", kinds=None):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in (kinds or {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = {
    ".zip": make_zip,
    ".tar.gz": make_tar,
    ".tgz": make_tar,
    ".tar": lambda path, files: make_tar(path, files, "w"),
    ".tar.bz2": lambda path, files: make_tar(path, files, "w:bz2"),
    ".tar.xz": lambda path, files: make_tar(path, files, "w:xz"),
}


def content_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(place, cache, match):
    with pytest.raises(ValueError, match=match):
        as_folder(place, cache)
    assert not list((cache / "unpacked").iterdir())


@pytest.mark.parametrize("suffix", MAKERS)
def test_every_kind_of_archive_gives_its_files_once(tmp_path, suffix, capsys):
    place = MAKERS[suffix](tmp_path / f"set{suffix}", FILES)
    folder = as_folder(place, tmp_path / "cache")
    assert content_of(folder) == FILES
    assert folder.name.startswith("set-")
    assert as_folder(place, tmp_path / "cache") == folder
    assert capsys.readouterr().out.count("Unpacking") == 1


def test_a_folder_is_used_as_it_is(tmp_path):
    assert as_folder(tmp_path, tmp_path / "cache") == tmp_path
    (tmp_path / "images").mkdir()
    make_zip(tmp_path / "images.zip", FILES)
    assert as_folder(tmp_path, tmp_path / "cache") == tmp_path


def test_a_folder_of_archives_becomes_one_with_its_loose_files(tmp_path):
    data = tmp_path / "chestx-ray14"
    data.mkdir()
    make_tar(data / "images_001.tar.gz", {"images/1.png": b"1"})
    make_tar(data / "images_002.tar.gz", {"images/2.png": b"2"})
    (data / "Data_Entry_2017_v2020.csv").write_text("table")
    (data / "images_003.tar.gz.part").write_text("unfinished")
    (data / ".lock").write_text("")
    folder = as_folder(data, tmp_path / "cache")
    expected = {"images/1.png": b"1", "images/2.png": b"2", "Data_Entry_2017_v2020.csv": b"table"}
    assert content_of(folder) == expected
    make_tar(data / "images_003.tar.gz", {"images/3.png": b"3"})
    assert "images/3.png" in content_of(as_folder(data, tmp_path / "cache"))


def test_two_archives_of_a_set_with_the_same_file_are_refused(tmp_path):
    data = tmp_path / "set"
    data.mkdir()
    for name in ("a.zip", "b.zip"):
        make_zip(data / name, {"1.png": name.encode()})
    refused(data, tmp_path / "cache", r"b\.zip.*'1\.png' is also in another archive")


@pytest.mark.parametrize(
    "name", ["../out.png", "/etc/out.png", "a/../../out.png", "..\\out.png", "C:/out.png", "\\\\server\\x"]
)
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_no_path_leads_out_of_the_folder(tmp_path, suffix, name):
    place = MAKERS[suffix](tmp_path / f"set{suffix}", {"good.png": b"x", name: b"x"})
    refused(place, tmp_path / "cache", "points out of the folder")
    assert not list(tmp_path.rglob("out.png"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    place = make_tar(tmp_path / "set.tar.gz", {"a.png": b""}, kinds={"type": kind, "linkname": "/etc/passwd"})
    refused(place, tmp_path / "cache", "is a link or a device")


def test_a_link_in_a_zip_is_refused(tmp_path):
    refused(make_zip(tmp_path / "set.zip", {"a": b"/etc"}, mode=0o120777), tmp_path / "cache", "is a link")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_bomb_is_refused_before_it_is_written(tmp_path, suffix):
    place = MAKERS[suffix](tmp_path / f"set{suffix}", {"zeros": bytes(150_000_000)})
    refused(place, tmp_path / "cache", "as in a bomb")


def test_a_member_larger_than_it_claims_is_refused(tmp_path):
    place = make_zip(tmp_path / "set.zip", {"zeros": bytes(1_000_000)})
    content = bytearray(place.read_bytes())
    where = content.rindex(b"PK\x01\x02")
    content[where + 24 : where + 28] = struct.pack("<I", 1000)
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"set\.zip"):
        as_folder(place, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "unpacked").iterdir())


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    place = make_zip(tmp_path / "set.zip", {f"{number}": b"" for number in range(4)})
    refused(place, tmp_path / "cache", "more than 3 members")


def test_names_that_differ_in_case_alone_are_refused(tmp_path):
    refused(make_zip(tmp_path / "set.zip", {"a/IM.png": b"1", "a/im.PNG": b"2"}), tmp_path / "cache", "collide")


def test_a_name_too_long_for_a_disk_is_refused(tmp_path):
    refused(make_zip(tmp_path / "set.zip", {"x" * 250: b""}), tmp_path / "cache", "cannot be a file's")


def test_an_encrypted_member_is_named(tmp_path):
    place = make_zip(tmp_path / "set.zip", {"secret.png": b"x"})
    content = bytearray(place.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    place.write_bytes(content)
    refused(place, tmp_path / "cache", r"'secret\.png' is encrypted")


@pytest.mark.parametrize("suffix", MAKERS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_a_truncated_archive_is_refused(tmp_path, suffix, share):
    files = {f"{number}.bin": os.urandom(3000) for number in range(10)}
    place = MAKERS[suffix](tmp_path / f"set{suffix}", files)
    place.write_bytes(place.read_bytes()[: int(share * place.stat().st_size)])
    refused(place, tmp_path / "cache", r"set.* is truncated or damaged.*download it again")


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    place = make_tar(tmp_path / "set.tar", {"1": bytes(512), "2": bytes(512)}, "w")
    place.write_bytes(place.read_bytes()[:1024])
    refused(place, tmp_path / "cache", "the end of the archive is missing")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.floats(0, 1, exclude_max=True),
    noise=st.binary(min_size=1, max_size=40),
    suffix=st.sampled_from([".zip", ".tar.gz", ".tar"]),
)
def test_damage_anywhere_gives_the_files_or_one_explained_error(tmp_path_factory, where, noise, suffix):
    folder = tmp_path_factory.mktemp("fuzz")
    place = MAKERS[suffix](folder / f"set{suffix}", FILES)
    content = bytearray(place.read_bytes())
    start = int(where * len(content))
    content[start : start + len(noise)] = noise
    place.write_bytes(content)
    problem = ""
    try:
        as_folder(place, folder / "cache")
    except ValueError as error:
        problem = str(error)
    assert not problem or str(place) in problem
    assert bool(problem) != bool(list((folder / "cache" / "unpacked").iterdir()))
    assert {path.name for path in folder.iterdir()} == {place.name, "cache"}


@given(noise=st.binary(max_size=2000), suffix=st.sampled_from(archives.SUFFIXES))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_no_archive(tmp_path_factory, noise, suffix):
    folder = tmp_path_factory.mktemp("noise")
    (folder / f"set{suffix}").write_bytes(noise)
    with pytest.raises(ValueError, match=r"set.*download it again"):
        as_folder(folder / f"set{suffix}", folder / "cache")


def test_a_bzip2_stream_that_is_no_tar_is_refused(tmp_path):
    (tmp_path / "set.tar.bz2").write_bytes(bz2.compress(b"no tar" * 1000))
    refused(tmp_path / "set.tar.bz2", tmp_path / "cache", "truncated or damaged")


def test_a_disk_that_is_too_small_is_said_and_nothing_is_left(tmp_path, monkeypatch):
    place = make_zip(tmp_path / "set.zip", FILES)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    with pytest.raises(OSError, match="MEDXAI_CACHE"):
        as_folder(place, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "unpacked").iterdir())


def test_an_archive_without_read_permission_says_so(tmp_path, monkeypatch):
    place = make_zip(tmp_path / "set.zip", FILES)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda _: (_ for _ in ()).throw(PermissionError(13, "denied")))
    refused(place, tmp_path / "cache", "give yourself read permission")


def test_two_processes_at_once_agree(tmp_path):
    place = make_zip(tmp_path / "set.zip", {f"{number}.bin": bytes(1000) for number in range(500)})
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.starmap(as_folder, [(place, tmp_path / "cache")] * 2, chunksize=1)
    assert len(set(folders)) == 1
    assert [path.name for path in (tmp_path / "cache" / "unpacked").iterdir()] == [folders[0].name]
    assert len(list((tmp_path / "cache").rglob("*.bin"))) == 500


def test_permissions_in_an_archive_are_not_kept(tmp_path):
    place = make_zip(tmp_path / "set.zip", {"run.sh": b"#!/bin/sh"}, mode=0o106777)
    assert not (as_folder(place, tmp_path / "cache") / "run.sh").stat().st_mode & 0o6111


def test_find_takes_folder_then_archive_and_passes_over_empty_folders(tmp_path):
    card = replace(CATALOGUE["medical-mnist"], name="a-set", archive="official.tar.gz", aliases=("other",))
    assert find(card, tmp_path) is None
    (tmp_path / "a-set").mkdir()
    (tmp_path / "a-set" / "x.zip.part").touch()
    assert find(card, tmp_path) is None
    for name in ("other.zip", "a-set.tgz", "official.tar.gz", "official", "a-set"):
        place = tmp_path / name
        if "." in name:
            place.touch()
        else:
            place.mkdir(exist_ok=True)
            (place / "1.png").touch()
        assert find(card, tmp_path) == place


def test_stem_knows_double_suffixes_and_leaves_volumes_alone():
    names = ["a.zip", "a.b.tar.gz", "A.TGZ", "scan.nii.gz", "plain"]
    assert [stem(name) for name in names] == ["a", "a.b", "A", "scan.nii.gz", "plain"]
