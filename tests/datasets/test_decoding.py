"""Odd image modes and DICOM come out right, and damage is an error with the path."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from medxai_helpers.cohorts.decoding import channels_of, decode_file, signature_problem, window
from tests.datasets import dataset_layouts as layouts

RAMP = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (16, 1))
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 40)], axis=2)


def saved(path: Path, image: Image.Image, **settings: object) -> Path:
    image.save(path, **settings)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm"])
def test_grey_is_exact(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(RAMP))
    np.testing.assert_array_equal(decode_file(path, 1), RAMP)
    np.testing.assert_array_equal(decode_file(path, 3), np.repeat(RAMP[..., None], 3, axis=2))
    assert channels_of(path) == 1


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_colour_is_rgb(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(COLOURS))
    np.testing.assert_array_equal(decode_file(path, 3), COLOURS)
    assert decode_file(path, 1).shape == RAMP.shape
    assert channels_of(path) == 3


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP > 127))
    assert set(np.unique(decode_file(path, 1))) == {0, 255}
    assert channels_of(path) == 1


@pytest.mark.parametrize(("highest", "shift"), [(255, 0), (4095, 4), (65535, 8)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_is_scaled_by_the_depth_in_use(tmp_path: Path, suffix: str, highest: int, shift: int) -> None:
    values = np.linspace(0, highest, 64).astype(np.uint16).reshape(8, 8)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), values)
    np.testing.assert_array_equal(decode_file(tmp_path / f"a{suffix}", 1), (values >> shift).astype(np.uint8))
    assert channels_of(tmp_path / f"a{suffix}") == 1


def test_floating_point_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(np.ones((4, 4), dtype=np.float32) / 2))
    with pytest.raises(ValueError, match=r"a\.tif .*no 16-bit"):
        decode_file(path, 1)


def test_transparency_lies_over_black(tmp_path: Path) -> None:
    alpha = np.zeros_like(RAMP)
    alpha[:8] = 255
    path = saved(tmp_path / "a.png", Image.fromarray(np.dstack([COLOURS, alpha])))
    image = decode_file(path, 3)
    np.testing.assert_array_equal(image[:8], COLOURS[:8])
    assert not image[8:].any()
    grey = saved(tmp_path / "b.png", Image.fromarray(np.dstack([RAMP, alpha])))
    np.testing.assert_array_equal(decode_file(grey, 1)[:8], RAMP[:8])
    assert not decode_file(grey, 1)[8:].any()
    assert (channels_of(path), channels_of(grey)) == (3, 1)


def test_palette_and_transparent_palette(tmp_path: Path) -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([200, 10, 20, 0, 250, 0])
    image.putpixel((0, 0), 1)
    plain = decode_file(saved(tmp_path / "a.png", image), 3)
    assert plain[0, 0].tolist() == [0, 250, 0]
    assert plain[1, 1].tolist() == [200, 10, 20]
    clear = decode_file(saved(tmp_path / "b.png", image, transparency=0), 3)
    assert clear[1, 1].tolist() == [0, 0, 0]


def test_cmyk_is_converted(tmp_path: Path) -> None:
    flat = Image.new("RGB", (16, 16), (250, 20, 30)).convert("CMYK")
    image = decode_file(saved(tmp_path / "a.jpg", flat, quality=98), 3)
    assert np.abs(image.astype(int) - [250, 20, 30]).max() < 12
    np.testing.assert_allclose(decode_file(saved(tmp_path / "a.tif", flat), 3)[0, 0], [250, 20, 30], atol=3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exif_rotation_is_applied(tmp_path: Path, suffix: str) -> None:
    picture = Image.fromarray(np.repeat(np.array([[0, 255]], dtype=np.uint8), 16, axis=0).repeat(16, axis=1)).convert(
        "RGB"
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    image = decode_file(saved(tmp_path / f"a{suffix}", picture, exif=exif), 3)
    assert image.shape == (32, 16, 3)
    assert image[:12].max() < 30
    assert image[-12:].min() > 225


def test_jpeg_agrees_with_pillow(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(COLOURS), quality=95)
    np.testing.assert_allclose(decode_file(path, 3).astype(int), np.asarray(Image.open(path)).astype(int), atol=3)


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP))
    np.testing.assert_array_equal(decode_file(path.rename(tmp_path / "a.jpg"), 1), RAMP)


def test_stacks_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(RAMP), Image.fromarray(RAMP[::-1])]
    with pytest.raises(ValueError, match=r"a\.tif .*2 frames"):
        decode_file(saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:]), 1)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".gif", ".dcm"])
def test_every_truncation_is_an_error_with_the_path(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)
    if suffix == ".dcm":
        layouts.write_dicom(path, noise)
    else:
        Image.fromarray(noise).save(path)
    data = path.read_bytes()
    decode_file(path, 1)
    for share in (0, 0.02, 0.2, 0.5, 0.9, 0.97):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ValueError, match=f"a{suffix}"):
            decode_file(path, 1)


def test_absent_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone"):
        decode_file(tmp_path / "gone.png", 1)
    with pytest.raises(ValueError, match="gone"):
        channels_of(tmp_path / "gone.png")
    (tmp_path / "a.png").write_text("hello")
    assert signature_problem(tmp_path / "a.png") == "does not begin like an image"
    assert "cannot be read" in str(signature_problem(tmp_path / "gone.png"))
    with pytest.raises(ValueError, match=r"header of .*a\.png"):
        channels_of(tmp_path / "a.png")


CT = np.linspace(0, 2000, 64).astype(np.int16).reshape(8, 8)


def test_dicom_rescale_and_window(tmp_path: Path) -> None:
    facts = {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": [40, 300], "WindowWidth": [400, 1500]}
    layouts.write_dicom(tmp_path / "a.dcm", CT, **facts)
    expected = np.clip(((2.0 * CT - 1024) - 39.5) / 399 + 0.5, 0, 1)
    np.testing.assert_array_equal(decode_file(tmp_path / "a.dcm", 1), np.rint(255 * expected).astype(np.uint8))
    assert channels_of(tmp_path / "a.dcm") == 1


def test_dicom_window_is_the_one_of_pydicom(tmp_path: Path) -> None:
    import pydicom
    from pydicom.pixels.processing import apply_voi_lut

    stored = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        facts = {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": function}
        layouts.write_dicom(tmp_path / "a.dcm", stored, **facts)
        file = pydicom.dcmread(tmp_path / "a.dcm")
        theirs = apply_voi_lut(file.pixel_array, file) / 65535 * 255
        np.testing.assert_allclose(decode_file(tmp_path / "a.dcm", 1).astype(float), theirs, atol=0.51)


def test_dicom_monochrome1_is_turned(tmp_path: Path) -> None:
    layouts.write_dicom(tmp_path / "a.dcm", CT)
    layouts.write_dicom(tmp_path / "b.dcm", CT, PhotometricInterpretation="MONOCHROME1")
    plain, turned = decode_file(tmp_path / "a.dcm", 1), decode_file(tmp_path / "b.dcm", 1)
    assert (plain.min(), plain.max()) == (0, 255)
    np.testing.assert_allclose(turned.astype(int), 255 - plain.astype(int), atol=1)


def test_dicom_colour_and_stacks(tmp_path: Path) -> None:
    layouts.write_dicom(tmp_path / "a.dcm", COLOURS)
    np.testing.assert_array_equal(decode_file(tmp_path / "a.dcm", 3), COLOURS)
    assert channels_of(tmp_path / "a.dcm") == 3
    layouts.write_dicom(tmp_path / "b.dcm", np.zeros((8, 8), dtype=np.uint8), NumberOfFrames=2)
    with pytest.raises(ValueError, match=r"b\.dcm .*2 frames"):
        decode_file(tmp_path / "b.dcm", 1)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "examples_ybr_color.dcm"])
def test_real_dicom_of_pydicom(name: str) -> None:
    from pydicom.data import get_testdata_file

    place = get_testdata_file(name, download=False)
    if place is None:
        pytest.skip(f"{name} is not in this pydicom")
    path = Path(str(place))
    if name == "examples_ybr_color.dcm":
        with pytest.raises(ValueError, match="30 frames"):
            decode_file(path, 3)
        return
    image = decode_file(path, channels_of(path))
    assert image.std() > 20


@pytest.mark.parametrize(("width", "function"), [(0, "LINEAR"), (0.5, "LINEAR"), (-3, "SIGMOID")])
def test_window_refuses_what_is_no_window(width: float, function: str) -> None:
    with pytest.raises(ValueError, match="window at least 1 wide"):
        window(np.zeros(3), 0, width, function)
