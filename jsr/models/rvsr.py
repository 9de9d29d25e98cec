"""RVSR: RepViT's blocks at full resolution, of AIS 2024's real-time challenge.

Section 3.5 of the challenge's report, team XJTU-AIR: a 3x3 convolution to 16 features, eight blocks, values in [-1, 1],
RepConvs as FMEN's. A block is RepViT's (THU-MIG/RepViT): a token mixer, squeeze and excitation, a channel mixer with
its residual. The published multiply-accumulates leave 256 weights a pixel and block besides the RepConv. Inferred: the
channel mixer of 8 features, its first layer without a bias; excitation by 8 features too; the convolution after the
blocks and the head's features added to it; no activation elsewhere.
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class SqueezeExcite(nn.Module):
    """Each feature weighed by what the means of all over the image give: 1x1, ReLU, 1x1, sigmoid."""

    squeezed: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Conv(self.squeezed, 1, dtype=self.dtype, name="squeeze")(GlobalMean()(x)))
        return x * nn.sigmoid(Conv(x.shape[-1], 1, dtype=self.dtype, name="excite")(y))


class RVSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: of token mixer and channel mixer.
      num_squeezed_feat: features inside the channel mixers, and of the means.
      block: the branches of the RepConvs, by name, see jsr.layers.rep.
      deploy: RepConvs are one convolution each.
      dtype: of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 16
    num_block: int = 8
    num_squeezed_feat: int = 8
    block: str = "rrrb"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(2 * lr - 1)
        x = head
        for index in range(self.num_block):
            name, small = f"body_{index}", self.num_squeezed_feat
            x = RepConv(self.num_feat, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype, name=name)(
                x, train=train)
            x = SqueezeExcite(small, dtype=self.dtype, name=f"{name}_excite")(x)
            y = Conv(small, 1, use_bias=False, dtype=self.dtype, name=f"{name}_expand")(x)
            x = x + Conv(self.num_feat, 1, dtype=self.dtype, name=f"{name}_reduce")(gelu(y))
        x = head + Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x)
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return (pixel_shuffle(x, self.scale).astype(lr.dtype) + 1) / 2


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=16, num_block=8),  # 32.7 k parameters deployed
}

SMALL = dict(num_feat=4, num_block=1, num_squeezed_feat=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RVSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RVSR, RepViT's blocks at full resolution",
    paper="Team XJTU-AIR in Conde et al., Real-Time 4K Super-Resolution of Compressed AVIF Images. AIS 2024 Challenge "
          "Survey, CVPR Workshops 2024",
    code="",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
)
