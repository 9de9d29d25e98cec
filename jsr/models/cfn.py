"""CFN: an image enlarged in steps, each by what a network adds to its bicubic enlargement.

lyl's coarse-to-fine network, in the report of AIM 2020's real image super-resolution (x2, x3, x4); no code is public.
Stated: the framework of the Laplacian pyramid (LapSRN, Lai et al., CVPR 2017), one level for each factor of two, each
held to an HR image of its size. Guesses: x3 as one level of factor 3, since the report's log2 gives none; 10 residual
blocks of 64 features a level, EDSR's upsampling; features go on from level to level, as LapSRN's do.
"""

import math
from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.layers.resize import bicubic_upsample
from jsr.layers.upsample import PixelShuffleUpsample, factors
from jsr.models._card import Card
from jsr.models.edsr import ResidualBlock


class CFN(nn.Module):
    """(N, H, W, 3) in [0, 1] to a dict of images, in the input's dtype and not clipped.

    `sr` is (N, H * scale, W * scale, 3); each level before has its own, as `sr_x2` (N, 2 H, 2 W, 3), for losses.

    Attributes:
      scale: 3, or a power of two.
      num_feat: features of a level.
      num_block: residual blocks of a level.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 10
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x, image, images = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr), lr, {}
        steps = factors(self.scale)
        for level, factor in enumerate(steps):
            for index in range(self.num_block):
                x = ResidualBlock(dtype=self.dtype, name=f"level_{level}_body_{index}")(x)
            x = PixelShuffleUpsample(factor, dtype=self.dtype, name=f"level_{level}_upsample")(x)
            more = Conv(lr.shape[-1], dtype=self.dtype, name=f"level_{level}_conv_last")(x)
            image = bicubic_upsample(image, factor) + more.astype(lr.dtype)
            images["sr" if level + 1 == len(steps) else f"sr_x{math.prod(steps[:level + 1])}"] = image
        return images


VARIANTS = {"base": dict()}  # 0.890 M, 1.074 M, 1.778 M

SMALL = dict(num_feat=4, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return CFN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="CFN, an image enlarged in steps by Laplacian levels",
    paper="lyl, in Wei, Lu, Timofte et al., AIM 2020 challenge on real image super-resolution: methods and results, "
          "ECCV Workshops 2020",
    code="",
    scales=(2, 3, 4),
    other_scales=(2, 3, 4, 8),
)
