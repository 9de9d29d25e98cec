"""PSNR, SSIM and PSNR-B in float32 JAX, on whole batches: the twin of jsr.metrics.reference for validation in a run.

Same names and arguments; images may also be (N, H, W, C), which gives (N,). Each size, profile and border is compiled
once. Agreement with the reference: 1e-4 dB and 1e-5 SSIM, millions of pixels included, since XLA adds up as a tree; in
a luma profile 2e-3 dB where images differ in next to nothing (above 80 dB). Reports take the reference's numbers.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jsr.metrics import profiles
from jsr.metrics.reference import BLOCK, C1, C2, GAUSSIAN, WINDOW


def psnr(sr, hr, *, profile="rgb", crop_border=0):
    """Peak signal-to-noise ratio; jsr.metrics.psnr on the device.

    Args:
      sr: uint8 (H, W, C) or (N, H, W, C).
      hr: the same shape.
      profile: name in jsr.metrics.PROFILES.
      crop_border: px cut off each side first.

    Returns:
      float32 scalar or (N,), dB; inf for equal images.

    Raises:
      ValueError: as the reference.
    """
    return _apply("psnr", _psnr, sr, hr, profile, crop_border)


def ssim(sr, hr, *, profile="rgb", crop_border=0):
    """Structural similarity; jsr.metrics.ssim on the device. Arguments and errors as `psnr`."""
    return _apply("ssim", _ssim, sr, hr, profile, crop_border, smallest=WINDOW)


def psnr_b(sr, hr, *, profile="rgb", crop_border=0):
    """PSNR with the blocking penalty; jsr.metrics.psnr_b on the device. Arguments and errors as `psnr`."""
    return _apply("psnr_b", _psnr_b, sr, hr, profile, crop_border, smallest=2 * BLOCK)


def _apply(name, metric, sr, hr, profile, crop_border, smallest=1):
    """Checks the arguments, adds the axes N and C where they are missing, and takes N away again."""
    sr, hr = jnp.asarray(sr), jnp.asarray(hr)
    shape = sr.shape
    found = profiles.check(name, (shape, hr.shape), (sr.dtype, hr.dtype), profile=profile,
                           crop_border=crop_border, batched=True)
    profiles.check_side(name, shape, profile=profile, crop_border=crop_border, smallest=smallest)
    full = shape if len(shape) == 4 else (1, *shape, *(1,) * (3 - len(shape)))
    result = _run(metric, found, crop_border, jnp.reshape(sr, full), jnp.reshape(hr, full))
    return result if len(shape) == 4 else result[0]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _run(metric, profile, crop_border, sr, hr):
    height, width = sr.shape[1:3]
    inner = (slice(None), slice(crop_border, height - crop_border), slice(crop_border, width - crop_border))
    return metric(*(_values(image[inner], profile) for image in (sr, hr)))


def _values(image, profile):
    """The profile's values, float32 (N, H, W, C')."""
    if profile.weights is None:
        return image.astype(jnp.float32)
    # Integers, since the products of a float32 matrix multiplication lose digits on some devices.
    luma = (image.astype(jnp.int32) * jnp.array(profile.weights, jnp.int32)).sum(-1, keepdims=True)
    if profile.rounded:
        return ((luma + 127_500) // 255_000 + 16).astype(jnp.float32)
    return luma.astype(jnp.float32) / 255_000 + 16


def _mean(x):
    """The mean over all axes but the first, (N, ...) to (N,)."""
    return x.mean(tuple(range(1, x.ndim)))


def _decibels(mse):
    return 10 * jnp.log10(255**2 / mse)


def _psnr(sr, hr):
    return _decibels(_mean(jnp.square(sr - hr)))


def _psnr_b(sr, hr):
    channels = range(sr.shape[-1])
    return sum(_decibels(_mean(jnp.square(sr - hr)[..., c]) + _blocking(sr[..., c])) for c in channels) / len(channels)


def _ssim(sr, hr):
    """In sums and differences, each less its mean: what is left keeps its digits when squared in float32."""
    centre_s, centre_d = (_mean(x)[:, None, None, None] for x in (sr + hr, sr - hr))
    s, d = sr + hr - centre_s, sr - hr - centre_d
    mean_s, mean_d, square_s, square_d = (_blur(_blur(x, 1), 2) for x in (s, d, s * s, d * d))
    var_s, var_d = square_s - jnp.square(mean_s), square_d - jnp.square(mean_d)
    mean_s2, mean_d2 = jnp.square(mean_s + centre_s), jnp.square(mean_d + centre_d)
    luminance = mean_d2 / ((mean_s2 + mean_d2) / 2 + C1)
    structure = var_d / ((var_s + var_d) / 2 + C2)
    return 1 - _mean(luminance + structure - luminance * structure)


def _blur(x, axis):
    """The Gaussian along an axis of (N, H, W, C), no padding; shifted sums, exact to float32 on every device."""
    size = x.shape[axis] - WINDOW + 1
    return sum(float(weight) * jax.lax.slice_in_dim(x, k, k + size, axis=axis) for k, weight in enumerate(GAUSSIAN))


def _blocking(image):
    """The blocking effect factor, (N, H, W) to (N,); the counts are those of jsr.metrics.reference."""
    _, height, width = image.shape
    edges = height * (width // BLOCK - 1) + width * (height // BLOCK - 1)
    others = height * (width - 1) + width * (height - 1) - edges
    edge, inner = 0.0, 0.0
    for axis in (1, 2):
        steps = jnp.square(jnp.diff(image, axis=axis))
        on_grid = np.arange(steps.shape[axis]) % BLOCK == BLOCK - 1
        edge += _sum_at(steps, on_grid, axis)
        inner += _sum_at(steps, ~on_grid, axis)
    return jnp.maximum(edge / edges - inner / others, 0) * np.log2(BLOCK) / np.log2(min(height, width))


def _sum_at(x, mask, axis):
    """The sum over all axes but the first, of those places along `axis` where the mask is set."""
    part = jnp.take(x, np.flatnonzero(mask), axis=axis)
    return _mean(part) * part[0].size
