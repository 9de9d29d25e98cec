"""ELIS: XLSR with spatial attention in its blocks.

NTIRE 2023 real-time super-resolution, report section 3.22; no code is public. XLSR (Ayazoglu, CVPR Workshops 2021,
arXiv:2105.10288), five blocks of split channels, convolutions and ESA, and 32 features in them are the report's.
Inferred: all the rest is XLSR's (a 3x3 of 16 features beside the trunk, the image into four convolutions of 8, four
groups, 1x1 convolutions behind both and behind the concatenation), but its output is not clipped, where gradients end;
and RFDN's form of ESA with a quarter of the features. The parameters are then the published 39.2 k, and the
multiply-adds 0.6 % more.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.esa import ESA
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class ECSBlock(nn.Module):
    """Parallel 3x3 convolutions of equal parts of the features, ReLU, a 1x1 of all, and ESA."""

    groups: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        x = nn.relu(Conv(features, groups=self.groups, dtype=self.dtype, name="split")(x))
        x = Conv(features, 1, dtype=self.dtype, name="merge")(x)
        return ESA(features // 4, num_conv=3, dtype=self.dtype, name="attention")(x)


class ELIS(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features, a multiple of 4.
      num_block: blocks of split channels.
      groups: into which they are split.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 32
    num_block: int = 5
    groups: int = 4
    dtype: Any = None

    grid_follows_size = True  # the attention's coarse map is stretched to the image's size

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        side = Conv(self.num_feat // 2, dtype=self.dtype, name="side")(lr)
        x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr))  # four of num_feat / 4 side by side
        x = Conv(self.num_feat, 1, dtype=self.dtype, name="merge_first")(x)
        for index in range(self.num_block):
            x = ECSBlock(self.groups, self.dtype, name=f"body_{index}")(x)
        x = jnp.concatenate([side, x], -1)
        x = nn.relu(Conv(self.num_feat, 1, dtype=self.dtype, name="merge_last")(x))
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=32, num_block=5),  # 39.2 k parameters
}

SMALL = dict(num_feat=16, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ELIS(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ELIS, split channels with spatial attention after XLSR",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.22",
    code="",
    scales=(2,),
    other_scales=(1, 2, 3, 4, 8),
)
