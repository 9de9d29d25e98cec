"""Losses of features: of maps, which may differ in channels and size, and of whole images."""

import jax
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
    if any(side % small for x in (pred, target) for side, small in zip(x.shape[1:3], size, strict=True)):
        raise ValueError(f"{shapes}, expected sizes that are multiples of each other")
    return jnp.mean(jnp.square(_attention(pred, size) - _attention(target, size)))


def _attention(x, size):
    n, (height, width), channels = len(x), size, x.shape[-1]
    x = x.reshape(n, height, x.shape[1] // height, width, x.shape[2] // width, channels).mean((2, 4))
    energy = jnp.mean(x**2, axis=-1)
    return energy / jnp.sqrt(jnp.maximum(jnp.sum(energy**2, axis=(1, 2), keepdims=True), 1e-24))


def contrastive(pred, target, temperature=0.1):
    """Mean cross entropy with which each of two frames of a clip tells the other among all clips of the batch.

    NT-Xent of SimCLR (Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020):
    logits are cosines over the temperature. The two are the first and the last frame.

    Args:
      pred: float32 (N, T, D), features of frames, N > 1 and T > 1.
      target: unused; give the same.
      temperature: temperature of the logits; 0.1 is SimCLR's for ImageNet.

    Raises:
      ValueError: one clip, or one frame of each.
    """
    del target
    if pred.ndim != 3 or min(pred.shape[:2]) < 2:
        raise ValueError(f"contrastive: features are {pred.shape}, expected (N, T, D) of two clips and frames at least")
    x = jnp.concatenate([pred[:, 0], pred[:, -1]])
    x = x / jnp.sqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), 1e-12))
    logits = jnp.matmul(x, x.T, precision="highest") / temperature
    logits = jnp.where(jnp.eye(len(x), dtype=bool), -jnp.inf, logits)
    other = jnp.roll(jnp.arange(len(x)), len(pred))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), other[:, None], 1))
