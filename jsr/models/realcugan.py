"""Real-CUGAN: two U-nets in a row for drawn images, the second mending what the first enlarged.

Code: bilibili/ailab, Real-CUGAN/upcunet_v3.py, by which its weights are published and people train and share others;
there is no paper. Structure and initialisation as there. Convolutions take no padding: the image is mirrored beyond its
edges first, up to a multiple of 2, at x3 of 4, so that any size passes. It is the original's use on whole images
(tile_mode 0) with alpha 1.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card

AROUND = {2: 18, 3: 14, 4: 19}  # {scale: px by which the image grows on each side}
PRO_SCALE, PRO_SHIFT = 0.7, 0.15  # of the values inside the network
kernel_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def _act(x):
    return nn.leaky_relu(x, 0.1)


def _crop(x, rim):
    return x[:, rim:x.shape[1] - rim, rim:x.shape[2] - rim]


class ConvPair(nn.Module):
    """Two 3x3 convolutions without padding, and squeeze-and-excitation. Submodules: `conv_0`, `conv_2`, `se_conv1`,
    `se_conv2`.
    """

    mid_feat: int
    num_feat: int
    attention: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def conv(y, features, kernel_size, name):
            return Conv(features, kernel_size, padding=0, dtype=self.dtype, kernel_init=kernel_init, name=name)(y)

        x = _act(conv(_act(conv(x, self.mid_feat, 3, "conv_0")), self.num_feat, 3, "conv_2"))
        if not self.attention:
            return x
        weights = nn.relu(conv(GlobalMean()(x), self.num_feat // 8, 1, "se_conv1"))
        return x * nn.sigmoid(conv(weights, self.num_feat, 1, "se_conv2"))


class UNet(nn.Module):
    """A U-net of convolutions without padding, which lose a rim of pixels.

    Attributes:
      num_feat: features of its first convolution.
      out_feat: channels of its last.
      levels: number of levels of halved size, 1 or 2.
      scale: 2 or 3, by which the last convolution, transposed, enlarges; 1 does not.
      dtype: dtype of the computation.
    """

    num_feat: int
    out_feat: int
    levels: int
    scale: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        feat = self.num_feat

        def conv(y, features, kernel_size, name, strides=1):
            return Conv(features, kernel_size, strides, padding=0, dtype=self.dtype, kernel_init=kernel_init,
                        name=name)(y)

        def pair(y, mid_feat, num_feat, name, attention=True):
            return ConvPair(mid_feat, num_feat, attention, dtype=self.dtype, name=name)(y)

        def enlarged(y, name):
            return _act(TransposedConv(y.shape[-1], dtype=self.dtype, kernel_init=kernel_init, name=name)(y))

        x = pair(x, feat, 2 * feat, "conv1", attention=False)
        y = _act(conv(x, 2 * feat, 2, "conv1_down", 2))
        if self.levels == 1:
            y = enlarged(pair(y, 4 * feat, 2 * feat, "conv2"), "conv2_up")
            y = _act(conv(_crop(x, 4) + y, 2 * feat, 3, "conv3"))
        else:
            inner = pair(y, 2 * feat, 4 * feat, "conv2")
            y = pair(_act(conv(inner, 4 * feat, 2, "conv2_down", 2)), 8 * feat, 4 * feat, "conv3")
            y = pair(_crop(inner, 4) + enlarged(y, "conv3_up"), 2 * feat, 2 * feat, "conv4")
            y = _act(conv(_crop(x, 16) + enlarged(y, "conv4_up"), 2 * feat, 3, "conv5"))
        if self.scale == 1:
            return conv(y, self.out_feat, 3, "conv_bottom")
        y = TransposedConv(self.out_feat, self.scale, kernel_size=self.scale + 2, padding=1, dtype=self.dtype,
                           kernel_init=kernel_init, name="conv_bottom")(y)
        return _crop(y, 4 - self.scale)  # the original's padding is 3 at x2, 2 at x3


def mirrored(x, around, multiple):
    """(N, H, W, C) reflected beyond its edges, by `around` px on each side and up to a multiple; sizes may be symbolic.
    """
    for axis in (1, 2):
        side = x.shape[axis]
        whole = (side + multiple - 1) // multiple * multiple
        numbers = np if isinstance(side, int) else jnp
        place, last = abs(numbers.arange(whole + 2 * around) - around), side - 1
        place = place % max(2 * last, 1) if isinstance(side, int) else place
        x = jnp.take(x, last - abs(last - place), axis=axis)
    return x


class RealCUGAN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 2, 3 or 4.
      num_feat: features of the first convolutions, a multiple of 4; others have up to eight times as many.
      pro: the inside works on values of [0.15, 0.85].
      channels: channels of LR and SR.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 32
    pro: bool = False
    channels: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        (_, height, width, channels), scale = lr.shape, self.scale
        if scale not in AROUND:
            raise ValueError(f"scale = {scale} is none of 2, 3, 4")
        image = lr * PRO_SCALE + PRO_SHIFT if self.pro else lr
        x = mirrored(image, AROUND[scale], 4 if scale == 3 else 2)
        between = 2 * self.num_feat if scale == 4 else channels
        x = UNet(self.num_feat, between, 1, 3 if scale == 3 else 2, dtype=self.dtype, name="unet1")(x)
        x = _crop(x, 20) + UNet(self.num_feat, between, 2, dtype=self.dtype, name="unet2")(x)
        if scale == 4:
            x = Conv(4 * channels, padding=0, dtype=self.dtype, kernel_init=kernel_init, name="conv_final")(x)
            x = pixel_shuffle(_crop(x, 1), 2)
        x = x[:, :scale * height, :scale * width].astype(lr.dtype)
        if scale == 4:
            x += jnp.repeat(jnp.repeat(image, 4, axis=1), 4, axis=2)
        return (x - PRO_SHIFT) / PRO_SCALE if self.pro else x


VARIANTS: dict[str, dict[str, Any]] = {"base": dict(), "pro": dict(pro=True)}  # 1.28 M, at x4 1.41 M

SMALL = dict(num_feat=16)  # for tests that compile it; with fewer, two units decide on all channels


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RealCUGAN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Real-CUGAN, two U-nets in a row for drawn images",
    paper="bilibili, Real-CUGAN, 2022 (code alone)",
    code="bilibili/ailab (MIT)",
    scales=(2, 3, 4),
    variant_scales={"pro": (2, 3)},
)
