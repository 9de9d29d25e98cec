"""NIQE in float64 numpy, and the perceptual index, which includes it."""

import math

import numpy as np

from jsr.cubic import cubic
from jsr.metrics import profiles, score_weights

BLOCK = 96  # side of a block whose features are taken, px
_WINDOW = np.exp(-np.arange(-3, 4) ** 2 / (2 * (7 / 6) ** 2))  # fspecial("gaussian", 7, 7/6), one axis of it
_WINDOW /= _WINDOW.sum()
_HALVES = np.array([cubic((k - 3.5) / 2, -0.5) for k in range(8)]) / 2  # MATLAB's imresize to a half, antialiased
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # of a coefficient's neighbours, down and right
_SHAPES = np.arange(0.2, 10.001, 0.001)      # of generalised Gaussians, among which the nearest is taken
_GAMMAS = {k: np.array([math.gamma(k / shape) for shape in _SHAPES]) for k in (1, 2, 3)}
_RATIOS = _GAMMAS[2] ** 2 / (_GAMMAS[1] * _GAMMAS[3])


def niqe(sr: np.ndarray, hr: np.ndarray | None = None, *, profile: str = "y_601_rounded",
         crop_border: int = 0) -> float:
    """Natural image quality evaluator (Mittal et al., IEEE SPL 2013): the distance of an image from undistorted images.

    Less is better. Blocks of 96x96 px are looked at, what is beyond the last whole one is not. The image alone counts.
    Source: the authors' MATLAB release as PIRM 2018 calls it, and BasicSR `calculate_niqe`, which halves the image in
    float32.

    Args:
      sr: uint8 (H, W, 3); a grey one, (H, W) or (H, W, 1), is taken for the luma.
      hr: unused, as other scores have it.
      profile: "y_601_rounded", MATLAB's luma in whole levels.
      crop_border: px cut off each side first.

    Returns:
      About 2 to 5 for photographs, 0 at best.

    Raises:
      ValueError: see jsr.metrics.profiles.check; fewer than two blocks, or fewer than two that are not flat.
      UserError: the weights are not there (`jsr models get niqe`).
    """
    del hr
    sr, what = np.asarray(sr), f"niqe[{profiles.of_perceptual('niqe', profile)}]"
    profiles.check_images(what, (sr.shape, sr.shape), (sr.dtype, sr.dtype), crop_border=crop_border)
    found = score_weights.load(what).arrays
    height, width = profiles.size(sr.shape)
    image = sr.reshape(height, width, -1)[crop_border:height - crop_border, crop_border:width - crop_border]
    luma = (profiles.values(image, profiles.get(profile)) if image.shape[-1] == 3 else image.astype(np.float64))[..., 0]
    rows, columns = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK
    if rows * columns < 2:
        raise ValueError(f"{what}: {height}x{width} px with crop_border {crop_border} is too small, needs two blocks "
                         f"of {BLOCK}x{BLOCK} px at least")
    luma = luma[:rows * BLOCK, :columns * BLOCK]
    features = np.concatenate([_features(luma, rows, columns), _features(_halved(_halved(luma).T).T, rows, columns)], 1)
    whole = features[np.isfinite(features).all(1)]  # a flat block has none
    if len(whole) < 2:
        raise ValueError(f"{what}: fewer than two blocks of {BLOCK}x{BLOCK} px are not flat")
    distance = found["mu_pris_param"].reshape(-1) - np.nanmean(features, 0)
    covariance = (found["cov_pris_param"] + np.cov(whole, rowvar=False)) / 2
    return float(np.sqrt(distance @ np.linalg.pinv(covariance) @ distance))


def perceptual_index(niqe: float, ma: float) -> float:
    """The perceptual index of PIRM 2018 (Blau et al., ECCVW 2018), ((10 - Ma) + NIQE) / 2; less is better.

    Args:
      niqe: NIQE of an image, see `niqe`.
      ma: score of Ma et al. (CVIU 2017) of the same image, 0 to 10, more is better; their MATLAB code gives it, jsr has
        no form of that.
    """
    return ((10 - ma) + niqe) / 2


def _features(luma, rows, columns):
    """(rows * columns, 18): for each block the shapes of its normalised values and of the products of neighbours."""
    mean = _blurred(luma)
    deviation = np.sqrt(np.abs(_blurred(luma * luma) - mean * mean))
    height, width = luma.shape[0] // rows, luma.shape[1] // columns
    blocks = ((luma - mean) / (deviation + 1)).reshape(rows, height, columns, width).swapaxes(1, 2)
    blocks = blocks.reshape(-1, height, width)
    shape, _, left, right = _asymmetric_gaussian(blocks)
    found = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        found += _asymmetric_gaussian(blocks * np.roll(blocks, shift, (1, 2)))
    return np.stack(found, 1)


def _asymmetric_gaussian(blocks):
    """[shape, mean, left and right scale] of an asymmetric generalised Gaussian for each block; NaN for a flat one."""
    values, negative, positive = blocks.reshape(len(blocks), -1), blocks < 0, blocks > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (np.sqrt((np.square(blocks) * side).sum((1, 2)) / side.sum((1, 2)))
                       for side in (negative, positive))
        skew = left / right
        ratio = np.square(np.abs(values).mean(1)) / np.square(values).mean(1)
        ratio *= (skew**3 + 1) * (skew + 1) / np.square(skew**2 + 1)
        after = np.searchsorted(_RATIOS, ratio).clip(1, len(_RATIOS) - 1)
        nearest = after - (ratio - _RATIOS[after - 1] <= _RATIOS[after] - ratio)
        one, two, three = (_GAMMAS[k][nearest] for k in (1, 2, 3))
        left, right = (side * np.sqrt(one / three) for side in (left, right))
        shape = np.where(np.isfinite(ratio), _SHAPES[nearest], np.nan)
    return [shape, (right - left) * (two / one), left, right]


def _blurred(image):
    """The 7x7 Gaussian, with the borders' values beyond them."""
    for axis in (0, 1):
        size = image.shape[axis]
        padded = np.pad(image, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], "edge")
        image = np.add.reduce([weight * padded.take(range(k, k + size), axis) for k, weight in enumerate(_WINDOW)])
    return image


def _halved(image):
    """Every second row of MATLAB's bicubic, (H, W) to (H / 2, W), with the image mirrored at its borders."""
    padded = np.pad(image, [(3, 3), (0, 0)], "symmetric")
    return np.add.reduce([weight * padded[k:k + len(image):2] for k, weight in enumerate(_HALVES)])
