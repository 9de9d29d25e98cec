"""Window attention as one kernel, by Pallas: logits and softmax stay on the chip.

XLA writes float32 logits of (windows, heads, queries, keys) to memory and reads them for the softmax, whose weights it
writes and reads too. The kernel keeps a block of them, (keys, queries), and goes through the keys block by block, with
the running maximum and sum of FlashAttention (Dao et al., NeurIPS 2022). Channels lie before pixels, (C, pixels): a
head's channels are too few to fill a TPU's registers. The backward pass computes the plain formula again.
"""

import contextlib
import functools

import jax
from jax.experimental import pallas as pl
import jax.numpy as jnp

from jsr.errors import UserError
from jsr.layers.attention import attend_plainly, attending_by

PLATFORMS = ("tpu", "cuda")
_NEVER = -1e30  # logits of keys that fill up blocks
_BLOCKS = {"tpu": (128, 768, 1408), "cuda": (32, 64, 32)}  # step of blocks, most queries and most keys of a block


def attending(platform, *, interpret=False):
    """A context: while it is entered, networks that are traced attend by the kernel (jsr.layers.attention.attend).

    It is for a bias of (heads, queries, keys); attention without one, as to a few tokens, stays the plain formula.

    Args:
      platform: one of PLATFORMS, for which programs are compiled.
      interpret: Pallas interprets the kernel, on any platform; for tests.

    Raises:
      UserError: a platform for which there is no kernel; at the context's end, nothing attended by it.
    """
    if platform not in PLATFORMS:
        raise UserError(f"kernels = attention: there are some for {' and '.join(PLATFORMS)}, none for {platform}; "
                        "leave kernels out")
    return _attending(platform, interpret)


@contextlib.contextmanager
def _attending(platform, interpret):
    used = []

    def attend(query, key, value, *, scale, bias, regions=None):
        heads = query.shape[3]
        if jnp.shape(bias) != (heads, query.shape[2], key.shape[2]):
            return attend_plainly(query, key, value, scale=scale, bias=bias, regions=regions)
        used.append(platform)
        if regions is not None and not isinstance(regions, tuple):
            regions = regions, regions
        scale = jnp.broadcast_to(jnp.asarray(scale, jnp.float32), (heads, 1, 1))
        return _attend(query, key, value, scale, bias, regions, platform, interpret)

    with attending_by(attend):
        yield
    if not used:
        raise UserError("kernels = attention: nothing attends within windows by a bias of positions; leave kernels out")


@functools.partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def _attend(query, key, value, scale, bias, regions, platform, interpret):
    (n, windows, queries, *_), keys = query.shape, key.shape[2]
    (rows, more_queries), (columns, more_keys) = map(functools.partial(_block, platform), (queries, keys), (0, 1))

    def laid(x, more):
        """(N, windows, pixels, heads, C) to (N, windows, heads, C, pixels), filled up with zeros."""
        x = x.transpose(0, 1, 3, 4, 2)
        return jnp.pad(x, (*[(0, 0)] * 3, (0, _more_channels(platform, x.shape[3])), (0, more)))

    bias = jnp.pad(bias.astype(jnp.float32).transpose(0, 2, 1), ((0, 0), (0, more_keys), (0, 0)),
                   constant_values=_NEVER)
    bias = jnp.pad(bias, ((0, 0), (0, 0), (0, more_queries)))
    given = [laid(query, more_queries), laid(key, more_keys), laid(value, more_keys), scale, bias]
    if regions is not None:
        of_queries, of_keys = (jnp.pad(jnp.asarray(its, jnp.int32), ((0, 0), (0, more)))
                               for its, more in zip(regions, (more_queries, more_keys), strict=True))
        given += [of_queries[:, None], of_keys[:, :, None]]
    y = (_on_tpu if platform == "tpu" else _on_gpu)(given, rows, columns, interpret)
    y = y[..., :value.shape[-1], :queries].transpose(0, 1, 4, 2, 3)
    return y.reshape(n, windows, queries, -1)


def _forward(query, key, value, scale, bias, regions, platform, interpret):
    given = query, key, value, scale, bias, regions
    return _attend(*given, platform, interpret), given


def _backward(platform, interpret, given, gradient):
    *floats, regions = given
    _, back = jax.vjp(lambda query, key, value, scale, bias: attend_plainly(
        query, key, value, scale=scale, bias=bias, regions=regions), *floats)
    return *back(gradient), None


_attend.defvjp(_forward, _backward)


def _more_channels(platform, channels):
    """The number of channels that a head lacks to a power of two, which Triton wants."""
    return max(1 << (channels - 1).bit_length(), 16) - channels if platform == "cuda" else 0


def _block(platform, length, side):
    """(pixels of a block, pixels that fill up the last one); a TPU takes as many as fit in one, as they are."""
    step, *most = _BLOCKS[platform]
    if platform == "tpu" and length <= most[side]:
        return length, 0
    more = -length % step
    return max(size for size in range(step, most[side] + 1, step) if not (length + more) % size), more


