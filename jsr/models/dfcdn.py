"""DFCDN: features that complement half of the others, distilled, and spatial attention.

NTIRE 2023 real-time super-resolution, report section 3.6; no code is public. Values of 0 to 255, eight features split
in halves, re-parameterised 3x3 convolutions that make complements of one half, their concatenation with all features,
a 1x1, attention of 16 features, and one such block are the report's. Inferred: four convolutions, of which the second
and the fourth give the complements; GELU behind each (an activation that the published count leaves out); RLFN's ESA;
ECBSR's block for every 3x3 convolution; no sum around the block. The multiply-adds are within 0.2 % of the published,
the parameters 10 % (x2) and 8 % (x3) above: the team's attention must be another one with less of them.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers import rep_blocks
from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.esa import ESA
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class DFCDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features, even.
      num_block: number of blocks of complement, distillation and attention.
      num_complement: complements that a block makes, of two convolutions each.
      attention_feat: features inside the attention.
      block: block of jsr.layers.rep, for all 3x3 convolutions but the attention's.
      img_range: the inside works on values of [0, img_range].
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 8
    num_block: int = 1
    num_complement: int = 2
    attention_feat: int = 16
    block: str = "ecb"
    img_range: float = 255.0
    deploy: bool = False
    dtype: Any = None

    grid_follows_size = True  # the attention's coarse map is stretched to the image's size

    @nn.compact
    def __call__(self, lr, *, train=False):
        def reconv(x, features, name):
            return RepConv(features, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                           name=name)(x, train=train)

        x = reconv(lr * self.img_range, self.num_feat, "conv_first")
        for index in range(self.num_block):
            half = self.num_feat // 2
            complement, parts = x[..., :half], [x]
            for step in range(self.num_complement):
                for place in range(2):
                    complement = reconv(complement, half, f"body_{index}_complement_{step}_{place}")
                    complement = gelu(complement)
                parts.append(complement)
            x = jnp.concatenate(parts, -1)
            x = Conv(self.num_feat, 1, dtype=self.dtype, name=f"body_{index}_distill")(x)
            x = ESA(self.attention_feat, dtype=self.dtype, name=f"body_{index}_attention")(x)
        x = reconv(x, lr.shape[-1] * self.scale**2, "conv_last")
        return pixel_shuffle(x, self.scale).astype(lr.dtype) / self.img_range


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=8, num_complement=2, attention_feat=16),  # 7.0 k parameters deployed at x2, 8.1 k at x3
}

SMALL = dict(num_feat=4, num_complement=1, attention_feat=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DFCDN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DFCDN, complements of half the features and spatial attention",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.6",
    code="",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
)
