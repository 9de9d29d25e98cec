"""ALONG's dual-path RCAN: RCAN behind a module against blur, beside a branch for the image's details.

In the report of AIM 2020's real image super-resolution (x2, x3, x4, "RCANv2"); no code is public. Stated: the main
structure of RCAN, share-source skip connections, a module against blur before the groups that makes the image smaller
by strided convolutions and is undone by upsampling at the end, and a branch of its own for the image less its guided
filtering. Likely: the share-source skips are SAN's (Dai et al., CVPR 2019; daitao/SAN): behind each group the features
before all of them are added, weighed by one number that starts at 0. Likely: the module is EDVR's (Wang et al., CVPR
Workshops 2019; XPixelGroup/BasicSR, PredeblurModule for large inputs) with a 1x1 convolution behind it; the trunk runs
at a quarter of the LR image's size, and two pixel shuffles bring it back. Guesses: RCAN's 10 groups of 20 blocks of 64
features, its mean and range; the guided filter's radius of 4 px and eps of 0.01; 8 of RCAN's blocks for the details,
and a 1x1 convolution where the branches meet, before the upsampling.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.guided_filter import guided_filter
from jsr.layers.padding import Padding
from jsr.layers.resize import bilinear
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card
from jsr.models.edsr import ResidualBlock
from jsr.models.rcan import RCAB


class Predeblur(nn.Module):
    """(N, H, W, C) to features (N, H / 4, W / 4, num_feat), which have seen two more sizes; H and W multiples of 16."""

    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def conv(x, name, strides=2):
            return nn.leaky_relu(Conv(self.num_feat, strides=strides, padding=1, dtype=self.dtype, name=name)(x), 0.1)

        def block(x, name):
            return ResidualBlock(dtype=self.dtype, name=name)(x)

        def doubled(x):
            return bilinear(x, 2 * x.shape[1], 2 * x.shape[2])

        first = conv(conv(conv(x, "conv_first", 1), "stride_conv_hr1"), "stride_conv_hr2")
        second = conv(first, "stride_conv_l2")
        third = doubled(block(conv(second, "stride_conv_l3"), "resblock_l3"))
        second = doubled(block(block(second, "resblock_l2_1") + third, "resblock_l2_2"))
        for index in range(5):
            first = block(first + second if index == 2 else first, f"resblock_l1_{index}")
        return first


class ALONG(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    H and W are multiples of 16.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of both branches.
      num_group: residual groups of the trunk.
      num_block: blocks of a group.
      num_detail_block: blocks of the branch for details.
      squeeze_factor: the features over those between the two layers of an attention.
      radius: radius of the guided filter's windows, px.
      eps: eps of the guided filter.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_group: int = 10
    num_block: int = 20
    num_detail_block: int = 8
    squeeze_factor: int = 16
    radius: int = 4
    eps: float = 0.01
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(x, name, kernel_size=3, features=self.num_feat):
            return Conv(features, kernel_size, dtype=self.dtype, name=name)(x)

        def blocks(x, name, count):
            for index in range(count):
                x = RCAB(self.squeeze_factor, dtype=self.dtype, name=f"{name}_{index}")(x)
            return x

        mean = jnp.asarray(RGB_MEAN, lr.dtype)
        head = conv(Predeblur(self.num_feat, dtype=self.dtype, name="predeblur")((lr - mean) * 255), "conv_1x1", 1)
        gamma = self.param("gamma", nn.initializers.zeros, (1,)).astype(head.dtype)
        x = head
        for group in range(self.num_group):
            x = x + conv(blocks(x, f"body_{group}", self.num_block), f"body_{group}_conv") + gamma * head
        x = PixelShuffleUpsample(4, dtype=self.dtype, name="back")(head + conv(x, "conv_after_body"))

        details = conv((lr - guided_filter(lr, lr, self.radius, self.eps)) * 255, "detail_first")
        details = blocks(details, "detail", self.num_detail_block)
        x = conv(jnp.concatenate([x, details], axis=-1), "fusion", 1)
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        return conv(x, "conv_last", features=lr.shape[-1]).astype(lr.dtype) / 255 + mean


VARIANTS = {"base": dict()}  # 17.088 M, 17.273 M, 17.236 M at x2, x3, x4

SMALL = dict(num_feat=4, num_group=1, num_block=1, num_detail_block=1, squeeze_factor=2)


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ALONG(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ALONG's dual-path RCAN, with a module against blur and a branch for details",
    paper="ALONG, in Wei, Lu, Timofte et al., AIM 2020 challenge on real image super-resolution: methods and results, "
          "ECCV Workshops 2020",
    code="",
    scales=(2, 3, 4),
    padding=Padding(16, "reflect"),
    other_scales=(1, 2, 3, 4, 8),
)
