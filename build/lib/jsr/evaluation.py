"""Networks on evaluation images: what validation during a run and the report at its end share."""

import math
from pathlib import Path

import numpy as np

from jsr import degradations, images, metrics
from jsr.data import records
from jsr.degradations.resize import matlab_bicubic, pillow_bicubic, swscale_lanczos
from jsr.errors import UserError


def eval_pairs(source, *, scale, degrade="", fixed=None):
    """Yields (name, lr, hr) of every record.

    Args:
      source: random-access records (jsr.data.sources).
      scale: HR size over LR size; HR rows and columns beyond a multiple of it are cropped, bottom and right.
      degrade: "" takes the stored LR; a protocol's name makes it from the HR.
      fixed: parameters of `degrade` to set, {name: value}, see `jsr.degradations.draw`.

    Yields:
      the record's name without its folder, uint8 (H, W, 3) and uint8 (H * scale, W * scale, 3).

    Raises:
      UserError: a damaged image, a size that does not fit its pair, no LR and no `degrade`.
    """
    for index in range(len(source)):
        record = source[index]
        name = record["name"]
        hr = images.read_rgb(record["hr"], name=f"{name} (hr)", upright=True)
        try:
            hr = degradations.crop_to_multiple(hr, scale)
        except ValueError as e:
            raise UserError(f"{name}: {e}; remove it") from e
        if degrade:
            lr = degradations.degrade(degrade, hr, seed=Path(name).stem, **(fixed or {})).decode()
        elif "lr" in record:
            lr = records.lr_image(record)
        else:
            raise UserError(f"{name}: the dataset stores no LR images; name the degradation that makes them "
                            "(--config.data.eval.degrade=aim22_t1)")
        if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
            raise UserError(f"{name}: LR is {lr.shape[1]}x{lr.shape[0]} and HR {hr.shape[1]}x{hr.shape[0]}, "
                            f"not {scale} times as large")
        yield Path(name).name, lr, hr


def enlarge(lr, scale, kernel="pillow_bicubic"):
    """The plain upscaling beside which networks are shown: uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3).

    Args:
      lr: uint8 (H, W, 3).
      scale: integer.
      kernel: key of `KERNELS`; of a challenge its `Protocol.kernel`.
    """
    return KERNELS[kernel](lr, (lr.shape[0] * scale, lr.shape[1] * scale))


def torch_bicubic(image, size_hw):
    """torch.nn.functional.interpolate(mode="bicubic", align_corners=False) of an image in [0, 1], clamped and rounded.

    The cubic kernel has a = -0.75, where Pillow and MATLAB have -0.5; edge pixels are repeated. A value halfway between
    two levels, which x3 has often (3 in 1000 of noise), can go the other way.

    Args:
      image: uint8 (H, W, 3).
      size_hw: (height, width) of the result, px, multiples of H and W.

    Returns:
      uint8 (height, width, 3).
    """
    x = image.astype(np.float32)
    for axis, (side, out) in enumerate(zip(image.shape, size_hw)):
        x = np.moveaxis(_phases(np.moveaxis(x, axis, 0), out // side), 0, axis)
    return np.clip(x, 0, 255).round().astype(np.uint8)


def _phases(x, factor):
    """The first axis `factor` times as long: each phase is the same weighted sum of four neighbours everywhere."""
    padded = np.pad(x, [(2, 2), *((0, 0) for _ in x.shape[1:])], mode="edge")
    result = np.empty((len(x) * factor, *x.shape[1:]), np.float32)
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        first = math.floor(position) - 1
        result[phase::factor] = sum(np.float32(_cubic(position - tap)) * padded[tap + 2:tap + 2 + len(x)]
                                    for tap in range(first, first + 4))
    return result


def _cubic(distance, a=-0.75):
    d = abs(distance)
    return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)


def unchanged(image, size_hw):
    """The image itself: what restoration begins with. ValueError where the sizes differ."""
    if image.shape[:2] != tuple(size_hw):
        raise ValueError(f"an image of {image.shape[:2]} is not of {tuple(size_hw)}")
    return image


KERNELS = {"input": unchanged, "pillow_bicubic": pillow_bicubic, "matlab_bicubic": matlab_bicubic,
           "torch_bicubic": torch_bicubic, "swscale_lanczos": swscale_lanczos}


def score(name, sr, hr, protocol, keys=None):
    """The scores of one image under a challenge's protocol, all its keys or the given ones.

    Raises:
      UserError: the image called `name` is too small for a metric.
    """
    try:
        return metrics.score(sr, hr, keys or protocol.keys, protocol.crop_border)
    except ValueError as e:
        raise UserError(f"{name}: {e}; remove it from the evaluation images") from e


def ranking_score(upscaler, pairs, protocol):
    """The mean of a protocol's ranking score over (name, lr, hr) that an Upscaler enlarges."""
    rows = [score(name, upscaler.upscale(lr), hr, protocol, [protocol.ranking]) for name, lr, hr in pairs]
    return mean_scores(rows)[protocol.ranking]


def mean_scores(rows):
    """The mean over images of each score: [{key: value}] to {key: mean}."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def gain(ours, baseline):
    """How far one score is above another; 0 where both are infinite."""
    return ours - baseline if ours != baseline else 0.0
