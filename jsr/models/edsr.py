"""EDSR: enhanced deep residual networks for single image super-resolution.

Paper: Lim et al., CVPR Workshops 2017, arXiv:1707.02921. Structure, initialisation (PyTorch's default), mean shift and
range as in sanghyun-son/EDSR-PyTorch; field and parameter names are BasicSR's. The official counts include 24 frozen
values of two 1x1 convolutions that shift the mean: here that is arithmetic.

The variant `aiair` is that of AiAiR (AIM 2020's x2), HolmesShuan/AIM2020-Real-Super-Resolution: its convolutions repeat
the image's edge.
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
    padding_mode: str = "zeros"

    @nn.compact
    def __call__(self, x):
        def conv(name):
            return Conv(x.shape[-1], self.kernel_size, padding_mode=self.padding_mode, dtype=self.dtype, name=name)

        y = conv("conv2")(nn.relu(conv("conv1")(x)))
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
      padding_mode: what the convolutions see around the image, "zeros" or its repeated edge, "replicate".
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 16
    res_scale: float = 1.0
    img_range: float = 255.0
    mean: tuple[float, float, float] = RGB_MEAN
    padding_mode: str = "zeros"
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        common: dict[str, Any] = dict(padding_mode=self.padding_mode, dtype=self.dtype)
        mean = jnp.asarray(self.mean, lr.dtype)
        x = (lr - mean) * self.img_range
        head = Conv(self.num_feat, **common, name="conv_first")(x)
        x = head
        for index in range(self.num_block):
            x = ResidualBlock(self.res_scale, **common, name=f"body_{index}")(x)
        x = Conv(self.num_feat, **common, name="conv_after_body")(x) + head
        x = PixelShuffleUpsample(self.scale, **common, name="upsample")(x)
        x = Conv(lr.shape[-1], **common, name="conv_last")(x)
        return x.astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {  # the paper's table 1; parameters at x4
    "baseline": dict(num_feat=64, num_block=16, res_scale=1.0),  # 1.518 M
    "full": dict(num_feat=256, num_block=32, res_scale=0.1),     # 43.09 M
    "aiair": dict(num_feat=256, num_block=32, res_scale=0.1, padding_mode="replicate"),  # 40.73 M at x2
}

SMALL = dict(num_feat=8, num_block=2)  # the same network, for tests that compile it


def Model(variant="baseline", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return EDSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="EDSR, a deep residual network without batch normalisation",
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR Workshops 2017",
    code="sanghyun-son/EDSR-PyTorch (MIT), HolmesShuan/AIM2020-Real-Super-Resolution (BSD-2-Clause)",
    scales=(2, 3, 4),
    variant_scales={"aiair": (2,)},
    other_scales=(1, 2, 3, 4, 8),
)
