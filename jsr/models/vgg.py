"""VGG's convolutions, for losses that compare features of SR and HR instead of pixels.

Paper: Simonyan and Zisserman, ICLR 2015. Layers are numbered as in torchvision's `features`: `vgg(sr)@features_8` in a
loss row is what torchvision's features[:9] gives. Those that AIM 2020's real image SR needs are `features_8` of VGG-16
(relu2_2, TeamInception; "conv2" in the report, the layer is inferred) and `features_34` of VGG-19 (conv5_4 before its
ReLU, SRResCGAN and so MLP_SR). ImageNet's normalisation is inside. No trained parameters come with it: `jsr convert`
takes torchvision's.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ReLU(nn.Module):
    """A ReLU with a name, that can be tapped."""

    def __call__(self, x):
        return nn.relu(x)


class MaxPool(nn.Module):
    """The largest of 2x2 px, with a name; an odd last row or column is left out."""

    def __call__(self, x):
        return nn.max_pool(x, (2, 2), (2, 2))


class VGG(nn.Module):
    """(N, H, W, 3) in [0, 1] to features (N, H // 32, W // 32, 8 num_feat), in the input's dtype.

    Attributes:
      scale: 1.
      num_conv: convolutions before each of the five poolings.
      num_feat: features before the first pooling, 2, 4, 8 and 8 times as many before the others.
      img_range: range of the images that the normalisation is given; it was made for 1, SRResCGAN trains with 255.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    num_conv: tuple[int, ...] = (2, 2, 3, 3, 3)
    num_feat: int = 64
    img_range: float = 1.0
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = (lr * self.img_range - jnp.asarray(MEAN, lr.dtype)) / jnp.asarray(STD, lr.dtype)
        for index, features in enumerate(self.layers()):
            name = f"features_{index}"
            if isinstance(features, int):
                x = Conv(features * self.num_feat, dtype=self.dtype, name=name)(x)
            else:
                x = features(name=name)(x)
        return x.astype(lr.dtype)

    @nn.nowrap
    def layers(self) -> list[Any]:
        """The layers in order: a convolution as its features over num_feat, the others as their classes."""
        return [layer for width, count in zip((1, 2, 4, 8, 8), self.num_conv, strict=True)
                for layer in (*(width, ReLU) * count, MaxPool)]


VARIANTS = {
    "vgg16": dict(num_conv=(2, 2, 3, 3, 3)),
    "vgg19": dict(num_conv=(2, 2, 4, 4, 4)),
}

SMALL = dict(num_feat=2)


def Model(variant="vgg16", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return VGG(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="VGG, the features before its classifier",
    paper="Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015",
    code="pytorch/vision (BSD-3-Clause)",
    scales=(1,),
    task="features of an image, for losses",
    auxiliary=True,
    out_channels=512,
    padding=Padding(32),
)
