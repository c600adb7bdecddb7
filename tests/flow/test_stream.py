"""One epoch of batches: complete, in a seeded order, resumable, and the same however it is read."""

from pathlib import Path

import numpy as np
import pytest
import torch

import medxai_helpers as mx
from medxai_helpers.pixels import streaming as module


def make(count=50, colour=False):
    shape = (count, 4, 4, 3) if colour else (count, 4, 4)
    return mx.PixelStore(Path(), np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), {})


def epoch_of(store, rows, size=8, **how):
    return list(mx.stream(store, rows, size, **how))


def order_of(batches):
    return np.concatenate([rows for rows, _ in batches])


@pytest.mark.parametrize("colour", [False, True])
def test_batches_hold_the_pixels_of_their_rows(colour):
    store, rows = make(colour=colour), np.arange(3, 40)
    for got, images in epoch_of(store, rows, seed=1):
        assert images.dtype == torch.uint8
        np.testing.assert_array_equal(images.numpy(), store.batch(got))


def test_every_row_comes_once_and_in_order_without_a_seed():
    batches = epoch_of(make(), np.arange(50))
    assert order_of(batches).tolist() == list(range(50))
    assert [len(rows) for rows, _ in batches] == [8] * 6 + [2]
    assert all(rows.dtype == np.int64 for rows, _ in batches)


def test_the_order_depends_on_seed_and_epoch_alone():
    store, rows = make(), np.arange(10, 50)
    first = order_of(epoch_of(store, rows, seed=0, epoch=2))
    assert sorted(first) == list(rows)
    np.testing.assert_array_equal(first, order_of(epoch_of(store, rows, size=7, seed=0, epoch=2)))
    for other in ({"seed": 1, "epoch": 2}, {"seed": 0, "epoch": 3}, {"seed": 2, "epoch": 0}):
        assert not np.array_equal(first, order_of(epoch_of(store, rows, **other)))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_gives_the_same_batches(workers):
    store, rows = make(), np.arange(50)
    alone, together = (epoch_of(store, rows, seed=3, workers=count) for count in (0, workers))
    assert len(alone) == len(together)
    for (ours, images), (theirs, others) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert torch.equal(images, others)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 6, 7, 20])
def test_a_stopped_epoch_goes_on_exactly_where_it_was(start, workers):
    whole = epoch_of(make(), np.arange(50), seed=5)
    rest = epoch_of(make(), np.arange(50), seed=5, start=start, workers=workers)
    assert len(rest) == max(7 - start, 0)
    for (ours, images), (theirs, others) in zip(whole[start:], rest, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert torch.equal(images, others)


def test_stopping_early_leaves_no_thread_waiting():
    batches = mx.stream(make(), np.arange(50), 2, seed=0, workers=2)
    next(batches)
    batches.close()
    assert next(iter(mx.stream(make(), np.arange(50), 2, workers=2)))[0].tolist() == [0, 1]


@pytest.mark.parametrize("colour", [False, True])
def test_a_store_that_lies_on_the_device_gives_the_same_batches(colour, monkeypatch):
    store, rows = make(colour=colour), np.arange(50)
    read = epoch_of(store, rows, seed=4)
    monkeypatch.setattr(module, "_stays_on", lambda *_: True)
    monkeypatch.setattr(module, "UPLOAD", 7)
    for _ in range(2):  # the second epoch finds the copy of the first
        for (ours, images), (theirs, others) in zip(read, epoch_of(store, rows, seed=4), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert torch.equal(images, others)
    assert list(store.resident) == ["cpu"]


@pytest.mark.parametrize(("free", "stays"), [(10_000, True), (1_000, False)])
def test_the_free_memory_of_the_gpu_decides_whether_the_store_stays_there(free, stays, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 20_000))
    assert module._stays_on("cuda", make()) is stays  # 800 bytes
    assert not module._stays_on("cpu", make())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_arrive_on_the_gpu():
    store = make(colour=True)
    for rows, images in mx.stream(store, np.arange(50), 8, device="cuda", seed=0):
        assert images.is_cuda
        np.testing.assert_array_equal(images.cpu().numpy(), store.batch(rows))
    assert "cuda" in store.resident


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"start": -1},
        {"workers": -1},
        {"epoch": -1},
        {"rows": np.array([0, 50])},
        {"rows": np.array([-1])},
        {"rows": np.array([0.0])},
        {"rows": np.zeros((2, 2), np.int64)},
    ],
)
def test_wrong_arguments_are_refused_at_once(wrong):
    with pytest.raises(ValueError, match="Expected"):
        mx.stream(**({"store": make(), "rows": np.arange(50), "batch_size": 8} | wrong))
