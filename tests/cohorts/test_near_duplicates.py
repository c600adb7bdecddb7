"""Near duplicates: what is found, what is not, and that the hash is the one everybody uses."""

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from medxai_helpers.cohorts import near_duplicates as nd

CHANGES = {
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "one and a half times the size": lambda image: cv2.resize(
        image, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC
    ),
    "another shape": lambda image: cv2.resize(image, (120, 64), interpolation=cv2.INTER_AREA),
    "JPEG of quality 50": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 0),
    "brighter": lambda image: np.clip(image * 0.8 + 45.0, 0, 255).astype(np.uint8),
    "more contrast": lambda image: np.clip((image - 128.0) * 1.2 + 128, 0, 255).astype(np.uint8),
    "noise": lambda image: np.clip(image + np.random.default_rng(1).normal(0, 6, image.shape), 0, 255).astype(np.uint8),
    "4 % cropped": lambda image: image[2:-2, 2:-2],
    "a border of one pixel gone": lambda image: image[1:, 1:],
    "in colour": lambda image: np.repeat(image[..., None], 3, axis=2),
}


def prints_of(draw, images):
    return nd.fingerprint_images(draw.cohort(list(images)))


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(draw, images, change):
    copies = [CHANGES[change](image) for image in images[:20]]
    found = nd.near_duplicates(prints_of(draw, [*images, *copies]))
    expected = {(row, 60 + row) for row in range(20)}
    pairs = set(zip(found["first"], found["second"], strict=True))
    assert pairs <= expected
    assert len(pairs) >= 19
    assert (found["correlation"] >= nd.LEAST_CORRELATION).all()
    assert (found["bits"] <= nd.HASH_BITS).all()


def test_different_images_are_no_pairs_even_in_the_same_pose(draw):
    pose = draw.images(1, seed=5)[0].astype(float)
    details = draw.images(80, seed=6) - 128.0
    patients = np.clip(pose + 0.6 * details, 0, 255).astype(np.uint8)
    assert len(nd.near_duplicates(prints_of(draw, patients))) == 0


def test_the_hash_alone_would_take_them_for_copies(draw):
    pose = draw.images(1, seed=5)[0].astype(float)
    alike = np.clip(pose + 0.25 * (draw.images(80, seed=6) - 128.0), 0, 255).astype(np.uint8)
    prints = prints_of(draw, alike)
    bits = np.bitwise_count(prints.hashes[:, None] ^ prints.hashes)[np.triu_indices(80, 1)]
    assert (bits <= nd.HASH_BITS).sum() > 100
    assert len(nd.near_duplicates(prints)) < 20


def test_mirrored_copies_are_found_when_asked_for(draw, images):
    prints = prints_of(draw, [*images, *images[:5, :, ::-1]])
    assert len(nd.near_duplicates(prints)) == 0
    found = nd.near_duplicates(prints, flips=True)
    assert sorted(zip(found["first"], found["second"], strict=True)) == [(row, 60 + row) for row in range(5)]
    assert found["flipped"].all()


def test_exact_copies_are_paired_with_the_first_and_are_no_near_duplicates(draw, images):
    prints = prints_of(draw, [*images[:3], images[1], images[1], images[0]])
    found = nd.exact_copies(prints)
    assert list(zip(found["first"], found["second"], strict=True)) == [(1, 3), (1, 4), (0, 5)]
    assert len(nd.near_duplicates(prints)) == 0


def test_the_same_bytes_in_another_shape_are_no_copy(draw):
    ramp = np.arange(4096, dtype=np.uint8)
    assert len(nd.exact_copies(prints_of(draw, [ramp.reshape(64, 64), ramp.reshape(32, 128)]))) == 0


def test_blank_images_are_exact_copies_or_nothing(draw):
    blank = [np.full((64, 64), level, np.uint8) for level in (0, 0, 1, 200)]
    prints = prints_of(draw, blank)
    assert len(nd.exact_copies(prints)) == 1
    assert len(nd.near_duplicates(prints)) == 0


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_make_no_pairs(draw, images, count):
    prints = nd.Fingerprints(np.array(["x"] * count, dtype="<U32"), np.zeros((count, 32, 32), np.uint8))
    assert list(nd.near_duplicates(prints).columns) == ["first", "second", "bits", "correlation", "flipped"]
    assert len(nd.exact_copies(prints)) == 0


def test_the_hash_has_the_bits_of_imagehash_on_the_same_thumbnail(images):
    thumbnails = np.stack([nd.thumbnail(image) for image in images])
    expected = [imagehash.phash(Image.fromarray(image)).hash.ravel() for image in thumbnails]
    found = (nd.perceptual_hash(thumbnails)[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    np.testing.assert_array_equal(found.astype(bool), np.stack(expected))


def test_the_hash_nearly_agrees_with_imagehash_on_whole_images(images):
    expected = np.stack([imagehash.phash(Image.fromarray(image)).hash.ravel() for image in images])
    hashes = nd.perceptual_hash(np.stack([nd.thumbnail(image) for image in images]))
    found = ((hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).astype(bool)
    assert (found != expected).sum(axis=1).mean() < 2


def test_the_search_compares_every_pair(draw):
    """Against the plain definition: all pairs within the radius whose projection is long enough."""
    base = draw.images(40, seed=7)
    shifted = np.stack([np.roll(image, 2, axis=1) for image in base])
    prints = prints_of(draw, [*base, *shifted])
    images = nd._smooth(prints.thumbnails)
    flat = images.reshape(80, -1)
    bits = np.bitwise_count(prints.hashes[:, None] ^ prints.hashes)
    expected = {
        (i, j)
        for i in range(80)
        for j in range(i + 1, 80)
        if bits[i, j] <= 12
        and flat[i] @ flat[j] >= nd.LEAST_PLAIN
        and np.linalg.norm(flat[j] @ nd._moves(images[i])) >= 0.95
    }
    found = nd.near_duplicates(prints, bits=12, correlation=0.95)
    assert set(zip(found["first"], found["second"], strict=True)) == expected
    assert expected


@pytest.mark.parametrize("wrong", [{"bits": -1}, {"bits": 65}, {"correlation": 0.0}, {"correlation": 1.1}])
def test_thresholds_outside_their_range_are_refused(draw, images, wrong):
    with pytest.raises(ValueError, match=r"defaults are 10 and 0\.99"):
        nd.near_duplicates(prints_of(draw, images[:3]), **wrong)
    with pytest.raises(ValueError, match=r"shape \(n, 32, 32\)"):
        nd.perceptual_hash(images)


def test_fingerprints_survive_the_disk_without_pickle(draw, images, tmp_path):
    prints = prints_of(draw, images)
    prints.save(tmp_path / "prints.npz")
    loaded = nd.Fingerprints.load(tmp_path / "prints.npz")
    np.testing.assert_array_equal(loaded.digests, prints.digests)
    np.testing.assert_array_equal(loaded.hashes, prints.hashes)


def test_an_image_that_does_not_decode_stops_the_search(draw):
    class Broken:
        def read(self, row):
            raise ValueError(f"file {row} does not decode")

    from dataclasses import replace

    cohort = replace(draw.cohort(np.zeros((900, 4, 4), np.uint8)), pixels=Broken())
    with pytest.raises(ValueError, match="does not decode"):
        nd.fingerprint_images(cohort)
