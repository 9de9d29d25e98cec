"""Losses: pure functions of a prediction and a target, and the rows that name them.

A row is data: {fn: name in LOSSES, pred: key of the network's output, target: key of the batch, weight: factor}.
Every function takes float arrays of one shape and returns the mean over all elements, in float32.
"""

import jax.numpy as jnp

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


LOSSES = {"l1": l1, "mse": mse, "charbonnier": charbonnier}


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
