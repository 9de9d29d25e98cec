"""Scores by key: "psnr[rgb]" is the metric `psnr` under the profile `rgb`, from the computation to the printed line."""

from collections.abc import Iterable, Sequence
import math
import re
from typing import Any

import numpy as np

from jsr.errors import nearest
from jsr.metrics import profiles, reference
from jsr.metrics.profiles import PERCEPTUAL

METRICS = {"psnr": reference.psnr, "ssim": reference.ssim, "psnr_b": reference.psnr_b}
CLIP_METRICS = {"tcc": reference.tcc}  # of what changes from frame to frame
LABELS = {"psnr": "PSNR", "ssim": "SSIM", "psnr_b": "PSNR-B", "tcc": "TCC", "lpips": "LPIPS", "dists": "DISTS",
          "niqe": "NIQE"}


def parse_key(key: str) -> tuple[str, str]:
    """The (metric, profile) of a key; ValueError names the nearest for an unknown part."""
    match = re.fullmatch(r"(\w+)\[(\w+)\]", key)
    if not match:
        raise ValueError(f"score key {key!r} is not of the form metric[profile], such as psnr[rgb]")
    metric, profile = match.groups()
    known = METRICS | CLIP_METRICS | PERCEPTUAL
    if metric not in known:
        raise ValueError(f"score key {key!r}: no metric {metric!r}; {nearest(metric, known)}")
    return metric, profiles.of_perceptual(metric, profile) if metric in PERCEPTUAL else profiles.get(profile).name


def less_is_better(key: str) -> bool:
    """Whether a key's score is a distance, 0 at best."""
    return parse_key(key)[0] in PERCEPTUAL


def weights_used(keys: Iterable[str]) -> list[dict[str, str]]:
    """The weights behind scores by networks.

    Args:
      keys: "metric[profile]" each.

    Returns:
      [{score: key, weights: name, sha256: of the published file, source: its address}], two of a score that has a
      network; [] where no score needs any.

    Raises:
      UserError: weights that are not there.
    """
    wanted = [key for key in keys if less_is_better(key)]
    if not wanted:
        return []
    from jsr.metrics import score_weights

    return [row for key in wanted for row in score_weights.load(key).used]


def _function(metric):
    """The function of a metric of images; those that need JAX are imported here."""
    if metric not in PERCEPTUAL:
        return METRICS[metric]
    from jsr.metrics import natural, perceptual

    return {"lpips": perceptual.lpips, "dists": perceptual.dists, "niqe": natural.niqe}[metric]


def label(key: str) -> str:
    """A key's name in print: "psnr_b[rgb]" as "PSNR-B[rgb]"."""
    metric, profile = parse_key(key)
    return f"{LABELS[metric]}[{profile}]"


def score(sr: np.ndarray, hr: np.ndarray, keys: Iterable[str], crop_border: int = 0) -> dict[str, float]:
    """The scores of one image.

    Args:
      sr: uint8 (H, W, 3), or grey as far as the profiles allow.
      hr: the same shape.
      keys: "metric[profile]" each.
      crop_border: px cut off each side first.

    Returns:
      {key: float}; inf where `sr` equals `hr`.

    Raises:
      ValueError: an unknown key, or what the metrics raise.
      UserError: a key of PERCEPTUAL whose weights are not there.
    """
    parsed = {key: parse_key(key) for key in keys}
    if of_clips := [key for key, (metric, _) in parsed.items() if metric in CLIP_METRICS]:
        raise ValueError(f"{of_clips[0]}: is a score of clips, not of one image")
    return {key: _function(metric)(sr, hr, profile=profile, crop_border=crop_border)
            for key, (metric, profile) in parsed.items()}


def frame_score(sr: np.ndarray, hr: np.ndarray, keys: Iterable[str], crop_border: int = 0, *,
                before: tuple[np.ndarray, np.ndarray] | None = None) -> dict[str, float]:
    """The scores of one frame of a clip.

    Args:
      sr, hr, keys, crop_border: see `score`.
      before: (sr, hr) of the frame before; None of the first frame.

    Returns:
      {key: float}; of a metric of CLIP_METRICS that of the change since the frame before, which the first has not.

    Raises:
      ValueError: as `score`.
    """
    parsed = {key: parse_key(key) for key in keys}
    of_clips = {key: row for key, row in parsed.items() if row[0] in CLIP_METRICS}
    found = score(sr, hr, [key for key in parsed if key not in of_clips], crop_border)
    if before is None or not of_clips:
        return found
    clips = [np.stack(frames) for frames in zip(before, (sr, hr), strict=True)]
    return found | {key: CLIP_METRICS[metric](*clips, profile=profile, crop_border=crop_border)
                    for key, (metric, profile) in of_clips.items()}


def clip_scores(rows: Sequence[dict[str, float]], keys: Iterable[str]) -> dict[str, float]:
    """A clip's scores: means over frames of `frame_score`; the change of a one-frame clip counts 1."""
    return {key: float(np.mean([row[key] for row in rows if key in row] or [1.0])) for key in keys}


def gain(ours: float, baseline: float) -> float:
    """The difference of two scores; 0 where both are infinite."""
    return ours - baseline if ours != baseline else 0.0


def gain_text(ours: float, baseline: float) -> str:
    """The `gain` as tables have it, "+0.1234"; "-" where one score is infinite and tells nothing."""
    found = gain(ours, baseline)
    return f"{found:+.4f}" if math.isfinite(found) else "-"


def json_ready(value: Any) -> Any:
    """The same dicts and lists with infinities, which JSON lacks, as the strings "inf" and "-inf"."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value
