"""Small synthetic trees in the real layout of every data set, written by the tests themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.datasets.medmnist_facts import FACTS


@dataclass(frozen=True)
class Expected:
    """What a reader must find in the tree of :func:`write_layout`."""

    counts: dict[str, int]
    groups: int
    images: int
    masks: bool = False
    boxes: int | None = None
    official: dict[str, int] = field(default_factory=dict)
    skipped: int = 0


def write_image(path: Path, *, seed: int = 0, shape: tuple[int, ...] = (24, 32), value: int | None = None) -> None:
    """Write a noise image, or a flat one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    pixels = noise if value is None else np.full(shape, value, dtype=np.uint8)
    ok, data = cv2.imencode(path.suffix, pixels)
    assert ok
    path.write_bytes(data.tobytes())


def medical_mnist(root: Path) -> Expected:
    classes = CATALOGUE["medical-mnist"].classes
    for seed in range(12):
        write_image(root / classes[seed % 6] / f"{seed // 6:06d}.jpeg", seed=seed, shape=(64, 64))
    return Expected(dict.fromkeys(classes, 2), groups=12, images=12)


def kvasir_v2(root: Path) -> Expected:
    classes = CATALOGUE["kvasir-v2"].classes
    for seed in range(16):
        write_image(root / "kvasir-dataset-v2" / classes[seed % 8] / f"{seed:04d}-a1.jpg", seed=seed, shape=(20, 30, 3))
    return Expected(dict.fromkeys(classes, 2), groups=16, images=16)


def covid(root: Path) -> Expected:
    top = root / "COVID-19_Radiography_Dataset"
    for place in ("COVID", "Normal", "Viral Pneumonia", "Lung_Opacity"):
        for number in (1, 2):
            write_image(top / place / "images" / f"{place}-{number}.png", seed=number, shape=(30, 30))
            mask = np.zeros((20, 20), dtype=np.uint8)
            mask[:10] = 255
            (top / place / "masks").mkdir(exist_ok=True)
            cv2.imwrite(str(top / place / "masks" / f"{place}-{number}.png"), mask)
        (top / f"{place}.metadata.xlsx").write_bytes(b"PK")
    (top / "README.md.txt").write_text("cite us")
    return Expected(dict.fromkeys(CATALOGUE["covid19-radiography"].classes, 2), groups=8, images=8, masks=True)


