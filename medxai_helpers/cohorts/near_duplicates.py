"""Find images that occur more than once: exact copies, and near duplicates under resizing, recoding or a small crop.

Two steps, cheap before careful. A 64-bit perceptual hash proposes pairs; the correlation of small thumbnails, with a
little shift and zoom allowed, confirms them, because the hashes of different patients in the same pose are close too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.cohort import Cohort
from medxai_helpers.cohorts.decoding import Pixels

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL = 32
"""Side of the thumbnails in pixels: what the perceptual hash of Zauner (2010) is computed from."""
HASH_BITS = 10
"""Two hashes that differ in at most this many of 64 bits make a pair worth a closer look."""
LEAST_CORRELATION = 0.99
"""A pair is confirmed from this correlation on, shift and zoom allowed; different patients stay below, copies above."""
LEAST_PLAIN = 0.8
"""Correlation that a pair needs before any shift or zoom; below it the allowance for them is not to be trusted."""
BLANK = 2.0
"""Thumbnails whose grey levels have a smaller standard deviation than this hold nothing to compare."""
LEAST_CHANGE = 1e-3
"""A move that changes an image by less than this share of its contrast is none: stripes may slide along themselves."""
COARSE_MARGIN = 0.01
"""Thumbnails of half the side are compared first; a pair may fall short of the threshold there by this much."""
CHUNK = 256


@dataclass(frozen=True)
class Fingerprints:
    """What is kept of each image in order to compare it with all others. Introduced in chapter 02.

    Parameters
    ----------
    digests : array of str
        Hash of the decoded pixels and their shape, (n,): equal for exact copies and only for them.
    thumbnails : array
        Grey thumbnails, uint8 (n, 32, 32).
    """

    digests: NDArray[np.str_]
    thumbnails: Pixels

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """The perceptual hash of each image, uint64 (n,)."""
        return perceptual_hash(self.thumbnails)

    def save(self, path: Path) -> None:
        """Write as a compressed NumPy archive."""
        np.savez_compressed(path, digests=self.digests, thumbnails=self.thumbnails)

    @classmethod
    def load(cls, path: Path) -> Fingerprints:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["digests"], stored["thumbnails"])

    def __len__(self) -> int:
        return len(self.digests)


def fingerprint_images(cohort: Cohort) -> Fingerprints:
    """Read every image once and keep its digest and thumbnail. Introduced in chapter 02.

    Raises
    ------
    ValueError
        If an image does not decode; the message names the file.
    """
    digests = np.empty(len(cohort), dtype="<U32")
    thumbnails = np.empty((len(cohort), THUMBNAIL, THUMBNAIL), dtype=np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + CHUNK, len(cohort))):
            image = cohort.image(row)
            digests[row], thumbnails[row] = _digest(image), thumbnail(image)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(fill, start) for start in range(0, len(cohort), CHUNK)]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Fingerprints(digests, thumbnails)


def thumbnail(image: Pixels) -> Pixels:
    """Reduce one image, uint8 (H, W) or (H, W, 3) in RGB, to grey uint8 (32, 32) by averaging areas."""
    import cv2

    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def perceptual_hash(thumbnails: Pixels) -> NDArray[np.uint64]:
    """Return the 64-bit perceptual hash of thumbnails. Introduced in chapter 02.

    Each bit says whether one of the 8 x 8 lowest spatial frequencies lies above their median, so brightness, contrast,
    size and compression hardly matter.

    Parameters
    ----------
    thumbnails : array
        uint8 (n, 32, 32).

    Returns
    -------
    array
        uint64 (n,); the lowest bit is the lowest frequency. Count differing bits with ``np.bitwise_count(a ^ b)``.

    Raises
    ------
    ValueError
        If the thumbnails have another shape.

    Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010); the same bits as
    ``imagehash.phash`` on the same thumbnail.

    Examples
    --------
    >>> ramp = np.tile(np.arange(32, dtype=np.uint8), (1, 32, 1))
    >>> int(perceptual_hash(ramp)[0]) == int(perceptual_hash(ramp + 40)[0])
    True
    """
    if thumbnails.ndim != 3 or thumbnails.shape[1:] != (THUMBNAIL, THUMBNAIL):
        raise ValueError(
            f"Expected thumbnails of shape (n, {THUMBNAIL}, {THUMBNAIL}), but got {thumbnails.shape}. "
            "Make them with thumbnail(image)."
        )
    position = np.pi * (2 * np.arange(THUMBNAIL) + 1) / (2 * THUMBNAIL)
    cosines = 2 * np.cos(np.arange(8)[:, None] * position)
    hashes = np.empty(len(thumbnails), dtype=np.uint64)
    for start in range(0, len(thumbnails), CHUNK):
        block = thumbnails[start : start + CHUNK].astype(np.float64)
        low = (cosines @ block @ cosines.T).reshape(len(block), 64)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[start : start + CHUNK] = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0]
    return hashes


def exact_copies(fingerprints: Fingerprints) -> pd.DataFrame:
    """Pair every further copy of an image with its first. Introduced in chapter 02.

    Returns
    -------
    DataFrame
        Columns ``first`` and ``second``: row numbers. An image that occurs four times gives three pairs.
    """
    import pandas as pd

    codes, _ = pd.factorize(fingerprints.digests)
    first = np.unique(codes, return_index=True)[1][codes]
    second = np.flatnonzero(first != np.arange(len(codes)))
    return pd.DataFrame({"first": first[second], "second": second})


def near_duplicates(
    fingerprints: Fingerprints,
    *,
    bits: int = HASH_BITS,
    correlation: float = LEAST_CORRELATION,
    flips: bool = False,
) -> pd.DataFrame:
    """Find pairs of images that show the same, if not in the same pixels. Introduced in chapter 02.

    Every pair of hashes is compared (no index is needed: 60,000 images are 1.8 billion comparisons, half a minute), and
    each pair within ``bits`` is confirmed by the correlation of the thumbnails. To allow for a small crop, shift or
    zoom, one image is projected on the other, its two derivatives and the two directions of zoom; the length of
    that projection is the correlation after the best small move. Exact copies are left to :func:`exact_copies`.

    Parameters
    ----------
    fingerprints : Fingerprints
        Of n images.
    bits : int
        Largest number of differing hash bits, 0 to 64.
    correlation : float
        Smallest correlation of a confirmed pair, above 0 and up to 1.
    flips : bool
        Look for mirrored copies too (twice the time).

    Returns
    -------
    DataFrame
        Columns ``first`` < ``second`` (row numbers), ``bits``, ``correlation`` and ``flipped``, best first. Blank
        images are in no pair.

    Raises
    ------
    ValueError
        If a threshold lies outside its range.
    """
    if not 0 <= bits <= 64 or not 0 < correlation <= 1:
        raise ValueError(
            f"Expected 0 <= bits <= 64 and 0 < correlation <= 1, but got bits={bits} and correlation={correlation}. "
            f"The defaults are {HASH_BITS} and {LEAST_CORRELATION}."
        )
    from threadpoolctl import threadpool_limits

    rows = _worth_comparing(fingerprints)
    images = _smooth(fingerprints.thumbnails[rows])
    hashes = perceptual_hash(fingerprints.thumbnails[rows])
    with threadpool_limits(1):  # the matrices are small: threads would wait for each other longer than they work
        found = list(_matches(images, hashes, hashes, bits, correlation))
        if flips:
            mirrored = perceptual_hash(fingerprints.thumbnails[rows][:, :, ::-1])
            found += list(_matches(images, mirrored, hashes, bits, correlation, flipped=True))
    return _pairs(found, rows)


def _digest(image: Pixels) -> str:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _worth_comparing(fingerprints: Fingerprints) -> NDArray[np.int64]:
    """Rows that are the first of their copies and not blank."""
    first = np.unique(fingerprints.digests, return_index=True)[1]
    spread = fingerprints.thumbnails[first].reshape(len(first), THUMBNAIL**2).std(axis=1)
    return np.sort(first[spread >= BLANK]).astype(np.int64)


def _smooth(thumbnails: Pixels) -> NDArray[np.float32]:
    """Blurred thumbnails, each with mean 0 and length 1, float32 (n, 32, 32): derivatives need smooth images."""
    import cv2

    smooth = np.empty(thumbnails.shape, dtype=np.float32)
    for row, image in enumerate(thumbnails):
        smooth[row] = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    return _unit(smooth)


def _unit(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same images with mean 0 and length 1 each."""
    images -= images.mean(axis=(1, 2), keepdims=True)
    images /= np.maximum(np.linalg.norm(images, axis=(1, 2), keepdims=True), np.float32(1e-6))
    return images


