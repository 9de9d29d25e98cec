"""MSDRSR: compression artefacts removed at several sizes, then ESRGAN's trunk; an entry to AIM 2022's compressed SR.

Section 4.8 of the challenge's report. It states: a convolution, a module of enhanced residual groups at several sizes
(MSDR), RRDBNet's 23 blocks with SiLU, ten more of them for the second half of the training. An enhanced residual group
(ERG) "removes the channel attention module in each residual block, and adds a high-frequency attention block at the end
of the residual block": it is that of RCAN (Zhang et al., ECCV 2018) with the block of FMEN (Du et al., CVPR Workshops
2022; NJU-Jet/FMEN) where channel attention was. There is no public code.

Inferred: three sizes, a group at each, made smaller by convolutions of stride 2; from the smallest on, what a group
gives is enlarged and added to what the next larger one gets; ten residual blocks in a group, half of RCAN's; the
attention is FMEN's as it is used, once a residual block before its input is added, without BatchNorm, with one block
and its 16 features; SiLU stands for RRDBNet's LeakyReLU, not for what the groups have.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.upsample import PixelShuffleUpsample, factors
from jsr.models._card import Card
from jsr.models.rrdbnet import RRDB, nearest_upsample


class HighFrequencyAttention(nn.Module):
    """The input times a mask in (0, 1) that convolutions of few features make of it (HFAB)."""

    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = x
        for name in ("conv_squeeze", "conv_0", "conv_1"):
            y = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name=name)(y), 0.1)
        return x * nn.sigmoid(Conv(x.shape[-1], dtype=self.dtype, name="conv_excitate")(y))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between and high-frequency attention; the input added."""

    num_attention_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Conv(x.shape[-1], dtype=self.dtype, name="conv1")(x))
        y = Conv(x.shape[-1], dtype=self.dtype, name="conv2")(y)
        return x + HighFrequencyAttention(self.num_attention_feat, dtype=self.dtype, name="attention")(y)


class EnhancedResidualGroup(nn.Module):
    """Residual blocks with high-frequency attention and a convolution; the input added."""

    num_resblock: int
    num_attention_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = x
        for index in range(self.num_resblock):
            y = ResidualBlock(self.num_attention_feat, dtype=self.dtype, name=f"body_{index}")(y)
        return x + Conv(x.shape[-1], dtype=self.dtype, name="conv_last")(y)


class MultiScaleRemoval(nn.Module):
    """Enhanced residual groups at each of several sizes, the smallest first (MSDR).

    H and W are multiples of 2**(num_scale - 1); features keep their number.
    """

    num_scale: int
    num_resblock: int
    num_attention_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        sizes = [x]
        for index in range(1, self.num_scale):
            sizes.append(Conv(x.shape[-1], strides=2, padding=1, dtype=self.dtype, name=f"down_{index}")(sizes[-1]))
        y = 0
        for index, x in reversed(list(enumerate(sizes))):
            y = EnhancedResidualGroup(self.num_resblock, self.num_attention_feat, dtype=self.dtype,
                                      name=f"group_{index}")(x + y)
            if index:
                y = PixelShuffleUpsample(2, dtype=self.dtype, name=f"up_{index}")(y)
        return y


class MSDRSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features everywhere.
      num_scale: sizes of the MSDR module, each half of the one before; H and W are multiples of 2**(num_scale - 1).
      num_resblock: residual blocks of an enhanced residual group.
      num_attention_feat: features inside high-frequency attention.
      num_block: RRDBs.
      num_grow_ch: features that each convolution of a dense block adds.
      remat: computes the RRDBs again in the backward pass, for a third more time and a fraction of the memory.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_scale: int = 3
    num_resblock: int = 10
    num_attention_feat: int = 16
    num_block: int = 23
    num_grow_ch: int = 32
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that H and W are multiples of, px."""
        return 2**(self.num_scale - 1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name):
            return Conv(features, dtype=self.dtype, name=name)

        block = nn.remat(RRDB) if self.remat else RRDB
        x = conv(self.num_feat, "conv_first")(lr)
        head = x = MultiScaleRemoval(self.num_scale, self.num_resblock, self.num_attention_feat, dtype=self.dtype,
                                     name="msdr")(x)
        for index in range(self.num_block):
            x = block(self.num_grow_ch, activation=nn.silu, dtype=self.dtype, name=f"body_{index}")(x)
        x = head + conv(self.num_feat, "conv_body")(x)
        for index, factor in enumerate(factors(self.scale), 1):
            x = nn.silu(conv(self.num_feat, f"conv_up{index}")(nearest_upsample(x, factor)))
        x = nn.silu(conv(self.num_feat, "conv_hr")(x))
        return conv(lr.shape[-1], "conv_last")(x).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {  # RRDBs; parameters at x4
    "b23": dict(num_block=23),  # 20.09 M, the first half of the training
    "b33": dict(num_block=33),  # 27.28 M, the second, and the entry
}

SMALL = dict(num_feat=4, num_resblock=1, num_attention_feat=2, num_block=1, num_grow_ch=2)  # for tests that compile it


def Model(variant="b23", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return MSDRSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="MSDRSR, artefacts removed at several sizes before ESRGAN's trunk",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022",
    code="",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(4, "reflect"),
)
