"""Contrast limited adaptive histogram equalisation."""

from __future__ import annotations

import numpy as np

from medxai_helpers.preprocessing.images import Image, Pixels, on_bytes


def clahe(image: Image, clip_limit: float = 2.0, tiles: int = 8) -> Image:
    """Equalise the contrast of each region, with a limit (CLAHE). Introduced in chapter 03.

    A grey image is equalised directly. Of a colour image only the lightness changes: the L channel of LAB, so that hues
    stay what they are. The two are not the same for a grey picture stored as RGB: lightness is not linear in grey
    level, and the result differs by some levels.

    Parameters
    ----------
    image : array
        uint8 or float in [0, 1] (rounded to 256 levels); (H, W) or (H, W, 3).
    clip_limit : float
        How often, relative to a flat histogram, a grey level of a tile may count; above 0. At 1 little happens, large
        values amplify noise.
    tiles : int
        The image is cut into ``tiles`` x ``tiles`` regions.

    Returns
    -------
    array
        Same shape and type.

    Raises
    ------
    ValueError
        If the clip limit is not positive, or there are more tiles than pixels along an edge.

    Source: zuiderveld1994, in the implementation of OpenCV.

    Examples
    --------
    >>> ramp = np.tile(np.arange(100, 164, dtype=np.uint8), (64, 1))
    >>> bool(clahe(ramp, 4.0).std() > ramp.std())
    True
    """
    import cv2

    check_clahe(clip_limit, tiles)
    equaliser = cv2.createCLAHE(clip_limit, (tiles, tiles))

    def equalise(pixels: Pixels) -> Pixels:
        if min(pixels.shape[:2]) < tiles:
            raise ValueError(
                f"Expected an image of at least {tiles} x {tiles} pixels, one a tile, but got {pixels.shape}."
            )
        if pixels.ndim == 2:
            return np.asarray(equaliser.apply(pixels), dtype=np.uint8)
        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
        cv2.insertChannel(equaliser.apply(cv2.extractChannel(lab, 0)), lab, 0)
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)

    return on_bytes(equalise, image)


def check_clahe(clip_limit: float, tiles: int) -> None:
    """Refuse settings that CLAHE cannot have, whatever the image."""
    if not (clip_limit > 0 and np.isfinite(clip_limit)):
        raise ValueError(f"Expected a clip limit above 0, but got {clip_limit}: 2 is mild, 4 is strong.")
    if tiles < 1 or tiles != int(tiles):
        raise ValueError(f"Expected a whole number of tiles of at least 1, but got {tiles}.")
