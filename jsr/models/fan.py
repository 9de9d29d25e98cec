"""FAN: high, middle and low frequencies of features in branches of their own, which a gate then weighs.

SR-IM's frequency-aware network, in the report of AIM 2020's real image super-resolution (x4); no code is public.
Stated: features of three frequencies, units of a residual dense block and channel attention, and the fusion of the
three by gates. Likely, as the successor ORNet (Wei et al., AIM 2020) has it: high is the features at full size less the
enlarged ones at half size, middle those at half size less the enlarged ones at a quarter, low those at a quarter;
enlarging is bilinear; middle sees what low has become, and high both. Guesses: 64 features, 8 units of 6 layers in a
branch that add 32 each, RCAN's channel attention, 1x1 convolutions where branches meet, gates by a 1x1 convolution of
all three, EDSR's upsampling, and the bicubically enlarged image added.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.resize import bicubic_upsample, bilinear
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card
from jsr.models.hat import ChannelWeights
from jsr.models.rdn import dense


class Unit(nn.Module):
    """A residual dense block, weighed feature by feature before its input is added."""

    num_layer: int
    num_grow_ch: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = dense(x, self.num_layer, self.num_grow_ch, self.dtype)
        return x + y * ChannelWeights(min(16, x.shape[-1]), dtype=self.dtype, name="attention")(y)


def doubled(x):
    """(N, H, W, C) to (N, 2 H, 2 W, C) by bilinear interpolation."""
    return bilinear(x, 2 * x.shape[1], 2 * x.shape[2])


class FAN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    H and W are multiples of 4.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of a branch.
      num_block: units of a branch.
      num_layer: convolutions of a unit's dense block.
      num_grow_ch: features that each of them adds.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 8
    num_layer: int = 6
    num_grow_ch: int = 32
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(x, name, kernel_size=3, strides=1, features=self.num_feat):
            return Conv(features, kernel_size, strides, padding=kernel_size // 2, dtype=self.dtype, name=name)(x)

        full, half = conv(lr, "conv_full"), conv(lr, "conv_half", strides=2)
        quarter = conv(half, "conv_quarter", strides=2)
        found = []
        for name, x in (("low", quarter), ("middle", half - doubled(quarter)), ("high", full - doubled(half))):
            found = [doubled(y) for y in found]
            if found:
                x = conv(jnp.concatenate([x, *found], axis=-1), f"{name}_fusion", 1)
            for index in range(self.num_block):
                x = Unit(self.num_layer, self.num_grow_ch, dtype=self.dtype, name=f"{name}_{index}")(x)
            found.append(x)
        gates = nn.sigmoid(conv(jnp.concatenate(found, axis=-1), "gate", 1, features=3 * self.num_feat))
        x = sum(gate * y for gate, y in zip(jnp.split(gates, 3, axis=-1), found, strict=True))
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(conv(x, "conv_after_body"))
        return bicubic_upsample(lr, self.scale) + conv(x, "conv_last", features=lr.shape[-1]).astype(lr.dtype)


VARIANTS = {"base": dict()}  # 6.818 M

SMALL = dict(num_feat=4, num_block=1, num_layer=1, num_grow_ch=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return FAN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="FAN, frequencies of features in branches that a gate weighs",
    paper="SR-IM, in Wei, Lu, Timofte et al., AIM 2020 challenge on real image super-resolution: methods and results, "
          "ECCV Workshops 2020",
    code="",
    scales=(4,),
    padding=Padding(4, "reflect"),
    other_scales=(2, 3, 4),
)
