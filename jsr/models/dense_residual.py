"""Baidu's dense residual network, found by architecture search; the winner of AIM 2020's real image SR.

There is no public code. The report states: D blocks of F features between a convolution and an upsampler; in a block L
stages of two convolutions each, whose outputs are concatenated and brought from F L to F features, channel attention as
RCAN's at the end, a skip connection around it, and two from the input of the block before to its two stages. F, D and L
were searched for, by GP-NAS, and their values are not stated: here they are fields, for `jsr search`.

Likely: two stages, since two are named (here each stage has the skip connection, however many there are); ReLU between
and after a stage's convolutions; a squeeze factor of 16; a long skip connection; EDSR's upsampler. Guesses: 128
features and 24 blocks; a 1x1 convolution brings F L to F; skip connections are additions to what a stage is given; the
first block, with none before it, has none of these; images in [0, 1] and no mean.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card
from jsr.models.hat import ChannelWeights


class Block(nn.Module):
    """Stages of two convolutions, fused and weighed feature by feature; the input added (DRB)."""

    num_stage: int
    squeeze_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, before):
        """`x` and the input of the block before, (N, H, W, C) both, to the same shape."""
        features, y, stages = x.shape[-1], x, []
        for index in range(self.num_stage):
            y = y + before
            for half in (1, 2):
                y = nn.relu(Conv(features, dtype=self.dtype, name=f"stage_{index}_conv{half}")(y))
            stages.append(y)
        y = Conv(features, 1, dtype=self.dtype, name="fusion")(jnp.concatenate(stages, axis=-1))
        return x + y * ChannelWeights(self.squeeze_factor, dtype=self.dtype, name="attention")(y)


class DenseResidual(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk, F.
      num_block: blocks, D.
      num_stage: stages of a block, L.
      squeeze_factor: the features over those between the two layers of an attention.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 128
    num_block: int = 24
    num_stage: int = 2
    squeeze_factor: int = 16
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr)
        before = 0
        for index in range(self.num_block):
            block = Block(self.num_stage, self.squeeze_factor, dtype=self.dtype, name=f"body_{index}")
            x, before = block(x, before), x
        x = head + Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x)
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        return Conv(lr.shape[-1], dtype=self.dtype, name="conv_last")(x).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {"base": dict()}  # 16.345 M at x4

SMALL = dict(num_feat=8, num_block=2, squeeze_factor=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DenseResidual(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Dense residual network of Baidu, whose depth, width and stages were searched for",
    paper="Wei et al., AIM 2020 Challenge on Real Image Super-Resolution: Methods and Results, ECCV Workshops 2020",
    code="",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
)
