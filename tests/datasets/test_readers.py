"""Every card's reader on a small tree in its real layout, and what is special about each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medxai_helpers.cohorts import Cohort
from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.datasets.readers import READERS
from medxai_helpers.datasets.readers.lidc import parse_xml
from tests.datasets import dataset_layouts as layouts
from tests.datasets.dataset_layouts import LAYOUTS


def read(name: str, folder: Path, **settings: object) -> Cohort:
    return READERS[name](folder, CATALOGUE[name], **settings)


@pytest.fixture(params=sorted(LAYOUTS))
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, layouts.Expected]:
    return request.param, tmp_path / "tree", LAYOUTS[request.param](tmp_path / "tree")


def test_every_card_has_a_reader_and_a_layout() -> None:
    assert set(CATALOGUE) == set(READERS) == set(LAYOUTS)


def test_reads_its_layout(layout: tuple[str, Path, layouts.Expected]) -> None:
    name, folder, expected = layout
    cohort = read(name, folder)
    assert cohort.counts == expected.counts
    assert len(cohort) == expected.images
    assert cohort.table["group"].nunique() == expected.groups
    assert len(cohort.skipped) == expected.skipped
    assert (cohort.masks is not None) == expected.masks
    assert (None if cohort.boxes is None else len(cohort.boxes)) == expected.boxes
    if expected.official:
        assert cohort.table["official"].value_counts().to_dict() == expected.official
    assert len(cohort.missing) >= sum(cohort.counts[key] < full for key, full in cohort.card.counts.items())


def test_pixels_masks_and_targets_have_the_promised_shapes(layout: tuple[str, Path, layouts.Expected]) -> None:
    name, folder, expected = layout
    cohort = read(name, folder)
    k = len(cohort.classes)
    multi = cohort.card.task == "multi-label"
    assert cohort.targets.shape == ((len(cohort), k) if multi else (len(cohort),))
    assert cohort.targets.dtype == (np.uint8 if multi else np.int64)
    for row in range(len(cohort)):
        image = cohort.image(row)
        assert image.dtype == np.uint8
        assert image.ndim == (2 if cohort.card.channels == 1 else 3)
        if expected.masks:
            assert cohort.mask(row).shape == image.shape[:2]
            assert cohort.mask(row).dtype == bool
    if not expected.masks:
        with pytest.raises(ValueError, match="masks"):
            cohort.mask(0)


def test_a_folder_around_the_layout_changes_nothing(layout: tuple[str, Path, layouts.Expected]) -> None:
    name, folder, expected = layout
    outer = folder.parent / "outer"
    outer.mkdir()
    if name.startswith("medmnist"):
        shutil.unpack_archive(folder / CATALOGUE[name].archive, outer, "zip")  # what unpacking the archive gives
    else:
        shutil.move(folder, outer / "unpacked")
    assert read(name, outer).counts == expected.counts


def test_saves_loads_and_cuts(layout: tuple[str, Path, layouts.Expected], tmp_path: Path) -> None:
    name, folder, _ = layout
    cohort = read(name, folder)
    cohort.save(tmp_path / "saved")
    again = Cohort.load(tmp_path / "saved")
    assert again.table.equals(cohort.table)
    assert again.skipped.equals(cohort.skipped)
    assert (again.card, again.missing, again.origin) == (cohort.card, cohort.missing, cohort.origin)
    assert again.pixels.fingerprint() == cohort.pixels.fingerprint()
    last = len(cohort) - 1
    part = again.subset([last, 0])
    np.testing.assert_array_equal(part.image(0), cohort.image(last))
    if cohort.masks is not None:
        np.testing.assert_array_equal(part.mask(0), cohort.mask(last))
    if cohort.boxes is not None:
        assert set(part.boxes["image_id"]) <= set(part.table["image_id"])


def test_skipping_finds_nothing_to_skip_in_a_good_tree(layout: tuple[str, Path, layouts.Expected]) -> None:
    name, folder, expected = layout
    cohort = read(name, folder, on_error="skip")
    assert (len(cohort), len(cohort.skipped)) == (expected.images, expected.skipped)


def test_an_unknown_on_error_is_refused(layout: tuple[str, Path, layouts.Expected]) -> None:
    name, folder, _ = layout
    with pytest.raises(ValueError, match="on_error"):
        read(name, folder, on_error="ignore")


def test_an_empty_folder_is_an_error_with_its_path(layout: tuple[str, Path, layouts.Expected], tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for mode in ("raise", "skip"):
        with pytest.raises(ValueError, match="nothing"):
            read(layout[0], tmp_path / "nothing", on_error=mode)
    with pytest.raises(ValueError, match="absent"):
        read(layout[0], tmp_path / "absent")


def test_medical_mnist_says_what_does_not_fit(tmp_path: Path) -> None:
    layouts.medical_mnist(tmp_path)
    (tmp_path / "Foot").mkdir()
    with pytest.raises(ValueError, match=r"Expected class folders among .* but got \['Foot'\]"):
        read("medical-mnist", tmp_path)
    (tmp_path / "Foot").rmdir()
    (tmp_path / "Hand" / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"Expected only image files .*Hand, but 'notes.txt' is none"):
        read("medical-mnist", tmp_path)
    shutil.rmtree(tmp_path / "Hand")
    (tmp_path / "Hand").mkdir()
    with pytest.raises(ValueError, match=r"Hand, but the folder is empty"):
        read("medical-mnist", tmp_path)


def test_two_trees_side_by_side_are_not_chosen_from(tmp_path: Path) -> None:
    layouts.medical_mnist(tmp_path / "a")
    layouts.medical_mnist(tmp_path / "b")
    with pytest.raises(ValueError, match="Expected one folder with class folders"):
        read("medical-mnist", tmp_path)


def test_covid_reads_three_classes_and_the_first_releases(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "COVID-19" / "COVID-19 (1).png")
    layouts.write_image(tmp_path / "NORMAL" / "NORMAL (1).png")
    layouts.write_image(tmp_path / "Viral Pneumonia" / "Viral Pneumonia (1).png")
    cohort = read("covid19-radiography", tmp_path)
    assert cohort.counts == {"COVID": 1, "Normal": 1, "Viral Pneumonia": 1, "Lung_Opacity": 0}
    assert "Lung_Opacity: 0 of 6,012 images" in cohort.missing
    assert "lung masks of 3 images" in cohort.missing
    assert cohort.masks is None


def test_covid_masks_come_in_the_frame_of_the_image(tmp_path: Path) -> None:
    layouts.covid(tmp_path)
    mask = read("covid19-radiography", tmp_path).mask(0)  # 20 x 20 on disk, 30 x 30 beside the image
    assert mask[:15].all()
    assert not mask[15:].any()


def test_covid_image_without_mask_gets_an_empty_one(tmp_path: Path) -> None:
    layouts.covid(tmp_path)
    (tmp_path / "COVID-19_Radiography_Dataset" / "COVID" / "masks" / "COVID-2.png").unlink()
    cohort = read("covid19-radiography", tmp_path)
    assert not cohort.mask(1).any()
    assert "lung masks of 1 images" in cohort.missing


def test_kermany_patients_germs_and_parts(tmp_path: Path) -> None:
    layouts.kermany(tmp_path)
    table = read("chest-xray-pneumonia", tmp_path).table.set_index("image_id")
    patients = table["group"].rename(lambda name: name.rsplit("/", 1)[-1])
    assert patients["person1_bacteria_2"] == patients["person1_virus_6"] == "person1"
    assert patients["NORMAL2-IM-0815-0001-0002"] == patients["NORMAL2-IM-0815-0001"] == "NORMAL2-IM-0815"
    assert patients["IM-0115-0001"] == "IM-0115"
    assert patients["BACTERIA-1008087-0001"] == "patient1008087"
    assert table["germ"].value_counts().to_dict() == {"": 5, "bacteria": 4, "virus": 2}
    shared = table.groupby("group")["official"].nunique()
    assert list(shared[shared > 1].index) == ["person1"]


def test_kermany_archive_that_repeats_itself(tmp_path: Path) -> None:
    layouts.kermany(tmp_path)
    inner = tmp_path / "chest_xray"
    shutil.copytree(inner, tmp_path / "copy")
    shutil.move(tmp_path / "copy", inner / "chest_xray")
    assert len(read("chest-xray-pneumonia", tmp_path)) == 11


def test_chestxray14_labels_boxes_and_gaps(tmp_path: Path) -> None:
    layouts.chestxray14(tmp_path)
    cohort = read("chestxray14", tmp_path)
    table = cohort.table.set_index("image_id")
    assert table["label"]["00000001_001"] == "Cardiomegaly|Effusion"
    assert table["label"]["00000002_000"] == ""
    assert cohort.targets.sum(axis=1).tolist() == [1, 2, 0, 1, 1]
    assert table["age"]["00000002_000"] == 81
    assert list(cohort.boxes["label"]) == ["Cardiomegaly", "Infiltration"]
    assert cohort.boxes["width"].iloc[0] == pytest.approx(86.78, abs=0.01)
    (tmp_path / "images_002" / "images" / "00000004_000.png").unlink()
    (tmp_path / "test_list.txt").unlink()
    gaps = read("chestxray14", tmp_path).missing
    assert "images of 1 of 5 rows, for example 00000004_000" in gaps
    assert "test_list.txt" in gaps


def test_chestxray14_takes_one_folder_and_the_table_of_2020(tmp_path: Path) -> None:
    layouts.chestxray14(tmp_path)
    (tmp_path / "images").mkdir()
    for path in tmp_path.glob("images_*/images/*.png"):
        path.rename(tmp_path / "images" / path.name)
    shutil.rmtree(tmp_path / "images_001")
    shutil.rmtree(tmp_path / "images_002")
    text = layouts.CHEST_ROWS.replace("Gender", "Sex").replace("058Y", "58").replace(",\n", "\n")
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(text)
    cohort = read("chestxray14", tmp_path)
    assert len(cohort) == 5
    assert list(cohort.table["sex"]) == ["M", "M", "F", "F", "F"]
    assert cohort.table["age"].iloc[0] == 58


def test_chestxray14_refuses_labels_and_images_it_does_not_know(tmp_path: Path) -> None:
    layouts.chestxray14(tmp_path)
    table = tmp_path / "Data_Entry_2017.csv"
    table.write_text(layouts.CHEST_ROWS.replace("Hernia", "Hernya"))
    with pytest.raises(ValueError, match=r"00000003_000 has the label 'Hernya'"):
        read("chestxray14", tmp_path)
    skipping = read("chestxray14", tmp_path, on_error="skip")
    assert len(skipping) == 4
    assert any("Hernya" in reason for reason in skipping.skipped["reason"])
    table.write_text("\n".join(layouts.CHEST_ROWS.splitlines()[:-1]))
    with pytest.raises(ValueError, match=r"00000004_000.png has no row"):
        read("chestxray14", tmp_path)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="Finding Labels"):
        read("chestxray14", tmp_path)


def test_ham10000_names_rows_without_image(tmp_path: Path) -> None:
    layouts.ham10000(tmp_path)
    cohort = read("ham10000", tmp_path)
    assert any(line == "images of 1 of 4 rows, for example ISIC_0031633" for line in cohort.missing)
    assert list(cohort.table["group"]) == ["HAM_0000118", "HAM_0000118", "HAM_0002730"]
    assert [cohort.mask(row).all() for row in range(3)] == [True, False, False]


def test_ham10000_reads_one_folder_and_kaggle_twins(tmp_path: Path) -> None:
    layouts.ham10000(tmp_path)
    shutil.copytree(tmp_path / "HAM10000_images_part_1", tmp_path / "ham10000_images_part_1")
    assert len(read("ham10000", tmp_path)) == 3


def test_brats_slices_labels_and_masks(tmp_path: Path) -> None:
    layouts.brats(tmp_path)
    cohort = read("brats", tmp_path)
    table = cohort.table
    assert list(table["slice"]) == [2, 6, 2, 6]
    assert list(table["label"]) == ["no tumour", "tumour"] * 2
    assert list(table["grade"]) == ["HGG", "HGG", "LGG", "LGG"]
    image = cohort.image(1)
    assert image.shape == (24, 20)
    assert image[5, 5] == 255  # the bright block: front up, right side on the left
    assert 100 < image[15, 12] < 130
    assert cohort.mask(1).sum() == 36
    assert cohort.mask(1)[8:14, 6:12].all()
    assert not cohort.mask(0).any()
    assert cohort.skipped["reason"].tolist() == ["shows 1 tumour pixels, fewer than 20"] * 2


def test_brats_settings(tmp_path: Path) -> None:
    layouts.brats(tmp_path)
    cohort = read("brats", tmp_path, modality="t2", every=1, min_tumour_pixels=1)
    assert cohort.counts == {"no tumour": 12, "tumour": 12}
    assert "t2" in cohort.origin
    for wrong in ({"modality": "pet"}, {"every": 0}, {"min_tumour_pixels": 0}):
        with pytest.raises(ValueError, match="Expected"):
            read("brats", tmp_path, **wrong)


def test_brats_case_without_segmentation(tmp_path: Path) -> None:
    layouts.brats(tmp_path)
    case = tmp_path / "MICCAI_BraTS2020_TrainingData" / "BraTS20_Training_001"
    (case / "BraTS20_Training_001_seg.nii").rename(case / "W39_1998.09.19_Segm.nii")
    assert len(read("brats", tmp_path)) == 4  # the archive of 2020 has one so named
    (case / "W39_1998.09.19_Segm.nii").unlink()
    with pytest.raises(ValueError, match=r"BraTS20_Training_001 has no volume \['seg'\]"):
        read("brats", tmp_path)
    cohort = read("brats", tmp_path, on_error="skip")
    assert len(cohort) == 2
    assert cohort.skipped["path"].iloc[0].endswith("BraTS20_Training_001")


def test_lidc_groups_readings_and_cuts_patches(tmp_path: Path) -> None:
    layouts.lidc(tmp_path)
    cohort = read("lidc-idri", tmp_path)
    table = cohort.table
    assert list(table["label"]) == ["malignant", "benign"]
    assert list(table["readers"]) == [4, 2]
    assert list(table["rating"]) == [4.5, 1.5]
    assert table[[f"rating_{reader}" for reader in (1, 2, 3, 4)]].fillna(0).to_numpy().tolist() == [
        [5, 4, 5, 4],
        [1, 2, 0, 0],
    ]
    assert set(table["group"]) == {"LIDC-IDRI-0001"}
    assert table["diameter_mm"].iloc[0] == pytest.approx(16 * layouts.SPACING, abs=1)
    assert "exactly 3" in cohort.skipped["reason"].iloc[0]
    image, mask = cohort.image(0), cohort.mask(0)
    assert image.shape == (64, 64)
    assert image[32, 32] == round(255 * (50 + 1350) / 1500)
    assert image[60, 32] == round(255 * (-850 + 1350) / 1500)
    rows, columns = np.nonzero(mask)
    assert (rows.mean(), columns.mean()) == pytest.approx((31.5, 31.5), abs=1)
    scale = (64 - 1) / (48 / layouts.SPACING - 1)
    assert mask.sum() == pytest.approx(np.pi * (7.5 * scale) ** 2, rel=0.12)


def test_lidc_reads_the_neighbouring_slices_as_channels(tmp_path: Path) -> None:
    layouts.lidc(tmp_path)
    for path in (tmp_path / "LIDC-IDRI" / "LIDC-IDRI-0001").rglob("*.dcm"):
        brighten_by_slice_number(path)
    single, triple = read("lidc-idri", tmp_path), read("lidc-idri", tmp_path, slices=3)
    image = triple.image(0)
    assert triple.card.channels == image.shape[2] == 3
    np.testing.assert_array_equal(image[..., 1], single.image(0))
    assert image[60, 32].tolist() == [round(255 * (-850 + 100 * z + 1350) / 1500) for z in (3, 4, 5)]
    assert triple.pixels.fingerprint() != single.pixels.fingerprint()
    with pytest.raises(ValueError, match="1 or 3 slices"):
        read("lidc-idri", tmp_path, slices=2)


def brighten_by_slice_number(path: Path) -> None:
    """Add 100 HU times the slice's number."""
    file = pydicom.dcmread(path)
    number = int(path.stem) - 1
    file.PixelData = (file.pixel_array + 100 * number).astype(np.int16).tobytes()
    file.save_as(path)


