"""Losses: pure functions of a prediction and a target, and the rows that name them.

A row is data: {fn: name in LOSSES, pred: key of the network's output, target: key of the batch, weight: factor}.
Every function takes float arrays of one shape, images (N, H, W, C) where it says so, and returns the mean over all
elements, in float32.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jsr.config import nearest
from jsr.errors import UserError


def l1(pred, target):
    """Mean absolute difference."""
    return jnp.mean(jnp.abs(pred - target))


def mse(pred, target):
    """Mean squared difference."""
    return jnp.mean(jnp.square(pred - target))


def charbonnier(pred, target, eps=1e-3):
    """Mean of sqrt(difference^2 + eps^2), the smooth L1 of Lai et al., LapSRN (CVPR 2017); eps 1e-3 as there."""
    return jnp.mean(jnp.sqrt(jnp.square(pred - target) + eps**2))


def high_frequency_l1(pred, target):
    """L1 of what a Gaussian blur (5x5, sigma 1.1) takes away, for images; after Conde et al., Swin2SR (ECCVW 2022)."""
    difference = pred - target
    return jnp.mean(jnp.abs(difference - _blur(difference)))


def _blur(image, radius=2, sigma=1.1):
    """(N, H, W, C) of the same shape, borders reflected."""
    weights = np.exp(-np.arange(-radius, radius + 1)**2 / (2 * sigma**2))
    image = jnp.pad(image, [(0, 0), (radius, radius), (radius, radius), (0, 0)], mode="reflect")
    for axis in (1, 2):
        size = image.shape[axis] - 2 * radius
        image = sum(weight * jax.lax.slice_in_dim(image, k, k + size, axis=axis)
                    for k, weight in enumerate((weights / weights.sum()).tolist()))
    return image


LOSSES = {"l1": l1, "mse": mse, "charbonnier": charbonnier, "high_frequency_l1": high_frequency_l1}


def check_rows(rows):
    """Raises UserError for a row whose function is unknown or whose fields are not those of a loss row."""
    for row in rows:
        if row["fn"] not in LOSSES:
            raise UserError(f"loss {row['fn']!r} is unknown; {nearest(row['fn'], LOSSES)}")
        if set(row) != {"fn", "pred", "target", "weight"}:
            raise UserError(f"loss row {dict(row)}: needs exactly the keys fn, pred, target, weight")


def total(rows, outputs, batch):
    """The weighted sum over `rows` and each row's value.

    Args:
      rows: loss rows.
      outputs: dict of the network's outputs.
      batch: dict of the batch's arrays.

    Returns:
      (float32 scalar, {"loss/<fn>_<pred>": float32 scalar before its weight}).

    Raises:
      ValueError: a key that is not there, or two shapes that differ.
    """
    values = {}
    loss = jnp.float32(0)
    for row in rows:
        pred, target = _pick(outputs, row["pred"], "output"), _pick(batch, row["target"], "batch")
        if pred.shape != target.shape:
            raise ValueError(f"loss {row['fn']}: {row['pred']} is {pred.shape}, {row['target']} is {target.shape}")
        value = LOSSES[row["fn"]](pred.astype(jnp.float32), target.astype(jnp.float32))
        values[f"loss/{row['fn']}_{row['pred']}"] = value
        loss = loss + row["weight"] * value
    return loss, values


def _pick(arrays, key, what):
    if key not in arrays:
        raise ValueError(f"loss: no {key!r} in the {what}; it has {', '.join(sorted(arrays))}")
    return arrays[key]
