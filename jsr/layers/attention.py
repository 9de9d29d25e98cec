"""Window attention, and the parts around it in a transformer layer."""

import contextlib
import contextvars
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jsr import sharding
from jsr.layers.activation import gelu
from jsr.layers.window import relative_position_index

# The transformers' own initialisation. Their trunc_normal_ cuts at the absolute values -2 and 2, a hundred standard
# deviations away: it is a plain normal distribution.
normal = nn.initializers.normal(0.02)
softmax = jax.jit(nn.softmax)  # for its name, which stays readable in a traced network
Linear = functools.partial(nn.Dense, kernel_init=normal)  # the bias starts at zero
_by_kernel = contextvars.ContextVar("by_kernel", default=None)


@contextlib.contextmanager
def attending_by(kernel):
    """While it is entered, networks that are traced attend by a function of `attend`'s arguments (jsr.fused)."""
    token = _by_kernel.set(kernel)
    try:
        yield
    finally:
        _by_kernel.reset(token)


def split_heads(x, parts, num_heads):
    """(..., parts * C) to a list of `parts` arrays (..., num_heads, C / num_heads), as queries, keys and values lie."""
    channels = x.shape[-1] // parts
    if x.shape[-1] % parts or channels % num_heads:
        raise ValueError(f"{x.shape[-1]} channels do not split into {parts} parts of num_heads = {num_heads}")
    x = x.reshape(*x.shape[:-1], parts, num_heads, channels // num_heads)
    return [x[..., part, :, :] for part in range(parts)]


def attend(query, key, value, *, scale, bias, regions=None):
    """softmax(scale * query key^T + bias) value within windows; logits and softmax in float32 whatever the inputs are.

    Args:
      query: array (N, windows, queries, heads, C).
      key, value: arrays (N, windows, keys, heads, C).
      scale: scale of the products, a number or an array (heads, 1, 1).
      bias: float32 array (heads, queries, keys).
      regions: array (windows, queries) of integers, where queries and keys are the same pixels, else a tuple of the
        queries' and the keys': pairs of other regions get -100, which leaves them e^-100 of weight. None: all count.

    Returns:
      Array (N, windows, queries, heads * C), of value's dtype.
    """
    return (_by_kernel.get() or attend_plainly)(query, key, value, scale=scale, bias=bias, regions=regions)


def attend_plainly(query, key, value, *, scale, bias, regions=None):
    """`attend` as XLA has it, whose logits are written to memory."""
    logits = jnp.einsum("nwqhc,nwkhc->nwhqk", query, key, preferred_element_type=jnp.float32) * scale + bias
    if regions is not None:
        # compared in the program: the mask of a large image is no constant to carry
        of_queries, of_keys = map(jnp.asarray, regions if isinstance(regions, tuple) else (regions, regions))
        apart = of_queries[:, None, :, None] != of_keys[:, None, None, :]
        logits = jnp.where(apart, logits - 100, logits)
    weights = softmax(logits).astype(value.dtype)
    y = jnp.einsum("nwhqk,nwkhc->nwqhc", weights, value)
    return y.reshape(*y.shape[:-2], -1)


def attend_between_channels(query, key, value, temperature):
    """softmax(temperature * cosine(query, key)) value between the channels of a head, as vectors over all pixels.

    Args:
      query, key, value: arrays (N, H, W, heads, C).
      temperature: float32 array (heads, 1, 1).

    Returns:
      Array (N, H, W, heads * C), of value's dtype; the logits and softmax are float32. Zero vectors have cosine zero.
    """
    scale = _inverse_norm(query)[..., :, None] * _inverse_norm(key)[..., None, :] * temperature
    if query.shape[3] == 1:  # the same without an axis for it, around which a CPU would turn the images in memory
        n, height, width, _, channels = value.shape
        query, key, value = (x.reshape(n, height * width, channels) for x in (query, key, value))
        logits = jnp.einsum("npc,npd->ncd", query, key, preferred_element_type=jnp.float32)
        y = jnp.einsum("npd,ncd->npc", value, softmax(logits * scale.squeeze(1)).astype(value.dtype))
        return y.reshape(n, height, width, channels)
    logits = jnp.einsum("nyxhc,nyxhd->nhcd", query, key, preferred_element_type=jnp.float32)
    y = jnp.einsum("nhcd,nyxhd->nyxhc", softmax(logits * scale).astype(value.dtype), value)
    return y.reshape(*y.shape[:-2], -1)


def _inverse_norm(x):
    """One over the Euclidean norms over the pixels: (N, H, W, heads, C) to float32 (N, heads, C), 1e12 at most."""
    return jax.lax.rsqrt(jnp.maximum(jnp.square(x.astype(jnp.float32)).sum((1, 2)), 1e-24))


class WindowAttention(nn.Module):
    """Multi-head self-attention of Swin transformers, with a learned bias for each difference of positions.

    Attributes:
      num_heads: divides the channels.
      dtype: dtype of the computation, but for the logits.

    Parameters: `relative_position_bias_table` ((2 window_size - 1)**2, num_heads); submodules `qkv`, `proj`.
    """

    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, windows, regions=None):
        """(N, windows, window_size**2, C) to the same shape; `regions` as `attend` takes them."""
        channels, window_size = windows.shape[-1], math.isqrt(windows.shape[-2])
        table = self.param("relative_position_bias_table", normal, ((2 * window_size - 1)**2, self.num_heads))
        bias = table[relative_position_index(window_size)].transpose(2, 0, 1)
        qkv = Linear(3 * channels, dtype=self.dtype, name="qkv")(windows)
        y = attend(*split_heads(qkv, 3, self.num_heads), scale=(channels // self.num_heads)**-0.5, bias=bias,
                   regions=regions)
        return Linear(channels, dtype=self.dtype, name="proj")(y)


class MLP(nn.Module):
    """Two linear layers with a GELU between, the exact one with the error function. Submodules: `fc1`, `fc2`."""

    ratio: float  # hidden over outer features
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        x = Linear(int(features * self.ratio), dtype=self.dtype, name="fc1")(x)
        return Linear(features, dtype=self.dtype, name="fc2")(gelu(x))


class DropPath(nn.Module):
    """Stochastic depth: a residual is dropped for a whole sample with probability `rate`, and scaled up otherwise.

    Draws from the rng stream "dropout" where `rate` is not zero; a network passes 0 outside training. A rate
    that is an array counts as above zero.
    """

    rate: float | jax.Array

    @nn.compact
    def __call__(self, x):
        if not isinstance(self.rate, jax.Array) and not self.rate:
            return x
        keep = 1 - self.rate
        key = self.make_rng("dropout")
        kept = sharding.whole_batch(lambda count: jax.random.bernoulli(key, keep, (count,)), len(x))
        return jnp.where(kept.reshape(-1, *(1,) * (x.ndim - 1)), x / jnp.asarray(keep, x.dtype), 0)
