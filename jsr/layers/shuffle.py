"""Moving pixels between channels and space, with PyTorch's channel order (c, row, column).

TensorFlow's depth_to_space orders (row, column, c): the same shapes, another image. The functions are jitted for their
names, which stay readable in a traced network.

A TPU holds rows of 128 values, and would fill them with a few columns each while pixels of an image move, 32 times
their bytes at a factor of 4. There they move by a product with a matrix of zeros and ones, which is as exact: same
bits, but for what is not finite, which makes its neighbours in a row NaN.
"""

import functools
import math

import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
import jax.numpy as jnp

_LANES = 128  # values of a TPU's row
_FEW = 4  # channels of an image at most; features fill a TPU's rows themselves


@functools.partial(jax.jit, static_argnums=1)
def pixel_shuffle(x, factor):
    """(N, H, W, C * factor**2) to (N, H * factor, W * factor, C), as torch.nn.PixelShuffle; any dtype, kept."""
    channels = x.shape[-1]
    if channels % factor**2:
        raise ValueError(f"{channels} channels are no multiple of factor**2 = {factor**2}")
    return _move(x, factor, channels // factor**2, back=False)


@functools.partial(jax.jit, static_argnums=1)
def pixel_unshuffle(x, factor):
    """(N, H * factor, W * factor, C) to (N, H, W, C * factor**2), the inverse of pixel_shuffle; any dtype, kept."""
    _, h, w, channels = x.shape
    if h % factor or w % factor:
        raise ValueError(f"height {h} or width {w} is no multiple of factor = {factor}")
    return _move(x, factor, channels, back=True)


def _move(x, factor, channels, back):
    if factor == 1 or channels > _FEW or not jnp.issubdtype(x.dtype, jnp.floating):
        return _transposed(x, factor, back)
    return _moved.bind(x, factor=factor, back=back, jaxpr=jax.make_jaxpr(lambda x: _transposed(x, factor, back))(x))


def _transposed(x, factor, back):
    n, h, w, channels = x.shape
    if back:
        x = x.reshape(n, h // factor, factor, w // factor, factor, channels)
        return x.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // factor, w // factor, channels * factor**2)
    x = x.reshape(n, h, w, channels // factor**2, factor, factor)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * factor, w * factor, channels // factor**2)


def by_products(x, factor, back):
    """pixel_shuffle, or with `back` pixel_unshuffle, by a product that moves a whole row's values at once.

    Args:
      x, factor: see there; x of a floating dtype.
      back: whether it is pixel_unshuffle.
    """
    block = _LANES // math.gcd(factor, _LANES)  # pixels of features whose pixels of the image are whole rows
    places = jnp.eye(block * factor, dtype=x.dtype).reshape(block, factor, -1)
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    x = lax.optimization_barrier(x)  # what makes it is not computed in the shapes below
    n, h, w, _ = x.shape
    h, w = (h // factor, w // factor) if back else (h, w)
    blocks = -(-w // block)
    if back:
        x = x.transpose(0, 3, 1, 2).reshape(n, -1, h, factor, w * factor)
        x = jnp.pad(x, [(0, 0)] * 4 + [(0, (blocks * block - w) * factor)])
        x = product("nchibv,wjv->nhbwcij", x.reshape(*x.shape[:4], blocks, block * factor), places)
        return x.reshape(n, h, blocks * block, -1)[:, :, :w]
    x = jnp.pad(x, [(0, 0), (0, 0), (0, blocks * block - w), (0, 0)])
    x = product("nhbwcij,wjv->nchibv", x.reshape(n, h, blocks, block, -1, factor, factor), places)
    return x.reshape(n, -1, h * factor, blocks * block * factor)[..., :w * factor].transpose(0, 2, 3, 1)


# Pixels of an image, moved: a transposition in a trace and on every platform but TPUs
_moved = Primitive("pixels_moved")
_moved.def_impl(lambda x, *, factor, back, jaxpr: _transposed(x, factor, back))
_moved.def_abstract_eval(lambda x, *, factor, back, jaxpr: jaxpr.out_avals[0])
ad.deflinear2(_moved, lambda gradient, x, *, factor, back, jaxpr: [
    _move(gradient, factor, x.aval.shape[-1] // (1 if back else factor**2), not back)])
batching.primitive_batchers[_moved] = lambda values, axes, *, factor, back, jaxpr: (
    jax.vmap(lambda x: _transposed(x, factor, back), axes)(*values), 0)
mlir.register_lowering(_moved, mlir.lower_fun(_moved.impl, multiple_results=False))
mlir.register_lowering(_moved, mlir.lower_fun(
    lambda x, *, factor, back, jaxpr: by_products(x, factor, back), multiple_results=False), platform="tpu")
