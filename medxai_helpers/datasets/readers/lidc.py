"""Reader of LIDC-IDRI: CT nodules as patches, labelled by the radiologists' mean rating of malignancy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, fromstring

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import ArrayPixels, Cohort
from medxai_helpers.cohorts.decoding import Pixels, import_pydicom, window
from medxai_helpers.cohorts.sources import fingerprint_files
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals

if TYPE_CHECKING:
    import pandas as pd

PATCH_PIXELS = 64
PATCH_MM = 48.0
LUNG_WINDOW = (-600.0, 1500.0)
"""Centre and width in Hounsfield units."""

INDETERMINATE = 3.0
SLICE_GAP_MM = 2.5
"""How far below and above a patch its two neighbours lie, where they are asked for."""

SAME_NODULE_MM = 4.0
"""Readings whose centres are at least this near are one nodule, however small it was drawn."""

READERS = 4
"""Radiologists who read each scan."""

HIDDEN = ("mask", "centre", "spacing", "series", "number")
"""What is known of a nodule and does not belong into the table."""

LARGEST_SLICE = 4096
"""No CT slice has more rows or columns."""

MOST_XML_BYTES = 50_000_000
TAGS = ["SOPInstanceUID", "SeriesInstanceUID", "PatientID", "Modality", "ImagePositionPatient", "PixelSpacing"]


@dataclass(frozen=True)
class Reading:
    """One radiologist's outline of one nodule.

    Parameters
    ----------
    session : int
        Which radiologist.
    malignancy : int
        1 (highly unlikely) to 5 (highly suspicious).
    outlines : tuple of (z, uid, inclusion, points)
        One closed outline each: z in mm, the slice's UID, whether it adds or cuts out, points int32 (k, 2) as x, y in
        pixels.
    """

    session: int
    malignancy: int
    outlines: tuple[tuple[float, str, bool, NDArray[np.int32]], ...]

    def centre(self, spacing: float) -> NDArray[np.float64]:
        """Mean of the outlines' points in mm: x, y, z."""
        points = [np.column_stack([spacing * xy, np.full(len(xy), z)]) for z, _, _, xy in self.outlines]
        return np.asarray(np.concatenate(points).mean(axis=0), dtype=np.float64)

    def diameter(self, spacing: float) -> float:
        """Largest extent in a slice in mm."""
        return float(max(np.ptp(xy, axis=0).max() for _, _, _, xy in self.outlines) * spacing)


