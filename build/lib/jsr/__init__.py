"""jsr: super-resolution and restoration of compressed and real images and video, in JAX and Flax.

    upscaler = jsr.load("runs/aim22_t1/quick/last.safetensors")
    sr = upscaler.upscale(lr)                 # uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3)
"""

from collections.abc import Sequence
import importlib
import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jsr.inference.upscaler import Upscaler

PathLike = str | os.PathLike[str]

__version__ = "0.1.0"


def load(path: PathLike, *more: PathLike, weights: Sequence[float] | None = None, self_ensemble: bool | None = None,
         tile: int | Literal["auto"] | Sequence[int] | None = "auto", overlap: int | None = None, dtype: str | None = None,
         runtime: Literal["auto", "jax", "onnxruntime", "openvino"] = "jax", tlc: int | None = None,
         input_quality: float | None = None) -> "Upscaler":
    """A model file, or several whose outputs are averaged, ready to `upscale` images.

    Args:
      path, *more: model files of one scale.
      weights: of the files in the average, equal by default.
      self_ensemble: averages the outputs for the eight flips and turns of an image; None is as the first file says.
      tile: side of tiles, LR px; "auto" is as the first file says, or takes images whole where memory allows; None always
        does. Of several sides the results are averaged: seams fall elsewhere in each.
      overlap: LR px around each tile; None is as far as the networks see, where that is affordable.
      dtype: of the computation, as "bfloat16"; None is float32.
      runtime: what computes on a CPU; "auto" tries those that are installed where there is much to do. Runtimes differ
        by rounding, now and then by one level of a pixel.
      tlc: gives networks that look at the mean of the whole image that of a window of so many LR px around each pixel (the
        test-time local converter; 1.5 times the crops trained on); 0 does not, None is as each file says.
      input_quality: the JPEG quality, 1..100, that networks which can be told restore for, as FBCNN; None has them
        estimate it.

    Returns:
      jsr.inference.upscaler.Upscaler.

    Raises:
      UserError: missing, damaged, of another format version, of different scales, or settings that do not fit.
    """
    from jsr.inference import upscaler  # imports JAX, which `import jsr` alone must not
    return upscaler.load(path, *more, weights=weights, self_ensemble=self_ensemble, tile=tile, overlap=overlap, dtype=dtype,
                         runtime=runtime, tlc=tlc, input_quality=input_quality)


def __getattr__(name):
    """`jsr.models` and `jsr.metrics` are imported when they are first used."""
    if name in ("metrics", "models"):
        return importlib.import_module(f"jsr.{name}")
    raise AttributeError(f"module 'jsr' has no attribute {name!r}")
