"""The pairs that networks are validated on."""

import json
from pathlib import Path

from jsr import degradations, images
from jsr.data import mix
from jsr.datasets import records
from jsr.errors import FileError, UserError


def eval_pairs(source, *, scale, degrade="", fixed=None, leave_out=None):
    """Yields (name, lr, hr, quality) of every record.

    Args:
      source: random-access records (jsr.data.sources).
      scale: HR size over LR size; HR rows and columns beyond a multiple of it are cropped, bottom and right.
      degrade: "" takes the stored LR; a protocol's name makes it from the HR.
      fixed: parameters of `degrade` to set, {name: value}, see `jsr.degradations.draw`.
      leave_out: called with a line for each image that is damaged, which is then left out; None raises.

    Yields:
      the record's name without its folder, uint8 (H, W, 3), uint8 (H * scale, W * scale, 3), and the LR image's JPEG
      quality, 1..100, None where no JPEG made it.

    Raises:
      UserError: a damaged image, or where these may be left out no other; a size that does not fit its pair, no LR
        and no `degrade`.
    """
    given, last = 0, None
    for index in range(len(source)):
        try:
            pair = _pair(source[index], scale, degrade, fixed)
        except FileError as e:
            if leave_out is None:
                raise
            leave_out(str(e))
            last = e
            continue
        yield pair
        given += 1
    if last and not given:
        raise UserError(f"{last}; no other image to evaluate on can be read")


def _pair(record, scale, degrade, fixed):
    name = record["name"]
    hr = images.read_rgb(record["hr"], name=f"{name} (hr)")
    try:
        hr = degradations.crop_to_multiple(hr, scale)
    except ValueError as e:
        raise FileError(f"{name}: {e}; remove it") from e
    if degrade:
        degraded = degradations.degrade(degrade, hr, seed=Path(name).stem, **(fixed or {}))
        lr, made = degraded.decode(), degraded.record
    elif "lr" in record:
        lr, made = records.lr_image(record), json.loads(record.get("degradation") or "{}")
    else:
        raise UserError(f"{name}: the dataset stores no LR images; name the degradation that makes them "
                        "(--config.data.eval.degrade=aim22_t1)")
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise UserError(f"{name}: LR is {lr.shape[1]}x{lr.shape[0]} and HR {hr.shape[1]}x{hr.shape[0]}, "
                        f"not {scale} times as large")
    return Path(name).name, lr, hr, degradations.jpeg_quality(made)


def count(recipe):
    """The number of pairs."""
    return len(mix.validation_source(recipe))


def pairs(recipe, leave_out=None):
    """The pairs that a recipe is evaluated on, as `eval_pairs` yields them; `leave_out` as there."""
    data, source = recipe.data.eval, mix.validation_source(recipe)
    return eval_pairs(source, scale=recipe.scale, degrade=data.degrade, fixed=mix.fixed(data, "data.eval"),
                      leave_out=leave_out)