@dataclass(frozen=True)
class Series:
    """The slices of one CT series: path, z in mm and UID of each, and the pixel spacing in mm."""

    patient: str
    uid: str
    spacing: float
    paths: tuple[str, ...]
    uids: tuple[str, ...]
    z: NDArray[np.float64]

    def neighbours(self, number: int, slices: int) -> tuple[str, ...]:
        """Return the paths of a slice (one), or of it between the slices nearest to 2.5 mm below and above (three)."""
        heights = (self.z[number] + SLICE_GAP_MM * step for step in range(-(slices // 2), slices // 2 + 1))
        nearest = [number if z == self.z[number] else int(np.abs(self.z - z).argmin()) for z in heights]
        return tuple(self.paths[one] for one in nearest)

    def slice_of(self, z: float, uid: str) -> int | None:
        """Return the number of the slice with this UID, else the one within half a millimetre of ``z``."""
        if uid in self.uids:
            return self.uids.index(uid)
        nearest = int(np.abs(self.z - z).argmin())
        return nearest if abs(self.z[nearest] - z) <= 0.5 else None


@dataclass(frozen=True)
class CtPatches:
    """Square patches of CT slices in a Hounsfield window, read when asked for.

    Parameters
    ----------
    root : Path
        The folder that the paths start from.
    paths : tuple of tuple of str
        One DICOM slice per row, or three that become its channels.
    centres : array
        Column and row of each patch's centre in pixels, float64, (n, 2).
    sides : array
        Side of each patch in pixels of its slice, float64, (n,); shown at ``size`` x ``size``.
    size : int
        Side of the result in pixels.
    centre, width : float
        Window in Hounsfield units.
    """

    root: Path
    paths: tuple[tuple[str, ...], ...]
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]
    size: int
    centre: float
    width: float

    def read(self, row: int) -> Pixels:
        """Return patch ``row``: uint8, (size, size) or (size, size, 3); beyond the slice's edge lies air."""
        slices = [self._slice(path, row) for path in self.paths[row]]
        return slices[0] if len(slices) == 1 else np.stack(slices, axis=-1)

    def _slice(self, path: str, row: int) -> Pixels:
        values = _hounsfield(self.root / path)
        shown = np.rint(255 * window(values, self.centre, self.width, "LINEAR_EXACT")).astype(np.uint8)
        return _crop(shown, self.centres[row], float(self.sides[row]), self.size)

    def take(self, rows: NDArray[np.int64]) -> CtPatches:
        """Return the pixels of the named rows."""
        paths = tuple(self.paths[row] for row in rows)
        return replace(self, paths=paths, centres=self.centres[rows], sides=self.sides[rows])

    def fingerprint(self) -> str:
        """SHA-256 over the slices' names, sizes and times, and the settings."""
        settings = repr((self.size, self.centre, self.width)).encode() + self.centres.tobytes() + self.sides.tobytes()
        files = tuple(path for paths in self.paths for path in paths)
        return hashlib.sha256(fingerprint_files(self.root, files).encode() + settings).hexdigest()


def read_lidc(
    folder: Path,
    card: DatasetCard,
    *,
    on_error: OnError = "raise",
    min_readers: int = 1,
    patch_mm: float = PATCH_MM,
    size: int = PATCH_PIXELS,
    slices: int = 1,
) -> Cohort:
    """Read ``LIDC-IDRI-NNNN/STUDY/SERIES/*.dcm`` and the XML outlines as nodule patches. Introduced in chapter 14.

    Nodules of 3 mm and more only: smaller ones carry no rating. The outlines of one nodule by up to four radiologists
    are brought together by the distance of their centres; the mean of their malignancy ratings below 3 is the card's
    first class, above 3 its second, exactly 3 is listed in ``Cohort.skipped``. The patch is cut from the slice with the
    largest outline; the mask is what at least half of its radiologists outlined there. ``group`` is the patient,
    ``rating`` the mean rating, ``rating_1`` to ``rating_4`` what each radiologist gave (NaN for one who gave none).

    Parameters
    ----------
    folder : Path
        The folder with the patients. The XML may lie beside the DICOM files or anywhere below (``LIDC-XML-only``).
    card : DatasetCard
        The set.
    on_error : {"raise", "skip"}
        What to do with damaged files and series without slices.
    min_readers : int
        Fewest radiologists who outlined a nodule.
    patch_mm : float
        Side of a patch in mm.
    size : int
        Side of a patch in pixels.
    slices : {1, 3}
        3 gives the patch between the slices nearest to 2.5 mm below and above, as three channels.

    Raises
    ------
    ValueError
        If a setting is out of range, no annotated series is found, or a file is damaged.

    Source: Armato et al., Med Phys 38:915 (10.1118/1.3528204); file layout and XML of
    https://www.cancerimagingarchive.net/collection/lidc-idri/: an outline runs just outside the nodule,
    ``inclusion`` FALSE cuts a hole; the mean rating follows ``pylidc`` and its users.
    """
    import pandas as pd

    if min_readers < 1 or patch_mm <= 0 or size < 1 or slices not in (1, 3):
        raise ValueError(
            f"Expected positive settings and 1 or 3 slices, but got {min_readers=}, {patch_mm=}, {size=}, {slices=}."
        )
    card = replace(card, channels=3 if slices == 3 else 1)
    refusals = Refusals(on_error)
    if not folder.is_dir():
        raise ValueError(f"Expected a folder with patients, but {folder} is none. {card.how_to_get}")
    folders, documents = _walk(folder)
    readings = _all_readings(documents, refusals)
    annotated = (_series(folder, place, paths, readings, refusals) for place, paths in folders.items())
    found = [series for series in annotated if series]
    nodules = [nodule for series in found for nodule in _nodules(series, readings[series.uid], folder, refusals)]
    rows = [nodule for nodule in nodules if _is_rated(nodule, min_readers, refusals)]
    table = _table(rows, card)
    sides = np.array([patch_mm / row["spacing"] for row in rows])
    centres = np.array([row["centre"] for row in rows]).reshape(-1, 2)
    paths = tuple(row["series"].neighbours(row["number"], slices) for row in rows)
    masks = [_crop(row["mask"], row["centre"], side, size) for row, side in zip(rows, sides, strict=True)]
    absent = [name for name in readings if name not in {series.uid for series in found}]
    return scanning.finish(
        card,
        table if len(table) else pd.DataFrame(columns=["image_id", "label", "group", "path"]),
        CtPatches(folder, paths, centres, sides, size, *LUNG_WINDOW),
        refusals,
        folder=folder,
        origin=f"real nodules, {len(found)} series, {patch_mm:g} mm patches",
        masks=ArrayPixels(np.array(masks, dtype=np.uint8).reshape(-1, size, size)),
        missing=[f"slices of {len(absent)} annotated series, for example {scanning.some(absent)}"] if absent else [],
    )


def _walk(folder: Path) -> tuple[dict[str, list[str]], list[Path]]:
    """Return the DICOM slices by folder and all XML files, sorted."""
    slices: dict[str, list[str]] = {}
    documents: list[Path] = []
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        visible = sorted(name for name in names if not name.startswith("."))
        documents += [Path(place) / name for name in visible if name.lower().endswith(".xml")]
        dicom = [name for name in visible if name.lower().endswith(".dcm")]
        if dicom:
            relative = Path(place).relative_to(folder).as_posix()
            slices[relative] = [f"{relative}/{name}" if relative != "." else name for name in dicom]
    return slices, documents


def _all_readings(documents: list[Path], refusals: Refusals) -> dict[str, list[Reading]]:
    """Return the readings of every CT series, by its UID; radiograph documents are none and are passed over."""
    readings: dict[str, list[Reading]] = {}
    for path in documents:
        try:
            root = parse_xml(path)
            if _local(root) == "LidcReadMessage":
                readings.setdefault(_text(root, "ResponseHeader/SeriesInstanceUid"), []).extend(_readings(root))
        except (ValueError, OSError, SyntaxError) as error:
            refusals.refuse(path, f"cannot be read: {error}", expected="an XML file of outlines")
    return readings


def parse_xml(path: Path) -> Element:
    """Parse a small XML file, refusing document types: no entity can expand and nothing outside can be named.

    Introduced in chapter 14.

    Raises
    ------
    ValueError
        If the file is too large, declares a document type, or is no well-formed XML.
    """
    if path.stat().st_size > MOST_XML_BYTES:
        raise ValueError(f"it has more than {MOST_XML_BYTES:,} bytes")
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\x00" in data:
        raise ValueError("it declares a document type or entities, which no annotation file needs")
    return fromstring(data)  # noqa: S314 - documents that could harm are refused above


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child) == name)


