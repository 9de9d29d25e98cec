"""DRCNN: a residual to the nearest neighbour's enlargement, with all of its pixels as channels.

NTIRE 2023 real-time super-resolution, report section 3.21; no code is public. The enlarged image, brought back to LR
size by space-to-depth, goes through SCSRN and is added to its output, says the report. SCSRN (Gankhuyag et al.,
Skip-Concatenated Image Super-Resolution Network for Mobile Devices, IEEE Access 2023) concatenates its input to the
features; that a 1x1 convolution follows is as in PlainSR2 of Ganzooo/LRSRN, by its first author. Inferred: 40
features and three convolutions between the first and the 1x1, with ReLU behind all before it: parameters and
multiply-adds are 8 % above the published at x2 and 1 % at x3. No width meets both scales: of those tried the nearest,
46 with two convolutions, is 2 % off.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class DRCNN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features.
      num_block: 3x3 convolutions between the first and the concatenation.
      zero_start: the last convolution starts at zero, so that the network begins as the enlarged image.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 40
    num_block: int = 3
    zero_start: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        nearest = jnp.repeat(lr, self.scale**2, -1)  # its pixel shuffle is the nearest neighbour's enlargement
        x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name="conv_first")(nearest))
        for index in range(self.num_block):
            x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name=f"body_{index}")(x))
        x = jnp.concatenate([x, nearest.astype(x.dtype)], -1)
        x = Conv(self.num_feat, 1, dtype=self.dtype, name="merge")(x)
        x = Conv(nearest.shape[-1], zero_start=self.zero_start, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x.astype(lr.dtype) + nearest, self.scale)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=40, num_block=3),  # 54.1 k parameters at x2, 65.5 k at x3
}

SMALL = dict(num_feat=4, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DRCNN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DRCNN, a residual to the nearest neighbour in depth",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.21",
    code="Ganzooo/LRSRN (no licence)",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
)
