"""RRDBNet: residual-in-residual dense blocks, the generator of ESRGAN and Real-ESRGAN.

Paper: Wang et al., ECCV Workshops 2018, arXiv:1809.00219. Structure, initialisation and parameter names as in
XPixelGroup/BasicSR, which also brought scales 1 and 2: the image is pixel-unshuffled to a quarter of the SR size and
upsampled four times, as for scale 4. The variant `direct` upsamples from the LR size, as the first code of ESRGAN did
and as all variants do from scale 3 on: by a nearest-neighbour step and a convolution for every factor of two, by one of
each for 3.

`plus` is ESRGAN+ (Rakotonirina and Rasoanaivo, ICASSP 2020, arXiv:2001.08073; code: ncarraz/ESRGANplus), whose dense
blocks add a 1x1 convolution of their input to the second map, and the second map to the fourth. Its noise, in training,
is left out. People share weights for grey images and for RGBA, too, and up to x16.

The variant `attention` is that of Noah_TerminalVision at AIM 2020's x4; the report names two modules, not their
places. Inferred: ECA (Wang et al., CVPR 2020; BangguWu/ECANet, three taps) weighs what each RRDB adds to its input,
since weighing its output would leave nothing behind 23 of them; the spatial attention of EDVR's fusion, as in BasicSR's
edvr_arch.py for one frame, comes once, behind the long skip connection.

Others of AIM 2020: `relu` is GDUT-SL's (x2), with ReLUs, as stated; its report counts two upsampling convolutions, as
of x4, and that there is one is likely. `squeeze` is Kailos's (x2, x3, x4), "with attention": that it is RCAN's channel
attention, in the place that ECA has, is a guess. Webbzhou's own code (fzuzyb/AIM2020_RWSR) is `b23` at x4, by the names
of ESRGAN; SrDance, who names RRDB alone, most likely took the same.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.errors import nearest
from jsr.layers.conv import Conv, he, torch_uniform
from jsr.layers.pool import GlobalMean
from jsr.layers.resize import bilinear
from jsr.layers.shuffle import pixel_unshuffle
from jsr.layers.upsample import factors
from jsr.models._card import Card
from jsr.models.hat import ChannelWeights

DENSE_INIT = he(0.1)


def leaky_relu(x):
    """ESRGAN's activation, everywhere in the network."""
    return nn.leaky_relu(x, 0.2)


ACTIVATIONS = {"leaky_relu": leaky_relu, "relu": nn.relu}


class ResidualDenseBlock(nn.Module):
    """Four convolutions that each see all features before them, and one back to the input's number of features.

    With `plus` the second map has a 1x1 convolution of the input added to it, `conv1x1`, and the fourth the second map.
    """

    num_grow_ch: int
    activation: Callable = leaky_relu
    dtype: Any = None
    kernel_init: Callable = DENSE_INIT
    plus: bool = False

    @nn.compact
    def __call__(self, x):
        def conv(features, index):
            return Conv(features, dtype=self.dtype, kernel_init=self.kernel_init, bias_init=nn.initializers.zeros,
                        name=f"conv{index}")

        y, second = x, None
        for index in range(1, 5):
            grown = self.activation(conv(self.num_grow_ch, index)(y))
            if self.plus and index == 2:
                second = grown = grown + Conv(self.num_grow_ch, 1, use_bias=False, dtype=self.dtype,
                                              kernel_init=self.kernel_init, name="conv1x1")(x)
            elif self.plus and index == 4:
                grown += second
            y = jnp.concatenate([y, grown], axis=-1)
        return x + 0.2 * conv(x.shape[-1], 5)(y)


class ECA(nn.Module):
    """Efficient channel attention: each feature's weight is made of its own mean and of those of its two neighbours."""

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", torch_uniform(3), (3,)).astype(x.dtype)
        means = jnp.pad(GlobalMean()(x), [(0, 0), (0, 0), (0, 0), (1, 1)])
        return x * nn.sigmoid(sum(kernel[tap] * means[..., tap:tap + x.shape[-1]] for tap in range(3)))