CHEST_ROWS = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,\
OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],
00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,
00000001_001.png,Cardiomegaly|Effusion,1,1,058Y,M,PA,2894,2729,0.143,0.143,
00000002_000.png,No Finding,0,2,081Y,F,AP,2500,2048,0.171,0.171,
00000003_000.png,Hernia,0,3,074Y,F,PA,2500,2048,0.171,0.171,
00000004_000.png,Infiltration,0,4,001M,F,PA,2500,2048,0.171,0.171,
"""
CHEST_BOXES = """Image Index,Finding Label,Bbox [x,y,w,h],,,
00000001_000.png,Cardiomegaly,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,
00000004_000.png,Infiltrate,1,2,3,4,,,
00099999_000.png,Mass,1,2,3,4,,,
"""


def chestxray14(root: Path) -> Expected:
    root.mkdir(parents=True, exist_ok=True)
    (root / "Data_Entry_2017.csv").write_text(CHEST_ROWS)
    (root / "BBox_List_2017.csv").write_text(CHEST_BOXES)
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000002_000.png")
    (root / "test_list.txt").write_text("00000003_000.png\n00000004_000.png\n")
    for number, name in enumerate(("00000001_000", "00000001_001", "00000002_000")):
        write_image(root / "images_001" / "images" / f"{name}.png", seed=number)
    for number, name in enumerate(("00000003_000", "00000004_000")):
        write_image(root / "images_002" / "images" / f"{name}.png", seed=number)
    counts = {"Cardiomegaly": 2, "Effusion": 1, "Hernia": 1, "Infiltration": 1}
    every = {name: counts.get(name, 0) for name in CATALOGUE["chestxray14"].classes}
    return Expected(every, groups=4, images=5, boxes=2, official={"train": 3, "test": 2})


def write_nifti(path: Path, values: np.ndarray) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0])), path)


def brats(root: Path) -> Expected:
    """Two patients, one with gzip: a brain in slices 2..13, a tumour in 5..9, a trace of one in 10."""
    for case, suffix in (("BraTS20_Training_001", ".nii"), ("BraTS20_Training_002", ".nii.gz")):
        volume = np.zeros((20, 24, 16), dtype=np.int16)
        volume[4:16, 4:20, 2:14] = 500
        volume[4:10, 4:8, 2:14] = 1000  # right side (low i), front (low j)
        labels = np.zeros(volume.shape, dtype=np.uint8)
        labels[6:12, 8:14, 5:10] = 4
        labels[6, 8, 10] = 1
        for kind in ("flair", "t1", "t1ce", "t2"):
            write_nifti(root / "MICCAI_BraTS2020_TrainingData" / case / f"{case}_{kind}{suffix}", volume)
        write_nifti(root / "MICCAI_BraTS2020_TrainingData" / case / f"{case}_seg{suffix}", labels)
    mapping = (
        "Grade,BraTS_2019_subject_ID,BraTS_2020_subject_ID\nHGG,x,BraTS20_Training_001\nLGG,y,BraTS20_Training_002\n"
    )
    (root / "MICCAI_BraTS2020_TrainingData" / "name_mapping.csv").write_text(mapping)
    # every 4th of slices 2..13: 2, 6, 10; 6 shows the tumour and 10 only a trace
    return Expected({"no tumour": 2, "tumour": 2}, groups=2, images=4, masks=True, skipped=2)


HAM_ROWS = """lesion_id,image_id,dx,dx_type,age,sex,localization
HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp
HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp
HAM_0002730,ISIC_0026769,mel,histo,,female,back
HAM_0001466,ISIC_0031633,nv,follow_up,75.0,male,ear
"""


def ham10000(root: Path) -> Expected:
    root.mkdir(parents=True, exist_ok=True)
    (root / "HAM10000_metadata.csv").write_text(HAM_ROWS)
    write_image(root / "HAM10000_images_part_1" / "ISIC_0027419.jpg", seed=1, shape=(18, 24, 3))
    write_image(root / "HAM10000_images_part_1" / "ISIC_0025030.jpg", seed=2, shape=(18, 24, 3))
    write_image(root / "HAM10000_images_part_2" / "ISIC_0026769.jpg", seed=3, shape=(18, 24, 3))
    masks = root / "HAM10000_segmentations_lesion_tschandl"
    write_image(masks / "ISIC_0027419_segmentation.png", shape=(18, 24), value=255)
    counts = {name: {"bkl": 2, "mel": 1}.get(name, 0) for name in CATALOGUE["ham10000"].classes}
    return Expected(counts, groups=2, images=3, masks=True)


def kermany(root: Path) -> Expected:
    names = {
        "train/NORMAL": ["IM-0115-0001", "NORMAL2-IM-0815-0001", "NORMAL2-IM-0815-0001-0002"],
        "train/PNEUMONIA": ["person1_bacteria_1", "person1_bacteria_2", "person7_virus_15"],
        "val/NORMAL": ["NORMAL2-IM-1427-0001"],
        "val/PNEUMONIA": ["person1946_bacteria_4874"],
        "test/NORMAL": ["IM-0001-0001"],
        "test/PNEUMONIA": ["person1_virus_6", "BACTERIA-1008087-0001"],
    }
    for place, files in names.items():
        for seed, name in enumerate(files):
            write_image(root / "chest_xray" / place / f"{name}.jpeg", seed=seed)
    (root / "chest_xray" / "train" / ".DS_Store").write_bytes(b"junk")
    (root / "__MACOSX").mkdir()
    official = {"train": 6, "validation": 2, "test": 3}
    return Expected({"NORMAL": 5, "PNEUMONIA": 6}, groups=8, images=11, official=official)


def brain_tumor_mri(root: Path) -> Expected:
    classes = CATALOGUE["brain-tumor-mri"].classes
    for part, letter in (("Training", "Tr"), ("Testing", "Te")):
        for seed, name in enumerate(classes):
            write_image(root / part / name / f"{letter}-{name[:2]}_0010.jpg", seed=seed)
    return Expected(dict.fromkeys(classes, 2), groups=8, images=8, official={"train": 4, "test": 4})


def kvasir_seg(root: Path) -> Expected:
    boxes = {}
    for seed, name in enumerate(("cju0qkwl35piu0993l0dewei2", "cju0qoxqj9q6s0835b43399p4")):
        write_image(root / "Kvasir-SEG" / "images" / f"{name}.jpg", seed=seed, shape=(20, 30, 3))
        mask = np.zeros((20, 30), dtype=np.uint8)
        mask[4:12, 8:24] = 255
        (root / "Kvasir-SEG" / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "Kvasir-SEG" / "masks" / f"{name}.jpg"), mask)
        box = {"label": "polyp", "xmin": 8, "ymin": 4, "xmax": 24, "ymax": 12}
        boxes[name] = {"height": 20, "width": 30, "bbox": [box]}
    (root / "Kvasir-SEG" / "kavsir_bboxes.json").write_text(json.dumps(boxes))
    return Expected({"polyp": 2}, groups=2, images=2, masks=True, boxes=2)


SPACING, THICKNESS, SLICES = 0.8, 2.5, 9


def write_dicom(path: Path, values: np.ndarray, **facts: object) -> None:
    """Write an uncompressed DICOM image; values are stored as they are."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    uid = str(facts.pop("SOPInstanceUID", generate_uid()))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, uid
    file.Rows, file.Columns = values.shape[:2]
    file.SamplesPerPixel = 1 if values.ndim == 2 else 3
    file.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        file.PlanarConfiguration = 0
    bits = values.dtype.itemsize * 8
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(values.dtype.kind == "i")
    file.PixelData = values.tobytes()
    for name, value in facts.items():
        setattr(file, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path)


