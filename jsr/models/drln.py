"""DRLN: dense residual Laplacian network, with a dense chain of compressions beside its blocks.

Paper: Anwar and Barnes, TPAMI 2020, arXiv:1906.12021. Structure, initialisation (PyTorch's default) and range as in
saeed-anwar/DRLN, whose count includes 24 frozen values of the mean shift, here arithmetic. Its quirks are kept, for its
weights: the mean of images in [0, 1] is subtracted from images in [0, 255]; the second block of the second group reads
what its first one read, so that the compression between them is without a use; the head's features, where the first
group's sum begins, are added again at the end. In an attention the dilated convolutions see one pixel and zeros: all of
a kernel but its middle is never trained.

The variant `scan` is our reading of OPPO CAMERA's network at AIM 2020's real image SR. Stated: DRLN's residual
structure and dense connections, its attention in every block; three blocks, densely connected, are a large one; three
self-calibrated convolutions a block; a trainable skip connection from the input to the output (a convolution, by the
report's overview). Likely: DRLN's widths in a block; around a self-calibrated convolution the bottleneck of SCNet (Liu
et al., CVPR 2020; MCG-NKU/SCNet), in which half of the features go through it and half through a 3x3 convolution,
without batch normalisation and, as there, without biases. Guesses: six large blocks; the skip connection is a 5x5
convolution and a pixel shuffle; DRLN's quirks.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card
from jsr.models.rrdbnet import nearest_upsample

_POOL = 4  # side of the means that calibrate a convolution, px


class ResidualUnit(nn.Module):
    """Two convolutions with a ReLU between, the input added, and a ReLU; features keep their number."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Conv(x.shape[-1], dtype=self.dtype, name="conv1")(x))
        return nn.relu(x + Conv(x.shape[-1], dtype=self.dtype, name="conv2")(y))


class SelfCalibratedUnit(nn.Module):
    """SCNet's bottleneck without batch normalisation: half of the features are gated by what a wider window shows.

    H and W are multiples of 4; features keep their number, which is even.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]

        def conv(name, kernel_size=3, features=features // 2):
            return Conv(features, kernel_size, use_bias=False, dtype=self.dtype, name=name)

        plain, calibrated = (nn.relu(conv(name, 1)(x)) for name in ("conv1_a", "conv1_b"))
        plain = nn.relu(conv("k1")(plain))
        around = conv("k2")(nn.avg_pool(calibrated, (_POOL, _POOL), (_POOL, _POOL)))
        gate = nn.sigmoid(calibrated + nearest_upsample(around, _POOL))
        calibrated = nn.relu(conv("k4")(conv("k3")(calibrated) * gate))
        y = conv("conv3", 1, features)(jnp.concatenate([plain, calibrated], axis=-1))
        return nn.relu(x + y)


class LaplacianAttention(nn.Module):
    """The input times weights of its features, made of their means by convolutions of three dilations."""

    squeeze_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        mean, features = GlobalMean()(x), x.shape[-1]
        levels = [nn.relu(Conv(features // self.squeeze_factor, dilation=dilation, dtype=self.dtype,
                               name=f"conv{index}")(mean)) for index, dilation in enumerate((3, 5, 7), 1)]
        y = Conv(features, dtype=self.dtype, name="conv4")(jnp.concatenate(levels, axis=-1))
        return x * nn.sigmoid(y)


class DenseResidualBlock(nn.Module):
    """Three units on ever more features, each joined to what it was given; then fusion and attention (DRLM)."""

    squeeze_factor: int
    self_calibrated: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        unit, y = SelfCalibratedUnit if self.self_calibrated else ResidualUnit, x
        for index in (1, 2, 3):
            y = jnp.concatenate([y, unit(dtype=self.dtype, name=f"unit{index}")(y)], axis=-1)
        y = nn.relu(Conv(x.shape[-1], 1, dtype=self.dtype, name="fusion")(y))
        return LaplacianAttention(self.squeeze_factor, dtype=self.dtype, name="attention")(y)


class DRLN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk.
      groups: blocks of each group.
      squeeze_factor: the features over those of each dilation in an attention.
      self_calibrated: units are SCNet's; H and W are multiples of 4.
      image_skip: adds the image by a 5x5 convolution and a pixel shuffle.
      img_range: the inside works on values of [0, img_range].
      mean: subtracted from those values before, and added after.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    groups: tuple[int, ...] = (3, 3, 3, 3, 4, 4)
    squeeze_factor: int = 16
    self_calibrated: bool = False
    image_skip: bool = False
    img_range: float = 255.0
    mean: tuple[float, float, float] = RGB_MEAN
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that the sides of images are multiples of."""
        return _POOL if self.self_calibrated else 1

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name, kernel_size=3):
            return Conv(features, kernel_size, dtype=self.dtype, name=name)

        mean = jnp.asarray(self.mean, lr.dtype)
        image = lr * self.img_range - mean
        head = compressed = total = conv(self.num_feat, "conv_first")(image)
        index = 0
        for group, num_block in enumerate(self.groups):
            stack, given = compressed, total
            for block in range(num_block):
                x = total if (group, block) == (1, 1) else given  # quirk: not what came before it
                y = DenseResidualBlock(self.squeeze_factor, self.self_calibrated, dtype=self.dtype,
                                       name=f"body_{index}")(x)
                stack = jnp.concatenate([stack, y], axis=-1)
                given = compressed = nn.relu(conv(self.num_feat, f"compress_{index}")(stack))
                index += 1
            total = compressed + total
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, activation=nn.relu, name="upsample")(total + head)
        x = conv(lr.shape[-1], "conv_last")(x)
        if self.image_skip:
            x = x + pixel_shuffle(conv(lr.shape[-1] * self.scale**2, "skip", 5)(image), self.scale)
        return (x.astype(lr.dtype) + mean) / self.img_range


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),  # 34.578 M
    "scan": dict(groups=(3,) * 6, self_calibrated=True, image_skip=True),  # 20.167 M
}

SMALL = dict(num_feat=6, groups=(1, 2), squeeze_factor=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DRLN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DRLN, the densely residual Laplacian network",
    paper="Anwar and Barnes, Densely Residual Laplacian Super-Resolution, TPAMI 2020",
    code="saeed-anwar/DRLN (MIT)",
    scales=(2, 3, 4, 8),
    variant_scales={"scan": (2, 3, 4)},
    other_scales=(1, 2, 3, 4, 8),
)
