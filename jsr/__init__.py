"""jsr: super-resolution and restoration of compressed and real images and video, in JAX and Flax."""

from importlib import metadata

__version__ = metadata.version("jsr")