def circle(x: float, y: float, radius: float) -> list[tuple[int, int]]:
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)]).round().astype(int)
    return list(dict.fromkeys(map(tuple, points.tolist())))


def _roi(z: float, uid: str, points: list[tuple[int, int]], inclusion: bool = True) -> str:
    edges = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
    return (
        f"<roi><imageZposition>{z}</imageZposition><imageSOP_UID>{uid}</imageSOP_UID>"
        f"<inclusion>{str(inclusion).upper()}</inclusion>{edges}</roi>"
    )


def _nodule(name: str, malignancy: int, rois: list[str]) -> str:
    ratings = f"<characteristics><subtlety>5</subtlety><malignancy>{malignancy}</malignancy></characteristics>"
    return f"<unblindedReadNodule><noduleID>{name}</noduleID>{ratings}{''.join(rois)}</unblindedReadNodule>"


def write_lidc_case(root: Path, patient: str, ratings: dict[tuple[int, int], list[int]], *, hole: bool = False) -> None:
    """One CT series with round nodules; ``ratings`` maps each nodule's centre to one rating per radiologist."""
    series = f"1.3.6.1.4.1.14519.{int(patient[-4:])}"
    place = root / "LIDC-IDRI" / patient / "01-01-2000-CT-1" / "3000566-NA-1"
    uids = {z: f"{series}.{z}" for z in range(SLICES)}
    for z in range(SLICES):
        values = np.full((96, 96), -850, dtype=np.int16)
        for x, y in ratings:
            cv2.circle(values, (x, y), 6, 50, -1)
        position = [0.0, 0.0, THICKNESS * z - 100]
        facts = {"SeriesInstanceUID": series, "PatientID": patient, "Modality": "CT", "RescaleIntercept": -1024}
        write_dicom(
            place / f"{z + 1:06d}.dcm",
            values + 1024,
            SOPInstanceUID=uids[z],
            ImagePositionPatient=position,
            PixelSpacing=[SPACING, SPACING],
            RescaleSlope=1,
            **facts,
        )
    sessions = []
    for reader in range(max(len(rated) for rated in ratings.values())):
        nodules = []
        for number, ((x, y), rated) in enumerate(ratings.items()):
            if reader < len(rated):
                rois = [
                    _roi(THICKNESS * z - 100, uids[z], circle(x + 0.4 * reader, y, 7 + (z == 4))) for z in (3, 4, 5)
                ]
                rois += [_roi(THICKNESS * 4 - 100, uids[4], circle(x, y, 3), False)] if hole else []
                nodules.append(_nodule(f"N{number}", rated[reader], rois))
        small = _roi(-90.0, uids[4], [(20, 20)])
        nodules.append(f"<unblindedReadNodule><noduleID>small</noduleID>{small}</unblindedReadNodule>")
        sessions.append(f"<readingSession>{''.join(nodules)}</readingSession>")
    header = f"<ResponseHeader><SeriesInstanceUid>{series}</SeriesInstanceUid></ResponseHeader>"
    body = f'<?xml version="1.0"?><LidcReadMessage xmlns="http://www.nih.gov">{header}{"".join(sessions)}</LidcReadMessage>'
    (place / "069.xml").write_text(body)


