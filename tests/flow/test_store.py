import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import medxai_helpers as mx
from medxai_helpers import pixels
from medxai_helpers.pixels import build


def test_the_store_holds_the_decoded_images(cohort, store):
    assert (len(store), store.size, store.channels) == (90, 64, 1)
    for row in (0, 44, 89):
        np.testing.assert_array_equal(store.pixels[row], cohort.image(row))


def test_batches_are_channels_first(store):
    rows = np.array([5, 1])
    batch = store.batch(rows)
    assert batch.shape == (2, 1, 64, 64)
    np.testing.assert_array_equal(batch[:, 0], store.pixels[rows])


def test_a_second_build_opens_the_first(cohort, tmp_path, monkeypatch):
    first = mx.build_store(cohort, mx.Preprocessing(size=32), tmp_path)
    monkeypatch.setattr(build, "_write_pixels", lambda *_: pytest.fail("decoded twice"))
    again = mx.build_store(cohort, mx.Preprocessing(size=32), tmp_path)
    assert again.folder == first.folder
    assert first.pixels.shape == (90, 32, 32)


def test_another_recipe_or_a_changed_file_is_another_store(copy_of_folder, runtime_for, tmp_path):
    def key(size):
        cohort = mx.load_dataset("medical-mnist", runtime=runtime_for(copy_of_folder.parent))
        return pixels.store_key(cohort, mx.Preprocessing(size=size))

    before = key(64)
    assert key(32) != before
    os.utime(copy_of_folder / "CXR" / "000000.jpeg", (1, 1))
    assert key(64) != before


def test_an_image_that_does_not_decode_is_named_and_nothing_is_left(copy_of_folder, runtime_for, tmp_path):
    bad = copy_of_folder / "HeadCT" / "000007.jpeg"
    bad.write_bytes(bad.read_bytes()[:20])  # begins like a JPEG, and ends there
    cohort = mx.load_dataset("medical-mnist", runtime=runtime_for(copy_of_folder.parent))
    with pytest.raises(ValueError, match=r"000007\.jpeg"):
        mx.build_store(cohort, mx.Preprocessing(size=64), tmp_path / "c")
    assert not list((tmp_path / "c" / "stores").iterdir())


def test_a_full_disk_is_refused_before_writing(cohort, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    with pytest.raises(OSError, match="MEDXAI_CACHE"):
        mx.build_store(cohort, mx.Preprocessing(size=64), tmp_path)
    assert not list((tmp_path / "stores").iterdir())


def test_a_damaged_store_says_what_to_do(cohort, tmp_path):
    store = mx.build_store(cohort, mx.Preprocessing(size=16), tmp_path)
    (store.folder / "pixels.npy").write_bytes(b"short")
    with pytest.raises(ValueError, match="Delete it"):
        mx.PixelStore.open(store.folder)


def test_two_builders_at_once_agree(cohort, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(mx.build_store, cohort, mx.Preprocessing(size=24), tmp_path) for _ in range(4)]
        stores = [job.result() for job in jobs]
    assert len({store.folder for store in stores}) == 1
    assert [path.name for path in (tmp_path / "stores").iterdir()] == [stores[0].folder.name]


def test_a_kill_leaves_no_store_and_the_next_build_works(cohort, archive_folder, tmp_path):
    code = f"""
        import time
        from pathlib import Path
        import medxai_helpers as mx
        from medxai_helpers.runtime import Runtime
        slow = mx.Preprocessing.__call__
        mx.Preprocessing.__call__ = lambda self, image: (time.sleep(0.5), slow(self, image))[1]
        runtime = Runtime("quick", "cpu", Path({str(archive_folder.parent)!r}), Path({str(tmp_path)!r}), 0)
        cohort = mx.load_dataset("medical-mnist", runtime=runtime)
        mx.build_store(cohort, mx.Preprocessing(size=20), Path({str(tmp_path)!r}))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("stores/.building-*/pixels.npy")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("stores/medical*"))
    assert len(mx.build_store(cohort, mx.Preprocessing(size=20), tmp_path)) == 90
