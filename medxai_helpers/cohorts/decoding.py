"""From the bytes of an image file to uint8 pixels: the only place where files are decoded.

The common case, 8-bit JPEG and PNG, goes through OpenCV; every odd mode goes through Pillow and DICOM through pydicom.
What comes out is always grey (H, W) or RGB (H, W, 3), upright and uint8:

- 1-bit images become 0 and 255; palettes are resolved; CMYK is converted to RGB; EXIF rotation is applied.
- Transparency is laid over black, the background of radiographs and endoscopes.
- 16-bit images are scaled by the depth that their content uses: nothing above 255 stays as it is (8 bit), nothing above
  4095 is read as 12 bit, the rest as 16 bit.
- DICOM: modality rescale, then the file's own window or look-up table (without one: smallest to largest value), then
  MONOCHROME1 is turned so that more signal is brighter.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image
    from pydicom.dataset import Dataset

Pixels = NDArray[np.uint8]
Channels = Literal[1, 3]
IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".tif", ".tiff")
OWN_SUFFIXES = (*IMAGE_SUFFIXES, ".webp", ".gif", ".pgm", ".ppm", ".dcm", ".dicom")
JPEG, PNG, DICOM = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"DICM"
SIGNATURES = (JPEG, PNG, b"BM", b"II*\x00", b"MM\x00*", b"GIF8", b"RIFF", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
DICOM_OFFSET = 128
LONGEST_HEADER = 16_384
PNG_COMPONENTS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
"""Colour components by the colour type in a PNG header, without transparency; palettes count as colour."""

GREY_MODES = ("1", "L", "LA", "La", "I", "F")
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decode_file(path: Path, channels: Channels) -> Pixels:
    """Decode an image file of any supported kind. Introduced in chapter 01.

    Parameters
    ----------
    path : Path
        JPEG, PNG, BMP, TIFF, WebP, GIF, PGM or DICOM; told apart by content, not by suffix.
    channels : {1, 3}
        Return grey (H, W) or RGB (H, W, 3), uint8.

    Raises
    ------
    ValueError
        If the file is empty, truncated, no image, or has more than one frame; the message names the file.
    ImportError
        If the file is DICOM and pydicom is not installed; the message names the extra.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"Expected a readable image file, but {path} is not ({error}). Check the path and its permissions."
        ) from error
    try:
        return decode_bytes(data, channels)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise ValueError(
            f"Expected an image that decodes, but {path} ({len(data):,} bytes) does not: {error or repr(error)}. "
            "Delete the file and fetch the data set again."
        ) from error


def decode_bytes(data: bytes, channels: Channels) -> Pixels:
    """Decode the content of an image file: uint8, (H, W) or (H, W, 3). Introduced in chapter 01.

    Raises
    ------
    ValueError, OSError
        If the bytes are no complete image.
    """
    if not data:
        raise ValueError("the file is empty")
    if data[DICOM_OFFSET : DICOM_OFFSET + 4] == DICOM:
        return _fit_channels(_dicom_pixels(data), channels)
    if _is_plain_jpeg(data) or _is_plain_png(data):
        return _decode_plain(data, channels)
    return _decode_with_pillow(data, channels)


def signature_problem(path: Path) -> str | None:
    """Return why a file cannot be an image, from its first bytes alone, or ``None``. Introduced in chapter 01."""
    try:
        with path.open("rb") as file:
            head = file.read(DICOM_OFFSET + 4)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head:
        return "is empty (0 bytes)"
    known = head.startswith(SIGNATURES) or head[DICOM_OFFSET:] == DICOM
    return None if known else "does not begin like an image"


def channels_of(path: Path) -> Channels:
    """Return 1 if the file holds a grey image and 3 if it holds colour, from its header. Introduced in chapter 01.

    Raises
    ------
    ValueError
        If the header is damaged; the message names the file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(LONGEST_HEADER)
        components = _plain_components(head)
        if components:
            return 1 if components == 1 else 3
        if head[DICOM_OFFSET : DICOM_OFFSET + 4] == DICOM:
            facts = import_pydicom().dcmread(path, stop_before_pixels=True, specific_tags=["PhotometricInterpretation"])
            return 1 if str(facts.get("PhotometricInterpretation", "")).startswith("MONOCHROME") else 3
        from PIL import Image

        with Image.open(path) as image:
            return 1 if image.mode in GREY_MODES or image.mode.startswith("I;16") else 3
    except ImportError:
        raise
    except Exception as error:  # as above: header parsers raise almost anything
        raise ValueError(
            f"Expected an image file, but the header of {path} cannot be read: {error or repr(error)}. Remove the file."
        ) from error


def _plain_components(head: bytes) -> int:
    """Return the colour components of a JPEG or PNG whose header lies in these bytes, 0 where that is not so."""
    if head.startswith(JPEG):
        return _jpeg_components(head)
    return PNG_COMPONENTS.get(head[25], 0) if head.startswith(PNG) and len(head) > 32 else 0


def _is_plain_jpeg(data: bytes) -> bool:
    """Grey or three-colour JPEG that ends as it should; anything else is left to Pillow, which knows truncation."""
    ends = data[-64:].rstrip(b"\x00").endswith(b"\xff\xd9")
    return data.startswith(JPEG) and ends and _jpeg_components(data) in (1, 3)


def _jpeg_components(data: bytes) -> int:
    """Walk the segments to the frame header (ITU-T T.81, B.2.2) and return its number of components, 0 if none."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        if data[place + 1] in FRAME_MARKERS:
            return data[place + 9]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0


