"""Downloads against a local server that stalls, cuts, lies and changes its mind."""

import hashlib
import io
import json
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from medxai_helpers.datasets import CATALOGUE, archives, download
from medxai_helpers.datasets.download import Download, Limits, ManualDownloadError, fetch, fetch_file

QUICK = Limits(attempts=4, stall=0.3, pause=0.01, longest_pause=0.05)
CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``content``; ``plan`` holds what goes wrong, one entry a request, then nothing does."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.plan, self.seen = CONTENT, '"v1"', [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/set.bin"

    def file(self, **facts):
        return Download(self.url, "set.bin", **facts)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.seen.append(dict(self.headers))
        trouble = server.plan.pop(0) if server.plan else {}
        if "status" in trouble:
            self.send_response(trouble["status"])
            self.send_header("Content-Length", "0")
            if "retry_after" in trouble:
                self.send_header("Retry-After", trouble["retry_after"])
            self.end_headers()
            return
        time.sleep(trouble.get("silent", 0))
        self.answer(server, trouble)

    def answer(self, server, trouble):
        start, wanted = 0, self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.etag)
        if wanted and same and not trouble.get("ignore_range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-")) + trouble.get("shift", 0)
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if not trouble.get("no_length"):
            self.send_header("Content-Length", str(len(body) + trouble.get("lie", 0)))
        self.send_header("Content-Type", trouble.get("type", "application/octet-stream"))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.send_body(body, trouble)

    def send_body(self, body, trouble):
        sent = body[: trouble.get("cut", len(body))]
        try:
            self.wfile.write(sent[: trouble.get("stall_after", len(sent))])
            self.wfile.flush()
            if "stall_after" in trouble:
                time.sleep(0.8)
            for _ in range(trouble.get("drip", 0)):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_plain_download_arrives_whole(server, tmp_path):
    path = fetch_file(server.file(md5=MD5, size=len(CONTENT)), tmp_path, QUICK)
    assert path.read_bytes() == CONTENT
    assert visible(tmp_path) == ["set.bin"]
    assert len(server.seen) == 1


def test_a_complete_file_is_checked_and_not_fetched_again(server, tmp_path):
    (tmp_path / "set.bin").write_bytes(CONTENT)
    fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert not server.seen
    (tmp_path / "set.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=r"md5.*Delete it and fetch it again"):
        fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert visible(tmp_path) == ["set.bin"]


def test_a_cut_connection_is_resumed_where_it_broke(server, tmp_path):
    server.plan = [{"cut": 100_000}, {"cut": 50_000}]
    path = fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert path.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.seen] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.seen[1]["If-Range"] == '"v1"'


def test_a_stalled_connection_is_dropped_and_resumed(server, tmp_path):
    server.plan = [{"stall_after": 120_000}, {"silent": 0.6}]
    started = time.monotonic()
    assert fetch_file(server.file(md5=MD5), tmp_path, QUICK).read_bytes() == CONTENT
    assert time.monotonic() - started < 3
    assert server.seen[-1]["Range"] == "bytes=120000-"


def test_a_dripping_connection_is_dropped(server, tmp_path):
    server.plan = [{"cut": 0, "drip": 30}]
    started = time.monotonic()
    assert fetch_file(server.file(), tmp_path, replace(QUICK, slowest=1000)).read_bytes()[100:] == CONTENT[100:]
    assert time.monotonic() - started < 2


def test_a_server_that_ignores_ranges_starts_over(server, tmp_path):
    server.plan = [{"cut": 100_000}, {"ignore_range": True}]
    assert fetch_file(server.file(md5=MD5), tmp_path, QUICK).read_bytes() == CONTENT


def test_a_range_at_the_wrong_place_starts_over(server, tmp_path):
    server.plan = [{"cut": 100_000}, {"shift": 7}]
    assert fetch_file(server.file(md5=MD5), tmp_path, QUICK).read_bytes() == CONTENT
    assert "Range" not in server.seen[2]


def test_a_file_that_changed_between_two_attempts_is_fetched_anew(server, tmp_path):
    server.plan = [{"cut": 100_000}] * 4
    with pytest.raises(OSError, match="call again"):
        fetch_file(server.file(), tmp_path, replace(QUICK, attempts=1))
    server.plan, server.content, server.etag = [], CONTENT[::-1], '"v2"'
    assert fetch_file(server.file(), tmp_path, QUICK).read_bytes() == CONTENT[::-1]


