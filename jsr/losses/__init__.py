"""Losses: pure functions of a prediction and a target, and the rows that name them.

A row is data: {fn: name in LOSSES or "mypkg.losses:mine" (jsr.guests), pred: key, target: key, weight: factor},
and with them options of the function, as eps of `charbonnier`. Every function takes float32 arrays, of one shape but
for arrays of features, and returns a float32 scalar. A key names an array of the step:

  sr                      an output of the chain, or an image of the batch
  enlarge/sr              an output of a network of the chain that is not the last
  sr@body_1               the output of the submodule body_1 of the chain's network sr
  teacher(lr)             the output of the network teacher for the array lr; calls may be nested: vgg(teacher(lr))
  vgg(sr)@features_8      the output of a submodule of such a network

A plain name is sought among the outputs first for `pred`, and in the batch first for `target`: a network may have an
output of its own that is compared with the batch's of the same name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import inspect
import math
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jsr import guests
from jsr.errors import UserError, mismatch, nearest
from jsr.losses import adversarial, detail, features, frequency, pixel, quality, robust, structure

__all__ = ["LEARNT", "LOSSES", "PARAMS", "Key", "check_rows", "defaults", "function", "initial_params", "is_mean",
           "keys", "learnt", "names", "parse", "total"]

_Row = Mapping[str, Any]

LOSSES: dict[str, Callable[..., jax.Array]] = {fn.__name__: fn for fn in (
    pixel.l1, pixel.mse, pixel.charbonnier, pixel.psnr, pixel.uncertainty_mse, pixel.clip_l1, pixel.luma_mse,
    pixel.ycbcr_l1,
    detail.high_frequency_l1, detail.lanczos_l1, detail.cycle_l1, detail.gradient_l1, detail.gradient_weighted_l1,
    detail.total_variation, detail.laplacian_pyramid, detail.haar_wavelet,
    frequency.fft_l1, frequency.focal_frequency, frequency.block_dct_l1,
    structure.ssim, structure.ms_ssim,
    robust.robust,
    features.attention_transfer, features.contrastive,
    quality.quality_factor,
    adversarial.gan_generator, adversarial.gan_critic,
    adversarial.relativistic_generator, adversarial.relativistic_critic,
)}
# Losses with learnable parameters. PARAMS makes the initial ones, (channels, **options of the row) -> params; LEARNT
# turns them into the quantities to log, (params, **options) -> {name: array}.
PARAMS, LEARNT = {"robust": robust.init}, {"robust": robust.learnt}
_OF_FEATURES = {"attention_transfer", "cycle_l1", "quality_factor"}  # shapes may differ
_KEYS = ("fn", "pred", "target", "weight")
# What compares samples with each other, so that a batch's value is not the mean of its parts'
_OVER_THE_BATCH = {"uncertainty_mse", "contrastive", "relativistic_generator", "relativistic_critic"}
_BATCH_OPTIONS = ("ave_spectrum", "batch_matrix")
_OF_BOTH = {"lr_clean", "hr_x2", "hr_centre", "quality"}  # in a batch, and perhaps outputs of a network
_CHANNELS = 3  # of the images that a function with parameters compares
# Of options: whether a value can be, and the words for it
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("eps", "scale_lo", "scale_ref", "temperature"), (lambda value: value > 0, "more than 0")),
    **dict.fromkeys(("weight", "low", "alpha"), (lambda value: value >= 0, "0 or more")),
    **dict.fromkeys(("scale", "lobes", "levels", "patch_factor", "scales"),
                    (lambda value: 1 <= value <= 64, "from 1 to 64")),
}


def check_rows(rows: Iterable[_Row]) -> None:
    """Raises UserError if there is no row, and for a row that lacks a field or names an unknown function."""
    rows = list(rows)
    if not rows:
        raise UserError("a player has no losses: nothing would learn; give it rows (--config.stages[0].losses=...)")
    for row in rows:
        missing = [key for key in _KEYS if key not in row]
        if missing:
            raise UserError(f"loss row {dict(row)}: lacks {', '.join(missing)}; needs {', '.join(_KEYS)}")
        for part in ("fn", "pred", "target"):
            if not isinstance(row[part], str):
                raise UserError(f"loss row {dict(row)}: {part} must be text")
        keys([row])
        if _compares_nothing(row):
            raise UserError(f"loss {row['fn']}: compares {row['pred']} with {row['target']}, and training changes "
                            "neither; name an output and its target, for example pred sr and target hr")
        known = {"weight": 1.0, **defaults(row["fn"])}
        for name, value in {"weight": row["weight"], **_options(row)}.items():
            if name not in known:
                raise UserError(f"loss {row['fn']}: no option {name!r}; {nearest(name, known)}")
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"loss {row['fn']}: {name}={value}; give a number")
            wrong = mismatch(value, known[name])
            ranged = name in _RANGES and (name == "weight" or row["fn"] in LOSSES)
            if not wrong and ranged and not _RANGES[name][0](value):
                wrong = f"{value!r}; give {_RANGES[name][1]}"
            if wrong:
                raise UserError(f"loss {row['fn']}: {name}={wrong}")
        if row["fn"] == "clip_l1" and not (limits := known | _options(row))["low"] < limits["high"]:
            raise UserError(f"loss clip_l1: low={limits['low']:.4g} is not below high={limits['high']:.4g}")


def _compares_nothing(row):
    """Whether both arrays of a row are one, or images of the batch, and its function looks at both."""
    same = row["pred"] == row["target"] and row["pred"] not in _OF_BOTH
    return row["fn"] in LOSSES and (same and not _of_one(row) or {row["pred"], row["target"]} <= {"lr", "hr"})


def _of_one(row):
    """Whether the function of a row may look at one array alone."""
    return (row["fn"] in ("contrastive", "gan_generator") or row.get("form") in ("absolute", "squared")
            or row["fn"] not in LOSSES)


def function(fn: str) -> Callable[..., jax.Array]:
    """The function of a row: one of LOSSES, or a guest's ("mypkg.losses:mine"); UserError for an unknown one."""
    if guests.is_function(fn):
        return guests.attribute(fn, _is_loss, "a function of pred, target and options with defaults, which "
                                              "gives a number")
    if fn not in LOSSES:
        raise UserError(f"loss {fn!r} is unknown; {nearest(fn, LOSSES)}")
    return LOSSES[fn]


