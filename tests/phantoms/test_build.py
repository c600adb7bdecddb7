from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medxai_helpers.phantoms import PHANTOMS, PhantomSet, build, build_phantom, catalogue, store, worker
from medxai_helpers.phantoms.build import cohort_folder, render_cohort
from medxai_helpers.phantoms.rendering import Rendering
from medxai_helpers.phantoms.worker import Plan

NAMES = sorted(PHANTOMS)


def build_small(name: str, cache: Path) -> PhantomSet:
    return build_phantom(name, per_class=per_class(name), cache=cache)


def per_class(name: str) -> int:
    return 12 if PHANTOMS[name].task == "multi-class" else 3


@pytest.mark.parametrize("name", NAMES)
def test_a_cohort_has_the_promised_rows_and_pixels(name: str, cache: Path) -> None:
    phantom, cohort = PHANTOMS[name], build_small(name, cache)
    count = per_class(name) * len(phantom.classes) - (2 if name == "ham10000" else 0)  # whole patients of each class
    shape = (count, phantom.size, phantom.size) + ((3,) if phantom.channels == 3 else ())
    assert cohort.images.shape == shape
    assert cohort.images.dtype == np.uint8
    assert len(cohort) == len(cohort.table) == count
    assert list(cohort.table.columns[:4]) == ["image_id", "label", "group", "frame"]
    assert cohort.table["image_id"].is_unique
    if phantom.task == "multi-class":
        assert tuple(cohort.table["label"].unique()) == phantom.classes
    else:
        assert set("|".join(cohort.table["label"]).split("|")) <= {*phantom.classes, ""}
    assert not cohort.table.isna().any().any()


@pytest.mark.parametrize("name", NAMES)
def test_masks_and_twins_come_exactly_where_labels_name_lesions(name: str, cache: Path) -> None:
    cohort = build_small(name, cache)
    if not PHANTOMS[name].lesions:
        assert cohort.masks is None
        assert cohort.twins is None
        return
    assert cohort.masks is not None
    assert cohort.twins is not None
    assert cohort.masks.dtype == np.bool_
    assert cohort.twins.shape == cohort.images.shape


@pytest.mark.parametrize("name", NAMES)
def test_every_patient_has_one_class_and_several_frames(name: str, cache: Path) -> None:
    table = build_small(name, cache).table
    patients = table.groupby("group")
    assert (patients["label"].nunique() == 1).all()
    assert (patients["frame"].count() == PHANTOMS[name].frames).all()
    assert not table.duplicated(["group", "frame"]).any()


