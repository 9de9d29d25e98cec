"""R2CNet: bottlenecks within bottlenecks at half the LR size, with an attention that sees far.

NTIRE 2023 real-time super-resolution, report section 3.12; no code is public. RLFN's frame, 64 features outside and 32
inside, two R2C blocks of four basic ones, the first of stride 2, L-ESA (ESA with windows of 11 every 7 pixels), and
BatchNorm behind every convolution of a block are the report's. The published parameters and operations, met at both
scales, fix 16 features in L-ESA, sixteen activations, and that one of the four 1x1 convolutions is missing. How the
rest is laid out is inferred: the strided block's entry is a 3x3, for a 1x1 of stride 2 would see a quarter of the
pixels; its skip path is another, into the bottleneck; the other block's skip path is the identity; basic blocks are
ResNet's; one 3x3 to 256 features and a pixel shuffle come before RLFN's convolution; L-ESA itself has no BatchNorm.
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.esa import ESA
from jsr.layers.padding import Padding
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class R2CBlock(nn.Module):
    """Into few features, basic blocks beside a skip path, out again, L-ESA; every convolution has its BatchNorm.

    Attributes:
      mid_feat: features inside.
      num_basic: basic blocks.
      attention_feat: features inside L-ESA.
      strides: 2 halves the size, and gives the skip path its convolution.
      deploy, dtype: as the network's.
    """

    mid_feat: int = 32
    num_basic: int = 4
    attention_feat: int = 16
    strides: int = 1
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        def conv(x, features, name, kernel_size=3, strides=1):
            return RepConv(features, rep_blocks.normed(kernel_size), kernel_size, strides, deploy=self.deploy,
                           dtype=self.dtype, name=name)(x, train=train)

        if self.strides == 1:
            y = skip = conv(x, self.mid_feat, "reduce", kernel_size=1)
        else:
            y = conv(x, self.mid_feat, "reduce", strides=self.strides)
            skip = conv(x, self.mid_feat, "skip", strides=self.strides)
        for index in range(self.num_basic):
            inner = nn.relu(conv(y, self.mid_feat, f"basic_{index}_0"))
            y = nn.relu(conv(inner, self.mid_feat, f"basic_{index}_1") + y)
        y = conv(y + skip, x.shape[-1], "expand", kernel_size=1)
        return ESA(self.attention_feat, pool_size=11, pool_stride=7, dtype=self.dtype, name="attention")(y)


class R2CNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped; H and W are even.

    Attributes:
      scale: SR size over LR size.
      num_feat: features outside the blocks.
      mid_feat: features inside.
      num_block: R2C blocks; the first halves the size.
      num_basic: basic blocks of each.
      attention_feat: features inside L-ESA.
      deploy: convolutions have taken up their BatchNorm.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    mid_feat: int = 32
    num_block: int = 2
    num_basic: int = 4
    attention_feat: int = 16
    deploy: bool = False
    dtype: Any = None

    grid_follows_size = True  # the attention's coarse map is stretched to the image's size

    @nn.compact
    def __call__(self, lr, *, train=False):
        head = x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr)
        for index in range(self.num_block):
            x = R2CBlock(self.mid_feat, self.num_basic, self.attention_feat, strides=1 if index else 2,
                         deploy=self.deploy, dtype=self.dtype, name=f"body_{index}")(x, train=train)
        x = pixel_shuffle(Conv(4 * self.num_feat, dtype=self.dtype, name="upsample")(x), 2)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=64, mid_feat=32, num_block=2, num_basic=4),  # 398.6 k parameters at x2, 407.3 k at x3
}

SMALL = dict(num_feat=4, mid_feat=4, num_basic=1, attention_feat=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return R2CNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="R2CNet, bottlenecks in bottlenecks at half the LR size",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.12",
    code="",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(multiple=2),  # the mode is inferred
)
