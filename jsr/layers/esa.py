"""Enhanced spatial attention: a mask for every feature of every pixel, seen through a coarse map of the image.

It is of Liu et al., Residual Feature Aggregation Network (RFANet), CVPR 2020, in the reduced forms of RFDN and RLFN.
"""

from typing import Any

import flax.linen as nn
from jax.core import max_dim
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.pool import max_pool
from jsr.layers.resize import bilinear


class ESA(nn.Module):
    """The input times a mask in (0, 1), as in njulj/RFDN and bytedance/RLFN.

    Attributes:
      num_feat: features of the mask's inside.
      num_conv: 3x3 convolutions of the coarse map, with a ReLU between two: 3 in RFDN, 1 in RLFN.
      pool_size: side of the window whose largest values the coarse map has.
      pool_stride: from one window to the next.
      dtype: dtype of the computation; parameters stay float32.

    Submodules: `conv1` (1x1, in), `conv2` (3x3 of stride 2), `conv3_0`, `conv3_1`... (of the coarse map), `conv_f`
    (1x1, beside it), `conv4` (1x1, out).
    """

    num_feat: int
    num_conv: int = 1
    pool_size: int = 7
    pool_stride: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape. H and W may be less than one window takes, where the original stops."""
        fine = Conv(self.num_feat, 1, dtype=self.dtype, name="conv1")(x)
        least = 2 * self.pool_size + 1  # px that one window takes
        missing = [(0, max_dim(0, least - side)) for side in x.shape[1:3]]  # symbolic sides have no max()
        coarse = jnp.pad(fine, [(0, 0), *missing, (0, 0)], mode="edge")  # inferred
        coarse = Conv(self.num_feat, strides=2, padding=0, dtype=self.dtype, name="conv2")(coarse)
        coarse = max_pool(coarse, self.pool_size, self.pool_stride)
        for index in range(self.num_conv):
            coarse = nn.relu(coarse) if index else coarse
            coarse = Conv(self.num_feat, dtype=self.dtype, name=f"conv3_{index}")(coarse)
        fine = Conv(self.num_feat, 1, dtype=self.dtype, name="conv_f")(fine)
        mask = Conv(x.shape[-1], 1, dtype=self.dtype, name="conv4")(bilinear(coarse, *x.shape[1:3]) + fine)
        return x * nn.sigmoid(mask)
