"""Resizing on the device: the Pillow and MATLAB functions of `jsr.degradations.resize` in JAX.

Each takes uint8 (..., H, W, C) and a static (height, width), and is jitted: one compilation for each pair of sizes. A
pass is a weighted sum over gathered pixels, the weights computed on the host in double precision.

Pillow's are bit for bit Pillow's: its weights have 22 fractional bits, its sums are 32-bit integers. Source: the
documented algorithm of Pillow's 8-bit resampling, and tests against it.

MATLAB's are float32 where MATLAB has double. `matlab_bicubic` is exact at x2 and x4, where all sums fit into 24 bits,
and at x3, where none comes near a half; at other factors a value that is near a half may go to the other level (2 in
10 000 values of noise at random sizes).
"""

from collections.abc import Callable
import functools
import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
import numpy as np

from jsr.degradations.resize import matlab_passes

PRECISION_BITS = 32 - 8 - 2  # of Pillow's weights


@functools.partial(jax.jit, static_argnums=1)
def pillow_bicubic(images: ArrayLike, size_hw: tuple[int, int]) -> jax.Array:
    """Pillow's BICUBIC, bit for bit.

    Args:
      images: uint8 (..., H, W, C).
      size_hw: (height, width) of the result, px; static.

    Returns:
      uint8 (..., height, width, C).

    Raises:
      ValueError: another type or rank.
    """
    return _pillow(images, size_hw, *PILLOW["pillow_bicubic"])


@functools.partial(jax.jit, static_argnums=1)
def pillow_lanczos(images: ArrayLike, size_hw: tuple[int, int]) -> jax.Array:
    """Pillow's LANCZOS, bit for bit; arguments and result as `pillow_bicubic`."""
    return _pillow(images, size_hw, *PILLOW["pillow_lanczos"])


def _pillow(images, size_hw, kernel, support):
    """Width before height, rounded to 8 bits after each; where a size is kept the weights are one and zeros."""
    x = _checked(images).astype(jnp.int32)
    for axis in (1, 0):
        taps = pillow_taps(images.shape[axis - 3], size_hw[axis], kernel, support)
        x = (_weighted(x, axis, *taps) + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS
        x = jnp.clip(x, 0, 255)
    return x.astype(jnp.uint8)


def pillow_taps(side: int, out: int, kernel: Callable[[np.ndarray], np.ndarray],
                support: float) -> tuple[np.ndarray, np.ndarray]:
    """Source pixels and fixed-point weights, int32 (taps, out): no pixel outside the image, the rest sum to one.

    Args:
      side, out: pixels before and after.
      kernel: function of distances, in px of the larger side.
      support: distance beyond which the kernel is zero.
    """
    scale = side / out
    stretch = max(scale, 1.0)
    radius = support * stretch
    center = (np.arange(out) + 0.5) * scale
    first = np.maximum(np.trunc(center - radius + 0.5), 0)
    end = np.minimum(np.trunc(center + radius + 0.5), side)
    pixels = first + np.arange(math.ceil(radius) * 2 + 1)[:, None]
    weights = np.where(pixels < end, kernel((pixels - center + 0.5) * (1 / stretch)), 0)
    weights /= weights.sum(0)
    fixed = np.trunc(weights * (1 << PRECISION_BITS) + np.copysign(0.5, weights))
    return np.minimum(pixels, side - 1).astype(np.int32), fixed.astype(np.int32)


def _cubic(x):
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * -0.5, 0))


def _lanczos(x):
    return np.where((-3 <= x) & (x < 3), np.sinc(x) * np.sinc(x / 3), 0)


@functools.partial(jax.jit, static_argnums=1, static_argnames="scale")
def matlab_bicubic(images: ArrayLike, size_hw: tuple[int, int] | None = None, *,
                   scale: float | None = None) -> jax.Array:
    """MATLAB's imresize of uint8 images, in float32.

    Args:
      images: uint8 (..., H, W, C).
      size_hw, scale: as in `jsr.degradations.resize.matlab_bicubic`; static.

    Returns:
      uint8 (..., height, width, C).

    Raises:
      ValueError: another type or rank; both or none of `size_hw` and `scale` given.
    """
    return _matlab(images, size_hw, scale, round_between=True)


@functools.partial(jax.jit, static_argnums=1, static_argnames="scale")
def matlab_bicubic_double(images: ArrayLike, size_hw: tuple[int, int] | None = None, *,
                          scale: float | None = None) -> jax.Array:
    """MATLAB's imresize of images that im2double made, in float32; arguments and result as `matlab_bicubic`."""
    return _matlab(images, size_hw, scale, round_between=False)


def _matlab(images, size_hw, scale, round_between):
    x = _checked(images).astype(jnp.float32)
    for axis, indices, weights in matlab_passes(images.shape[-3:-1], size_hw, scale):
        x = _weighted(x, axis, indices, weights.astype(np.float32))
        if round_between:
            x = _round(x)
    return _round(x).astype(jnp.uint8)


def _round(x):
    return jnp.floor(jnp.clip(x, 0, 255) + 0.5)


def _weighted(x, axis, indices, weights):
    """Weighted sums along height (axis 0) or width (axis 1) of (..., H, W, C), in x's type."""
    axis += x.ndim - 3
    gathered = jnp.take(x, indices, axis=axis, mode="clip")  # (..., taps, out, ...)
    weights = weights.reshape(*weights.shape, *(1,) * (x.ndim - 1 - axis))
    return jnp.sum(gathered * weights, axis=axis, dtype=x.dtype)


def _checked(images):
    if images.dtype != np.uint8 or images.ndim < 3:
        raise ValueError(f"expected uint8 (..., H, W, C), got {images.dtype} {images.shape}")
    return images


# Kernel and support, in px of the smaller image, of Pillow's
PILLOW = {"pillow_bicubic": (_cubic, 2), "pillow_lanczos": (_lanczos, 3)}
RESIZES = {
    "pillow_bicubic": pillow_bicubic,
    "pillow_lanczos": pillow_lanczos,
    "matlab_bicubic": matlab_bicubic,
    "matlab_bicubic_double": matlab_bicubic_double,
}
