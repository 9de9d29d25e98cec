"""Losses: pure functions of a prediction and a target, and the rows that name them.

A row is data: {fn: name in LOSSES, pred: key of the network's output, target: key of the batch, weight: factor}, and
with them options of the function, as eps of `charbonnier`. Every function takes float32 arrays, of one shape but for
those of features, and returns a float32 scalar.

A teacher's output is a target as any other: dict(fn="mse", pred="sr", target="teacher/sr", weight=0.1).
"""

import inspect

import jax.numpy as jnp

from jsr.config import nearest
from jsr.errors import UserError
from jsr.losses import detail, features, frequency, pixel

LOSSES = {fn.__name__: fn for fn in (
    pixel.l1, pixel.mse, pixel.charbonnier, pixel.psnr, pixel.uncertainty_mse,
    detail.high_frequency_l1, detail.lanczos_l1, detail.high_frequency_lanczos_l1, detail.gradient_l1,
    frequency.fft_l1, frequency.focal_frequency,
    features.attention_transfer,
)}
_OF_FEATURES = {"attention_transfer"}  # shapes may differ
_KEYS = ("fn", "pred", "target", "weight")


def check_rows(rows):
    """Raises UserError for a row whose function is unknown, or whose fields it does not have or take."""
    for row in rows:
        missing = [key for key in _KEYS if key not in row]
        if missing:
            raise UserError(f"loss row {dict(row)}: lacks {', '.join(missing)}; needs {', '.join(_KEYS)}")
        if row["fn"] not in LOSSES:
            raise UserError(f"loss {row['fn']!r} is unknown; {nearest(row['fn'], LOSSES)}")
        defaults = {"weight": 1.0, **_defaults(row["fn"])}
        for name, value in {"weight": row["weight"], **_options(row)}.items():
            if name not in defaults:
                raise UserError(f"loss {row['fn']}: no option {name!r}; {nearest(name, defaults)}")
            number = isinstance(defaults[name], float) and type(value) is int
            if type(value) is not type(defaults[name]) and not number:
                raise UserError(f"loss {row['fn']}: {name}={value!r} must be of type {type(defaults[name]).__name__}, "
                                f"like {defaults[name]!r}")


def _defaults(fn):
    """{option: its default} of a function's parameters behind pred and target."""
    _, _, *options = inspect.signature(LOSSES[fn]).parameters.values()
    return {option.name: option.default for option in options}


def _options(row):
    return {key: row[key] for key in row if key not in _KEYS}


def total(rows, outputs, batch):
    """The weighted sum over `rows` and each row's value.

    Args:
      rows: loss rows.
      outputs: dict of the network's outputs.
      batch: dict of the batch's arrays.

    Returns:
      (float32 scalar, {"loss/<fn>_<pred>": float32 scalar before its weight}). Rows that share both are told apart by
      the target behind it, and where that is the same too, by a number.

    Raises:
      ValueError: a key that is not there, two shapes that differ, or what a function raises.
    """
    values = {}
    loss = jnp.float32(0)
    for name, row in zip(_names(rows), rows):
        pred, target = _pick(outputs, row["pred"], "output"), _pick(batch, row["target"], "batch")
        if pred.shape != target.shape and row["fn"] not in _OF_FEATURES:
            raise ValueError(f"loss {row['fn']}: {row['pred']} is {pred.shape}, {row['target']} is {target.shape}")
        values[name] = LOSSES[row["fn"]](pred.astype(jnp.float32), target.astype(jnp.float32), **_options(row))
        loss = loss + row["weight"] * values[name]
    return loss, values


def _names(rows):
    """A name a row, all different."""
    short = [f"loss/{row['fn']}_{row['pred']}" for row in rows]
    full = [f"{name}_{row['target']}" if short.count(name) > 1 else name for name, row in zip(short, rows)]
    return [f"{name}_{full[:i].count(name) + 1}" if full.count(name) > 1 else name for i, name in enumerate(full)]


def _pick(arrays, key, what):
    if key not in arrays:
        raise ValueError(f"loss: no {key!r} in the {what}; it has {', '.join(sorted(arrays))}")
    return arrays[key]