class PyramidAttention(nn.Module):
    """Spatial attention of EDVR: a mask and a shift for every feature of every pixel, seen at three sizes.

    H and W are multiples of 4.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def conv(y, kernel_size, name):
            return Conv(x.shape[-1], kernel_size, dtype=self.dtype, name=name)(y)

        def act(y):
            return nn.leaky_relu(y, 0.1)

        def halved(y):
            window: dict[str, Any] = dict(window_shape=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
            return jnp.concatenate([nn.max_pool(y, **window), nn.avg_pool(y, **window)], axis=-1)

        def doubled(y):
            return bilinear(y, 2 * y.shape[1], 2 * y.shape[2])

        half = act(conv(halved(act(conv(x, 1, "conv1"))), 1, "conv2"))
        quarter = act(conv(halved(act(conv(half, 1, "conv_l1"))), 3, "conv_l2"))
        half = act(conv(half, 3, "conv3")) + doubled(act(conv(quarter, 3, "conv_l3")))
        mask = conv(doubled(act(conv(half, 1, "conv4"))), 3, "conv5")
        shift = conv(act(conv(mask, 1, "conv_add1")), 1, "conv_add2")
        return 2 * nn.sigmoid(mask) * x + shift


class RRDB(nn.Module):
    """Three dense blocks, and channel attention where it is asked for, inside one more residual connection."""

    num_grow_ch: int
    channel_attention: str = ""
    activation: Callable = leaky_relu
    dtype: Any = None
    kernel_init: Callable = DENSE_INIT
    plus: bool = False

    @nn.compact
    def __call__(self, x):
        y = x
        for index in (1, 2, 3):
            y = ResidualDenseBlock(self.num_grow_ch, self.activation, self.dtype, self.kernel_init, self.plus,
                                   name=f"rdb{index}")(y)
        if self.channel_attention == "eca":
            y = ECA(name="eca")(y)
        elif self.channel_attention == "squeeze":
            y = y * ChannelWeights(min(16, y.shape[-1]), dtype=self.dtype, name="attention")(y)
        elif self.channel_attention:
            raise ValueError(f"no channel attention {self.channel_attention!r}; "
                             + nearest(self.channel_attention, ("eca", "squeeze")))
        return x + 0.2 * y


class RRDBNet(nn.Module):
    """(N, H, W, channels) in [0, 1] to (N, H * scale, W * scale, out_channels), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk.
      num_block: RRDBs.
      num_grow_ch: features that each convolution of a dense block adds.
      unshuffle: factor of the pixel unshuffle before the first convolution; H and W are multiples of it. None is
        BasicSR's, 4 for scale 1, 2 for scale 2, else 1.
      act: "leaky_relu" of 0.2, or "relu", everywhere.
      channel_attention: "eca", or RCAN's, "squeeze" (a sixteenth of the features between), in every RRDB; "" is none.
      spatial_attention: EDVR's before the upsampling.
      plus: dense blocks of ESRGAN+.
      channels, out_channels: channels of LR and SR: 1 grey, 3 RGB, 4 RGB and straight alpha.
      remat: computes the RRDBs again in the backward pass, for a third more time and a fraction of the memory.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 23
    num_grow_ch: int = 32
    unshuffle: int | None = None
    act: str = "leaky_relu"
    channel_attention: str = ""
    spatial_attention: bool = False
    plus: bool = False
    channels: int = 3
    out_channels: int = 3
    remat: bool = False
    dtype: Any = None

    @property
    def unshuffle_factor(self):
        """The factor of the pixel unshuffle."""
        return self.unshuffle or {1: 4, 2: 2}.get(self.scale, 1)

    @property
    def size_multiple(self):
        """H and W are multiples of it: the factor of the pixel unshuffle, four times that with spatial attention."""
        return self.unshuffle_factor * (4 if self.spatial_attention else 1)

    @property
    def upsample_factors(self):
        """The factors of the nearest-neighbour steps; a convolution follows each."""
        return factors(self.scale * self.unshuffle_factor)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name):
            return Conv(features, dtype=self.dtype, name=name)

        if self.act not in ACTIVATIONS:
            raise ValueError(f"no activation {self.act!r}; {nearest(self.act, ACTIVATIONS)}")
        activation = ACTIVATIONS[self.act]
        block = nn.remat(RRDB) if self.remat else RRDB
        head = conv(self.num_feat, "conv_first")(pixel_unshuffle(lr, self.unshuffle_factor))
        x = head
        for index in range(self.num_block):
            x = block(self.num_grow_ch, self.channel_attention, activation, self.dtype, plus=self.plus,
                      name=f"body_{index}")(x)
        x = head + conv(self.num_feat, "conv_body")(x)
        if self.spatial_attention:
            x = PyramidAttention(dtype=self.dtype, name="spatial_attention")(x)
        for index, factor in enumerate(self.upsample_factors, 1):
            x = activation(conv(self.num_feat, f"conv_up{index}")(nearest_upsample(x, factor)))
        x = activation(conv(self.num_feat, "conv_hr")(x))
        return conv(self.out_channels, "conv_last")(x).astype(lr.dtype)


def nearest_upsample(x, factor):
    """(N, H, W, C) to (N, H * factor, W * factor, C): every pixel factor x factor times."""
    n, h, w, c = x.shape
    shape = (n, h, factor, w, factor, c)
    return jnp.broadcast_to(x[:, :, None, :, None], shape).reshape(n, h * factor, w * factor, c)


VARIANTS: dict[str, dict[str, Any]] = {  # blocks; parameters at x4
    "b23": dict(num_block=23),                  # 16.698 M, ESRGAN and Real-ESRGAN
    "b33": dict(num_block=33),                  # 23.892 M
    "b6": dict(num_block=6),                    # 4.468 M, Real-ESRGAN's for anime
    "direct": dict(num_block=23, unshuffle=1),  # no pixel unshuffle: 16.661 M at x2; from x3 on it is b23
    "plus": dict(num_block=23, unshuffle=1, plus=True),  # 16.839 M
    "attention": dict(num_block=23, channel_attention="eca", spatial_attention=True),  # 16.912 M
    "relu": dict(num_block=23, unshuffle=1, act="relu"),                      # 16.661 M at x2
    "squeeze": dict(num_block=23, unshuffle=1, channel_attention="squeeze"),  # 16.711 M
}

SMALL = dict(num_feat=8, num_block=1, num_grow_ch=4)  # the same network, for tests that compile it


def Model(variant="b23", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RRDBNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RRDBNet, the dense residual network of ESRGAN and Real-ESRGAN",
    paper="Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCV Workshops 2018",
    code="XPixelGroup/BasicSR (Apache-2.0)",
    scales=(1, 2, 4),
    variant_scales={"b33": (4,), "b6": (4,), "direct": (1, 2, 3), "plus": (4,), "attention": (4,), "relu": (2,),
                    "squeeze": (2, 3, 4)},
    other_scales=(1, 2, 3, 4, 8, 16),
)