def test_lidc_hole_readers_and_xml_elsewhere(tmp_path: Path) -> None:
    layouts.write_lidc_case(tmp_path, "LIDC-IDRI-0007", {(40, 40): [4, 4], (70, 20): [5]}, hole=True)
    xml = next(tmp_path.rglob("*.xml"))
    (tmp_path / "tcia-lidc-xml" / "157").mkdir(parents=True)
    xml.rename(tmp_path / "tcia-lidc-xml" / "157" / "158.xml")
    cohort = read("lidc-idri", tmp_path, min_readers=2)
    assert len(cohort) == 1
    assert "1 of at least 2" in cohort.skipped["reason"].iloc[0]
    assert not cohort.mask(0)[31:33, 31:33].any()
    assert cohort.mask(0).any()


def test_lidc_series_without_slices_is_missing(tmp_path: Path) -> None:
    layouts.lidc(tmp_path)
    for path in (tmp_path / "LIDC-IDRI" / "LIDC-IDRI-0002").rglob("*.dcm"):
        path.unlink()
    assert read("lidc-idri", tmp_path).missing == ("slices of 1 annotated series, for example 1.3.6.1.4.1.14519.2",)


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        "<a/>".encode("utf-16"),
    ],
)
def test_lidc_refuses_xml_that_could_harm(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="document type"):
        parse_xml(path)
    layouts.lidc(tmp_path / "tree")
    path.rename(tmp_path / "tree" / "a.xml")
    with pytest.raises(ValueError, match=r"a\.xml cannot be read"):
        read("lidc-idri", tmp_path / "tree")


