"""AIVerse: progressive residual dense attention blocks, stages of shared weights of which inference runs the first.

Report of NTIRE 2024's blind compressed image enhancement, section 4.12, after self-calibrated illumination (SCI, Ma et
al., CVPR 2022): in stage t a calibration module takes the compressed image y into account and extracts a map s, to
which residual dense attention blocks (dilated convolutions, ReLU, concatenation, channel attention) and a spatial
attention block (eight convolutions with ReLU, concatenation, average pooling, ReLU, maximum pooling, sigmoid) belong;
v = y + s; three convolutions of three channels with ReLU make u = H(v) of it, and v + u is the stage's image, which all
stages bring close to the ground truth. No code is public, and no more is said. Inferred:
- the blocks are the calibration module's; it is given the last stage's image beside y, the first stage y twice
- three stages, as in SCI; an image is v + u itself, where SCI divides y by it
- dense blocks as in RDN, with eight convolutions, dilated by 1, 2 and 3 in turn, and a 1x1 convolution after
  concatenation; squeeze 16
- pooling for spatial attention is over features, its two maps are added; the block comes once, at the end
- 96 features, 96 of each convolution, 21 blocks: 67.57 M parameters, where the submission's 274 MB hold 68.5 M in
  float32
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card
from jsr.models.hat import ChannelWeights


class Dense(nn.Module):
    """Convolutions with ReLU, each of the input and all before it, and one that brings them to the input's features."""

    growth: int
    dilations: tuple[int, ...]  # one a convolution
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        for index, dilation in enumerate(self.dilations):
            y = nn.relu(Conv(self.growth, dilation=dilation, dtype=self.dtype, name=f"conv_{index}")(x))
            x = jnp.concatenate([x, y], axis=-1)
        return Conv(features, 1, dtype=self.dtype, name="fuse")(x)


class ResidualDenseAttention(nn.Module):
    """A residual of dilated dense convolutions, weighted by feature (RDAB)."""

    growth: int
    num_conv: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        dilations = tuple(index % 3 + 1 for index in range(self.num_conv))
        y = Dense(self.growth, dilations, dtype=self.dtype, name="dense")(x)
        return x + y * ChannelWeights(squeeze_factor=16, dtype=self.dtype, name="attention")(y)


class SpatialAttention(nn.Module):
    """A residual of dense convolutions, weighted by pixel (SAB)."""

    growth: int
    num_conv: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = Dense(self.growth, (1,) * self.num_conv, dtype=self.dtype, name="dense")(x)
        average, highest = y.mean(-1, keepdims=True), y.max(-1, keepdims=True)
        return x + y * nn.sigmoid(nn.relu(average) + highest)


class Calibration(nn.Module):
    """The map (N, H, W, 3) of a stage's image and the compressed one, each (N, H, W, 3)."""

    num_feat: int
    num_block: int
    growth: int
    num_conv: int
    dtype: Any = None

    @nn.compact
    def __call__(self, image, compressed):
        x = jnp.concatenate([image, compressed], axis=-1)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(x)
        for index in range(self.num_block):
            x = ResidualDenseAttention(self.growth, self.num_conv, dtype=self.dtype, name=f"body_{index}")(x)
        x = SpatialAttention(self.growth, self.num_conv, dtype=self.dtype, name="spatial")(x)
        return Conv(compressed.shape[-1], dtype=self.dtype, name="conv_last")(x)


class Enhancement(nn.Module):
    """Three convolutions with ReLU that keep the channels (H)."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        for index in range(3):
            x = nn.relu(Conv(features, dtype=self.dtype, name=f"conv_{index}")(x))
        return x


class AIVerse(nn.Module):
    """(N, H, W, 3) in [0, 1] to a dict of images of the same shape and dtype, not clipped.

    It holds the first stage's as `sr`, and in training the later ones' as `sr_2`, `sr_3`... for the losses.

    Attributes:
      scale: 1.
      num_feat: features of the calibration module, at least 16.
      num_block: residual dense attention blocks.
      growth, num_conv: features of each convolution of a dense block, and how many these are.
      num_stage: stages in training; all have the same parameters.
      dtype: of the computation; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 96
    num_block: int = 21
    growth: int = 96
    num_conv: int = 8
    num_stage: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        calibration = Calibration(self.num_feat, self.num_block, self.growth, self.num_conv, dtype=self.dtype,
                                  name="calibration")
        enhancement = Enhancement(dtype=self.dtype, name="enhancement")
        image, images = lr, {}
        for stage in range(1, (self.num_stage if train else 1) + 1):
            x = lr + calibration(image, lr).astype(lr.dtype)
            image = x + enhancement(x).astype(lr.dtype)
            images["sr" if stage == 1 else f"sr_{stage}"] = image
        return images


VARIANTS = {
    "base": dict(),  # 67.57 M
}

SMALL = dict(num_feat=16, num_block=1, growth=4, num_conv=2)  # the same network, for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return AIVerse(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="AIVerse, stages of residual dense attention blocks with shared weights",
    paper="Yang et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, CVPRW 2024",
    code="",
    scales=(1,),
    task="restoration",
)
