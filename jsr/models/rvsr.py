"""RVSR: RepViT's blocks at full resolution, of AIS 2024's real-time challenge.

Section 3.5 of the challenge's report, team XJTU-AIR; structure as in huai-chang/RVSR: a 3x3 convolution to 16 features,
eight blocks, values in [-1, 1]. A block is RepViT's (THU-MIG/RepViT): a token mixer, squeeze and excitation, a channel
mixer with its residual.
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.rep import RepConv
from jsr.layers.resize import bilinear
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class SqueezeExcite(nn.Module):
    """Weighs each feature by a function of all features' means over the image: 1x1, ReLU, 1x1, sigmoid."""

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
      num_block: number of blocks of token mixer and channel mixer.
      num_squeezed_feat: features of the means in squeeze and excitation.
      block: the branches of the RepConvs, by name, see jsr.layers.rep_blocks.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 16
    num_block: int = 8
    num_squeezed_feat: int = 8
    block: str = "rvsr"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        image = 2 * lr - 1
        x = head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(image)
        for index in range(self.num_block):
            name = f"body_{index}"
            x = self.conv(name)(x, train=train)
            x = SqueezeExcite(self.num_squeezed_feat, dtype=self.dtype, name=f"{name}_excite")(x)
            y = gelu(Conv(2 * self.num_feat, 1, dtype=self.dtype, name=f"{name}_expand")(x))
            x = x + Conv(self.num_feat, 1, dtype=self.dtype, name=f"{name}_reduce")(y)
        x = self.conv("conv_after_body")(x + head, train=train)
        x = Conv(lr.shape[-1] * self.scale**2, 1, dtype=self.dtype, name="conv_last")(x)
        x = pixel_shuffle(x, self.scale).astype(lr.dtype)
        return (x + bilinear(image, *x.shape[1:3]) + 1) / 2

    def conv(self, name):
        """A re-parameterised 3x3 convolution that keeps the features."""
        return RepConv(self.num_feat, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype, name=name)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=16, num_block=8),  # 33.0 k parameters deployed, 221 k in training
}

SMALL = dict(num_feat=4, num_block=1, num_squeezed_feat=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RVSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RVSR, RepViT's blocks at full resolution",
    paper="Team XJTU-AIR in Conde et al., Real-Time 4K Super-Resolution of Compressed AVIF Images. AIS 2024 Challenge "
          "Survey, CVPR Workshops 2024",
    code="huai-chang/RVSR (Apache-2.0)",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
)
