"""Networks on evaluation images: what validation during a run and the report at its end share."""


import numpy as np

from jsr import metrics
from jsr.errors import UserError


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
    """The mean of a protocol's ranking score over (name, lr, hr, JPEG quality or None) that an Upscaler enlarges."""
    rows = [score(name, upscaler.told(quality).upscale(lr), hr, protocol, [protocol.ranking])
            for name, lr, hr, quality in pairs]
    return mean_scores(rows)[protocol.ranking]


def mean_scores(rows):
    """The mean over images of each score: [{key: value}] to {key: mean}."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
