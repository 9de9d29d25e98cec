"""Networks on evaluation images: what validation during a run and the report at its end share."""

from pathlib import Path

import numpy as np

from jsr import degradations, images, metrics
from jsr.data import records
from jsr.degradations.resize import pillow_bicubic
from jsr.errors import UserError


def eval_pairs(source, *, scale, degrade=""):
    """Yields (name, lr, hr) of every record.

    Args:
      source: random-access records (jsr.data.sources).
      scale: HR size over LR size; HR rows and columns beyond a multiple of it are cropped, bottom and right.
      degrade: "" takes the stored LR; a protocol's name makes it from the HR.

    Yields:
      the record's name without its folder, uint8 (H, W, 3) and uint8 (H * scale, W * scale, 3).

    Raises:
      UserError: a damaged image, a size that does not fit its pair, no LR and no `degrade`.
    """
    for index in range(len(source)):
        record = source[index]
        name = record["name"]
        hr = images.read_rgb(record["hr"], name=f"{name} (hr)")
        try:
            hr = degradations.crop_to_multiple(hr, scale)
        except ValueError as e:
            raise UserError(f"{name}: {e}; remove it") from e
        if degrade:
            lr = degradations.degrade(degrade, hr, seed=Path(name).stem).decode()
        elif "lr" in record:
            lr = records.lr_image(record)
        else:
            raise UserError(f"{name}: the dataset stores no LR images; name the degradation that makes them "
                            "(--config.data.eval.degrade=aim22_t1)")
        if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
            raise UserError(f"{name}: LR is {lr.shape[1]}x{lr.shape[0]} and HR {hr.shape[1]}x{hr.shape[0]}, "
                            f"not {scale} times as large")
        yield Path(name).name, lr, hr


def bicubic(lr, scale):
    """The baseline of the challenges: Pillow's bicubic, uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3)."""
    return pillow_bicubic(lr, (lr.shape[0] * scale, lr.shape[1] * scale))


def score(name, sr, hr, protocol, keys=None):
    """The scores of one image under a challenge's protocol, all its keys or the given ones.

    Raises:
      UserError: the image called `name` is too small for a metric.
    """
    try:
        return metrics.score(sr, hr, keys or protocol.keys, protocol.crop_border)
    except ValueError as e:
        raise UserError(f"{name}: {e}; remove it from the evaluation images") from e


def mean_scores(rows):
    """The mean over images of each score: [{key: value}] to {key: mean}."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def gain(scores, key):
    """How far "ours" is above "bicubic" in {who: {key: score}}; 0 where both are infinite."""
    ours, baseline = scores["ours"][key], scores["bicubic"][key]
    return ours - baseline if ours != baseline else 0.0
