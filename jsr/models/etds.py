"""ETDS: two streams in training, one plain stream once deployed; and its descendant of AIS 2024's real-time challenge.

Paper: Chao et al., CVPR 2023, Equivalent Transformation and Dual Stream Network Construction for Mobile Image
Super-Resolution. Structure, initialisation and the rewrite into one stream as in ECNUSR/ETDS. A backbone stream learns
detail; a residual stream starts as the identity, carries the image along, and feeds the backbone. The deployed network
clips its output to [0, 1] by a 1x1 convolution between two ReLUs; as trained it clips the same, except in training.

The variant `megastudy` is of MegastudyEdu Vision AI (section 3.11 of the challenge's report): the backbone's
convolutions are ECBs, and the image's gradients, as SPSR computes them, enter the first one. Its counts give M5C24;
that ECBs stand in the first and last convolution too, gradients a channel, and how many of the first features see them
are inferred.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


def gradients(x):
    """(N, H, W, C) to the magnitude of each channel's gradient, as in Maclory/SPSR: zeros are outside the image."""
    padded = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    vertical = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    horizontal = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    return jnp.sqrt(vertical**2 + horizontal**2 + 1e-6)


def center(repeats=1):
    """An initialiser: output channel `repeats` * i, and those up to the next, are the middle pixel of channel i."""

    def draw(key, shape, dtype=jnp.float32):
        del key
        kernel = np.zeros(shape, dtype)
        kernel[shape[0] // 2, shape[1] // 2] = np.repeat(np.eye(shape[2], shape[3] // repeats), repeats, axis=1)
        return jnp.asarray(kernel)

    return draw


class ETDS(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3) in [0, 1], in the input's dtype.

    In training a dict of `sr`, not clipped, and `residual`, what the residual stream makes of the image: the official
    loss has both. The deployed network has one stream and gives the first alone, clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of both streams.
      num_block: convolutions between the first and the last.
      num_residual_feat: features of the residual stream, 3 at least.
      num_gradient_feat: features of the backbone that see the image's gradients instead of the image; 0 leaves the
        gradients out.
      block: the branches of the backbone's convolutions, by name, see jsr.layers.rep.
      deploy: the network is one stream.
      zero_start: the backbone's last convolution starts at zero, so that the network begins as the enlarged image.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 32
    num_block: int = 6
    num_residual_feat: int = 3
    num_gradient_feat: int = 0
    block: str = "plain"
    deploy: bool = False
    zero_start: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        if self.deploy:
            return self.one_stream(lr)
        x, residual = self.two_streams(lr, train)
        if not train:
            return jnp.clip(x + residual, 0, 1)
        return {"sr": x + residual, "residual": residual}

    def two_streams(self, lr, train):
        """The SR images of the backbone and of the residual stream."""
        zeros = nn.initializers.zeros

        def backbone(x, features, name, zero_start=False):
            return RepConv(features, rep_blocks.block(self.block), zero_start=zero_start, dtype=self.dtype, name=name)(
                x, train=train)

        def conv(x, features, name, kernel_init):
            return Conv(features, dtype=self.dtype, kernel_init=kernel_init, bias_init=zeros, name=name)(x)

        features, out = self.num_feat - self.num_residual_feat, lr.shape[-1] * self.scale**2
        x = backbone(lr, features - self.num_gradient_feat, "conv_first")
        if self.num_gradient_feat:
            edges = backbone(gradients(lr), self.num_gradient_feat, "conv_gradient")
            x = jnp.concatenate([x, edges], axis=-1)
        residual = conv(lr, self.num_residual_feat, "residual_first", center())
        x, residual = nn.relu(x), nn.relu(residual)
        for index in range(self.num_block):
            x = backbone(x, features, f"body_{index}") + conv(residual, features, f"residual_to_body_{index}", zeros)
            residual = conv(residual, self.num_residual_feat, f"residual_{index}", center())
            x, residual = nn.relu(x), nn.relu(residual)
        x = backbone(x, out, "conv_last", self.zero_start)
        residual = conv(residual, out, "residual_last", center(self.scale**2))
        return tuple(pixel_shuffle(y, self.scale).astype(lr.dtype) for y in (x, residual))

    def one_stream(self, lr):
        """The SR image of the deployed network."""
        x = jnp.concatenate([lr, gradients(lr)], axis=-1) if self.num_gradient_feat else lr
        for name in ("conv_first", *(f"body_{index}" for index in range(self.num_block))):
            x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name=name)(x))
        out = lr.shape[-1] * self.scale**2
        x = nn.relu(Conv(_multiple_of_4(out), dtype=self.dtype, name="conv_last")(x))
        x = nn.relu(Conv(_multiple_of_4(out), 1, dtype=self.dtype, name="conv_clip")(x))
        return pixel_shuffle(x[..., :out], self.scale).astype(lr.dtype)

    @nn.nowrap
    def fused(self, params):
        """The parameters of one stream from those of two, for jsr.reparam: 0 where a stream does not see the other."""
        first, channels = params["conv_first"], params["conv_first"]["kernel"].shape[2]
        if self.num_gradient_feat:
            first = _beside(_seeing(first, 0, 2 * channels), _seeing(params["conv_gradient"], channels, 2 * channels))
        one = {"conv_first": _beside(first, _seeing(params["residual_first"], 0, first["kernel"].shape[2]))}
        for index in range(self.num_block):
            body = _over(params[f"body_{index}"], params[f"residual_to_body_{index}"])
            residual = _seeing(params[f"residual_{index}"], self.num_feat - self.num_residual_feat, self.num_feat)
            one[f"body_{index}"] = _beside(body, residual)
        last = _over(params["conv_last"], params["residual_last"])
        out = last["bias"].size
        more = _multiple_of_4(out) - out
        one["conv_last"] = {"kernel": jnp.pad(-last["kernel"], [(0, 0)] * 3 + [(0, more)]),
                            "bias": 1 - jnp.pad(last["bias"], (0, more))}
        one["conv_clip"] = {"kernel": -jnp.eye(out + more, dtype=last["bias"].dtype)[None, None],
                            "bias": jnp.ones_like(one["conv_last"]["bias"])}
        return one


