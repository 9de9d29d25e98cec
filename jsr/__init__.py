"""jsr: super-resolution and restoration of compressed and real images and video, in JAX and Flax.

    upscaler = jsr.load("runs/aim22_t1/quick/last.safetensors")
    sr = upscaler.upscale(lr)                 # uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3)
"""

import importlib
from importlib import metadata

__version__ = metadata.version("jsr")


def load(path, *more, **options):
    """A model file, or several whose outputs are averaged, ready to `upscale` images.

    Args:
      path, *more: model files.
      **options: tile, overlap, self_ensemble, weights, dtype of jsr.inference.upscaler.load.

    Returns:
      jsr.inference.upscaler.Upscaler.

    Raises:
      UserError: missing, damaged, of another format version, or of different scales.
    """
    from jsr.inference import upscaler  # imports JAX, which `import jsr` alone must not
    return upscaler.load(path, *more, **options)


def __getattr__(name):
    """`jsr.models` and `jsr.metrics` are imported when they are first used."""
    if name in ("metrics", "models"):
        return importlib.import_module(f"jsr.{name}")
    raise AttributeError(f"module 'jsr' has no attribute {name!r}")
