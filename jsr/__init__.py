"""jsr: super-resolution and restoration of compressed and real images and video, in JAX and Flax.

    upscaler = jsr.load("runs/aim22_t1/quick/last.safetensors")
    sr = upscaler.upscale(lr)                 # uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3)
"""

from collections.abc import Sequence
import importlib
from importlib import metadata
import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jsr.inference.upscaler import Upscaler

PathLike = str | os.PathLike[str]

__version__ = metadata.version("jsr")


def load(path: PathLike, *more: PathLike, weights: Sequence[float] | None = None, self_ensemble: bool | None = None,
         tile: int | Literal["auto"] | None = "auto", overlap: int | None = None, dtype: str | None = None) -> "Upscaler":
    """A model file, or several whose outputs are averaged, ready to `upscale` images.

    Args:
      path, *more: model files of one scale.
      weights: of the files in the average, equal by default.
      self_ensemble: averages the outputs for the eight flips and turns of an image; None is as the first file says.
      tile: side of tiles, LR px; "auto" takes images whole where memory allows; None always does.
      overlap: LR px around each tile; None is as far as the networks see, where that is affordable.
      dtype: of the computation, as "bfloat16"; None is float32.

    Returns:
      jsr.inference.upscaler.Upscaler.

    Raises:
      UserError: missing, damaged, of another format version, of different scales, or settings that do not fit.
    """
    from jsr.inference import upscaler  # imports JAX, which `import jsr` alone must not
    return upscaler.load(path, *more, weights=weights, self_ensemble=self_ensemble, tile=tile, overlap=overlap, dtype=dtype)


def __getattr__(name):
    """`jsr.models` and `jsr.metrics` are imported when they are first used."""
    if name in ("metrics", "models"):
        return importlib.import_module(f"jsr.{name}")
    raise AttributeError(f"module 'jsr' has no attribute {name!r}")