def _moves(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal basis (pixels, up to 5): the image itself, then small shifts and zooms of it along both axes."""
    down, right = np.gradient(image)
    place = np.linspace(-1, 1, len(image), dtype=np.float32)
    columns = np.stack([image, down, right, place[:, None] * down, place * right], axis=-1).reshape(-1, 5)
    basis, sizes = np.linalg.qr(columns - columns.mean(axis=0))
    signs = np.where(np.diagonal(sizes) < 0, np.float32(-1), np.float32(1))
    moves: NDArray[np.float32] = (basis * signs)[:, np.abs(np.diagonal(sizes)) > LEAST_CHANGE]
    return moves


Match = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32], bool]


def _matches(
    images: NDArray[np.float32],
    asking: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    bits: int,
    correlation: float,
    flipped: bool = False,
) -> Iterator[Match]:
    """Compare each image with all that follow it: memory stays that of one row, whatever n is."""
    half = THUMBNAIL // 2
    coarse = _unit(images.reshape(len(images), half, 2, half, 2).mean(axis=(2, 4)))
    for row in range(len(images) - 1):
        distance = np.bitwise_count(hashes[row + 1 :] ^ asking[row])
        close = row + 1 + np.flatnonzero(distance <= bits)
        turn = (slice(None), slice(None, None, -1 if flipped else 1))
        close = close[_agreement(coarse[row][turn], coarse[close]) >= correlation - COARSE_MARGIN]
        agreement = _agreement(images[row][turn], images[close])
        second = close[agreement >= correlation]
        measures = distance[second - row - 1], agreement[agreement >= correlation]
        yield np.full(len(second), row), second, *measures, flipped


def _agreement(image: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation of one image with others (m, side, side) after the best small move; 0 where the plain one is low."""
    if not len(others):
        return np.empty(0, dtype=np.float32)
    plain, *moved = _moves(image).T @ others.reshape(len(others), -1).T
    after = np.sqrt(plain**2 + np.sum(np.square(moved), axis=0))
    return np.where(plain >= LEAST_PLAIN, np.minimum(after, 1), 0).astype(np.float32)


def _pairs(found: list[Match], rows: NDArray[np.int64]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(
        {
            "first": rows[_joined([match[0] for match in found], np.int64)],
            "second": rows[_joined([match[1] for match in found], np.int64)],
            "bits": _joined([match[2] for match in found], np.uint8),
            "correlation": _joined([match[3] for match in found], np.float32),
            "flipped": np.repeat([match[4] for match in found], [len(match[0]) for match in found]).astype(bool),
        }
    )
    table = table.sort_values(["correlation", "first", "second"], ascending=[False, True, True], ignore_index=True)
    return table.drop_duplicates(["first", "second"], ignore_index=True)


def _joined(arrays: list[Any], kind: type) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *arrays])
