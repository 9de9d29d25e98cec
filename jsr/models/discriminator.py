"""The critic of ESRGAN and its descendants: what looks like an HR image, as a logit.

Structure as Discriminator_VGG_128 of ESRGAN (Wang et al., ECCVW 2018), in BasicSR and in RaoUmer/SRResCGAN. The variant
`srrescgan` is given what the latter gives it, images in [0, 255] less their mean over 9x9 px, halved, plus 0.5; MLP_SR
(AIM 2020 real image SR) names that code. SrDance's and RRDN IITKGP's critics are not described; `vgg128` is inferred.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card


def _without_mean(image, window):
    """(N, H, W, C) less the mean over window x window px, zeros outside the image, halved, plus 0.5; an odd window."""
    return 0.5 + 0.5 * (image - nn.avg_pool(image, (window, window), padding="SAME"))


class Discriminator(nn.Module):
    """(N, H, W, 3) in [0, 1] to logits, (N, 1, 1, 1) of images of the size that it is made for, in the input's dtype.

    Larger images are judged by a window of that size every 32 px: (N, (H - size) / 32 + 1, (W - size) / 32 + 1, 1).
    That is inferred, the original takes one size.

    Attributes:
      scale: 1.
      size: side of the images, a multiple of 32 px.
      num_feat: features of the first stage, 2, 4, 8 and 8 times as many of the others.
      num_hidden: between the two last layers.
      high_pass: window of the mean that is taken away from the image, px; 0 takes none.
      img_range: range of the images inside.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    size: int = 128
    num_feat: int = 64
    num_hidden: int = 100
    high_pass: int = 0
    img_range: float = 1.0
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that the sides of images are multiples of."""
        return self.size

    @nn.compact
    def __call__(self, lr, *, train=False):
        if min(lr.shape[1:3]) < self.size:
            raise ValueError(f"the critic is for images of {self.size} px, and these are {lr.shape[2]}x{lr.shape[1]}; "
                             "use a larger crop, or a critic of another `size`")
        x = lr * self.img_range
        x = _without_mean(x, self.high_pass) if self.high_pass else x
        for stage, width in enumerate((1, 2, 4, 8, 8)):
            for half, kernel_size in enumerate((3, 4)):  # the second convolution halves the size
                first, name = stage == half == 0, f"{stage}_{half}"
                x = Conv(width * self.num_feat, kernel_size, strides=half + 1, padding=1, use_bias=first,
                         dtype=self.dtype, name=f"conv{name}")(x)
                if not first:
                    x = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=self.dtype,
                                     name=f"bn{name}")(x)
                x = nn.leaky_relu(x, 0.2)
        x = nn.Dense(self.num_hidden, dtype=self.dtype, name="linear1")(_windows(x, self.size // 32))
        x = nn.leaky_relu(x, 0.2)
        return nn.Dense(1, dtype=self.dtype, name="linear2")(x).astype(lr.dtype)


def _windows(x, side):
    """(N, H, W, C) to (N, H - side + 1, W - side + 1, C * side * side), values in the order of PyTorch's flatten."""
    height, width = (length - side + 1 for length in x.shape[1:3])
    shifted = [x[:, i:i + height, j:j + width] for i in range(side) for j in range(side)]
    return jnp.stack(shifted, -1).reshape(*shifted[0].shape[:3], -1)


VARIANTS = {
    "vgg128": dict(),
    "srrescgan": dict(high_pass=9, img_range=255.0),
}

SMALL = dict(size=64, num_feat=2, num_hidden=6)


def Model(variant="vgg128", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Discriminator(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ESRGAN's critic, which tells HR images from SR images",
    paper="Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018",
    code="RaoUmer/SRResCGAN (MIT), XPixelGroup/BasicSR (Apache-2.0)",
    scales=(1,),
    task="a logit of an image, for adversarial losses",
    auxiliary=True,
    out_channels=1,
    padding=Padding(128),
)
