"""RRDN: residual-in-residual dense blocks with ReLUs before one pixel shuffle, of the library ISR.

Structure, fields and initialisation as in idealo/image-super-resolution (ISR/models/rrdn.py, TensorFlow; its presets
have x4 alone). RRDN_IITKGP (AIM 2020's x2 and x4) report a "GAN based Residual in Residual Dense Network" trained on
other data: that it is this one is likely, by the team's name, the preset `gans` and the one team with TensorFlow. The
library orders the channels before the shuffle (row, column, colour), here it is (colour, row, column).
"""

from typing import Any

import flax.linen as nn
import jax

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card
from jsr.models.rrdbnet import RRDB


def uniform(key, shape, dtype):
    """Draws a kernel from U(-0.05, 0.05)."""
    return jax.random.uniform(key, shape, dtype, -0.05, 0.05)


class RRDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: RRDBs.
      num_grow_ch: features that each convolution of a dense block adds.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 32
    num_block: int = 10
    num_grow_ch: int = 32
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name):
            return Conv(features, kernel_init=uniform, bias_init=nn.initializers.zeros, dtype=self.dtype, name=name)

        head = x = conv(self.num_feat, "conv_first")(lr)
        for index in range(self.num_block):
            x = RRDB(self.num_grow_ch, activation=nn.relu, dtype=self.dtype, kernel_init=uniform,
                     name=f"body_{index}")(x)
        x = head + conv(self.num_feat, "conv_body")(x)
        x = pixel_shuffle(conv(lr.shape[-1] * self.scale**2, "conv_up")(x), self.scale)
        return conv(lr.shape[-1], "conv_last")(x).astype(lr.dtype)


VARIANTS = {"gans": dict()}  # 4.176 M at x4

SMALL = dict(num_feat=4, num_block=1, num_grow_ch=2)  # the same network, for tests that compile it


def Model(variant="gans", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RRDN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RRDN, residual-in-residual dense blocks with ReLUs before one pixel shuffle",
    paper="Cardinale et al., ISR, 2018, after Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial "
          "Networks, ECCV Workshops 2018",
    code="idealo/image-super-resolution (Apache-2.0)",
    scales=(2, 4),
    other_scales=(2, 3, 4),
)
