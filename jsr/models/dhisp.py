"""The network of DH ISP: a plain chain, a shortcut of one pixel, and an output that weighs itself.

NTIRE 2023 real-time super-resolution, report section 3.18; no code is public. Two 3x3 convolutions with four
re-parameterised ones between them and a parallel 1x1 are the report's. Inferred: 16 features (no whole number meets the
published 11.3 k parameters and 23.42 G multiply-adds better: 2 % and 1 % above), GELU behind every 3x3 but the last
(an activation that the published count leaves out), RepRFN's block, and the output's "structure of self-attention" as
y * sigmoid(y), which has no parameters.
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class DHISP(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features.
      num_block: re-parameterised convolutions.
      block: block of jsr.layers.rep, for those.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 16
    num_block: int = 4
    block: str = "reprfn"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        features = lr.shape[-1] * self.scale**2
        x = gelu(Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr))
        for index in range(self.num_block):
            x = RepConv(self.num_feat, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                        name=f"body_{index}")(x, train=train)
            x = gelu(x)
        x = Conv(features, dtype=self.dtype, name="conv_last")(x)
        x = x + Conv(features, 1, dtype=self.dtype, name="shortcut")(lr)
        return nn.silu(pixel_shuffle(x, self.scale)).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=16, num_block=4),  # 11.5 k parameters deployed
}

SMALL = dict(num_feat=4, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DHISP(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DH ISP's plain network with a 1x1 shortcut and a self-weighing output",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.18",
    code="",
    scales=(2,),
    other_scales=(1, 2, 3, 4, 8),
)