def _text(element: Element, path: str) -> str:
    """Return the text at a path of local names, whatever the namespace."""
    for name in path.split("/"):
        inner = next(_children(element, name), None)
        if inner is None:
            raise ValueError(f"it has no element {path!r}")
        element = inner
    return (element.text or "").strip()


def _readings(root: Element) -> list[Reading]:
    """Return the rated nodules of all reading sessions."""
    return [
        Reading(number, int(_text(nodule, "characteristics/malignancy")), _outlines(nodule))
        for number, session in enumerate(_children(root, "readingSession"))
        for nodule in _children(session, "unblindedReadNodule")
        if _is_large(nodule)
    ]


def _is_large(nodule: Element) -> bool:
    """Nodules below 3 mm have a single point and no ratings."""
    rated = next(_children(nodule, "characteristics"), None)
    return rated is not None and next(_children(rated, "malignancy"), None) is not None and len(_outlines(nodule)) > 0


def _outlines(nodule: Element) -> tuple[tuple[float, str, bool, NDArray[np.int32]], ...]:
    outlines = []
    for roi in _children(nodule, "roi"):
        edges = _children(roi, "edgeMap")
        points = np.array([(int(_text(e, "xCoord")), int(_text(e, "yCoord"))) for e in edges], dtype=np.int64)
        uid = next((child.text or "" for child in _children(roi, "imageSOP_UID")), "").strip()
        if len(points) and not (points.min() >= 0 and points.max() < LARGEST_SLICE):
            raise ValueError(f"an outline leaves the slice: x, y from {points.min()} to {points.max()}")
        if len(points) > 1:
            inclusion = _text(roi, "inclusion").upper() == "TRUE"
            outlines.append((float(_text(roi, "imageZposition")), uid, inclusion, points.astype(np.int32)))
    return tuple(outlines)


