"""Enlarging and reducing images inside a network."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsr.cubic import cubic, four


def bicubic_upsample(x, factor, a=-0.75):
    """(N, H, W, C) to (N, H * factor, W * factor, C) by torch's bicubic interpolation; float, dtype kept.

    It is torch.nn.functional.interpolate(mode="bicubic", align_corners=False): the cubic kernel with a = -0.75, where
    Pillow, MATLAB and jax.image.resize have -0.5; the edge pixels repeated. `factor` is an integer.
    """
    return _along(_along(x, factor, 1, a), factor, 2, a)


def _along(x, factor, axis, a):
    """Each of `factor` phases is the same weighted sum of four neighbours everywhere."""
    size = x.shape[axis]
    padded = jnp.pad(x, [(2, 2) if d == axis else (0, 0) for d in range(x.ndim)], mode="edge")
    phases = []
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        taps = range(math.floor(position) - 1, math.floor(position) + 3)
        phases.append(sum(cubic(position - tap, a) * jax.lax.slice_in_dim(padded, tap + 2, tap + 2 + size, axis=axis)
                          for tap in taps))
    shape = [size * factor if d == axis else side for d, side in enumerate(x.shape)]
    return jnp.stack(phases, axis + 1).reshape(shape)


@functools.partial(jax.jit, static_argnums=1)  # for its name, which stays readable in a traced network
def bicubic_aligned(x, factor):
    """(N, H, W, C) to (N, H * factor, W * factor, C) with the corners' pixels in the corners; float, dtype kept.

    It is torch.nn.functional.interpolate(mode="bicubic", align_corners=True): the distance of the new pixels is
    (H - 1) / (H * factor - 1), so that each has weights of its own, and none of the places of `bicubic_upsample`.
    """
    return _aligned_along(_aligned_along(x, factor, 1), factor, 2)


def _aligned_along(x, factor, axis):
    length = x.shape[axis]
    there = np if isinstance(length, int) else jnp  # constants, but for a symbolic size
    steps = there.arange(length * factor) * (length - 1)  # in units of 1 / (length * factor - 1) px
    whole = max(length * factor - 1, 1) if there is np else length * factor - 1
    before = steps // whole
    place = (steps - before * whole) / whole
    return sum(jnp.take(x, there.clip(before + tap, 0, length - 1), axis)
               * jnp.asarray(weight.reshape([-1 if d == axis else 1 for d in range(x.ndim)]), x.dtype)
               for tap, weight in enumerate(four(place, -0.75), -1))


def bicubic_downsample(x, factor, a=-0.75):
    """(N, H, W, C) to (N, H / factor, W / factor, C) by torch's bicubic interpolation; float, dtype kept.

    It is torch.nn.functional.interpolate(mode="bicubic", align_corners=False) without its antialiasing: four neighbours
    make a pixel whatever the factor, and by an odd factor one does. `factor` is an integer, H and W are multiples.
    """
    return _reduce_along(_reduce_along(x, factor, 1, a), factor, 2, a)


def _reduce_along(x, factor, axis, a) -> Any:  # `sum` is said to give an integer
    """Each pixel is the same weighted sum of the four around the middle of its `factor` pixels."""
    size = x.shape[axis] // factor
    padded = jnp.pad(x, [(1, 1) if d == axis else (0, 0) for d in range(x.ndim)], mode="edge")
    position = (factor - 1) / 2
    weights = {tap: cubic(position - tap, a) for tap in range(math.floor(position) - 1, math.floor(position) + 3)}
    return sum(weight * jax.lax.slice_in_dim(padded, tap + 1, tap + 2 + factor * (size - 1), factor, axis)
               for tap, weight in weights.items() if weight)


@functools.partial(jax.jit, static_argnums=(1, 2))  # for its name, which stays readable in a traced network
def bilinear(x, height, width):
    """(N, H, W, C) to (N, height, width, C); float, dtype kept.

    It is torch.nn.functional.interpolate(mode="bilinear", align_corners=False), which makes each pixel of the nearest
    four, however much smaller the image becomes. jax.image.resize does the same by
    multiplying with matrices, which for a coarse map of a large image is more work than the rest of an attention.
    """
    return _linear(_linear(x, height, 1), width, 2)


@functools.partial(jax.jit, static_argnums=(1, 2))
def bilinear_aligned(x, height, width):
    """`bilinear` with align_corners=True: the middles of the pixels in the corners stay where they are."""
    return _linear_aligned(_linear_aligned(x, height, 1), width, 2)


def _linear(x, size, axis):
    length = x.shape[axis]
    there = np if isinstance(size, int) else jnp  # constants, but for a symbolic size
    last = length - 1 + there.zeros((), int)
    # (index + 0.5) * length / size - 0.5, times 2 * size
    place = there.clip((2 * there.arange(size) + 1) * length - size, 0, 2 * size * last)
    before = place // (2 * size)
    weight = (place - before * (2 * size)) / (2 * size)
    weight = jnp.asarray(weight.reshape([-1 if d == axis else 1 for d in range(x.ndim)]), x.dtype)
    start, end = (jnp.take(x, rows, axis) for rows in (before, there.minimum(before + 1, last)))
    return start + (end - start) * weight


def _linear_aligned(x, size, axis):
    length = x.shape[axis]
    there = np if isinstance(size, int) else jnp
    steps = size - 1 if not isinstance(size, int) else max(size - 1, 1)
    place = there.arange(size) * (length - 1)  # times `steps`
    before = place // steps
    weight = (place - before * steps) / steps
    weight = jnp.asarray(weight.reshape([-1 if d == axis else 1 for d in range(x.ndim)]), x.dtype)
    start, end = (jnp.take(x, rows, axis) for rows in (before, there.minimum(before + 1, length - 1)))
    return start + (end - start) * weight
