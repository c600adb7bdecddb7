import os

import cv2
import numpy as np
import pytest

import medxai_helpers as mx
from medxai_helpers.datasets import archives


def test_folder_gives_a_cohort_in_class_order(cohort, archive_folder):
    assert len(cohort) == 90
    assert list(cohort.counts.values()) == [15] * 6
    assert cohort.classes == ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
    row = int(np.flatnonzero(cohort.table["image_id"] == "CXR/000003")[0])
    expected = cv2.imread(str(archive_folder / "CXR" / "000003.jpeg"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(cohort.image(row), expected)
    assert cohort.targets[row] == 2
    assert cohort.source == "real"


def test_archive_and_folder_give_the_same_images(archive_zip, cohort, runtime_for, capsys):
    unpacked = mx.load_dataset("medical-mnist", runtime=runtime_for(archive_zip.parent))
    assert list(unpacked.table["image_id"]) == list(cohort.table["image_id"])
    np.testing.assert_array_equal(unpacked.image(7), cohort.image(7))
    assert "Unpacking" in capsys.readouterr().out
    mx.load_dataset("medical-mnist", runtime=runtime_for(archive_zip.parent))
    assert "Unpacking" not in capsys.readouterr().out


def test_nothing_is_written_into_the_data_root(archive_zip, runtime_for):
    mx.load_dataset("medical-mnist", runtime=runtime_for(archive_zip.parent))
    assert [file.name for file in archive_zip.parent.iterdir()] == ["medical-mnist.zip"]


def test_a_truncated_archive_is_refused_and_leaves_nothing(archive_zip, runtime_for):
    archive_zip.write_bytes(archive_zip.read_bytes()[:-3000])
    runtime = runtime_for(archive_zip.parent)
    with pytest.raises(ValueError, match=r"medical-mnist\.zip is truncated.*download it again"):
        mx.load_dataset("medical-mnist", runtime=runtime)
    assert not list((runtime.cache / "unpacked").iterdir())


def test_an_archive_damaged_in_the_middle_is_refused(archive_zip, runtime_for):
    content = bytearray(archive_zip.read_bytes())
    content[5000:5600] = bytes(600)
    archive_zip.write_bytes(content)
    runtime = runtime_for(archive_zip.parent)
    with pytest.raises(ValueError, match=r"medical-mnist\.zip"):
        mx.load_dataset("medical-mnist", runtime=runtime)
    assert not list((runtime.cache / "unpacked").iterdir())


def test_an_unknown_class_folder_is_named(copy_of_folder, runtime_for):
    (copy_of_folder / "Knee").mkdir()
    with pytest.raises(ValueError, match="Knee"):
        mx.load_dataset("medical-mnist", runtime=runtime_for(copy_of_folder.parent))


def test_a_missing_class_is_said_not_hidden(copy_of_folder, runtime_for, capsys):
    import shutil

    shutil.rmtree(copy_of_folder / "Hand")
    partial = mx.load_dataset("medical-mnist", runtime=runtime_for(copy_of_folder.parent))
    assert partial.counts["Hand"] == 0
    assert "Hand not found" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["notes.txt", "000001.gif"])
def test_a_file_that_is_no_image_is_named(copy_of_folder, runtime_for, name):
    (copy_of_folder / "CXR" / name).write_text("x")
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        mx.load_dataset("medical-mnist", runtime=runtime_for(copy_of_folder.parent))


def test_absent_real_images_are_explained(tmp_path, runtime_for):
    with pytest.raises(ValueError, match=r"Put medical-mnist\.zip"):
        mx.load_dataset("medical-mnist", source="real", runtime=runtime_for(tmp_path))
    with pytest.raises(ValueError, match="MEDXAI_DATA is not set"):
        mx.load_dataset("medical-mnist", source="real", runtime=runtime_for(None))


def test_unknown_names_are_refused(runtime_for):
    with pytest.raises(ValueError, match="medical-mnist"):
        mx.load_dataset("mnist", runtime=runtime_for(None))
    with pytest.raises(ValueError, match="phantom"):
        mx.load_dataset("medical-mnist", source="fake", runtime=runtime_for(None))  # type: ignore[arg-type]


def test_the_embedded_default_says_what_it_is(runtime_for, capsys, tmp_path):
    phantom = mx.load_dataset("medical-mnist", per_class=2, runtime=runtime_for(tmp_path))
    said = capsys.readouterr().out
    assert phantom.source == "phantom"
    assert "PHANTOM, not patients" in said
    assert "medical-mnist.zip" in said
    assert phantom.image(0).shape == (64, 64)


def test_a_cohort_with_a_wrong_label_or_twice_an_id_is_refused(cohort):
    from dataclasses import replace

    with pytest.raises(ValueError, match="Knee"):
        replace(cohort, table=cohort.table.assign(label="Knee"))
    with pytest.raises(ValueError, match="more than once"):
        replace(cohort, table=cohort.table.assign(image_id="same"))


def test_subset_keeps_rows_and_pixels_together(cohort):
    part = cohort.subset([80, 3])
    assert list(part.table["image_id"]) == [cohort.table["image_id"][80], cohort.table["image_id"][3]]
    np.testing.assert_array_equal(part.image(0), cohort.image(80))


@pytest.mark.real
def test_the_real_archive_has_every_image(tmp_path):
    from dataclasses import replace

    runtime = replace(mx.current(), cache=tmp_path)
    real = mx.load_dataset("medical-mnist", source="real", runtime=runtime)
    assert real.counts == real.card.counts
    assert len(real) == real.card.images == 58_954
    place = archives.find(real.card, runtime.data_root)
    store = mx.build_store(real, mx.Preprocessing(size=64), tmp_path)
    assert store.pixels.shape == (58_954, 64, 64)
    row = 31_234
    np.testing.assert_array_equal(store.pixels[row], real.image(row))
    assert place is not None
    assert os.access(place, os.R_OK)
