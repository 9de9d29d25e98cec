"""SPAN: attention without parameters; and SPANR, of AIS 2024's real-time challenge.

Paper: Wan et al., CVPR Workshops 2024, arXiv:2311.12770. Structure and defaults as in hongyuanyu/SPAN,
basicsr/archs/span_arch.py, with its Conv3XC as RepConv. What the network makes is the image itself: range and mean are
those of its input alone. As in the code, the head has no activation, where the paper writes one. `plain_range` is what
neosr and spandrel call `norm=False`: the input stays as it is. Most weights that people share are of it, from x1 on.

SPANR is XiaomiMM's (section 3.8 of the challenge's report), with two blocks. The report's four concatenated maps are
those of SPAN's six blocks; with 16 features, the published counts leave room for one 3x3 convolution of two. Inferred:
that these are the head's and the last block's maps, that the convolution is a RepConv too, and the input's range.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers import rep_blocks
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class SPAB(nn.Module):
    """Three RepConvs with SiLU between, and the sum with the input weighed by what they make; features stay as many.

    Returns the output, and the map after the first SiLU.
    """

    block: str
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        def reconv(x, name):
            return RepConv(x.shape[-1], rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype, name=name)(
                x, train=train)

        first = nn.silu(reconv(x, "conv_1"))
        y = reconv(nn.silu(reconv(first, "conv_2")), "conv_3")
        return (y + x) * (nn.sigmoid(y) - 0.5), first


class SPAN(nn.Module):
    """(N, H, W, channels) in [0, 1] to (N, H * scale, W * scale, channels), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: SPABs.
      fusion: what is made of the maps: "four" concatenates the head's, the first block's, the last block's after one
        more RepConv, and that inside the last block, to a 1x1 convolution; "two" the head's and the last block's, to a
        RepConv.
      block: the branches of the RepConvs, by name, see jsr.layers.rep.
      img_range: the input is brought to [0, img_range], less the mean.
      mean: RGB mean in [0, 1] that is subtracted; () is none, as images that are not RGB need.
      channels: channels of LR and SR.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 48
    num_block: int = 6
    fusion: str = "four"
    block: str = "conv3xc"
    img_range: float = 255.0
    mean: tuple[float, ...] = RGB_MEAN
    channels: int = 3
    deploy: bool = False
    dtype: Any = None

    needs_float32 = True  # in bfloat16 single values are off by up to 32 levels: the trunk has values of hundreds

    @nn.compact
    def __call__(self, lr, *, train=False):
        def reconv(x, name):
            return RepConv(self.num_feat, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                           name=name)(x, train=train)

        x = lr - jnp.asarray(self.mean, lr.dtype) if self.mean else lr
        head = reconv(x * self.img_range, "conv_first")
        x, inside, maps = head, head, []
        for index in range(self.num_block):
            x, inside = SPAB(self.block, self.deploy, dtype=self.dtype, name=f"body_{index}")(x, train=train)
            maps.append(x)
        if self.fusion == "four":
            x = jnp.concatenate([head, reconv(x, "conv_after_body"), maps[0], inside], axis=-1)
            x = Conv(self.num_feat, 1, dtype=self.dtype, name="fusion")(x)
        elif self.fusion == "two":
            x = reconv(jnp.concatenate([head, x], axis=-1), "fusion")
        else:
            raise ValueError(f"fusion = {self.fusion!r} is neither 'four' nor 'two'")
        x = Conv(self.channels * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS = {  # parameters once deployed, at x4
    "c48": dict(num_feat=48, num_block=6),  # 426 k, the code's default
    "c52": dict(num_feat=52, num_block=6),  # 498 k, the paper's
    "plain_range": dict(num_feat=48, num_block=6, img_range=1.0, mean=()),  # as c48
    "spanr": dict(num_feat=16, num_block=2, fusion="two"),  # 26.0 k
}

SMALL = dict(num_feat=4, num_block=2)  # the same network, for tests that compile it


def Model(variant="c48", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SPAN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SPAN, attention without parameters",
    paper="Wan et al., Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPR Workshops 2024",
    code="hongyuanyu/SPAN (Apache-2.0)",
    scales=(2, 4),
    variant_scales={"plain_range": (4,), "spanr": (4,)},
    other_scales=(1, 2, 3, 4, 8),
)