def _is_loss(its):
    """Whether a guest can be called as a loss is, and names its options."""
    if not guests.takes(2)(its):
        return False
    found = list(inspect.signature(its).parameters.values())
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(found) >= 2 and all(its.kind in named for its in found[:2]) and all(
        its.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD) for its in found)


def defaults(fn: str) -> dict[str, Any]:
    """{option: default} of a function of LOSSES, without `params`; UserError names the nearest for an unknown one."""
    _, _, *options = inspect.signature(function(fn)).parameters.values()
    return {option.name: option.default for option in options if option.name != "params"}


def _options(row):
    return {key: row[key] for key in row if key not in _KEYS}


class Key(NamedTuple):
    """A key of a loss row in parts: `net` is "" for a plain name, `path` is "" without a submodule."""

    net: str
    of: str
    path: str

    @property
    def source(self) -> str:
        """The key without the submodule."""
        return f"{self.net}({self.of})" if self.net else self.of


def parse(key: str) -> Key:
    """The Key of a text such as "teacher(lr)"; UserError for other texts."""
    applied = re.fullmatch(r"(\w+)\((.+)\)(?:@([^()@]+))?", key)
    if applied:
        parse(applied[2])
        return Key(applied[1], applied[2], applied[3] or "")
    plain = re.fullmatch(r"([^()@]+)(?:@([^()@]+))?", key)
    if plain:
        return Key("", plain[1], plain[2] or "")
    raise UserError(f"{key!r} is no loss key; write for example sr, sr@body_1, teacher(lr) or vgg(sr)@features_8")


def keys(rows: Iterable[_Row]) -> list[str]:
    """All keys of loss rows, and the keys within them, sorted."""
    found = [row[part] for row in rows for part in ("pred", "target")]
    for key in found:
        inner = parse(key)
        if inner.net:
            found.append(inner.of)
    return sorted(set(found))


