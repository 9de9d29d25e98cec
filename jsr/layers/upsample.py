"""Learned upsampling at the end of a network."""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle


class PixelShuffleUpsample(nn.Module):
    """Convolution and pixel shuffle in turn, as in EDSR, RCAN, SwinIR and HAT; no activation.

    Attributes:
      scale: a power of two, by one 3x3 convolution and one shuffle per factor of two; or 3, by one of each.
      dtype: of the computation.

    Submodules: `conv_0`, `conv_1`...
    """

    scale: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * scale, W * scale, C)."""
        features = x.shape[-1]
        for index, factor in enumerate(_factors(self.scale)):
            x = Conv(features * factor**2, dtype=self.dtype, name=f"conv_{index}")(x)
            x = pixel_shuffle(x, factor)
        return x


def _factors(scale):
    if scale == 3:
        return [3]
    if scale < 1 or scale & (scale - 1):
        raise ValueError(f"scale = {scale} is neither 3 nor a power of two")
    return [2] * (scale.bit_length() - 1)
