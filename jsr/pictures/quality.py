"""The JPEG quality of a picture: by its quantisation tables, and where these are gone by its pixels."""

import functools
import math

import numpy as np

# The luma table of the JPEG standard, annex K, row by row; libjpeg scales it by the quality.
_LUMA = np.array([[16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
                  [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77],
                  [24, 35, 55, 64, 81, 104, 113, 92], [49, 64, 78, 87, 103, 121, 120, 101],
                  [72, 92, 95, 98, 112, 100, 103, 99]])
_ZIGZAG = np.array(sorted(range(64), key=lambda i: (i // 8 + i % 8, i % 8 if (i // 8 + i % 8) % 2 == 0 else i // 8)))
_BT601 = np.array([0.299, 0.587, 0.114], np.float32)

_SIDE = 256       # of the part that is looked at, px
_NOISE = 0.4      # standard deviation of a decoded coefficient around its multiple: Y and RGB are rounded
_OUTLIERS = 0.05  # share of coefficients that lie anywhere, as those of clipped blocks
_FAR = np.float32(-60)  # exponent of e that counts as none
_PEAK = np.float32((1 - _OUTLIERS) / (_NOISE * math.sqrt(math.tau)))  # of the density of the others
_NONZERO = 1.5    # from which on a coefficient is none of the rounding
_FEWEST = 24      # coefficients that are not zero, below which nothing is said
_GRIDS = 4        # of the 64 that blocks may have been cut on, that are looked at
_SURE = 0.25      # mean logarithm of the likelihood ratio from which on it was JPEG
_HIGHEST = 96     # quality beyond which the steps are as small as the rounding


@functools.cache
def table(quality):
    """libjpeg's luma table for a quality of 1..100: int array (8, 8), row by row."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_LUMA * factor + 50) // 100, 1, 255)


def of_table(steps):
    """The quality of a luma table: libjpeg's exactly, of other encoders' the nearest.

    Args:
      steps: 64 integers in zigzag order, as files hold them.
    """
    logs = np.log(np.asarray(steps, float))
    return min(range(100, 0, -1), key=lambda q: np.abs(np.log(table(q).ravel()[_ZIGZAG]) - logs).mean())


def of_pixels(image):
    """The quality of the JPEG file that an image was decoded from, by the steps that its coefficients stand on.

    Args:
      image: uint8 (H, W, C), grey or RGB; its middle is looked at. It may be cropped anywhere, not resized.

    Returns:
      An int of 1..96, or None: never JPEG, of a better quality, or too flat to tell.
    """
    rows, columns = (slice(start := max(side - _SIDE, 0) // 2, start + _SIDE) for side in image.shape[:2])
    part = image[rows, columns].astype(np.float32)
    luma = part[..., :3] @ _BT601 if part.shape[2] > 2 else part[..., 0]
    if min(luma.shape) < 24:
        return None
    clipped = (part == 0).any(-1) | (part == 255).any(-1)
    grids = [_coefficients(luma[top:, left:], clipped[top:, left:]) for top in range(8) for left in range(8)]
    # Where blocks were cut most coefficients are zero; whole pictures begin with a block
    likely = sorted(range(64), key=lambda grid: np.mean(np.abs(grids[grid]) > 1) if len(grids[grid]) else 1)[:_GRIDS]
    sure, quality = max(map(_likeliest, (grids[grid] for grid in dict.fromkeys((0, *likely)))))
    return quality if sure > _SURE else None


def _likeliest(found):
    """(how sure, quality) of coefficients (blocks, 63)."""
    known = np.abs(found.T) > _NONZERO
    counts = known.sum(1)  # of each frequency
    if counts.sum() < _FEWEST:
        return 0.0, 0
    values = found.T[known]
    return max((_likelihood(values, np.repeat(table(quality).ravel()[1:].astype(np.float32), counts)), quality)
               for quality in range(1, _HIGHEST + 1))


def _likelihood(values, steps):
    """The mean log ratio of coefficients' likelihoods: as multiples of their steps, over anywhere; all in float32."""
    multiples = values / steps
    off = (multiples - np.rint(multiples)) * steps
    # Cut off where float32 would be subnormal, which is slow; there only outliers count
    near = np.exp(np.maximum(off * off * np.float32(-0.5 / _NOISE**2), _FAR))
    return np.log(near * steps * _PEAK + np.float32(_OUTLIERS)).mean()


@functools.cache
def _cosines():
    """The orthonormal DCT of 8x8 samples without their mean: float32 (64, 63), a column each frequency."""
    rows = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(8) + 1) / 16) / 2
    rows[0] /= np.sqrt(2)
    return np.kron(rows, rows)[1:].T.astype(np.float32)


def _coefficients(luma, clipped):
    """The DCT of 8x8 blocks without their means, (H, W) to (blocks, 63); blocks with clipped pixels are left out."""
    height, width = (side // 8 for side in luma.shape)
    blocks, lost = (plane[:8 * height, :8 * width].reshape(height, 8, width, 8).swapaxes(1, 2).reshape(-1, 8, 8)
                    for plane in (luma, clipped))
    return blocks[~lost.any((1, 2))].reshape(-1, 64) @ _cosines()
