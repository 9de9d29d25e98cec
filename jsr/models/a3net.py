"""A3Net: the artifact-aware attention network, steered by what it finds the compression to be (AIM 2022).

Report of AIM 2022's compressed super-resolution challenge, section 4.9, team Giantpandacv. It states the parts: an
encoder of four scales of two NAF blocks; a three-layer MLP, with a last layer for each scale of the decoder, that turns
the global mean of the encoder's features into gamma and beta; a decoder of three scales of four blocks modulated by
these; a reconstructor of eight NAF blocks; pixel shuffle. No code is public. Inferred:
- between scales NAFNet's convolutions, pixel shuffles and added skips; the modulation and its blocks are FBCNN's
  (jsr.models.fbcnn), to which the team refers; so is a mean that stays global under TLC: a file has one quality
- the features of the mean are the fourth scale's; the MLP has as many, and ReLUs
- the reconstructor works at the input's size with the first scale's features; behind it NAFSSR's head, one convolution
  and one shuffle on top of the image enlarged bilinearly
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.linear import Linear
from jsr.layers.padding import Padding
from jsr.layers.resize import bilinear
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card
from jsr.models.fbcnn import Modulation, QFAttention
from jsr.models.nafnet import ShuffleUp, naf_blocks


class Controller(nn.Module):
    """Features (N, H, W, C) to features of the artifacts, float32 (N, 1, 1, C): the mean, two linear layers with ReLU.

    Submodules: `linear_0`, `linear_1`.
    """

    @nn.compact
    def __call__(self, x):
        x = x.astype(jnp.float32).mean((1, 2), keepdims=True)
        for index in range(2):
            x = nn.relu(Linear(x.shape[-1], name=f"linear_{index}")(x))
        return x


class A3Net(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    H and W are multiples of 8.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the first of four scales; each further one has twice as many.
      num_encoder_block: NAF blocks at each scale of the encoder.
      num_decoder_block: modulated blocks at each of three scales.
      num_reconstructor_block: NAF blocks before the head.
      zero_start: the last convolution starts at zero, so that the network begins as the enlarged image.
      dtype: dtype of the computation; parameters stay float32, the controller computes in float32.
    """

    scale: int
    num_feat: int = 64
    num_encoder_block: int = 2
    num_decoder_block: int = 4
    num_reconstructor_block: int = 8
    zero_start: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x, skips = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr), []
        for level in (1, 2, 3):
            x = naf_blocks(x, f"encoder{level}", self.num_encoder_block, self.dtype)
            skips.append(x)
            x = Conv(2 * x.shape[-1], 2, strides=2, padding=0, dtype=self.dtype, name=f"down{level}")(x)
        x = naf_blocks(x, "encoder4", self.num_encoder_block, self.dtype)
        artifacts = Controller(name="controller")(x)
        for level in (3, 2, 1):
            x = ShuffleUp(dtype=self.dtype, name=f"up{level}")(x) + skips.pop()
            gamma, beta = Modulation(x.shape[-1], name=f"modulation{level}")(artifacts)
            for index in range(self.num_decoder_block):
                x = QFAttention(dtype=self.dtype, name=f"decoder{level}_{index}")(x, gamma, beta)
        x = naf_blocks(x, "reconstructor", self.num_reconstructor_block, self.dtype)
        x = Conv(lr.shape[-1] * self.scale**2, zero_start=self.zero_start, dtype=self.dtype, name="conv_last")(x)
        enlarged = bilinear(lr, *(side * self.scale for side in lr.shape[1:3]))
        return enlarged + pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS = {
    "base": dict(),  # 13.77 M
}

SMALL = dict(num_feat=2, num_encoder_block=0, num_decoder_block=1, num_reconstructor_block=1)  # for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return A3Net(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="A3Net, a NAF U-net steered by the artifacts it finds",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022",
    code="",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(8, "zeros"),
)
