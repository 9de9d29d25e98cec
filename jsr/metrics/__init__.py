"""Metrics of restored images: the published code's numbers, each named after the values that it measures.

`psnr`, `ssim` and `psnr_b` take uint8 images and a profile (`PROFILES`), `tcc` takes clips; `score` takes keys such as
"psnr[rgb]", and `frame_score` does so for the frames of a clip.
This is numpy in float64; `jsr.metrics.device` has the same functions in JAX, and is imported when it is first used.
`lpips`, `dists` (JAX, float32) and `niqe` need weights, which `jsr models get` downloads; `weights_used` names them.

Where the published code gives something else:

- SwinIR, KAIR and the NTIRE 2023 script average the luma's squared errors in float32; PSNR and PSNR-B here use float64,
  as BasicSR does, which moves them by up to 1e-6 of their value. The luma itself is equal to the last bit.
- BasicSR's torch functions add 1e-8 to the MSE, so that equal images score 80 dB; here, as in its numpy ones, inf.
- `y_601_rounded` rounds halves up, as BasicSR's uint8 conversion does; KAIR's gives another level for 107 of the 2^24
  colours, all of them ties.
- A grey image in a luma profile is an error; BasicSR compares it as if it were a luma already.
- The NTIRE 2023 script applies BGR weights to RGB: `ntire23_script` does so too, `y_601` is the right luma.
- PSNR-B below 16 px a side, where SwinIR's divides by zero or by less, is an error.
"""

from typing import TYPE_CHECKING

from jsr import lazy
from jsr.metrics.profiles import PROFILES, Profile
from jsr.metrics.reference import psnr, psnr_b, ssim, tcc
from jsr.metrics.scores import (
    CLIP_METRICS,
    METRICS,
    PERCEPTUAL,
    clip_scores,
    frame_score,
    gain,
    json_ready,
    label,
    less_is_better,
    parse_key,
    score,
    weights_used,
)

if TYPE_CHECKING:
    from jsr.metrics import device
    from jsr.metrics.natural import niqe, perceptual_index
    from jsr.metrics.perceptual import dists, lpips

__all__ = ["CLIP_METRICS", "METRICS", "PERCEPTUAL", "PROFILES", "Profile", "clip_scores", "device", "dists",
           "frame_score", "gain", "json_ready", "label", "less_is_better", "lpips", "niqe", "parse_key",
           "perceptual_index", "psnr", "psnr_b", "score", "ssim", "tcc", "weights_used"]
__getattr__ = lazy.getter(__name__, {
    "device": f"{__name__}.device",
    **{name: f"{__name__}.perceptual:{name}" for name in ("lpips", "dists")},
    **{name: f"{__name__}.natural:{name}" for name in ("niqe", "perceptual_index")}})