@pytest.mark.parametrize("name", NAMES)
def test_no_two_images_are_equal(name: str, cache: Path) -> None:
    images = build_small(name, cache).images
    assert len({image.tobytes() for image in images}) == len(images)


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_small(name, cache)
    plan = Plan(name, per_class(name), PHANTOMS[name].size, 0)
    worker.run_side_by_side([])  # nothing to do is no error
    monkeypatch.setattr(build, "_ROWS_PER_HELPER", 1)
    for workers in (1, 2, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        render_cohort(plan, cache, folder, workers=workers)
        np.testing.assert_array_equal(np.load(folder / "images.npy"), first.images)
        assert (folder / "table.csv").read_bytes() == (cohort_folder(plan, cache) / "table.csv").read_bytes()


def test_another_seed_gives_other_images_and_more_images_contain_the_fewer(cache: Path) -> None:
    small = build_phantom("medical-mnist", per_class=2, cache=cache)
    other = build_phantom("medical-mnist", per_class=2, seed=1, cache=cache)
    large = build_small("medical-mnist", cache)
    assert not (small.images == other.images).all(axis=(1, 2)).any()
    first_two = large.table.groupby("label").head(2).index
    np.testing.assert_array_equal(large.images[first_two], small.images)


def test_the_same_scene_is_drawn_at_every_size(cache: Path) -> None:
    small = build_phantom("medical-mnist", per_class=1, cache=cache)
    large = build_phantom("medical-mnist", per_class=1, size=128, cache=cache)
    assert large.images.shape == (6, 128, 128)
    for one, other in zip(small.images, large.images, strict=True):
        reduced = cv2.resize(other, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(one.ravel(), reduced.ravel())[0, 1] > 0.9


def test_the_second_call_reads_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_small("medical-mnist", cache)
    monkeypatch.setattr(build, "render_cohort", None)  # would fail if it were called
    start = time.perf_counter()
    again = build_small("medical-mnist", cache)
    assert time.perf_counter() - start < 0.5  # measured: 0.002 s
    np.testing.assert_array_equal(again.images, first.images)
    assert again.table.equals(first.table)


def test_changed_sources_never_serve_an_old_cohort(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("medical-mnist", 1, 64, 0)
    before = cohort_folder(plan, cache)
    monkeypatch.setattr(build, "source_hash", lambda: "0" * 12)
    assert cohort_folder(plan, cache) != before


def test_a_leftover_partial_folder_is_ignored(cache: Path) -> None:
    plan = Plan("medical-mnist", 1, 64, 7)
    folder = cohort_folder(plan, cache)
    folder.mkdir(parents=True)
    (folder / "images.npy").write_bytes(b"half a file")
    cohort = build_phantom("medical-mnist", per_class=1, seed=7, cache=cache)
    assert cohort.images.shape == (6, 64, 64)
    assert store.is_complete(folder)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        (partial / "some.npy").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.write_folder(tmp_path / "cohort", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    folder = tmp_path / "cohort"

    def write_first(partial: Path) -> None:
        (partial / "text").write_text("first")

    def write_late(partial: Path) -> None:
        store.write_folder(folder, write_first)
        (partial / "text").write_text("second")

    store.write_folder(folder, write_late)
    assert (folder / "text").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_rendering_leaves_opencv_threads_and_global_random_state_alone(cache: Path) -> None:
    threads, state = cv2.getNumThreads(), np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
    build_phantom("medical-mnist", per_class=1, seed=11, cache=cache)
    assert cv2.getNumThreads() == threads
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index] # noqa: NPY002


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "medical-mmist", "per_class": 4}, "medical-mnist.*medical-mmist.*Choose"),
        ({"per_class": 0}, "per_class.*got 0"),
        ({"per_class": 2.5}, r"per_class.*got 2\.5"),
        ({"per_class": True}, "per_class.*got True"),
        ({"per_class": 4, "size": 8}, "size.*32 to 512.*got 8"),
        ({"per_class": 4, "seed": -1}, "seed.*got -1"),
    ],
)
def test_bad_input_is_explained(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        build_phantom(**{"name": "medical-mnist", "cache": tmp_path, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_label_is_explained() -> None:
    with pytest.raises(ValueError, match=r"AbdomenCT.*got 'Foot'"):
        PHANTOMS["medical-mnist"].render("Foot", 0, 0, 64)


def test_a_failing_helper_passes_on_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        worker.run_side_by_side([worker.anatomy_job("no such organ", tmp_path)])


def test_a_script_without_a_main_guard_may_build(cache: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from medxai_helpers.phantoms import build_phantom\n"
        f"print(len(build_phantom('medical-mnist', per_class=22, seed=3, cache=Path({str(cache)!r}))))\n"
    )
    script = cache / "script.py"
    script.write_text(code)
    root = Path(build.__file__).parents[2]
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=root, env={"PYTHONPATH": str(root)}
    )
    assert run.stdout.strip() == "132", run.stderr


def test_importing_the_catalogue_is_light() -> None:
    code = (
        "import sys, medxai_helpers.phantoms; print({'cv2', 'scipy', 'pandas', 'nibabel', 'torch'} & set(sys.modules))"
    )
    root = Path(build.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert run.stdout.strip() == "set()", run.stderr


def test_a_new_phantom_with_lesions_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def render(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
        twin = np.random.default_rng([patient_seed, frame_seed]).integers(0, 100, (size, size, 3), dtype=np.uint8)
        mask = np.zeros((size, size), np.bool_)
        mask[:4, :4] = label == "spot"
        return Rendering(np.where(mask[..., None], np.uint8(255), twin), mask, twin, {"level": 1.5})

    row = catalogue.Phantom("spots", ("none", "spot"), 3, 32, 2, render, "drawn")
    monkeypatch.setitem(PHANTOMS, "spots", row)
    cohort = build_phantom("spots", per_class=3, cache=tmp_path)
    assert cohort.images.shape == (6, 32, 32, 3)
    assert cohort.masks is not None
    assert cohort.twins is not None
    np.testing.assert_array_equal(cohort.masks.sum((1, 2)), [0, 0, 0, 16, 16, 16])
    assert (cohort.images != cohort.twins).any(-1)[cohort.masks].all()
    assert not (cohort.images != cohort.twins).any(-1)[~cohort.masks].any()
    assert cohort.table["level"].tolist() == [1.5] * 6
