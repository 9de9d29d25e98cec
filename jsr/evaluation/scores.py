"""Scores of networks on evaluation images or clips, for validation during a run and for its report."""


import numpy as np

from jsr import degradations, metrics
from jsr.errors import UserError


def score(name, sr, hr, protocol, keys=None):
    """The scores of one image under a challenge's protocol, all its keys or the given ones; of a clip its frames' mean.

    Raises:
      UserError: the image called `name` is too small for a metric.
    """
    if hr.ndim == 4:
        return metrics.clip_scores(frame_scores(name, sr, hr, protocol, keys), keys or protocol.keys)
    try:
        return metrics.score(sr, hr, keys or protocol.keys, protocol.crop_border)
    except ValueError as e:
        raise UserError(f"{name}: {e}; remove it from the evaluation images") from e


def frame_scores(name, sr, hr, protocol, keys=None):
    """[{key: value}] of the frames of a clip, see `jsr.metrics.frame_score`; arguments and errors as in `score`."""
    pairs = list(zip(sr, hr, strict=True))
    try:
        return [metrics.frame_score(*pair, keys or protocol.keys, protocol.crop_border, before=before)
                for before, pair in zip([None, *pairs], pairs, strict=False)]
    except ValueError as e:
        raise UserError(f"{name}: {e}; remove it from the evaluation images") from e


def ranking_score(upscaler, pairs, protocol):
    """The mean of a protocol's ranking score over (name, lr, hr, record) that an Upscaler enlarges.

    Args:
      upscaler: jsr.inference.upscaler.Upscaler.
      pairs: as jsr.data.validation.eval_pairs yields them.
      protocol: jsr.challenges.Protocol.
    """
    rows = [score(name, upscaler.told(degradations.jpeg_quality(made)).upscale(lr), hr, protocol, [protocol.ranking])
            for name, lr, hr, made in pairs]
    return mean_scores(rows)[protocol.ranking]


def same_codecs(made):
    """The codecs of LR images whose scores share a table, as `jsr.degradations.codecs` names them.

    Args:
      made: {name of the image: record of jsr.degradations.Degraded, {} where none is known}.

    Raises:
      UserError: several codecs.
    """
    found = {}
    for name, record in made.items():
        text = degradations.codecs(record)
        found.setdefault(degradations.codec_kinds(text), (text, []))[1].append(name)
    if len(found) > 1:
        words = "; ".join(f"{text or 'what is not known'} ({len(names)}, as {names[0]})"
                          for text, names in found.values())
        raise UserError(f"several codecs made the LR images, and their scores share no table: {words}; make all images "
                        "by one")
    return next((text for text, _ in found.values()), "")


def mean_scores(rows):
    """The mean over images of each score: [{key: value}] to {key: mean}."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