def test_without_validator_and_checksum_nothing_is_resumed(server, tmp_path):
    server.plan, server.etag = [{"cut": 100_000}], ""
    assert fetch_file(server.file(), tmp_path, QUICK).read_bytes() == CONTENT
    assert "Range" not in server.seen[1]


def test_a_second_call_goes_on_where_the_first_gave_up(server, tmp_path):
    server.plan = [{"cut": 200_000}, *[{"status": 503}] * 3]
    with pytest.raises(OSError, match=r"200,000 bytes are kept.*call again"):
        fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert visible(tmp_path) == ["set.bin.part", "set.bin.part.json"]
    assert fetch_file(server.file(md5=MD5), tmp_path, QUICK).read_bytes() == CONTENT
    assert server.seen[-1]["Range"] == "bytes=200000-"
    assert visible(tmp_path) == ["set.bin"]


def test_a_complete_part_needs_no_connection(server, tmp_path):
    (tmp_path / "set.bin.part").write_bytes(CONTENT)
    note = {"url": server.url, "validator": '"v1"', "length": str(len(CONTENT))}
    (tmp_path / "set.bin.part.json").write_text(json.dumps(note))
    assert fetch_file(server.file(md5=MD5), tmp_path, QUICK).read_bytes() == CONTENT
    assert not server.seen


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": "elsewhere"}'])
def test_a_part_of_unknown_origin_is_not_trusted(server, tmp_path, note):
    (tmp_path / "set.bin.part").write_bytes(b"x" * 1000)
    (tmp_path / "set.bin.part.json").write_text(note)
    assert fetch_file(server.file(), tmp_path, QUICK).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_not_kept(server, tmp_path):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(ValueError, match=rf"md5 is .* instead of {MD5}"):
        fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert visible(tmp_path) == []
    with pytest.raises(ValueError, match="sha256"):
        fetch_file(server.file(sha256="0" * 64), tmp_path, QUICK)


def test_a_length_that_promises_too_much_fails_after_the_attempts(server, tmp_path):
    server.plan = [{"lie": 500, "ignore_range": True}] * 9
    with pytest.raises(OSError, match=r"ended after 300,000 of 300,500 bytes"):
        fetch_file(server.file(), tmp_path, QUICK)
    assert len(server.seen) == QUICK.attempts
    assert "set.bin" not in visible(tmp_path)


def test_a_length_that_promises_too_little_is_found_by_the_checksum(server, tmp_path):
    server.plan = [{"lie": -500}]
    with pytest.raises(ValueError, match="md5"):
        fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert visible(tmp_path) == []


def test_a_length_other_than_published_is_refused_at_once(server, tmp_path):
    with pytest.raises(ValueError, match=r"Expected 299,999 bytes.*offers 300,000"):
        fetch_file(server.file(size=299_999), tmp_path, QUICK)
    assert len(server.seen) == 1


def test_a_server_that_gives_no_length_is_held_to_the_published_one(server, tmp_path):
    server.plan = [{"no_length": True, "cut": 250_000}, {"no_length": True}]
    assert fetch_file(server.file(size=len(CONTENT)), tmp_path, QUICK).read_bytes() == CONTENT
    assert len(server.seen) == 2


def test_a_zip_without_its_end_is_refused_without_any_checksum(server, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a" * 1000)
    server.content = buffer.getvalue()[:-30]
    file = Download(server.url, "set.zip")
    with pytest.raises(ValueError, match="no complete zip archive"):
        fetch_file(file, tmp_path, QUICK)
    server.content = buffer.getvalue()
    assert zipfile.is_zipfile(fetch_file(file, tmp_path, QUICK))


def test_a_web_page_instead_of_a_file_is_refused(server, tmp_path):
    server.plan = [{"type": "text/html; charset=utf-8"}]
    with pytest.raises(ValueError, match=r"web page.*login"):
        fetch_file(server.file(), tmp_path, QUICK)


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, tmp_path):
    server.plan = [{"status": 503, "retry_after": "3600"}, {"status": 429}]
    assert fetch_file(server.file(md5=MD5), tmp_path, QUICK).read_bytes() == CONTENT
    assert len(server.seen) == 3
    server.plan = [{"status": 404}]
    with pytest.raises(ValueError, match=r"answers 404.*home page"):
        fetch_file(replace(server.file(), filename="other.bin"), tmp_path, QUICK)
    assert len(server.seen) == 4


