"""OADDet: filters for every pixel of the enlarged image, found by orientation-aware blocks at the size of the LR image.

Papers: Shi et al., DDet: Dual-path Dynamic Enhancement Network for Real-World Image Super-Resolution, 2020; Du et al.,
Orientation-aware Deep Neural Network for Real Image Super-Resolution, CVPR Workshops 2019. Structure, fields, names and
initialisation as in HolmesShuan/AIM2020-Real-Super-Resolution (src/model/dddet.py and wddet.py), the code of AiAiR
(AIM 2020's x2). A shallow path enhances the bicubically enlarged image; a deep one, on its pixels unshuffled, finds
filters of 5x5, 7x7 and 3x3 for each pixel and colour of the shallow path's image.

Left out: the original rounds the enlarged image to 255 steps of a grey level, which changes it by 0.002 of one at most.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.resize import bicubic_upsample
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card

XAVIER = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # PyTorch's xavier_uniform_ with the gain of ReLU


def leaky_relu(x):
    """The activation of the shallow path."""
    return nn.leaky_relu(x, 0.2)


class ChannelGate(nn.Module):
    """Channel attention by the features' means.

    With `unused` it has the second MLP of the original too, for maxima, which is not used.
    """

    unused: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def mlp(means, name):
            for index, features in ((1, x.shape[-1] // 8), (3, x.shape[-1])):
                layer = nn.Dense(features, kernel_init=XAVIER, dtype=self.dtype, name=f"{name}_{index}")
                means = layer(nn.relu(means) if index == 3 else means)
            return means

        means = GlobalMean()(x)
        if self.unused:
            mlp(means, "mlp1")
        return x * nn.sigmoid(mlp(means, "mlp0"))


class Oriented(nn.Module):
    """Square, horizontal and vertical convolutions side by side, then one of all that they have found.

    Attributes:
      features: features of the three.
      attention: channel attention between.
      shortcut: the input is added.
      unused: see ChannelGate.
    """

    features: tuple[int, int, int]
    attention: bool = False
    shortcut: bool = True
    unused: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = jnp.concatenate([
            Conv(features, kernel_size, dtype=self.dtype, name=name)(x)
            for name, features, kernel_size in zip(("dia_conv", "hor_conv", "ver_conv"), self.features,
                                                   (3, (1, 5), (5, 1)), strict=True)], axis=-1)
        if self.attention:
            y = ChannelGate(self.unused, dtype=self.dtype, name="gate")(y)
        y = Conv(x.shape[-1], dtype=self.dtype, name="conv")(nn.relu(y))
        return x + y if self.shortcut else y


def filtered(image, kernels, side):
    """Each pixel and colour as the sum of its window, of zeros outside the image, by a filter of its own.

    Args:
      image: array (N, H, W, C).
      kernels: array (N, H, W, side**2 * C), the taps of a window row by row, each for all colours.
      side: side of the window.

    Returns:
      Array (N, H, W, C).
    """
    n, height, width, channels = image.shape
    image = jnp.pad(image, [(0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)])
    rows = jnp.stack([image[:, row:row + height] for row in range(side)], axis=3)
    windows = jnp.stack([rows[:, :, column:column + width] for column in range(side)], axis=4)
    return (windows * kernels.reshape(n, height, width, side, side, channels)).sum((3, 4))


class OADDet(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size; its square divides num_feat.
      num_feat: features of both paths.
      num_block: orientation-aware blocks of the deep path; the last quarter has channel attention.
      deep_head: the shallow path has six orientation-aware blocks, where it has three without shortcuts otherwise.
      oriented_feat: features of an orientation-aware block's three convolutions.
      shallow_feat: the same of the blocks without shortcuts.
      kernel_feat: features from which filters of 5x5, 7x7 and 3x3 are made.
      unused: it has the parameters that the original has without a use, too.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 128
    num_block: int = 32
    deep_head: bool = False
    oriented_feat: tuple[int, int, int] = (96, 64, 64)
    shallow_feat: tuple[int, int, int] = (48, 96, 48)
    kernel_feat: tuple[int, int, int] = (64, 64, 64)
    unused: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        mean, colours = jnp.asarray(RGB_MEAN, lr.dtype), lr.shape[-1]
        image = (bicubic_upsample(lr, self.scale, a=-0.5) - mean) * 255

        x = self.conv(pixel_unshuffle(image, self.scale), self.num_feat, "body_down")
        for index in range(self.num_block):
            x = self.oriented(x, f"body_{index}", attention=index >= self.num_block // 4 * 3)
        x = pixel_shuffle(self.conv(x, self.num_feat, "conv_after_body"), self.scale)
        for index in (1, 3):
            x = nn.relu(self.conv(x, self.num_feat, f"body_tail_{index}"))

        image = self.shallow(image).astype(image.dtype)
        found = []
        for index, (side, features) in enumerate(zip((5, 7, 3), self.kernel_feat, strict=True)):
            kernels = nn.relu(Conv(features, dtype=self.dtype, name=f"dynamic_kernel{index}_0")(x))
            kernels = Conv(colours * side**2, dtype=self.dtype, name=f"dynamic_kernel{index}_2")(kernels)
            found.append(filtered(image, kernels, side))
        x = nn.relu(self.conv(jnp.concatenate(found, axis=-1), self.num_feat, "tail_0"))
        return self.conv(x, colours, "tail_2").astype(lr.dtype) / 255 + mean

    def conv(self, x, features, name, kernel_size=3):
        """A convolution that repeats the edge."""
        return Conv(features, kernel_size, padding_mode="replicate", dtype=self.dtype, name=name)(x)

    def oriented(self, x, name, **fields: Any):
        """An orientation-aware block."""
        fields = dict(features=self.oriented_feat, unused=self.unused) | fields
        return Oriented(**fields, dtype=self.dtype, name=name)(x)

    def shallow(self, image):
        """The enlarged image (N, H, W, 3), enhanced."""
        x = leaky_relu(self.conv(image, self.num_feat, "head_0", 5))
        for index in range(6 if self.deep_head else 3):
            if self.deep_head:
                x = self.oriented(x, f"head_{index + 2}", attention=index > 1)
            else:
                x = leaky_relu(x) if index else x
                x = self.oriented(x, f"head_{2 * index + 2}", features=self.shallow_feat, shortcut=False)
        x = ChannelGate(self.unused, dtype=self.dtype, name="head_gate")(x)
        return image + self.conv(leaky_relu(x), image.shape[-1], "head_last", 3 if self.deep_head else 1)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x2, and with those that the original makes no use of
    "base": dict(),                                                            # 16.378 M (16.485 M)
    "deep": dict(num_block=40, deep_head=True, kernel_feat=(64, 96, 64)),      # 21.743 M (21.926 M)
}

SMALL = dict(num_feat=16, num_block=1, oriented_feat=(4, 2, 2), shallow_feat=(2, 4, 2), kernel_feat=(4, 4, 4))


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return OADDet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="OADDet, filters for every pixel, found by orientation-aware blocks",
    paper="Shi et al., DDet: Dual-path Dynamic Enhancement Network for Real-World Image Super-Resolution, IEEE Signal "
          "Processing Letters 2020",
    code="HolmesShuan/AIM2020-Real-Super-Resolution (BSD-2-Clause)",
    scales=(2,),
    other_scales=(2, 4),
)
