"""Means over a whole image, and their local form at inference; maxima of windows.

A network trained on crops learned from the means of crops; those of a whole image are others. TLC, the test-time local
converter (Chu et al., Improving Image Restoration by Revisiting Global Information Aggregation, ECCV 2022), gives each
pixel the mean of a window around it instead, half as large again as the crops. Semantics as in megvii-research/TLC
(basicsr/models/archs/local_arch.py, AvgPool2d with fast_imp=False).
"""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp


class GlobalMean(nn.Module):
    """(N, H, W, C) to the means of its features, (N, 1, 1, C), same dtype; within `local_means` (N, H, W, C)."""

    def __call__(self, x):
        return x.mean((1, 2), keepdims=True)


@contextlib.contextmanager
def local_means(window, height, width):
    """While it is entered, networks that are traced have means of windows in place of their global ones.

    Args:
      window: side of the square windows, px of an image that the networks get. On features of another size it is
        greater or smaller as they are.
      height, width: size of that image.
    """
    def local(call, args, kwargs, context):
        if not isinstance(context.module, GlobalMean) or context.method_name != "__call__":
            return call(*args, **kwargs)
        (x,) = args
        sides = zip(x.shape[1:3], (height, width), strict=True)
        return box_mean(x, *(max(window * side // whole, 1) for side, whole in sides))

    with nn.intercept_methods(local):
        yield


def max_pool(x, size, stride, padding=0):
    """The maximum of each window of size x size px, `stride` px apart: (N, H, W, C) to (N, H', W', C), same dtype.

    Maxima of rows first, then of these: on a CPU a tenth of the time of windows of 7x7 px.

    Args:
      padding: pixels on either side, which are less than any.
    """
    for axis in (2, 1):
        window, strides, around = [1, 1], [1, 1], [(0, 0), (0, 0)]
        window[axis - 1], strides[axis - 1], around[axis - 1] = size, stride, (padding, padding)
        x = nn.max_pool(x, tuple(window), tuple(strides), around)  # pyright: ignore[reportArgumentType]
    return x


def box_mean(x, height, width):
    """The mean of a window of height x width px around each pixel of (N, H, W, C); same shape and dtype.

    Windows lie within the image: pixels near an edge have the mean of the window that touches it, and one larger than
    the image is as large as it. Of an even length the pixel is the one before the middle.
    """
    return _mean_along(_mean_along(x.astype(jnp.float32), height, 1), width, 2).astype(x.dtype)


def _mean_along(x, size, axis):
    """Means of windows by sums up to each pixel: exact to the rounding of a row's sum, whatever the size."""
    length = x.shape[axis]
    size = min(size, length)
    sums = jnp.cumsum(jnp.pad(x, [(int(d == axis), 0) for d in range(x.ndim)]), axis)
    upper, lower = (jax.lax.slice_in_dim(sums, start, start + length - size + 1, axis=axis) for start in (size, 0))
    around = [((size - 1) // 2, size // 2) if d == axis else (0, 0) for d in range(x.ndim)]
    return jnp.pad((upper - lower) / size, around, mode="edge")
