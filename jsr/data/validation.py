"""The pairs that networks are validated on, of images or of clips."""

import json
from pathlib import Path

from jsr import challenges, degradations, distributed, evaluation, images
from jsr.data import clips, mix
from jsr.datasets import records
from jsr.errors import FileError, UserError


def eval_pairs(source, *, scale, degrade="", fixed=None, frames=0, leave_out=None):
    """Yields (name, lr, hr, made) of every record.

    Args:
      source: random-access records (jsr.data.sources).
      scale: HR size over LR size; HR rows and columns beyond a multiple of it are cropped, bottom and right.
      degrade: "" takes the stored LR; a protocol's name makes it from the HR.
      fixed: parameters of `degrade` to set, {name: value}, see `jsr.degradations.draw`.
      frames: frames of each clip, the first ones; 0 takes all.
      leave_out: called with a line for each image that is damaged, which is then left out; None raises.

    Yields:
      the record's name without its folder, uint8 (H, W, 3), uint8 (H * scale, W * scale, 3), of clips with T in front,
      and what made the LR image, the record of jsr.degradations.Degraded, {} where that is not known.

    Raises:
      UserError: a damaged image, or where these may be left out no other; a size that does not fit its pair, no LR
        and no `degrade`.
    """
    def pair(record):
        if "frames" in record:
            return _clip_pair(record, scale, degrade, fixed, frames)
        return _pair(record, scale, degrade, fixed)

    yield from _read(source, pair, leave_out)


def _read(source, function, leave_out):
    """A function's results for all records that are not damaged."""
    given, last = 0, None
    for index in range(len(source)):
        try:
            result = function(source[index])
        except FileError as e:
            if leave_out is None:
                raise
            leave_out(str(e))
            last = e
            continue
        yield result
        given += 1
    if last and not given and distributed.count() == 1:  # of several processes others may have images
        raise UserError(f"{last}; no other image to evaluate on can be read")


def _images(record, *, scale, degrade):
    """(HR image, cropped to a multiple of the scale; the stored LR image, None where it is made)."""
    name = record["name"]
    hr = images.read_rgb(record["hr"], name=f"{name} (hr)")
    try:
        hr = degradations.crop_to_multiple(hr, scale)
    except ValueError as e:
        raise FileError(f"{name}: {e}; remove it") from e
    if degrade:
        return hr, None
    if "lr" not in record:
        raise UserError(f"--config.data.eval.degrade: is empty, but {name} has no stored LR image; name the "
                        "degradation that makes it (--config.data.eval.degrade=aim22_t1)")
    lr = records.lr_image(record)
    _check_sizes(name, lr, hr, scale)
    return hr, lr


def _check_sizes(name, lr, hr, scale):
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise UserError(f"{name}: LR is {lr.shape[1]}x{lr.shape[0]} and HR {hr.shape[1]}x{hr.shape[0]}, "
                        f"not {scale} times as large")


def _pair(record, scale, degrade, fixed):
    name, (hr, lr) = record["name"], _images(record, scale=scale, degrade=degrade)
    made = _made(record)
    if lr is None:
        degraded = degradations.degrade(degrade, hr, seed=Path(name).stem, **(fixed or {}))
        lr, made = degraded.decode(), degraded.record
        _check_sizes(name, lr, hr, scale)
    return Path(name).name, lr, hr, made


def _clip(record, degrade, frames):
    """({"hr": clip, and its stored "lr" where that is taken}, the colours)."""
    taken = {key: value for key, value in record.items() if key != "lr"} if degrade else record
    if not degrade and "lr" not in record:
        raise UserError(f"--config.data.eval.degrade: is empty, but {record['name']} has no stored LR clip; name the "
                        "degradation that makes it (--config.data.eval.degrade=aim22_t2)")
    return clips.decoded(taken, frames)


def _clip_pair(record, scale, degrade, fixed, frames):
    """The pair that `eval_pairs` yields for a clip."""
    (yuv, colours), made = _clip(record, degrade, frames), _made(record)
    try:
        hr = clips.crop_to_multiple(yuv["hr"], 2 * scale)  # chroma has half the size
    except ValueError as e:
        raise FileError(f"{record['name']}: {e}; remove it") from e
    if degrade:
        settings = {"fps": max(1, round(float(record["fps"]))), **(fixed or {})}
        degraded = degradations.degrade(degrade, clips.as_yuv(hr), seed=Path(record["name"]).stem, **settings)
        lr, made = degraded.decode(), degraded.record
    else:
        lr = yuv["lr"]
    clips.check_sizes(record["name"], lr, clips.size_of(hr), scale)
    return Path(record["name"]).name, clips.to_rgb(lr, colours), clips.to_rgb(hr, colours), made


def _made(record):
    """The degradation that made the stored LR image of a record; {} where that is not known."""
    return json.loads(record.get("degradation") or "{}")


def count(recipe):
    """The number of pairs."""
    return len(mix.validation_source(recipe))


def pairs(recipe, leave_out=None, source=None):
    """The pairs that a recipe is evaluated on, as `eval_pairs` yields them; `leave_out` as there.

    Args:
      source: the recipe's records, where they are open (`jsr.data.mix.open_sources`).
    """
    data = recipe.data.eval
    return eval_pairs(mix.validation_source(recipe) if source is None else source, scale=recipe.scale,
                      degrade=data.degrade, fixed=mix.fixed(data, "data.eval"), frames=data.frames,
                      leave_out=leave_out)


def check(recipe, source, leave_out=None):
    """Reads the images of all pairs once: those that are damaged, or of another size, show before a training begins.

    Nothing is degraded or computed, so that it takes the time of decoding alone, less than one validation does.

    Args:
      recipe: Recipe.
      source: its records of validation, see `jsr.data.mix.open_sources`.
      leave_out: see `eval_pairs`.

    Returns:
      The codecs of all LR images, see `jsr.degradations.codecs`.

    Raises:
      UserError: as `eval_pairs`, and for LR images of several codecs.
    """
    row, video = recipe.data.eval, challenges.protocol(recipe.protocol).video

    def look(record):
        if ("frames" in record) != video:
            kinds = ("images", "clips") if video else ("clips", "images")
            raise UserError(f"{record['name']}: the validation has {kinds[0]}, and the protocol {recipe.protocol} "
                            f"judges {kinds[1]}; choose another dataset (--config.data.eval.dataset=...) or protocol "
                            f"(--config.protocol={'bicubic_x4' if video else 'aim22_t2'})")
        if video:
            decoded, _ = _clip(record, row.degrade, row.frames)
            if "lr" in decoded:
                clips.check_sizes(record["name"], decoded["lr"], (record["height"], record["width"]), recipe.scale)
        else:
            _images(record, scale=recipe.scale, degrade=row.degrade)
        return record["name"], _made(record)

    made = dict(_read(source, look, leave_out))
    if row.degrade:
        made = {row.degrade: degradations.draw(row.degrade, **mix.fixed(row, "data.eval"))}
    return evaluation.same_codecs(made)