def is_mean(row: _Row) -> bool:
    """Whether a row's function gives, for a batch, the mean of its values for equal parts of the batch.

    Of a guest's that is not known, and so not taken for granted.
    """
    return row["fn"] in LOSSES and row["fn"] not in _OVER_THE_BATCH and not any(map(row.get, _BATCH_OPTIONS))


def initial_params(row: _Row) -> dict[str, Any]:
    """The initial parameters of a row's function, {} for most."""
    return PARAMS[row["fn"]](_CHANNELS, **_options(row)) if row["fn"] in PARAMS else {}


def learnt(rows: Sequence[_Row], params: Mapping[str, Any]) -> dict[str, jax.Array]:
    """{"<name of the row>/<name>": mean} of the quantities that rows' functions have learnt; `params` as in `total`."""
    return {f"{name}/{part}": jnp.mean(value) for name, row in zip(names(rows), rows, strict=True) if name in params
            for part, value in LEARNT[row["fn"]](params[name], **_options(row)).items()}


def total(rows: Sequence[_Row], outputs: Mapping[str, jax.Array], batch: Mapping[str, jax.Array],
          params: Mapping[str, Any] | None = None) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted sum over `rows` and each row's value.

    Args:
      rows: loss rows.
      outputs: dict of arrays: the chain's outputs, and what the rows' other keys stand for.
      batch: dict of the batch's arrays. With a `mask` (N, H, W, 1), images of that size are compared where it is 1.
      params: {name of the row: what its function has learnt}, of rows whose function learns.

    Returns:
      (float32 scalar, {"loss/<fn>_<pred>": float32 scalar before its weight}), float64 of outputs in float64. Rows that
      share both are told apart by the target behind it, and where that is the same too, by a number.

    Raises:
      UserError: a key that is not there, two shapes that differ, or sizes that a function does not take.
    """
    values = {}
    loss = jnp.float32(0)
    for name, row in zip(names(rows), rows, strict=True):
        pred, target = _pick(row["pred"], outputs, batch), _pick(row["target"], batch, outputs)
        if pred.shape != target.shape and row["fn"] not in _OF_FEATURES:
            raise UserError(f"loss {row['fn']}: {row['pred']} is {pred.shape}, {row['target']} is {target.shape}")
        if pred is target and row["pred"] not in outputs and not _of_one(row):
            raise UserError(f"loss {row['fn']}: no network gives {row['pred']}, so it is compared with itself; name an "
                            "output such as sr")
        wide = jnp.promote_types(pred.dtype, jnp.float32)
        own = {"params": (params or {})[name]} if row["fn"] in PARAMS else {}
        try:
            compared = (_masked(x.astype(wide), batch) for x in (pred, target))
            values[name] = function(row["fn"])(*compared, **_options(row), **own)
        except Exception as e:
            if not isinstance(e, ValueError) and not guests.is_function(row["fn"]):
                raise
            kind = "" if isinstance(e, ValueError) else f"{type(e).__name__}: "
            words = str(e).partition("\n")[0]
            raise UserError(f"loss {row['fn']} of {row['pred']} and {row['target']}: {kind}{words}") from e
        if jnp.shape(values[name]) != ():
            raise UserError(f"loss {row['fn']} of {row['pred']} and {row['target']}: gives an array of shape "
                            f"{jnp.shape(values[name])}, but must give one number")
        loss = loss + row["weight"] * values[name]
    return loss, values


def names(rows: Sequence[_Row]) -> list[str]:
    """A name for each row, all different."""
    short = [f"loss/{row['fn']}_{row['pred']}" for row in rows]
    full = [f"{name}_{row['target']}" if short.count(name) > 1 else name for name, row in zip(short, rows, strict=True)]
    return [f"{name}_{full[:i].count(name) + 1}" if full.count(name) > 1 else name for i, name in enumerate(full)]


def _pick(key, *places) -> jax.Array:
    for arrays in places:
        if key in arrays:
            return arrays[key]
    raise UserError(f"a loss compares with {key!r}, which no network gives and no batch has; "
                    f"{nearest(key, [name for arrays in places for name in arrays])}")


def _masked(image, batch):
    mask = batch.get("mask")
    return image * mask if mask is not None and image.shape[:-1] == mask.shape[:-1] else image