def _is_plain_png(data: bytes) -> bool:
    """8-bit grey or RGB PNG without transparency that ends with its IEND chunk."""
    plain = data.startswith(PNG) and len(data) > 32 and data[24] == 8 and data[25] in (0, 2)
    return plain and b"IEND" in data[-12:] and b"tRNS" not in data[:1024]


def _decode_plain(data: bytes, channels: Channels) -> Pixels:
    import cv2

    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag)
    return _decode_with_pillow(data, channels) if image is None else np.asarray(image, dtype=np.uint8)


def _decode_with_pillow(data: bytes, channels: Channels) -> Pixels:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as opened:
        frames = getattr(opened, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"it holds {frames} frames, not one image: save each as a file of its own")
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return _fit_channels(_from_deep(np.asarray(image)), channels)
        wanted = image if image.mode in ("1", "L", "RGB", "CMYK", "YCbCr") else _over_black(image)
        return np.asarray(wanted.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)


def _over_black(image: Image.Image) -> Image.Image:
    from PIL import Image

    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert("RGB")


def _from_deep(values: NDArray[Any]) -> Pixels:
    """Scale whole numbers of up to 16 bits by the depth that they use: 8, 12 or 16 bit."""
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65_535 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"its values ({values.dtype}, {low:g} to {high:g}) are no 16-bit grey levels")
    shift = 0 if high <= 255 else 4 if high <= 4095 else 8
    return (values.astype(np.uint16) >> shift).astype(np.uint8)


def _fit_channels(image: Pixels, channels: Channels) -> Pixels:
    if image.ndim == 2:
        return image if channels == 1 else np.repeat(image[..., None], 3, axis=2)
    if channels == 3:
        return image
    import cv2

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def import_pydicom() -> Any:
    """Return pydicom; if it is not installed, the ImportError names the extra."""
    try:
        import pydicom
    except ImportError as error:
        raise ImportError("Reading DICOM needs pydicom: pip install 'medxai-helpers[formats]'.") from error
    return pydicom


def _dicom_pixels(data: bytes) -> Pixels:
    file = import_pydicom().dcmread(io.BytesIO(data))
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    frames = int(file.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ValueError(f"it holds {frames} frames, not one image: save each as a file of its own")
    stored = pixel_array(file)
    kind = str(file.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        return _unit_to_bytes(
            apply_color_lut(stored, file) / (2.0 ** int(file.RedPaletteColorLookupTableDescriptor[2]) - 1)
        )
    if stored.ndim == 3:
        return _unit_to_bytes(stored / (2.0 ** int(file.BitsStored) - 1))
    shown = _windowed(stored, file)
    return _unit_to_bytes(1 - shown if kind == "MONOCHROME1" else shown)


def _windowed(stored: NDArray[Any], file: Dataset) -> NDArray[np.float64]:
    """Rescale and window to [0, 1], as DICOM PS3.3 C.11.1 and C.11.2 say."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    values = apply_modality_lut(stored, file)
    if file.get("VOILUTSequence"):
        bits = int(file.VOILUTSequence[0].LUTDescriptor[2])
        return np.asarray(apply_voi(values, file) / (2.0**bits - 1), dtype=np.float64)
    if file.get("WindowWidth") is None or file.get("WindowCenter") is None:
        return _stretched(np.asarray(values, dtype=np.float64))
    centre, width = _first(file.WindowCenter), _first(file.WindowWidth)
    return window(values, centre, width, str(file.get("VOILUTFunction") or "LINEAR"))


def window(values: NDArray[Any], centre: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Map values to [0, 1] through a display window. Introduced in chapter 14.

    Parameters
    ----------
    values : array
        Rescaled values, for CT in Hounsfield units; any shape.
    centre, width : float
        Of the window, in the same units.
    function : {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        How the window is meant.

    Raises
    ------
    ValueError
        If the width is too small for the function.

    Source: DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3.

    Examples
    --------
    >>> window(np.array([-1400.0, -600.0, 200.0]), -600, 1500, "LINEAR_EXACT").round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    if width < 1 or (width == 1 and function == "SIGMOID"):
        raise ValueError(f"Expected a window at least 1 wide, but got {width:g}. Check WindowWidth.")
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * (np.asarray(values, dtype=np.float64) - centre) / width)))
    if function == "LINEAR_EXACT":
        return np.clip((np.asarray(values, dtype=np.float64) - centre) / width + 0.5, 0, 1)
    return np.clip((np.asarray(values, dtype=np.float64) - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5, 0, 1)


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _first(value: Any) -> float:
    """Return the first of several windows: the one a viewer shows."""
    return float(value[0]) if hasattr(value, "__len__") and not isinstance(value, str) else float(value)


def _unit_to_bytes(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(255 * np.clip(values, 0, 1)), dtype=np.uint8)