def _specs(order, given, rows, columns):
    """(blocks of the arrays, block of the result).

    `order` makes the numbers of a grid (head, block of queries, image, window, block of keys).
    """
    query, key, value, *_ = given
    places = [((None,) * 3 + (query.shape[3], rows), lambda h, i, n, w, j: (n, w, h, 0, i)),
              *[((None,) * 3 + (its.shape[3], columns), lambda h, i, n, w, j: (n, w, h, 0, j)) for its in (key, value)],
              ((None, 1, 1), lambda h, i, n, w, j: (h, 0, 0)),
              ((None, columns, rows), lambda h, i, n, w, j: (h, j, i)),
              ((None, 1, rows), lambda h, i, n, w, j: (w, 0, i)),
              ((None, columns, 1), lambda h, i, n, w, j: (w, j, 0))]
    places.append(((None,) * 3 + (value.shape[3], rows), places[0][1]))
    *specs, of_result = (pl.BlockSpec(shape, lambda *at, place=place: place(*order(*at))) for shape, place in places)
    return specs[:len(given)], of_result


def _step(state, query, key, value, scale, bias, regions):
    """Takes a block of keys into account.

    Args:
      state: maximum of the logits and sum of the weights so far, float32 (1, queries), and their values' weighted sum,
        float32 (C, queries).
      query, key, value: arrays (C, pixels).
      scale, bias: float32 (1, 1) and (keys, queries).
      regions: the queries', int32 (1, queries), and the keys', (keys, 1); empty.

    Returns:
      The new state.
    """
    highest, total, y = state
    logits = jax.lax.dot_general(key, query, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
    logits = logits * scale + bias
    if regions:
        of_queries, of_keys = regions
        logits = jnp.where(of_queries != of_keys, logits - 100, logits)
    above = jnp.maximum(highest, logits.max(0, keepdims=True))
    weights, kept = jnp.exp(logits - above), jnp.exp(highest - above)
    return (above, total * kept + weights.sum(0, keepdims=True),
            y * kept + jnp.dot(value, weights.astype(value.dtype), preferred_element_type=jnp.float32))


def _start(channels, rows):
    """The state before the first block of keys."""
    return tuple(jnp.full(shape, value, jnp.float32) for shape, value in (
        ((1, rows), _NEVER), ((1, rows), 0), ((channels, rows), 0)))


def _on_tpu(given, rows, columns, interpret):
    """The kernel of a TPU: the grid goes through the windows, so that a block of the bias is read once for all."""
    from jax.experimental.pallas import tpu

    (n, windows, heads, _, queries), (*_, channels, keys) = given[0].shape, given[2].shape
    last = keys // columns - 1

    def kernel(*refs):
        query, key, value, scale, bias, *regions, y, highest, total, summed = refs
        states = highest, total, summed

        @pl.when(pl.program_id(4) == 0)
        def _():
            for ref, its in zip(states, _start(channels, rows), strict=True):
                ref[...] = its

        new = _step([ref[...] for ref in states], query[...], key[...], value[...], scale[...], bias[...],
                    [ref[...] for ref in regions])
        for ref, its in zip(states, new, strict=True):
            ref[...] = its

        @pl.when(pl.program_id(4) == last)
        def _():
            y[...] = (summed[...] / total[...]).astype(y.dtype)

    specs, its = _specs(lambda *at: at, given, rows, columns)
    return pl.pallas_call(
        kernel, jax.ShapeDtypeStruct((n, windows, heads, channels, queries), given[2].dtype),
        grid=(heads, queries // rows, n, windows, last + 1), in_specs=specs, out_specs=its, interpret=interpret,
        name="window_attention",
        scratch_shapes=[tpu.VMEM(part.shape, jnp.float32) for part in _start(channels, rows)])(*given)


def _on_gpu(given, rows, columns, interpret):
    """The kernel of a GPU: each program goes through the keys of its queries."""
    from jax.experimental.pallas import triton

    (n, windows, heads, _, queries), (*_, channels, keys) = given[0].shape, given[2].shape

    def kernel(*refs):
        query, key, value, scale, bias, *regions, y = refs
        of_queries, by = query[...], scale[...]

        def step(number, state):
            here = pl.ds(number * columns, columns)
            both = [regions[0][...], regions[1][here]] if regions else []
            return _step(state, of_queries, key[:, here], value[:, here], by, bias[here], both)

        _, total, summed = jax.lax.fori_loop(0, keys // columns, step, _start(channels, rows))
        y[...] = (summed / total).astype(y.dtype)

    def order(i, h, w):  # a GPU's grid has three numbers
        return h, i, jax.lax.div(w, jnp.int32(windows)), jax.lax.rem(w, jnp.int32(windows)), 0

    specs, its = _specs(order, given, rows, keys)
    return pl.pallas_call(
        kernel, jax.ShapeDtypeStruct((n, windows, heads, channels, queries), given[2].dtype),
        grid=(queries // rows, heads, n * windows), in_specs=specs, out_specs=its, interpret=interpret,
        name="window_attention", compiler_params=triton.CompilerParams(num_warps=4, num_stages=2))(*given)