def _multiple_of_4(features):
    """The next multiple of 4, as in the official code, which holds it for faster: 28 features at scale 3."""
    return -(-features // 4) * 4


def _seeing(conv, first, channels):
    """A convolution of `channels` channels, that sees those from the `first` on."""
    after = channels - first - conv["kernel"].shape[2]
    return {"kernel": jnp.pad(conv["kernel"], [(0, 0), (0, 0), (first, after), (0, 0)]), "bias": conv["bias"]}


def _beside(a, b):
    """Two convolutions of the same features, whose outputs are concatenated, as one."""
    return {key: jnp.concatenate([a[key], b[key]], axis=-1) for key in ("kernel", "bias")}


def _over(a, b):
    """The sum of two convolutions, of features that lie one behind the other, as one."""
    return {"kernel": jnp.concatenate([a["kernel"], b["kernel"]], axis=2), "bias": a["bias"] + b["bias"]}


VARIANTS = {  # M: blocks, C: features; parameters once deployed, at x4
    "m4c32": dict(num_block=4, num_feat=32),  # 54.1 k
    "m5c16": dict(num_block=5, num_feat=16),  # 21.4 k
    "m5c24": dict(num_block=5, num_feat=24),  # 39.5 k, of the report's ablation
    "m6c32": dict(num_block=6, num_feat=32),  # 72.6 k
    "m7c48": dict(num_block=7, num_feat=48),  # 170 k
    "megastudy": dict(num_block=5, num_feat=24, num_gradient_feat=3, block="ecb"),  # 40.1 k
}

SMALL = dict(num_feat=8, num_block=1, num_gradient_feat=2, block="ecb")  # the same network, for tests that compile it


def Model(variant="m4c32", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ETDS(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ETDS, two streams that are deployed as one",
    paper="Chao et al., Equivalent Transformation and Dual Stream Network Construction for Mobile Image "
          "Super-Resolution, CVPR 2023",
    code="ECNUSR/ETDS (Apache-2.0)",
    scales=(2, 3, 4),
    variant_scales={"m5c24": (4,), "megastudy": (4,)},
    other_scales=(1, 2, 3, 4, 8),
)