def _series(
    root: Path, place: str, paths: list[str], readings: dict[str, list[Reading]], refusals: Refusals
) -> Series | None:
    """Read the headers of a folder of slices, if its series was annotated."""
    first = _header(root / paths[0], refusals)
    if first is None or str(first.get("SeriesInstanceUID", "")) not in readings:
        return None
    headers = {path: header for path in paths if (header := _header(root / path, refusals)) is not None}
    whole = {path: h for path, h in headers.items() if h.get("ImagePositionPatient") and h.get("PixelSpacing")}
    if not whole:
        refusals.refuse(root / place, "has no slice with position and spacing", expected="a CT series")
        return None
    return Series(
        patient=str(first.get("PatientID") or place.split("/")[0]),
        uid=str(first.SeriesInstanceUID),
        spacing=float(next(iter(whole.values())).PixelSpacing[0]),
        paths=tuple(whole),
        uids=tuple(str(header.get("SOPInstanceUID", "")) for header in whole.values()),
        z=np.array([float(header.ImagePositionPatient[2]) for header in whole.values()]),
    )


def _header(path: Path, refusals: Refusals) -> Any:
    try:
        return import_pydicom().dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
    except ImportError:
        raise
    except Exception as error:  # damaged DICOM raises almost anything
        refusals.refuse(path, f"cannot be read: {error or repr(error)}", expected="a DICOM slice")
        return None


def _hounsfield(path: Path) -> NDArray[np.float64]:
    try:
        file = import_pydicom().dcmread(path)
        slope, intercept = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
        return np.asarray(file.pixel_array, dtype=np.float64) * slope + intercept
    except ImportError:
        raise
    except Exception as error:  # as above
        raise ValueError(
            f"Expected a complete DICOM slice, but {path} is damaged ({error or repr(error)}). Fetch it again."
        ) from error


def group_readings(readings: list[Reading], spacing: float) -> list[list[Reading]]:
    """Bring the readings of one nodule together. Introduced in chapter 14.

    A reading joins the nearest group whose centre lies within half the larger diameter (at least 4 mm) and in which its
    radiologist has no reading yet.

    Parameters
    ----------
    readings : list of Reading
        All of one series.
    spacing : float
        Pixel spacing in mm.
    """
    groups: list[list[Reading]] = []
    for reading in sorted(readings, key=lambda r: -r.diameter(spacing)):
        gaps = [_gap(reading, group, spacing) for group in groups]
        if gaps and min(gaps) < np.inf:
            groups[int(np.argmin(gaps))].append(reading)
        else:
            groups.append([reading])
    return groups


def _gap(reading: Reading, group: list[Reading], spacing: float) -> float:
    """Distance of a reading from a group in mm, infinite if it cannot belong."""
    centre = np.mean([other.centre(spacing) for other in group], axis=0)
    distance = float(np.linalg.norm(reading.centre(spacing) - centre))
    reach = max(SAME_NODULE_MM, *(other.diameter(spacing) / 2 for other in (reading, *group)))
    taken = any(other.session == reading.session for other in group)
    return float("inf") if taken or distance > reach else distance


