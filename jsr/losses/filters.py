"""Filters and resizing as pairs of matrices, which compile sooner and run faster than shifted sums or convolutions.

The matrices are made by NumPy while a loss is traced, float32 (out, size).
"""

import jax.numpy as jnp
import numpy as np


def apply(image, rows, columns):
    """(N, H, W, C) to (N, H', W', C) by the matrices `rows` (H', H) and `columns` (W', W), exact to float32."""
    return jnp.einsum("yh,xw,nhwc->nyxc", rows, columns, image, precision="highest")


def blur(image, weights, mode=None):
    """Correlation with the same weights both ways; arguments as for `band`."""
    return apply(image, *(band(side, weights, mode) for side in image.shape[1:3]))


def band(size, weights, mode=None):
    """Correlation with an odd number of weights.

    Args:
      size: size of the signal.
      weights: sequence.
      mode: how the signal goes on outside, as of np.pad, so that the size stays; None leaves out what would need it.
    """
    taps, radius = np.eye(size), len(weights) // 2
    if mode is not None:
        taps = np.pad(taps, [(radius, radius), (0, 0)], mode=mode)
    out = len(taps) - 2 * radius
    return sum((weight * taps[k:k + out] for k, weight in enumerate(weights)), np.zeros(())).astype(np.float32)


def resized(image, height, width, kernel):
    """(N, H, W, C) to (N, height, width, C); `kernel` as in `resize_matrix`."""
    sizes = zip(image.shape[1:3], (height, width), strict=True)
    return apply(image, *(resize_matrix(*its, kernel) for its in sizes))


def resize_matrix(size, out, kernel):
    """Resizing; rows that sum to one.

    The kernel is widened where it shrinks, pixel centres are at half-integers and there are no pixels outside, as in
    Pillow, whose LANCZOS is `lanczos(3)` and whose BICUBIC is `bicubic`.

    Args:
      size, out: pixels before and after.
      kernel: function of distances in pixels.
    """
    stretch = max(size / out, 1.0)
    centers = (np.arange(out)[:, None] + 0.5) * size / out - 0.5
    weights = kernel((np.arange(size) - centers) / stretch)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def lanczos(lobes):
    """The Lanczos kernel of a number of lobes."""
    return lambda x: np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0)


def bicubic(x):
    """The cubic kernel with a = -0.5."""
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x**2 + 1, np.where(x < 2, -0.5 * (((x - 5) * x + 8) * x - 4), 0))
