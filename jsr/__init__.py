"""jsr: super-resolution and restoration of compressed and real images and video, in JAX and Flax.

    upscaler = jsr.load("x4")                 # a name that `jsr models` lists, or a file of yours
    sr = upscaler.upscale(lr)                 # uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3)

Modules that `jsr` names are imported when they are first used: jsr.models, jsr.metrics, and so on (`dir(jsr)`).
"""

from __future__ import annotations

import os

from jsr import lazy

TYPE_CHECKING = False  # typing's own takes ten times as long to import, in which Ctrl+C would not be quiet
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from jsr import challenges, convert, degradations, export, losses, metrics, models, recipes, reparam
    from jsr.inference.upscaler import Upscaler

__version__ = "0.1.0"

__all__ = ["__version__", "challenges", "convert", "degradations", "export", "load", "losses", "metrics", "models",
           "recipes", "reparam"]
__getattr__ = lazy.getter(__name__, {name: f"jsr.{name}" for name in __all__ if name not in ("__version__", "load")})

PathLike = str | os.PathLike[str]


def __dir__():
    return list(__all__)


def load(path: PathLike, *more: PathLike, weights: Sequence[float] | None = None, members: int | None = None,
         self_ensemble: bool | Sequence[str] | None = None,
         tile: int | Literal["auto", "rows"] | Sequence[int] | None = "auto", overlap: int | None = None,
         dtype: str | None = None, runtime: Literal["auto", "jax", "onnxruntime", "openvino"] = "jax",
         tlc: int | None = None, input_quality: float | None = None, separate_alpha: bool = False,
         strength: float = 1.0) -> Upscaler:
    """A model file, or several whose outputs are averaged, ready to `upscale` images.

    Args:
      path, *more: model files of one scale, or the folders of runs, whose best file is taken, or names of models that
        jsr ships or has downloaded, as "x4". A file may hold an ensemble.
      weights: weights of the files in the average, equal by default.
      members: number of an ensemble's networks to average, from the first; None is all.
      self_ensemble: averages the outputs for the eight flips and turns of an image, or for those of them that it names,
        as ("identity", "transpose"); None is as the first file says.
      tile: side of tiles, LR px; "auto" is as the first file says, or takes images whole where memory allows; None
        always does; "rows" too, with its rows split over all local devices, which changes floats by rounding. Of
        several sides the results are averaged: seams fall elsewhere in each.
      overlap: LR px around each tile; None is as far as the networks see, where that is affordable.
      dtype: dtype of the computation, as "bfloat16"; None is float32.
      runtime: what computes on a CPU; "auto" tries those that are installed where there is much to do. Runtimes differ
        by rounding, now and then by one level of a pixel.
      tlc: window of the test-time local converter, LR px: global means become means over windows of this side (about
        1.5 times the training crop); 0 is off, None is as each file says.
      input_quality: JPEG quality, 1..100, for networks that take one, for example FBCNN; None has them estimate it.
      separate_alpha: takes the colours of images with alpha as if they were opaque, as textures need; else those under
        alpha 0 are lost.
      strength: 0..1, share of the networks' result; the rest is of the plain enlargement, or at scale 1 of the image.

    Returns:
      jsr.inference.upscaler.Upscaler.

    Raises:
      UserError: missing, damaged, of another format version, of different scales, or settings that do not fit.
    """
    from jsr.inference import upscaler  # imports JAX, which `import jsr` alone must not
    return upscaler.load(path, *more, weights=weights, members=members, self_ensemble=self_ensemble, tile=tile,
                         overlap=overlap, dtype=dtype, runtime=runtime, tlc=tlc, input_quality=input_quality,
                         separate_alpha=separate_alpha, strength=strength)
