"""EDSR: enhanced deep residual networks for single image super-resolution.

Paper: Lim et al., CVPR Workshops 2017, arXiv:1707.02921. Structure, initialisation (PyTorch's default), mean shift and
range as in sanghyun-son/EDSR-PyTorch; field and parameter names are BasicSR's. The official counts include 24 frozen
values of two 1x1 convolutions that shift the mean: here that is arithmetic.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between, scaled, and the input added; features keep their number."""

    res_scale: float = 1.0
    dtype: Any = None
    kernel_size: int = 3

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Conv(x.shape[-1], self.kernel_size, dtype=self.dtype, name="conv1")(x))
        y = Conv(x.shape[-1], self.kernel_size, dtype=self.dtype, name="conv2")(y)
        return x + y * self.res_scale


class EDSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk.
      num_block: residual blocks.
      res_scale: weight of each block's residual; 0.1 keeps wide networks stable.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      dtype: of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 16
    res_scale: float = 1.0
    img_range: float = 255.0
    mean: tuple[float, float, float] = RGB_MEAN
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        mean = jnp.asarray(self.mean, lr.dtype)
        x = (lr - mean) * self.img_range
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(x)
        x = head
        for index in range(self.num_block):
            x = ResidualBlock(self.res_scale, dtype=self.dtype, name=f"body_{index}")(x)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        x = Conv(lr.shape[-1], dtype=self.dtype, name="conv_last")(x)
        return x.astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {  # the paper's table 1; parameters at x4
    "baseline": dict(num_feat=64, num_block=16, res_scale=1.0),  # 1.518 M
    "full": dict(num_feat=256, num_block=32, res_scale=0.1),     # 43.09 M
}

SMALL = dict(num_feat=8, num_block=2)  # the same network, for tests that compile it


def Model(variant="baseline", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return EDSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="EDSR, a deep residual network without batch normalisation",
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR Workshops 2017",
    code="sanghyun-son/EDSR-PyTorch (MIT)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
)