def _nodules(series: Series, readings: list[Reading], root: Path, refusals: Refusals) -> Iterator[dict[str, Any]]:
    """Describe each nodule of a series: central slice, centre, mask, ratings."""
    groups = group_readings(readings, series.spacing)
    order = sorted(groups, key=lambda group: tuple(group[0].centre(series.spacing)[::-1]))
    for number, group in enumerate(order):
        name = f"{series.patient}/{series.uid[-8:]}/nodule-{number:02d}"
        masks = _masks(series, group)
        if not masks:
            refusals.refuse(root / name, "lies on slices that are not here", expected="every outlined slice")
            continue
        central = max(masks, key=lambda number: int(masks[number].sum()))
        votes = masks[central]
        mask = votes >= max(1, (len(group) + 1) // 2)
        mask = mask if mask.any() else votes > 0
        rows, columns = np.nonzero(mask)
        ratings = {reading.session + 1: float(reading.malignancy) for reading in group}
        yield {
            "image_id": name,
            "group": series.patient,
            "path": series.paths[central],
            "rating": float(np.mean([reading.malignancy for reading in group])),
            **{f"rating_{number}": ratings.get(number, np.nan) for number in range(1, READERS + 1)},
            "readers": len(group),
            "diameter_mm": round(float(np.mean([reading.diameter(series.spacing) for reading in group])), 2),
            "spacing": series.spacing,
            "centre": np.array([columns.mean(), rows.mean()]),
            "mask": 255 * mask.astype(np.uint8),
            "series": series,
            "number": central,
        }


def _masks(series: Series, group: list[Reading]) -> dict[int, NDArray[np.uint8]]:
    """Votes per pixel on every slice that the group outlined: slice number to uint8 (H, W)."""
    size = 1 + max(int(xy.max()) for reading in group for _, _, _, xy in reading.outlines)
    side = max(512, size + 1)
    votes: dict[int, NDArray[np.uint8]] = {}
    for reading in group:
        for number, filled in _filled(series, reading, side).items():
            votes[number] = votes.get(number, np.zeros((side, side), dtype=np.uint8)) + filled
    return votes


def _filled(series: Series, reading: Reading, side: int) -> dict[int, NDArray[np.uint8]]:
    """Fill one reading's outlines: 1 inside; holes are cut last."""
    filled: dict[int, NDArray[np.uint8]] = {}
    for z, uid, inclusion, points in sorted(reading.outlines, key=lambda outline: not outline[2]):
        number = series.slice_of(z, uid)
        if number is not None:
            canvas = filled.setdefault(number, np.zeros((side, side), dtype=np.uint8))
            inside = _inside(points, side)
            canvas[inside] = inclusion
    return filled


def _inside(points: NDArray[np.int32], side: int) -> NDArray[np.bool_]:
    """Fill an outline without its line, which runs just outside the nodule; a nodule of one line keeps it."""
    import cv2

    area = np.zeros((side, side), dtype=np.uint8)
    cv2.fillPoly(area, [points], 1)
    line = np.zeros_like(area)
    cv2.polylines(line, [points], True, 1)
    inner = np.asarray((area == 1) & (line == 0), dtype=np.bool_)
    return inner if inner.any() else np.asarray(area == 1, dtype=np.bool_)


def _is_rated(nodule: dict[str, Any], min_readers: int, refusals: Refusals) -> bool:
    if nodule["rating"] == INDETERMINATE:
        refusals.exclude(nodule["image_id"], "has a mean malignancy of exactly 3: neither benign nor malignant")
    elif nodule["readers"] < min_readers:
        refusals.exclude(
            nodule["image_id"], f"was outlined by {nodule['readers']} of at least {min_readers} radiologists"
        )
    else:
        return True
    return False


def _table(rows: list[dict[str, Any]], card: DatasetCard) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame([{key: row[key] for key in row if key not in HIDDEN} for row in rows])
    if len(table):
        table["label"] = np.where(table["rating"] > INDETERMINATE, card.classes[1], card.classes[0])
    return table


def _crop(image: Pixels, centre: NDArray[np.float64], side: float, size: int) -> Pixels:
    """Cut a square around a centre (x, y) and bring it to ``size`` pixels; beyond the edge lies 0."""
    import cv2

    scale = (size - 1) / max(side - 1, 1)
    shift = [(size - 1) / 2 - scale * centre[0], (size - 1) / 2 - scale * centre[1]]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR), dtype=np.uint8)
