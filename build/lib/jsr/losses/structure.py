"""Losses of structural similarity, for float32 images (N, H, W, C) in [0, 1]; in [0, 255] they would mean little."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr.losses.filters import blur

_GAUSSIAN = np.exp(-np.arange(-5, 6)**2 / (2 * 1.5**2))  # 11 taps, sigma 1.5
_WINDOW = len(_GAUSSIAN)
_C1, _C2 = 0.01**2, 0.03**2
_SCALE_WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
_FLOOR = 1e-4  # below it a scale's value has no gradient, which would be infinite at 0


def ssim(pred, target):
    """1 - SSIM: 11-tap Gaussian of sigma 1.5, no padding, the mean over channels.

    Wang et al. (2004), as in VainF/pytorch-msssim, the copy of it in HolmesShuan/AIM2020-Real-Super-Resolution, and
    jsr.metrics.

    Raises:
      ValueError: a side is shorter than 11 px.
    """
    _check("ssim", pred, 1, "crop more")
    luminance, structure = _terms(pred, target)
    return 1 - jnp.mean(luminance * structure)


def ms_ssim(pred, target, scales=5):
    """1 - MS-SSIM: the product over scales, per channel, of the mean structure term to the power of its weight.

    Wang et al. (2003), as in VainF/pytorch-msssim: the last scale's term holds the luminance too, 2x2 means lead from
    scale to scale, and an odd side first gets a row of zeros. Means below 1e-4 count as 1e-4 there: the original cuts
    at 0, where the gradient is infinite. Inferred: with fewer scales, the first weights over their sum.

    Args:
      pred, target: (N, H, W, C).
      scales: 1 to 5, of which five take sides above 160 px, four above 80, three above 40.

    Raises:
      ValueError: a side is too short, or another number of scales.
    """
    if not 1 <= scales <= len(_SCALE_WEIGHTS):
        raise ValueError(f"ms_ssim: scales={scales} is none of 1 to {len(_SCALE_WEIGHTS)}")
    _check("ms_ssim", pred, scales, "crop more or take fewer scales")
    weights = _SCALE_WEIGHTS[:scales]
    if scales < len(_SCALE_WEIGHTS):  # all five add up to 1.0001, and are used as they are
        weights = weights / weights.sum()
    product = 1
    for scale, weight in enumerate(weights.tolist()):
        luminance, structure = _terms(pred, target)
        term = luminance * structure if scale == scales - 1 else structure
        product *= jnp.maximum(jnp.mean(term, axis=(1, 2)), _FLOOR)**weight
        pred, target = _halved(pred), _halved(target)
    return 1 - jnp.mean(product)


def _check(name, image, scales, advice):
    """The smallest scale must hold a window; its original asks for more than 10 * 2^(scales - 1) px."""
    height, width = image.shape[1:3]
    if min(height, width) <= (least := (_WINDOW - 1) * 2**(scales - 1)):
        raise ValueError(f"{name}: {height}x{width} px (height x width) is too small, sides must be above {least} px; "
                         f"{advice}")


def _terms(pred, target):
    """Maps of the luminance term and the structure term, (N, H - 10, W - 10, C).

    In sums and differences, the sums less their mean: what is left keeps its digits when squared in float32, and equal
    images give exactly 1.
    """
    total, difference = pred + target, pred - target
    centre = jax.lax.stop_gradient(jnp.mean(total, axis=(1, 2), keepdims=True))
    total = total - centre
    weights = _GAUSSIAN / _GAUSSIAN.sum()
    mean_t, mean_d, square_t, square_d = (blur(x, weights) for x in (total, difference, total**2, difference**2))
    var_t, var_d = square_t - mean_t**2, square_d - mean_d**2
    luminance = 1 - mean_d**2 / (((mean_t + centre)**2 + mean_d**2) / 2 + _C1)
    structure = 1 - var_d / ((var_t + var_d) / 2 + _C2)
    return luminance, structure


def _halved(image):
    """2x2 means."""
    n, height, width, channels = image.shape
    image = jnp.pad(image, [(0, 0), (height % 2, 0), (width % 2, 0), (0, 0)])
    return image.reshape(n, -(-height // 2), 2, -(-width // 2), 2, channels).mean((2, 4))
