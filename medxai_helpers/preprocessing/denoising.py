"""Non-local means."""

from __future__ import annotations

import numpy as np

from medxai_helpers.preprocessing.images import Image, Pixels, on_bytes


def denoise(image: Image, strength: float = 10.0, patch: int = 7, search: int = 21) -> Image:
    """Replace each pixel by a mean over pixels whose neighbourhoods look alike (non-local means).

    Introduced in chapter 03.

    Parameters
    ----------
    image : array
        uint8 or float in [0, 1] (rounded to 256 levels); (H, W) or (H, W, 3).
    strength : float
        How different two neighbourhoods may be, in grey levels of 0 to 255; about the noise's standard deviation. Too
        much of it takes fine structure for noise.
    patch : int
        Side of a neighbourhood in pixels, odd.
    search : int
        Side of the window in which alike ones are looked for, odd.

    Returns
    -------
    array
        Same shape and type.

    Raises
    ------
    ValueError
        If the strength is not positive, or a side is even or below 1.

    Source: buades2005, in the implementation of OpenCV (colour: lightness and colour of LAB apart).

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(128, 10, (64, 64)).clip(0, 255).astype(np.uint8)
    >>> bool(denoise(noisy).std() < 0.5 * noisy.std())
    True
    """
    import cv2

    check_denoise(strength, patch, search)

    def smooth(pixels: Pixels) -> Pixels:
        if pixels.ndim == 2:
            smoothed = cv2.fastNlMeansDenoising(pixels, None, strength, patch, search)
        else:  # OpenCV expects blue first
            blue_first = np.ascontiguousarray(pixels[..., ::-1])
            smoothed = cv2.fastNlMeansDenoisingColored(blue_first, None, strength, strength, patch, search)[..., ::-1]
        return np.ascontiguousarray(smoothed, dtype=np.uint8)

    return on_bytes(smooth, image)


def check_denoise(strength: float, patch: int = 7, search: int = 21) -> None:
    """Refuse settings that non-local means cannot have."""
    if not (strength > 0 and np.isfinite(strength)):
        raise ValueError(f"Expected a strength above 0 grey levels, but got {strength}: 3 is mild, 10 is strong.")
    for name, side in (("patch", patch), ("search", search)):
        if side < 1 or side % 2 != 1:
            raise ValueError(f"Expected {name} to be odd and at least 1, but got {side}.")
