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
    monkeypatch.setattr(build, "_write", lambda *_: pytest.fail("decoded twice"))
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


def test_a_disk_that_fills_up_is_reported_and_nothing_is_left(archive_folder, tmp_path):
    code = f"""
        import resource
        from pathlib import Path
        import medxai_helpers as mx
        from medxai_helpers.runtime import Runtime
        here = Path({str(tmp_path)!r})
        runtime = Runtime("quick", "cpu", Path({str(archive_folder.parent)!r}), here, 0)
        cohort = mx.load_dataset("medical-mnist", runtime=runtime)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # the store needs 90 x 64 x 64 = 368,640 bytes
        try:
            mx.build_store(cohort, mx.Preprocessing(size=64), here)
        except OSError as error:
            print(error)
    """
    pytest.importorskip("resource")
    answer = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "filled up" in answer.stdout
    assert "MEDXAI_CACHE" in answer.stdout
    assert not list((tmp_path / "stores").iterdir())


BUILD = """
    import sys, time
    from pathlib import Path
    import medxai_helpers as mx
    from medxai_helpers.runtime import Runtime
    plain = mx.Preprocessing.__call__
    mx.Preprocessing.__call__ = lambda self, image: (time.sleep({pause}), print("x", flush=True), plain(self, image))[2]
    here = Path({here!r})
    runtime = Runtime("quick", "cpu", Path({data!r}), here, 0)
    mx.build_store(mx.load_dataset("medical-mnist", runtime=runtime), mx.Preprocessing(size=20), here)
"""


def start_build(archive_folder, here, pause):
    code = textwrap.dedent(BUILD.format(pause=pause, here=str(here), data=str(archive_folder.parent)))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def wait_for(pattern, folder):
    deadline = time.monotonic() + 60
    while not list(folder.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_two_processes_share_one_build(archive_folder, tmp_path):
    first = start_build(archive_folder, tmp_path, 0.02)
    wait_for("stores/.building-*/pixels.npy", tmp_path)
    second = start_build(archive_folder, tmp_path, 0.02)
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [text.splitlines().count("x") for text in said] == [90, 0]
    assert "another process is building it" in said[1]
    assert len(list((tmp_path / "stores").iterdir())) == 1


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4])
def test_a_kill_leaves_no_store_and_the_next_build_clears_up(cohort, archive_folder, tmp_path, moment):
    process = start_build(archive_folder, tmp_path, 0.1)
    wait_for("stores/.building-*/pixels.npy", tmp_path)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not list(tmp_path.glob("stores/medical*"))
    assert list(tmp_path.glob("stores/.building-*"))
    store = mx.build_store(cohort, mx.Preprocessing(size=20), tmp_path)
    assert len(store) == 90
    assert list((tmp_path / "stores").iterdir()) == [store.folder]


def test_progress_is_told_in_lines_when_it_takes_long(cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(build, "CHUNK_BYTES", 10 * 64 * 64)
    mx.build_store(cohort, mx.Preprocessing(size=64), tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert "10 of 90 images" in lines[0]
    assert len(lines) == 9  # eight blocks of nine, and the last line
    assert lines[-1].startswith("Pixel store: 90 images decoded")


def test_small_blocks_give_the_same_store(cohort, store, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CHUNK_BYTES", 1)
    again = mx.build_store(cohort, mx.Preprocessing(size=64), tmp_path)
    np.testing.assert_array_equal(again.pixels, store.pixels)


def test_masks_follow_their_images_into_the_store(tmp_path):
    import pandas as pd

    from medxai_helpers.cohorts.sources import ArrayPixels
    from medxai_helpers.datasets import CATALOGUE

    rng = np.random.default_rng(0)
    masks = np.zeros((20, 90, 120), np.uint8)
    for mask in masks:
        top, left = rng.integers(10, 40, 2)
        mask[top : top + 30, left : left + 50] = 255
    images = np.where(masks[..., None] > 0, np.uint8(250), np.uint8(60)).repeat(3, axis=3)
    table = pd.DataFrame({"image_id": [str(row) for row in range(20)], "label": "polyps", "group": "g"})
    cohort = mx.Cohort(CATALOGUE["kvasir-v2"], table, ArrayPixels(images), "own", "drawn", masks=ArrayPixels(masks))
    recipe = mx.Preprocessing(size=48, keep_aspect=True)
    store = mx.build_store(cohort, recipe, tmp_path)
    assert store.masks.shape == (20, 48, 48)
    assert store.masks.dtype == np.bool_
    bright = store.pixels[..., 0] > 155
    assert (bright != store.masks).mean() < 0.002
    moved = mx.Cohort(CATALOGUE["kvasir-v2"], table, ArrayPixels(images), "own", "", masks=ArrayPixels(masks[::-1]))
    assert pixels.store_key(cohort, recipe) != pixels.store_key(moved, recipe)


def test_an_image_of_another_kind_is_named(cohort, tmp_path):
    from dataclasses import replace

    from medxai_helpers.cohorts.sources import ArrayPixels

    wrong = replace(cohort, pixels=ArrayPixels(np.zeros((90, 20, 20, 3), np.uint8)))
    with pytest.raises(ValueError, match="channels, as the card says"):
        mx.build_store(wrong, mx.Preprocessing(size=8), tmp_path)
    assert not list((tmp_path / "stores").iterdir())


def test_two_builders_at_once_agree(cohort, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(mx.build_store, cohort, mx.Preprocessing(size=24), tmp_path) for _ in range(4)]
        stores = [job.result() for job in jobs]
    assert len({store.folder for store in stores}) == 1
    assert [path.name for path in (tmp_path / "stores").iterdir()] == [stores[0].folder.name]