def test_lidc_refuses_outlines_off_the_slice(tmp_path: Path) -> None:
    layouts.write_lidc_case(tmp_path, "LIDC-IDRI-0007", {(40, 40): [4]})
    xml = next(tmp_path.rglob("*.xml"))
    xml.write_text(xml.read_text().replace("<xCoord>48<", "<xCoord>4800000000<"))
    with pytest.raises(ValueError, match="leaves the slice"):
        read("lidc-idri", tmp_path)


def test_kvasir_seg_boxes_and_damaged_box_file(tmp_path: Path) -> None:
    layouts.kvasir_seg(tmp_path)
    cohort = read("kvasir-seg", tmp_path)
    assert cohort.boxes[["x", "y", "width", "height"]].to_numpy().tolist() == [[8, 4, 16, 8]] * 2
    assert cohort.mask(0)[5:11, 9:23].all()
    assert cohort.mask(0).sum() == pytest.approx(8 * 16, abs=10)
    boxes = tmp_path / "Kvasir-SEG" / "kavsir_bboxes.json"
    boxes.write_text(json.dumps({"a": {"bbox": [{"label": "polyp"}]}}))
    with pytest.raises(ValueError, match=r"kavsir_bboxes\.json is damaged"):
        read("kvasir-seg", tmp_path)


