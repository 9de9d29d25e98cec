"""PCRTSR: partial convolutions at half the LR size.

NTIRE 2023 real-time super-resolution, report section 3.11; no code is public. Groups, blocks, the quarter of the
features that is convolved and the activation are the report's; the widths follow from the published parameters, 162288,
which are met to the unit. They also say that the last convolution, 3x3 in the text, is a 1x1. Inferred: no sum around
the single block.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import prelu
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card


class PartialBlock(nn.Module):
    """A 3x3 convolution of a quarter of the features, the others as they are; then 1x1 to twice as many, and back.

    The activation in between is a PReLU with a slope a feature, parameter `slope`, 0.25 at first as PyTorch's.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        part = Conv(features // 4, dtype=self.dtype, name="partial")(x[..., :features // 4])
        x = jnp.concatenate([part, x[..., features // 4:].astype(part.dtype)], -1)
        x = Conv(2 * features, 1, dtype=self.dtype, name="expand")(x)
        slope = self.param("slope", nn.initializers.constant(0.25), (2 * features,))
        return Conv(features, 1, dtype=self.dtype, name="reduce")(prelu(x, slope.astype(x.dtype)))


class PCRTSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped; H and W are even.

    Attributes:
      scale: SR size over LR size.
      num_feat: features at half the LR size, a multiple of 4.
      num_block: blocks of each group, around which the input is added.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: tuple[int, ...] = (2, 4, 2)
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(pixel_unshuffle(lr, 2))
        for group, blocks in enumerate(self.num_block):
            shortcut = x
            for index in range(blocks):
                x = PartialBlock(self.dtype, name=f"body_{group}_{index}")(x)
            x = x + shortcut
        x = Conv(lr.shape[-1] * (2 * self.scale)**2, 1, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, 2 * self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=64, num_block=(2, 4, 2)),  # 162.3 k parameters at x2, 166.2 k at x3
}

SMALL = dict(num_feat=8, num_block=(1, 1))  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return PCRTSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="PCRTSR, partial convolutions at half the LR size",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.11",
    code="",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(multiple=2),  # the mode is inferred
)
