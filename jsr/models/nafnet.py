"""NAFNet: a U-net whose blocks have products in the place of activations.

Paper: Chen et al., ECCV 2022, arXiv:2204.04676. Structure, fields, initialisation and variants as in
megvii-research/NAFNet (basicsr/models/archs/NAFNet_arch.py; options/train/GoPro/NAFNet-width32.yml and
SIDD/NAFNet-width64.yml). Its test-time form, NAFNetLocal, is this network within jsr.layers.pool.local_means.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.pool import GlobalMean
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


def simple_gate(x):
    """(..., 2 C) to (..., C): the product of the two halves of the features."""
    first, second = jnp.split(x, 2, axis=-1)
    return first * second


class NAFBlock(nn.Module):
    """Depthwise convolution with simplified channel attention, then a pixel's own layers; both are added to the input.

    The additions are weighed by `beta` and `gamma`, (1, 1, 1, C), which start at zero: a fresh block is the identity.
    Submodules as in the original: `norm1`, `conv1`, `conv2` (depthwise), `sca_1`, `conv3`, `norm2`, `conv4`, `conv5`.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        features = x.shape[-1]
        y = LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm1")(x)
        y = Conv(2 * features, 1, dtype=self.dtype, name="conv1")(y)
        y = simple_gate(Conv(2 * features, groups=2 * features, dtype=self.dtype, name="conv2")(y))
        y = y * Conv(features, 1, dtype=self.dtype, name="sca_1")(GlobalMean()(y))
        x = x + self.weight("beta", x) * Conv(features, 1, dtype=self.dtype, name="conv3")(y)
        y = LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm2")(x)
        y = simple_gate(Conv(2 * features, 1, dtype=self.dtype, name="conv4")(y))
        return x + self.weight("gamma", x) * Conv(features, 1, dtype=self.dtype, name="conv5")(y)

    def weight(self, name, x):
        """A learned weight of each feature of x, in its dtype."""
        return self.param(name, nn.initializers.zeros, (1, 1, 1, x.shape[-1])).astype(x.dtype)


def naf_blocks(x, name, count, dtype):
    """Applies blocks of the module that calls it, as many as `count`, with numbers behind `name`."""
    for index in range(count):
        x = NAFBlock(dtype=dtype, name=f"{name}_{index}")(x)
    return x


class ShuffleUp(nn.Module):
    """(N, H, W, C) to (N, 2 H, 2 W, C / 2): a 1x1 convolution without bias, `conv`, and a pixel shuffle."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = Conv(2 * x.shape[-1], 1, use_bias=False, dtype=self.dtype, name="conv")(x)
        return pixel_shuffle(x, 2)


class NAFNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape, in the input's dtype and not clipped.

    H and W are multiples of 2**len(enc_blk_nums).

    Attributes:
      scale: 1.
      width: features at full size, twice as many at each half of it.
      enc_blk_nums, dec_blk_nums: blocks of each level of encoder and decoder, in the order in which they are passed.
      middle_blk_num: blocks at the smallest size.
      zero_start: the last convolution starts at zero, so that the network begins as the image itself.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    width: int = 32
    enc_blk_nums: tuple[int, ...] = (1, 1, 1, 28)
    middle_blk_num: int = 1
    dec_blk_nums: tuple[int, ...] = (1, 1, 1, 1)
    zero_start: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return 2**len(self.enc_blk_nums)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x, skips = Conv(self.width, dtype=self.dtype, name="intro")(lr), []
        for level, count in enumerate(self.enc_blk_nums):
            x = naf_blocks(x, f"encoders_{level}", count, self.dtype)
            skips.append(x)
            x = Conv(2 * x.shape[-1], 2, strides=2, padding=0, dtype=self.dtype, name=f"downs_{level}")(x)
        x = naf_blocks(x, "middle_blks", self.middle_blk_num, self.dtype)
        for level, (count, skip) in enumerate(zip(self.dec_blk_nums, reversed(skips), strict=True)):
            x = ShuffleUp(dtype=self.dtype, name=f"ups_{level}")(x) + skip
            x = naf_blocks(x, f"decoders_{level}", count, self.dtype)
        x = Conv(lr.shape[-1], zero_start=self.zero_start, dtype=self.dtype, name="ending")(x)
        return x.astype(lr.dtype) + lr


VARIANTS = {
    "width32": dict(width=32, enc_blk_nums=(1, 1, 1, 28), middle_blk_num=1, dec_blk_nums=(1, 1, 1, 1)),  # 17.11 M
    "width64": dict(width=64, enc_blk_nums=(2, 2, 4, 8), middle_blk_num=12, dec_blk_nums=(2, 2, 2, 2)),  # 115.98 M
}

SMALL = dict(width=4, enc_blk_nums=(1,), middle_blk_num=1, dec_blk_nums=(0,))  # for tests that compile it


def Model(variant="width32", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return NAFNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="NAFNet, a U-net without nonlinear activations",
    paper="Chen et al., Simple Baselines for Image Restoration, ECCV 2022",
    code="megvii-research/NAFNet (MIT)",
    scales=(1,),
    task="restoration",
    padding=Padding(16, "zeros"),
)
