"""RDN: residual dense blocks, whose outputs are all fused at the end.

Paper: Zhang et al., CVPR 2018, arXiv:1802.08797. The authors' code is Lua Torch; structure, initialisation (PyTorch's
default) and range as in yjn870/RDN-pytorch, which takes images in [0, 1] and no mean.

The variant `b8` is our reading of congxiaofeng's RDB-P SRNet at AIM 2020's real image SR, of which the report says:
several residual dense blocks with pixel shuffle for upsampling, inspired by RDN. That it is RDN is likely, that the
blocks are 8, half of RDN's, is a guess.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card


def dense(x, num_layer, num_grow_ch, dtype):
    """Convolutions that each see all features before them, fused to as many as x has: the inside of a dense block.

    To be called within a module, whose layers `conv_0`, `conv_1`... and `fusion` (1x1) are made.
    """
    y = x
    for index in range(num_layer):
        more = nn.relu(Conv(num_grow_ch, dtype=dtype, name=f"conv_{index}")(y))
        y = jnp.concatenate([y, more], axis=-1)
    return Conv(x.shape[-1], 1, dtype=dtype, name="fusion")(y)


class ResidualDenseBlock(nn.Module):
    """Convolutions that each see all features before them, fused by a 1x1 convolution; the input added (RDB)."""

    num_layer: int
    num_grow_ch: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        return x + dense(x, self.num_layer, self.num_grow_ch, self.dtype)


class RDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk.
      num_block: residual dense blocks.
      num_layer: convolutions of a block, without the fusion.
      num_grow_ch: features that each of them adds.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 16
    num_layer: int = 8
    num_grow_ch: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name, kernel_size=3):
            return Conv(features, kernel_size, dtype=self.dtype, name=name)

        head = conv(self.num_feat, "conv_first")(lr)
        x = conv(self.num_feat, "conv_second")(head)
        blocks = []
        for index in range(self.num_block):
            x = ResidualDenseBlock(self.num_layer, self.num_grow_ch, dtype=self.dtype, name=f"body_{index}")(x)
            blocks.append(x)
        x = conv(self.num_feat, "fusion", 1)(jnp.concatenate(blocks, axis=-1))
        x = head + conv(self.num_feat, "conv_after_body")(x)
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        return conv(lr.shape[-1], "conv_last")(x).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),            # 22.271 M
    "b8": dict(num_block=8),   # 11.322 M
}

SMALL = dict(num_feat=8, num_block=2, num_layer=2, num_grow_ch=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RDN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RDN, residual dense blocks fused at the end",
    paper="Zhang et al., Residual Dense Network for Image Super-Resolution, CVPR 2018",
    code="yjn870/RDN-pytorch (no licence)",
    scales=(2, 3, 4),
    variant_scales={"b8": (4,)},
    other_scales=(1, 2, 3, 4, 8),
)
