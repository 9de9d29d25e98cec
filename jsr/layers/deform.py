"""Sampling images at places that are computed: deformable convolution, grids, and warping by optical flow.

They are torchvision's and PyTorch's, to rounding: bilinear between the four pixels around a place, zeros beyond the
image. They are gathers; a backward pass gathers again, for what it would otherwise keep is 36 times the input of a 3x3
kernel. The functions that are jitted are so for their names, which stay readable in a traced network.
"""

from collections.abc import Callable
import functools
import math
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from jsr.layers.conv import torch_uniform


class DeformConv(nn.Module):
    """A convolution whose taps are moved and weighed anew at each pixel: deformable convolution of version 2.

    Attributes:
      features: output channels.
      kernel_size: side of the kernel.
      groups: number of groups of the channels, as in any convolution.
      use_bias: adds `bias`.
      dtype: dtype of the computation; places are float32 at least, parameters stay float32.
      kernel_init: initialiser of the kernel; the bias starts at zero.

    Parameters: `kernel` (kernel_size, kernel_size, C / groups, features), `bias` (features,).
    """

    features: int
    kernel_size: int = 3
    groups: int = 1
    use_bias: bool = True
    dtype: Any = None
    kernel_init: Callable | None = None

    @nn.compact
    def __call__(self, x, offset, mask=None):
        """Array (N, H, W, C) to (N, H, W, features); `offset` and `mask` as in `deform_convolve`."""
        size, channels = self.kernel_size, x.shape[-1] // self.groups
        draw = self.kernel_init or torch_uniform(channels * size**2)
        kernel = self.param("kernel", draw, (size, size, channels, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32) if self.use_bias else None
        x, mask, kernel, bias = promote_dtype(x, mask, kernel, bias, dtype=self.dtype)
        y = deform_convolve(x, offset, kernel, mask)
        return y if bias is None else y + bias


def deform_convolve(x, offset, kernel, mask=None, *, strides=1, padding=None, dilation=1):
    """Deformable convolution, as torchvision.ops.deform_conv2d.

    Args:
      x: (N, H, W, C), float; the dtype is kept.
      offset: (N, H', W', G * K * 2), px; how far each of the K taps of a kernel is moved, (down, right), for each of G
        groups of the channels. H' and W' are as of a convolution of these strides and padding.
      kernel: (k, k', C / groups, features); the number of groups follows.
      mask: (N, H', W', G * K), weights of the taps; None is ones.
      strides, padding, dilation: (rows, columns), or one number for both; padding is on both sides, None keeps the
        size of images at stride 1.

    Returns:
      Array (N, H', W', features).

    Raises:
      ValueError: shapes that do not fit each other.
    """
    (height, width, channels, features), taps = kernel.shape, kernel.shape[0] * kernel.shape[1]
    strides, dilation = (np.broadcast_to(value, 2) for value in (strides, dilation))
    around = dilation * (np.array([height, width]) - 1)
    padding = np.broadcast_to(around // 2 if padding is None else padding, 2)
    moved = offset.shape[-1]
    if moved % (2 * taps) or x.shape[-1] % (moved // (2 * taps) or 1) or not moved:
        raise ValueError(f"{moved} offsets are not 2 for each of {taps} taps and of groups of {x.shape[-1]} channels")
    if mask is not None and mask.shape[-1] * 2 != moved:
        raise ValueError(f"{mask.shape[-1]} weights of taps do not fit {moved} offsets, two for each of them")
    if x.shape[-1] % channels or features % (x.shape[-1] // channels):
        raise ValueError(f"a kernel of {channels} to {features} channels does not fit {x.shape[-1]} channels")
    expected = tuple((side + 2 * p - a - 1) // s + 1 for side, p, a, s in
                     zip(x.shape[1:3], padding.tolist(), around.tolist(), strides.tolist(), strict=True))
    if offset.shape[1:3] != expected:
        raise ValueError(f"offsets are of {offset.shape[1:3]} px, the output of {expected}")
    window = np.stack([strides, padding, dilation]).astype(np.int32)
    return deform_conv(x, offset, kernel, *([] if mask is None else [mask]), window)


@jax.jit
def deform_conv(x, offset, kernel, *mask_and_window):
    """`deform_convolve`, its last argument being the integers (strides, padding, dilation), (3, 2)."""
    *mask, (strides, padding, dilation) = mask_and_window
    (n, _, _, channels), (size, other, per_group, features) = x.shape, kernel.shape
    (_, rows, columns, moved), taps = offset.shape, size * other
    groups = moved // (2 * taps)
    wide = jnp.promote_types(offset.dtype, jnp.float32)
    moves = offset.reshape(n, rows, columns, groups, taps, 2).astype(wide)
    tap = np.stack(np.meshgrid(np.arange(size), np.arange(other), indexing="ij"), -1).reshape(taps, 2)
    corner = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"), -1) * strides - padding
    places = moves + (corner[:, :, None, None] + tap * dilation).astype(wide)
    weights = mask[0].reshape(n, rows, columns, groups, taps) if mask else None
    samples = _bilinear(x, places, weights)
    if per_group == channels:
        kernel = kernel.reshape(taps, groups, -1, features).transpose(1, 0, 2, 3).reshape(-1, features)
        return (samples.reshape(n, rows, columns, taps * channels) @ kernel).astype(x.dtype)
    blocks = channels // per_group
    samples = samples.swapaxes(-3, -2).reshape(n, rows, columns, taps, blocks, per_group)
    kernel = kernel.reshape(taps, per_group, blocks, features // blocks)
    return jnp.einsum("nabkgc,kcgf->nabgf", samples, kernel).reshape(n, rows, columns, features).astype(x.dtype)


def flow_warp(x, flow, *, border=False):
    """An image warped by optical flow, as by flow_warp of BasicSR and mmagic.

    Args:
      x: (N, H, W, C), float; the dtype is kept.
      flow: (N, H, W, 2), px; (right, down) from a pixel to the place in `x` that it shows.
      border: takes the nearest pixel of the edge beyond the image, instead of zeros.

    Returns:
      Array (N, H, W, C).
    """
    height, width = x.shape[1:3]
    places = jnp.meshgrid(jnp.arange(width), jnp.arange(height))
    grid = [(2 * (place.astype(flow.dtype) + flow[..., axis]) + 1) / side - 1
            for axis, (place, side) in enumerate(zip(places, (width, height), strict=True))]
    return (grid_sample if border else grid_sample_zeros)(x, jnp.stack(grid, -1))


@jax.jit
def grid_sample(x, grid):
    """(N, H, W, C) sampled at places (N, H', W', 2): (N, H', W', C), in x's dtype.

    It is torch.nn.functional.grid_sample(padding_mode="border", align_corners=False): bilinear; (column, row) are -1
    and 1 at the image's edges, and what is beyond them is the edge.
    """
    places = _pixels(x, grid)
    last = jnp.stack([jnp.asarray(side - 1, places.dtype) for side in x.shape[1:3]])
    return _bilinear(x, jnp.clip(places, 0, last)).reshape(*grid.shape[:3], x.shape[-1])


@jax.jit
def grid_sample_zeros(x, grid):
    """`grid_sample` with zeros beyond the edge, as padding_mode="zeros" has them."""
    return _bilinear(x, _pixels(x, grid)).reshape(*grid.shape[:3], x.shape[-1])


def _pixels(x, grid):
    """(N, H', W', 1, 1, 2), the places (down, right) of a grid, px."""
    wide = grid.astype(jnp.promote_types(grid.dtype, jnp.float32))[..., ::-1]
    sides = jnp.stack([jnp.asarray(side, wide.dtype) for side in x.shape[1:3]])
    return (((wide + 1) * sides - 1) / 2)[:, :, :, None, None]


def _bilinear(x, places, weights=None):
    """Samples of images (N, H, W, C), zeros beyond them, each times its weight.

    Args:
      places: (N, A, B, G, K, 2), (down, right), px, at which each of G groups of the channels is sampled.
      weights: (N, A, B, G, K); None is ones.

    Returns:
      Array (N, A, B, G, K, C / G), in the dtype of x.
    """
    (n, height, width, channels), (*shape, _) = x.shape, places.shape
    groups = shape[3]
    # One row and column of zeros around the image: places beyond them are taken there.
    bounds = jnp.stack([jnp.asarray(side, places.dtype) for side in (height, width)])
    places = jnp.clip(places, -1, bounds)
    first = jnp.minimum(jnp.floor(places), bounds - 1)
    part, first = places - first, first.astype(jnp.int32) + 1
    size = (height + 2) * (width + 2) * groups
    table = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]).reshape(n, size, channels // groups)
    index = (first[..., 0] * (width + 2) + first[..., 1]) * groups + jnp.arange(groups)[:, None]
    shares = [(share_y * share_x) if weights is None else share_y * share_x * weights.astype(part.dtype)
              for share_y in (1 - part[..., 0], part[..., 0]) for share_x in (1 - part[..., 1], part[..., 1])]
    steps = [(row * (width + 2) + column) * groups for row in (0, 1) for column in (0, 1)]
    count = math.prod(shape[1:])
    shares = [share.astype(x.dtype).reshape(n, count) for share in shares]
    mixed: Any = _mixed(tuple(steps), table, index.reshape(n, count), shares)
    return mixed.reshape(*shape, channels // groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _mixed(steps, table, index, shares):
    """The sum of rows of a table (N, R, C): those `steps` behind `index` (N, M), times `shares`, each (N, M)."""
    # Fused into the loop over the rows' values, what makes indices and shares would be computed for each of them
    table, index, shares = lax.optimization_barrier((table, index, shares))
    return sum(_rows(table, index + step) * share[..., None] for step, share in zip(steps, shares, strict=True))


def _rows(table, index):
    """Rows of tables; XLA, too, keeps indices that are no numbers within them."""
    return jax.vmap(lambda table, index: table.at[index].get(mode="promise_in_bounds"))(table, index)


def _mixed_forward(steps, table, index, shares):
    return _mixed(steps, table, index, shares), (table, index, shares)


def _mixed_backward(steps, kept, gradient):
    table, index, shares = kept
    add = jax.vmap(lambda table, index, rows: table.at[index].add(rows, mode="promise_in_bounds"))
    of_table, of_shares = jnp.zeros_like(table), []
    for step, share in zip(steps, shares, strict=True):
        at = lax.optimization_barrier(index + step)
        of_table = add(of_table, at, lax.optimization_barrier(gradient * share[..., None]))
        of_shares.append(_summed(gradient * lax.optimization_barrier(_rows(table, at))))
    return of_table, None, of_shares


def _summed(x):
    """The sum over a short last axis, by halves: XLA's own reduction of such takes ten times as long on a CPU."""
    while x.shape[-1] % 2 == 0:
        half = x.shape[-1] // 2
        x = x[..., :half] + x[..., half:]
    return x.sum(-1)


_mixed.defvjp(_mixed_forward, _mixed_backward)
