"""VCBPv2: back projection in V-cycles between features at the size of the LR image and at twice that size.

Paper: Salmasri et al. (LISA-ULB), VCycles BackProjection networks generation two, in the report of AIM 2020's real
image super-resolution, ECCV Workshops 2020. Structure, names and initialisation (PyTorch's default) as in
fsalmasri/AIM20SRx2_LISA (vCycle.py, modules.py). The enlarged image is PyTorch's bicubic interpolation.

Quirk: the report has three cycles within a block, and the original makes modules for three, but its loop takes every
other number, so that two run. The third's parameters are here with `unused`.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.activation import PReLU
from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.resize import bicubic_upsample
from jsr.models._card import Card
from jsr.models.rrdbnet import nearest_upsample


class Up(nn.Module):
    """(N, H, W, C) to (N, 2 H, 2 W, features)."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = Conv(x.shape[-1], padding_mode="reflect", dtype=self.dtype, name="mConv_1")(x)
        x = PReLU(shared=True, dtype=self.dtype, name="mConv_2")(x)
        return Conv(self.features, padding_mode="reflect", dtype=self.dtype, name="upper_2")(nearest_upsample(x, 2))


class Down(nn.Module):
    """(N, 2 H, 2 W, C) to (N, H, W, features), with channel attention."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def act(y, name):
            return PReLU(shared=True, dtype=self.dtype, name=name)(y)

        for index in (1, 4):
            x = Conv(x.shape[-1], padding_mode="reflect", dtype=self.dtype, name=f"db_{index}")(x)
            x = act(x, f"db_{index + 1}")
        x = Conv(self.features, 5, 2, padding=2, padding_mode="reflect", dtype=self.dtype, name="down_1")(x)
        known = Conv(self.features // 12, 1, dtype=self.dtype, name="ca_conv_du_0")(GlobalMean()(x))
        known = Conv(self.features, 1, dtype=self.dtype, name="ca_conv_du_2")(act(known, "ca_conv_du_1"))
        return x * nn.sigmoid(known)


class Cycles(nn.Module):
    """Ways up and down that each correct the features at one size by those at the other.

    Attributes:
      num_cycle: ways up and down.
      unused: one more is there.
    """

    num_cycle: int
    unused: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, small, large):
        """Features (N, H, W, C) and (N, 2 H, 2 W, D) to the same shapes."""
        def up(x, name):
            return Up(large.shape[-1], dtype=self.dtype, name=name)(x)

        def down(x, name):
            return Down(small.shape[-1], dtype=self.dtype, name=name)(x)

        x, y, found = small, large, small
        for cycle in range(self.num_cycle):
            y = y + up(x, f"innerBlocks_{2 * cycle}")
            found = down(y, f"innerBlocks_{2 * cycle + 1}")
            x = x + found
        if self.unused:
            down(up(x, f"innerBlocks_{2 * self.num_cycle}"), f"innerBlocks_{2 * self.num_cycle + 1}")
        small = small + found
        return small, large + up(small, "upscaler")


class VCBP(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, 2 H, 2 W, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 2.
      num_feat: features at the LR image's size.
      num_large_feat: features at twice that size.
      num_block: blocks of cycles.
      num_cycle: ways up and down of a block.
      unused: it has the parameters that the original has without a use, too.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 2
    num_feat: int = 64
    num_large_feat: int = 48
    num_block: int = 10
    num_cycle: int = 2
    unused: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(x, features, name):
            return Conv(features, padding_mode="reflect", dtype=self.dtype, name=name)(x)

        lr = lr * 2 - 1
        small = conv(lr, self.num_feat, "anal0")
        large = conv(bicubic_upsample(lr, 2), self.num_large_feat, "anal2")
        for index in range(self.num_block):
            small, large = Cycles(self.num_cycle, self.unused, dtype=self.dtype, name=f"blocks_{index}")(small, large)
        return (conv(large, lr.shape[-1], "synth2").astype(lr.dtype) + 1) / 2


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(),                 # 4.326 M
    "original": dict(unused=True),  # 6.164 M, with what the original makes no use of
}

SMALL = dict(num_feat=48, num_large_feat=4, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return VCBP(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="VCBPv2, back projection in V-cycles",
    paper="Salmasri et al., VCycles BackProjection networks generation two, in Wei, Lu, Timofte et al., AIM 2020 "
          "challenge on real image super-resolution: methods and results, ECCV Workshops 2020",
    code="fsalmasri/AIM20SRx2_LISA (no licence)",
    scales=(2,),
)
