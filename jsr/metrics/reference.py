"""PSNR, SSIM and PSNR-B in float64 numpy: the published code's numbers.

PSNR and SSIM work through an image in strips of rows: what a strip needs stays in the cache, and memory stays small.
"""

import math

import numpy as np

from jsr.metrics import profiles

WINDOW = 11                              # side of SSIM's Gaussian, px
GAUSSIAN = np.exp(-np.arange(-(WINDOW // 2), WINDOW // 2 + 1) ** 2 / (2 * 1.5**2))
GAUSSIAN /= GAUSSIAN.sum()
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
BLOCK = 8                                # side of a JPEG block, px
STRIP = 1 << 15                          # values of a strip: what stays in a core's cache


def psnr(sr: np.ndarray, hr: np.ndarray, *, profile: str = "rgb", crop_border: int = 0) -> float:
    """Peak signal-to-noise ratio, 10 log10(255^2 / MSE), the MSE over all pixels and channels.

    Source: BasicSR `calculate_psnr`, SwinIR `calculate_psnr`.

    Args:
      sr: uint8 (H, W, 3), or (H, W) or (H, W, 1) where the profile is "rgb".
      hr: the same shape.
      profile: name in jsr.metrics.PROFILES.
      crop_border: px cut off each side first.

    Returns:
      dB; inf for images that are equal in the profile's values.

    Raises:
      ValueError: see jsr.metrics.profiles.check.
    """
    sr, hr, found = _prepare("psnr", sr, hr, profile, crop_border)
    return _decibels(_mse(sr, hr, found).mean())


def ssim(sr: np.ndarray, hr: np.ndarray, *, profile: str = "rgb", crop_border: int = 0) -> float:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian of sigma 1.5, no padding, mean over channels.

    Source: BasicSR `calculate_ssim`, SwinIR `calculate_ssim`; no down-sampling, unlike Wang's MATLAB script.

    Args, Returns, Raises: as `psnr`; 1.0 for equal images; ValueError also below 11 px a side after the crop.
    """
    sr, hr, found = _prepare("ssim", sr, hr, profile, crop_border, smallest=WINDOW)
    total, count = [], 0
    for a, b in _strips(sr, hr, found, overlap=WINDOW - 1):
        similarity = _ssim_map(a, b)
        total.append(similarity.sum())
        count += similarity.size
    return math.fsum(total) / count


def tcc(sr: np.ndarray, hr: np.ndarray, *, profile: str = "rgb", crop_border: int = 0) -> float:
    """Temporal change consistency of clips: SSIM of the changes from frame to frame.

    Source: Zhang et al., Exploiting temporal consistency for real-time video depth estimation, ICCV 2019; here of 8-bit
    images instead of depth maps. No optical flow takes part: what flickers, or stands still where it should move, is
    less than 1.

    Args:
      sr: uint8 (T, H, W, 3), T of 2 at least.
      hr: the same shape.
      profile, crop_border: see `psnr`.

    Returns:
      1.0 for clips that change alike.

    Raises:
      ValueError: one frame; else as `ssim`.
    """
    if sr.ndim != 4 or len(sr) < 2 or sr.shape != hr.shape:
        raise ValueError(f"tcc[{profile}]: sr is {sr.shape} and hr {hr.shape}, expected clips (T, H, W, 3) of two "
                         "frames or more")
    changes = (np.maximum(clip[1:], clip[:-1]) - np.minimum(clip[1:], clip[:-1]) for clip in (sr, hr))
    pairs = zip(*changes, strict=True)
    return float(np.mean([ssim(*pair, profile=profile, crop_border=crop_border) for pair in pairs]))


def psnr_b(sr: np.ndarray, hr: np.ndarray, *, profile: str = "rgb", crop_border: int = 0) -> float:
    """PSNR with a penalty for steps on the 8x8 grid (Yim and Bovik 2011), per channel, then their mean.

    Source: SwinIR and KAIR `calculate_psnrb`. The grid begins at the corner that the crop leaves. The penalty looks
    at `sr` alone, so equal images have a finite value where `hr` itself is blocky.

    Args, Returns, Raises: as `psnr`; ValueError also below 16 px a side after the crop, where the source's count of
    block edges is no longer positive.
    """
    sr, hr, found = _prepare("psnr_b", sr, hr, profile, crop_border, smallest=2 * BLOCK)
    penalised = _mse(sr, hr, found) + _blocking(sr, found)
    return float(np.mean([_decibels(value) for value in penalised]))


def _prepare(metric, sr, hr, profile, crop_border, smallest=1):
    """Both images checked, cropped and (H, W, C), and the Profile."""
    try:
        sr, hr = np.asarray(sr), np.asarray(hr)
    except TypeError as e:  # of JAX within jit, grad or vmap
        raise ValueError(f"{metric}[{profile}]: NumPy cannot read the images; in a function that JAX traces use "
                         f"jsr.metrics.device.{metric}") from e
    found = profiles.check(metric, (sr.shape, hr.shape), (sr.dtype, hr.dtype), profile=profile, crop_border=crop_border)
    profiles.check_side(metric, sr.shape, profile=profile, crop_border=crop_border, smallest=smallest)
    height, width = profiles.size(sr.shape)
    inner = slice(crop_border, height - crop_border), slice(crop_border, width - crop_border)
    return (*(image[inner].reshape(height - 2 * crop_border, width - 2 * crop_border, -1) for image in (sr, hr)), found)


def _strips(sr, hr, profile, overlap=0):
    """Yields the values of both images, float64 (rows, W, C'); each strip repeats `overlap` rows of the one before."""
    rows = max(STRIP // sr[0].size, 1)
    for top in range(0, len(sr) - overlap, rows):
        yield tuple(profiles.values(image[top:top + rows + overlap], profile) for image in (sr, hr))


def _decibels(mse):
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def _mse(sr, hr, profile):
    """The mean squared error of each channel of the profile's values, float64 (C',)."""
    return sum(np.square(a - b).sum((0, 1)) for a, b in _strips(sr, hr, profile)) / (sr.shape[0] * sr.shape[1])


def _ssim_map(a, b):
    """SSIM at every place where the window fits; (H, W, C) to (H - 10, (W - 10) C).

    In sums and differences s = a + b, d = a - b the two factors are 1 - mean(d)^2 / ((mean(s)^2 + mean(d)^2) / 2 + C1)
    and 1 - var(d) / ((var(s) + var(d)) / 2 + C2): the usual ones, but exactly 1 for equal images and, in float32,
    not hurt by cancellation.
    """
    height, _, channels = a.shape
    s, d = (x.reshape(height, -1) for x in (a + b, a - b))
    mean_s, mean_d, square_s, square_d = (_blur(_blur(x.T, 1).T, channels) for x in (s, d, s * s, d * d))
    mean_s2, mean_d2 = np.square(mean_s), np.square(mean_d)
    luminance = 1 - mean_d2 / ((mean_s2 + mean_d2) / 2 + C1)
    var_s, var_d = square_s - mean_s2, square_d - mean_d2
    return luminance * (1 - var_d / ((var_s + var_d) / 2 + C2))


def _blur(x, step):
    """The Gaussian along the last axis, where neighbours are `step` values apart; (R, W) to (R, W - 10 step)."""
    width, last = x.shape[1] - (WINDOW - 1) * step, WINDOW - 1
    total = GAUSSIAN[last // 2] * x[:, last // 2 * step:last // 2 * step + width]
    for k in range(last // 2):
        total += GAUSSIAN[k] * (x[:, k * step:k * step + width] + x[:, (last - k) * step:(last - k) * step + width])
    return total


def _blocking(image, profile):
    """The blocking effect factor of each channel, float64 (C',), in squared levels."""
    height, width, _ = image.shape
    values = profiles.values(image, profile)
    edge, inner = 0.0, 0.0
    for axis in (0, 1):
        steps = np.square(np.diff(values, axis=axis)).sum(1 - axis)  # (H - 1, C') or (W - 1, C')
        on_grid = np.arange(len(steps)) % BLOCK == BLOCK - 1
        edge, inner = edge + steps[on_grid].sum(0), inner + steps[~on_grid].sum(0)
    # The source's counts: one edge less than there is where a side is no multiple of the block.
    edges = height * (width // BLOCK - 1) + width * (height // BLOCK - 1)
    others = height * (width - 1) + width * (height - 1) - edges
    excess = edge / edges - inner / others
    return np.maximum(excess, 0) * math.log2(BLOCK) / math.log2(min(height, width))
