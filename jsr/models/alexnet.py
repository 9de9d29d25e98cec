"""AlexNet's convolutions, for scores that compare features of SR and HR (LPIPS).

Paper: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, whose one column torchvision
has. Layers are numbered as in torchvision's `features`; LPIPS compares `features_1`, `4`, `7`, `9` and `11`. The last
pooling, `features_12`, is left out. ImageNet's normalisation is inside. No trained parameters come with it:
`jsr models get alexnet-imagenet` brings torchvision's.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.pool import max_pool
from jsr.models._card import Card
from jsr.models.vgg import MEAN, STD, ReLU

# (index, features over num_feat, kernel size, stride, padding) of the convolutions; a pooling comes before 3 and 6
LAYERS = ((0, 1, 11, 4, 2), (3, 3, 5, 1, 2), (6, 6, 3, 1, 1), (8, 4, 3, 1, 1), (10, 4, 3, 1, 1))
POOLED = (3, 6)


class AlexNet(nn.Module):
    """(N, H, W, 3) in [0, 1], 31 px a side or more, to features (N, H', W', 4 num_feat), in the input's dtype.

    Attributes:
      scale: 1.
      num_feat: features of the first convolution; the others have 3, 6, 4 and 4 times as many.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = (lr - jnp.asarray(MEAN, lr.dtype)) / jnp.asarray(STD, lr.dtype)
        for index, features, kernel_size, strides, padding in LAYERS:
            if index in POOLED:
                x = max_pool(x, 3, 2)
            x = Conv(features * self.num_feat, kernel_size, strides, padding=padding, dtype=self.dtype,
                     name=f"features_{index}")(x)
            x = ReLU(name=f"features_{index + 1}")(x)
        return x.astype(lr.dtype)


VARIANTS = {"base": dict()}

SMALL = dict(num_feat=2)


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return AlexNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="AlexNet, the features before its classifier",
    paper="Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997",
    code="pytorch/vision (BSD-3-Clause)",
    scales=(1,),
    task="features of an image, for scores",
    auxiliary=True,
    out_channels=256,
    padding=Padding(32),
)
