"""The network of Touch Fish: blocks whose last features say where their first ones matter.

NTIRE 2023 real-time super-resolution, report section 3.17; no code is public. Widths, numbers of blocks and kinds of
convolutions follow from the published parameters and operations, both exact. The report gives the mask, a sigmoid of a
1x1 convolution of the later features times the earlier ones. Inferred: that the product is added to the later features,
LeakyReLU 0.05, RepVGG's block for every 3x3 convolution, where the last two stand, and the sum with the first features.
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card, row_at


class AttliBlock(nn.Module):
    """Three activated 3x3 convolutions and a 1x1, plus the input where a mask made of them lets it through."""

    block: str = "repvgg"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        features, later = x.shape[-1], x
        for index in range(3):
            later = RepConv(features, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                            name=f"conv_{index}")(later, train=train)
            later = nn.leaky_relu(later, 0.05)
        later = Conv(features, 1, dtype=self.dtype, name="fuse")(later)
        mask = nn.sigmoid(Conv(features, 1, use_bias=False, dtype=self.dtype, name="mask")(later))
        return later + mask * x


class TouchFish(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features.
      num_block: attention blocks.
      block: block of jsr.layers.rep, for all 3x3 convolutions.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 24
    num_block: int = 3
    block: str = "repvgg"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        def conv(x, features, name):
            return RepConv(features, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                           name=name)(x, train=train)

        head = x = conv(lr, self.num_feat, "conv_first")
        for index in range(self.num_block):
            x = AttliBlock(self.block, self.deploy, self.dtype, name=f"body_{index}")(x, train=train)
        x = conv(x, self.num_feat, "conv_after_body") + head
        x = conv(x, self.num_feat, "conv_before_last")
        x = conv(x, lr.shape[-1] * self.scale**2, "conv_last")
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS = {  # by scale; at another the nearest one's row
    "base": {2: dict(num_feat=24, num_block=3),   # 64.1 k parameters deployed, 132.1 G multiply-adds at 1080x1920
             3: dict(num_feat=32, num_block=4)},  # 146.5 k, 134.4 G at 720x1280
}

SMALL = dict(num_feat=4, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return TouchFish(scale=scale, **row_at(VARIANTS[variant], scale) | fields)


CARD = Card(
    title="Touch Fish's attention network, late features masking early ones",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.17",
    code="",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
)
