"""Restormer, enlarged, and residual dense blocks with channel attention: UESTC+XJU CV's of AIM 2022, track 1.

Report: AIM 2022 compressed super-resolution, section 4.13; no code is public. It states Restormer without its last
layer on the LR image, then convolutions and deconvolutions that enlarge, four RDCBs, each with channel attention behind
its four densely connected layers, and the sum with the enlarged image. Inferred: Restormer's published sizes; a 3x3
convolution, LeakyReLU 0.2 and a 2x2 deconvolution for every factor of two (at x3 a 3x3 one); 64 features from there
on; within a block RDN's ReLU, 32 features a layer and 1x1 convolution back, and RCAN's squeeze by 16; bicubic
interpolation of the image.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.resize import bicubic_upsample
from jsr.layers.upsample import TransposedConv, factors
from jsr.models._card import Card
from jsr.models.hat import ChannelWeights
from jsr.models.restormer import Restormer


class RDCB(nn.Module):
    """Four convolutions that each see all features before them, weights of all features, and a 1x1 convolution back.

    Submodules: `conv1`..., `attention`, `fusion`.
    """

    num_grow_ch: int
    squeeze_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = x
        for index in range(1, 5):
            new = nn.relu(Conv(self.num_grow_ch, dtype=self.dtype, name=f"conv{index}")(y))
            y = jnp.concatenate([y, new], axis=-1)
        y *= ChannelWeights(self.squeeze_factor, dtype=self.dtype, name="attention")(y)
        return x + Conv(x.shape[-1], 1, dtype=self.dtype, name="fusion")(y)


class UESTC(Restormer):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    H and W are multiples of 2**(levels - 1).

    Attributes:
      scale: 1, 3 or a power of two.
      dim, num_blocks, heads, num_refinement_blocks, ffn_factor, norm_bias, remat, zero_start, dtype: as of
        Restormer.
      num_feat: features behind the trunk; with scale 1 there are the trunk's.
      num_rdcb: RDCBs.
      num_grow_ch: features that each convolution of an RDCB adds.
      squeeze_factor: outer over inner features of channel attention.
    """

    scale: int = 4
    num_feat: int = 64
    num_rdcb: int = 4
    num_grow_ch: int = 32
    squeeze_factor: int = 16

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x = self.trunk(lr)
        for index, factor in enumerate(factors(self.scale), 1):
            x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name=f"conv_up{index}")(x), 0.2)
            x = TransposedConv(self.num_feat, factor, dtype=self.dtype, name=f"deconv_up{index}")(x)
        for index in range(self.num_rdcb):
            x = RDCB(self.num_grow_ch, self.squeeze_factor, dtype=self.dtype, name=f"body_{index}")(x)
        x = Conv(lr.shape[-1], zero_start=self.zero_start, dtype=self.dtype, name="conv_last")(x)
        return bicubic_upsample(lr, self.scale) + x.astype(lr.dtype)


VARIANTS = {
    "base": dict(),  # 26.84 M
}

SMALL = dict(dim=4, num_blocks=(1, 1), heads=(1, 2), num_refinement_blocks=0, num_feat=4, num_rdcb=1, num_grow_ch=2,
             squeeze_factor=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return UESTC(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="UESTC+XJU CV's Restormer with residual dense channel-attention blocks",
    paper="Yang et al., AIM 2022 Challenge on Super-Resolution of Compressed Image and Video, ECCV Workshops 2022",
    code="",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(8, "reflect"),
)