def lidc(root: Path) -> Expected:
    write_lidc_case(root, "LIDC-IDRI-0001", {(30, 30): [5, 4, 5, 4], (70, 64): [1, 2]})
    write_lidc_case(root, "LIDC-IDRI-0002", {(50, 40): [3, 3, 3]})
    radiograph = root / "LIDC-IDRI" / "LIDC-IDRI-0001" / "01-01-2000-CXR" / "1-NA"
    write_dicom(radiograph / "000001.dcm", np.zeros((8, 8), dtype=np.uint16), SeriesInstanceUID="9.9", Modality="DX")
    (radiograph / "068.xml").write_text('<IdriReadMessage xmlns="http://www.nih.gov"/>')
    return Expected({"benign": 1, "malignant": 1}, groups=1, images=2, masks=True, skipped=1)


def medmnist(flag: str) -> Callable[[Path], Expected]:
    facts = FACTS[flag]

    def write(root: Path, size: int = 28) -> Expected:
        root.mkdir(parents=True, exist_ok=True)
        rng, arrays, k = np.random.default_rng(0), {}, len(facts.classes)
        for part, n in (("train", 2 * k), ("val", k), ("test", k)):
            shape = (n, size, size) if facts.channels == 1 else (n, size, size, 3)
            arrays[f"{part}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
            labels = np.arange(n)[:, None] % k
            arrays[f"{part}_labels"] = (
                np.eye(k, dtype=np.uint8)[labels[:, 0]] if facts.multi_label else labels.astype(np.uint8)
            )
        np.savez_compressed(root / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"), **arrays)
        official = {"train": 2 * k, "validation": k, "test": k}
        return Expected(dict.fromkeys(facts.classes, 4), groups=4 * k, images=4 * k, official=official)

    return write


LAYOUTS: dict[str, Callable[[Path], Expected]] = {
    "medical-mnist": medical_mnist,
    "kvasir-v2": kvasir_v2,
    "covid19-radiography": covid,
    "chestxray14": chestxray14,
    "brats": brats,
    "ham10000": ham10000,
    "lidc-idri": lidc,
    "chest-xray-pneumonia": kermany,
    "brain-tumor-mri": brain_tumor_mri,
    "kvasir-seg": kvasir_seg,
    **{f"medmnist-{flag}": medmnist(flag) for flag in FACTS},
}
