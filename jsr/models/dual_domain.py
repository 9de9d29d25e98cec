"""Dual domain: an image and its wavelet transform in an IMDeception each, an entry to AIM 2022's compressed SR.

Section 4.10 of the challenge's report (team Aselsan Research). It states: IMDeception, modified to see farther and
more of what is not local, in both domains; an SR image and a clean LR image of each; the SR images fused by pixel
attention, the LR images averaged; all of it inside a geometric ensemble, also in training. There is no public code.

Inferred: Haar's wavelet, its four bands as channels, and back again behind a pixel shuffle; the LR image is made of the
same features as the SR image by one convolution; attention follows every block but the last; pixel attention is two
convolutions of both SR images and a sigmoid, which weighs the one against the other. 128 features, 1.3 M multiply-adds
a pixel, are what eight versions of 510x340 px need to take the report's 1.5 s on an RTX 2080 at a third of its peak.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card
from jsr.models.imdeception import Trunk


def haar(x):
    """(N, H, W, C) to (N, H / 2, W / 2, 4 C), H and W even: the mean band, differences along rows, columns, both."""
    pixels = (x[:, row::2, column::2] for row in range(2) for column in range(2))
    return jnp.concatenate(_butterfly(*pixels), -1)


def inverse_haar(bands):
    """(N, H, W, 4 C) to (N, 2 H, 2 W, C), the inverse of `haar`."""
    pixels = jnp.stack(_butterfly(*jnp.split(bands, 4, axis=-1)), -1)
    return pixel_shuffle(pixels.reshape(bands.shape), 2)


def _butterfly(a, b, c, d):
    """Its own inverse."""
    return [(a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]


class Domain(nn.Module):
    """An image, or its wavelet transform, to two of the same kind: one of `scale` times the size, and a clean one."""

    scale: int
    num_feat: int
    num_block: int
    attention: tuple[int, ...]
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * scale, W * scale, C) and (N, H, W, C)."""
        channels = x.shape[-1]
        y = Trunk(self.num_feat, self.num_block, self.attention, dtype=self.dtype, name="trunk")(x)
        sr = Conv(channels * self.scale**2, dtype=self.dtype, name="conv_last")(y)
        return pixel_shuffle(sr, self.scale), Conv(channels, dtype=self.dtype, name="conv_clean")(y)


class PixelAttention(nn.Module):
    """The mean of two images, weighted for every value of every pixel."""

    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, one, other):
        """(N, H, W, C) twice to (N, H, W, C)."""
        y = jnp.concatenate([one, other], -1)
        y = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_0")(y), 0.05)
        weight = nn.sigmoid(Conv(one.shape[-1], dtype=self.dtype, name="conv_1")(y))
        return weight * one + (1 - weight) * other


class BothDomains(nn.Module):
    """An LR image to the SR image and the clean LR image of both domains together; H and W are even."""

    scale: int
    num_feat: int
    num_block: int
    attention: tuple[int, ...]
    num_fusion_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, lr):
        """(N, H, W, C) to (N, H * scale, W * scale, C) and (N, H, W, C)."""
        def domain(name):
            return Domain(self.scale, self.num_feat, self.num_block, self.attention, dtype=self.dtype, name=name)

        sr, clean = domain("pixel")(lr)
        other_sr, other_clean = map(inverse_haar, domain("wavelet")(haar(lr)))
        sr = PixelAttention(self.num_fusion_feat, dtype=self.dtype, name="fusion")(sr, other_sr)
        return sr, (clean + other_clean) / 2


class DualDomain(nn.Module):
    """(N, H, W, 3) in [0, 1] to `sr` (N, H * scale, W * scale, 3) and `lr_clean` (N, H, W, 3), the input without its
    compression artefacts: a dict, in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of each trunk, a multiple of 16.
      num_block: blocks of each.
      attention: indices of the blocks that attention follows; not the last one's.
      num_fusion_feat: features of pixel attention.
      geometric: both images are the means over the eight flips and turns of the input.
      dtype: dtype of the computation but for attention's logits; parameters stay float32.
    """

    scale: int
    num_feat: int = 128
    num_block: int = 6
    attention: tuple[int, ...] = (0, 1, 2, 3, 4)
    num_fusion_feat: int = 32
    geometric: bool = True
    dtype: Any = None

    grid_follows_size = True  # IMDeception's areas are counted from the top left: a tile has them elsewhere

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        network = BothDomains(self.scale, self.num_feat, self.num_block, self.attention, self.num_fusion_feat,
                              dtype=self.dtype, name="domains")
        sr, clean = mean_of_eight(network, lr) if self.geometric else network(lr)
        return {"sr": sr.astype(lr.dtype), "lr_clean": clean.astype(lr.dtype)}


def mean_of_eight(network, lr):
    """The means of a function's images over the eight flips and turns of its input.

    Args:
      network: function of (N, H, W, C) to several images in proportion to that.
      lr: (N, H, W, C). Its flips are computed together, then those of the turned one, whose shape may be another.

    Returns:
      A list of images, as upright as lr.
    """
    upright = _mean_of_flips(network, lr)
    turned = _mean_of_flips(network, lr.swapaxes(1, 2))
    return [(one + other.swapaxes(1, 2)) / 2 for one, other in zip(upright, turned, strict=True)]


def _mean_of_flips(network, lr):
    flips = ((), (1,), (2,), (1, 2))
    images = network(jnp.concatenate([jnp.flip(lr, axes) for axes in flips]))
    return [jnp.asarray(sum(jnp.flip(part, axes) for part, axes in zip(jnp.split(image, 4), flips, strict=True))) / 4
            for image in images]


VARIANTS = {
    "base": dict(),  # 2.66 M at x4
}

SMALL = dict(num_feat=64, num_block=1, attention=(), num_fusion_feat=4, geometric=False)  # for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DualDomain(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Dual domain, IMDeception on pixels and on wavelets, eight flips and turns at once",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022",
    code="",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(2, "reflect"),
)