def test_medmnist_sizes_and_pickles(tmp_path: Path) -> None:
    write = layouts.medmnist("breastmnist")
    write(tmp_path)
    write(tmp_path, size=64)
    assert read("medmnist-breastmnist", tmp_path).image(0).shape == (64, 64)
    assert read("medmnist-breastmnist", tmp_path, size=28).image(0).shape == (28, 28)
    assert read("medmnist-breastmnist", tmp_path / "breastmnist_64.npz").image(0).shape == (64, 64)
    with pytest.raises(ValueError, match=r"breastmnist_224\.npz"):
        read("medmnist-breastmnist", tmp_path, size=224)
    with pytest.raises(ValueError, match="size"):
        read("medmnist-breastmnist", tmp_path, size=30)
    np.savez(tmp_path / "breastmnist.npz", train_images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"breastmnist\.npz"):
        read("medmnist-breastmnist", tmp_path, size=28)


def test_medmnist_labels_outside_the_classes(tmp_path: Path) -> None:
    layouts.medmnist("breastmnist")(tmp_path)
    path = tmp_path / "breastmnist.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["test_labels"][0] = 7
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"test/000000 has a label that is no class"):
        read("medmnist-breastmnist", tmp_path)
    cohort = read("medmnist-breastmnist", tmp_path, on_error="skip")
    assert len(cohort) == 7
    assert len(cohort.skipped) == 1
