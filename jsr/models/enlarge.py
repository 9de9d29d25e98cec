"""Enlargement without anything to learn: the first network of a chain whose next one works at HR size.

It is how restoration networks of scale 1 are used for super-resolution, and what CutBlur needs (clovaai/cutblur
enlarges by repeating pixels). Bilinear and bicubic repeat the edge pixels; bicubic is the cubic kernel with a = -0.5,
as of Pillow and MATLAB away from the edges.
"""

import functools
from typing import Any

import flax.linen as nn

from jsr.layers.resize import bicubic_upsample, bilinear
from jsr.models._card import Card


def _nearest(x, factor):
    return x.repeat(factor, 1).repeat(factor, 2)


def _bilinear(x, factor):
    return bilinear(x, x.shape[1] * factor, x.shape[2] * factor)


METHODS = {"nearest": _nearest, "bilinear": _bilinear, "bicubic": functools.partial(bicubic_upsample, a=-0.5)}


class Enlarge(nn.Module):
    """(N, H, W, 3) to (N, H * scale, W * scale, 3), in the input's dtype and not clipped; no parameters.

    Attributes:
      scale: any integer from 2 to 8.
      method: "nearest", "bilinear" or "bicubic".
      dtype: dtype of the computation.
    """

    scale: int
    method: str = "nearest"
    dtype: Any = None

    def __call__(self, lr, *, train=False):
        return METHODS[self.method](lr.astype(self.dtype or lr.dtype), self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {method: dict(method=method) for method in METHODS}

SMALL = {}


def Model(variant="nearest", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Enlarge(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Enlargement by a fixed kernel",
    paper="Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE TASSP 1981 (bicubic)",
    code="",
    scales=tuple(range(2, 9)),
)
