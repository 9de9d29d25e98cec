"""Losses of feature maps, which may differ in channels and size."""

import jax.numpy as jnp


def attention_transfer(pred, target):
    """Mean squared difference of attention maps: the mean square over channels, of length one over the places.

    Zagoruyko and Komodakis, Paying More Attention to Attention (ICLR 2017), as in szagoruyko/attention-transfer. It
    needs no projection between the channels of student and teacher. Where one map is larger, blocks of it are averaged
    first, as in HobbitLong/RepDistiller.

    Args:
      pred: float32 (N, H, W, C).
      target: float32 (N, H', W', C').

    Raises:
      ValueError: other ranks or batches, or sizes of which neither is a multiple of the other.
    """
    shapes = f"attention_transfer: maps are {pred.shape} and {target.shape}"
    if pred.ndim != 4 or target.ndim != 4 or len(pred) != len(target):
        raise ValueError(f"{shapes}, expected (N, H, W, C) with the same N")
    size = tuple(map(min, pred.shape[1:3], target.shape[1:3]))
    if any(side % small for x in (pred, target) for side, small in zip(x.shape[1:3], size)):
        raise ValueError(f"{shapes}, expected sizes that are multiples of each other")
    return jnp.mean(jnp.square(_attention(pred, size) - _attention(target, size)))


def _attention(x, size):
    n, (height, width), channels = len(x), size, x.shape[-1]
    x = x.reshape(n, height, x.shape[1] // height, width, x.shape[2] // width, channels).mean((2, 4))
    energy = jnp.mean(x**2, axis=-1)
    return energy / jnp.sqrt(jnp.maximum(jnp.sum(energy**2, axis=(1, 2), keepdims=True), 1e-24))
