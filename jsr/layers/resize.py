"""Enlarging images inside a network."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def bicubic_upsample(x, factor):
    """(N, H, W, C) to (N, H * factor, W * factor, C) by torch's bicubic interpolation; float, dtype kept.

    It is torch.nn.functional.interpolate(mode="bicubic", align_corners=False): the cubic kernel with a = -0.75, where
    Pillow, MATLAB and jax.image.resize have -0.5; the edge pixels repeated. `factor` is an integer.
    """
    return _along(_along(x, factor, 1), factor, 2)


def _along(x, factor, axis):
    """Each of `factor` phases is the same weighted sum of four neighbours everywhere."""
    size = x.shape[axis]
    padded = jnp.pad(x, [(2, 2) if d == axis else (0, 0) for d in range(x.ndim)], mode="edge")
    phases = []
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        taps = range(math.floor(position) - 1, math.floor(position) + 3)
        phases.append(sum(_cubic(position - tap) * jax.lax.slice_in_dim(padded, tap + 2, tap + 2 + size, axis=axis)
                          for tap in taps))
    shape = [size * factor if d == axis else side for d, side in enumerate(x.shape)]
    return jnp.stack(phases, axis + 1).reshape(shape)


def _cubic(distance, a=-0.75):
    d = abs(distance)
    return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)


def bilinear(x, height, width):
    """(N, H, W, C) to (N, height, width, C), no smaller; float, dtype kept.

    It is torch.nn.functional.interpolate(mode="bilinear", align_corners=False). jax.image.resize does the same by
    multiplying with matrices, which for a coarse map of a large image is more work than the rest of an attention.
    """
    return _linear(_linear(x, height, 1), width, 2)


def _linear(x, size, axis):
    length = x.shape[axis]
    place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    before = place.astype(int)
    weight = jnp.asarray((place - before).reshape([-1 if d == axis else 1 for d in range(x.ndim)]), x.dtype)
    start, end = (jnp.take(x, rows, axis) for rows in (before, np.minimum(before + 1, length - 1)))
    return start + (end - start) * weight