def test_no_server_at_all_is_an_error_that_names_the_address(tmp_path):
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/x failed 2 times"):
        fetch_file(Download("http://127.0.0.1:9/x", "x"), tmp_path, replace(QUICK, attempts=2))
    with pytest.raises(ValueError, match="web address"):
        fetch_file(Download("nowhere", "x"), tmp_path, QUICK)


def test_a_disk_that_is_too_small_is_said_before_the_first_byte(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match="Free some"):
        fetch_file(server.file(), tmp_path, QUICK)


def test_two_at_once_do_not_write_into_each_other(server, tmp_path):
    server.plan = [{"stall_after": 1000}]
    first = threading.Thread(target=fetch_file, args=(server.file(md5=MD5), tmp_path, QUICK))
    first.start()
    while not server.seen:
        time.sleep(0.01)
    with pytest.raises(OSError, match="Another process"):
        fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    first.join()
    assert (tmp_path / "set.bin").read_bytes() == CONTENT


def test_progress_is_lines_where_no_bar_can_be_drawn(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(download, "LINE_STEP", 100_000)
    fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert "(100 %)" in capsys.readouterr().out


def test_progress_is_a_bar_in_a_terminal(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(download.sys.stderr, "isatty", lambda: True, raising=False)
    fetch_file(server.file(md5=MD5), tmp_path, QUICK)
    assert "100%" in capsys.readouterr().err


def test_fetch_puts_one_archive_beside_the_others_and_many_into_a_folder(server, tmp_path, monkeypatch):
    archive = CATALOGUE["medical-mnist"].archive
    one = (replace(server.file(md5=MD5), filename=archive.replace(".zip", ".bin")),)
    card = replace(CATALOGUE["medical-mnist"], archive=one[0].filename)
    monkeypatch.setitem(CATALOGUE, "medical-mnist", card)
    monkeypatch.setitem(download.SOURCES, "medical-mnist", one)
    assert fetch("medical-mnist", tmp_path / "a", QUICK) == tmp_path / "a" / card.archive
    two = tuple(replace(server.file(md5=MD5), filename=f"part{number}.bin") for number in (1, 2))
    monkeypatch.setitem(download.SOURCES, "medical-mnist", two)
    place = fetch("medical-mnist", tmp_path / "b", QUICK)
    assert place == tmp_path / "b" / "medical-mnist"
    assert visible(place) == ["part1.bin", "part2.bin"]


def test_a_set_behind_a_login_comes_with_its_steps(tmp_path, monkeypatch):
    monkeypatch.delitem(download.SOURCES, "medical-mnist", raising=False)
    card = CATALOGUE["medical-mnist"]
    with pytest.raises(ManualDownloadError) as caught:
        fetch("medical-mnist", tmp_path)
    for words in (card.how_to_get, card.home, card.archive, str(tmp_path)):
        assert words in str(caught.value)


def test_unknown_names_are_refused(tmp_path):
    for name in ("mnist", "medical-mnist_64"):
        with pytest.raises(ValueError, match="medxai list"):
            fetch(name, tmp_path)


def test_every_address_is_secure_and_complete():
    for name, files in download.SOURCES.items():
        names = [file.filename for file in files]
        assert len(set(names)) == len(names), name
        for file in files:
            assert file.url.startswith("https://"), name
            assert "/" not in file.filename, name
            assert file.md5 is None or len(file.md5) == 32, name
    assert [file.filename for file in download.SOURCES["chestxray14"]][::11] == [
        "images_001.tar.gz",
        "images_012.tar.gz",
    ]


def test_every_address_belongs_to_a_set_that_is_found_where_fetch_puts_it(tmp_path):
    for name, files in download.SOURCES.items():
        card = download._card(name)
        alone = len(files) == 1 and files[0].filename == card.archive
        place = tmp_path / name / (card.archive if alone else f"{card.name}/{files[0].filename}")
        place.parent.mkdir(parents=True)
        place.touch()
        assert archives.find(card, tmp_path / name) == (place if alone else place.parent), name
