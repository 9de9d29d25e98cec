"""The way back of dual regression: a small network from HR to LR, learnt beside the one from LR to HR.

Paper: Guo et al., CVPR 2020, Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution; structure
as DownBlock of guoyongcs/DRN, which has one of a factor of 2 for each doubling. qwq (AIM 2020 real image SR) names a
dual loss: that it is this one, one network for the whole factor, and stride 3 at x3 are inferred.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.models._card import Card

STRIDES = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


class Downsample(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H / scale, W / scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 2, 3, 4 or 8, size of the input over size of the output.
      num_feat: features, 16 in DRN-S at x4, 20 in DRN-L.
      dtype: of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 16
    dtype: Any = None

    @property
    def size_multiple(self):
        """Of the sizes of images."""
        return self.scale

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = lr
        for index, strides in enumerate(STRIDES[self.scale]):
            x = Conv(self.num_feat, strides=strides, use_bias=False, dtype=self.dtype, name=f"conv_{index}")(x)
            x = nn.leaky_relu(x, 0.2)
        return Conv(lr.shape[-1], use_bias=False, dtype=self.dtype, name="conv_last")(x).astype(lr.dtype)


VARIANTS = {"dual": dict()}

SMALL = dict(num_feat=4)


def Model(variant="dual", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Downsample(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DRN's dual model, from HR to LR",
    paper="Guo et al., Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution, CVPR 2020",
    code="guoyongcs/DRN (MIT)",
    scales=tuple(STRIDES),
    task="downscaling, for losses",
    auxiliary=True,
)
