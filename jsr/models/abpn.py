"""ABPN: back projection between LR and SR features, with attention from one LR feature map to the next.

Paper: Liu et al., Image Super-Resolution via Attention based Back Projection Networks, ICCV Workshops 2019. Structure,
names and initialisation as in Holmes-Alan/ABPN (model.py, ABPN_v5), the code of SR_DL (AIM 2020's x4), whose report
gives ABPN++ the same numbers; whether it changes more is not stated. Interpolations are PyTorch's bicubic ones, the one
that makes the image smaller looks at 4x4 pixels.

Every pixel attends to every other: memory grows with the square of an image's pixels, and the original takes images in
tiles of 64x64 px. Scales other than 4 are by the same rule, a kernel of scale + 2 and a stride of the scale; inferred.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import PReLU
from jsr.layers.attention import softmax
from jsr.layers.conv import Conv, he
from jsr.layers.resize import bicubic_downsample, bicubic_upsample
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card


class ConvBlock(nn.Module):
    """A convolution, which makes the image `factor` times as large or small, and a PReLU of one slope."""

    features: int
    kernel_size: int = 3
    factor: int = 1
    up: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        fields: dict[str, Any] = dict(kernel_size=self.kernel_size, kernel_init=he(), dtype=self.dtype,
                                      padding=1 if self.factor > 1 else None)
        if self.up:
            x = TransposedConv(self.features, self.factor, name="deconv", **fields)(x)
        else:
            x = Conv(self.features, strides=self.factor, bias_init=nn.initializers.zeros, name="conv", **fields)(x)
        return PReLU(shared=True, dtype=self.dtype, name="act")(x)


class Project(nn.Module):
    """Features at `factor` times the size, or at 1 / `factor` of it, corrected by what their way back misses."""

    factor: int
    up: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def block(y, name, up=None):
            size, factor = (1, 1) if up is None else (self.factor + 2, self.factor)
            return ConvBlock(x.shape[-1], size, factor, bool(up), dtype=self.dtype, name=name)(y)

        y = block(x, "conv1", self.up)
        missed = block(x, "local_weight1") - block(y, "conv2", not self.up)
        return block(y, "local_weight2") + block(missed, "conv3", self.up)


class Attention(nn.Module):
    """Adds to `y` what its pixels hold at the places that a pixel of `x` attends to; both are (N, H, W, C)."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x, y):
        def conv(z, name):
            return Conv(y.shape[-1], 1, kernel_init=he(), bias_init=nn.initializers.zeros, dtype=self.dtype,
                        name=name)(z)

        shape = y.shape
        key, query, value = (z.reshape(shape[0], -1, shape[-1]) for z in (conv(x, "K"), conv(x, "Q"), conv(y, "V")))
        logits = jnp.einsum("npc,nqc->npq", key, query, preferred_element_type=jnp.float32)
        found = jnp.einsum("npq,nqc->npc", softmax(logits).astype(value.dtype), value)
        return y + conv(found.reshape(shape), "local_weight")


class ABPN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      dim: features, twice as many in the first and last convolutions.
      num_stage: ways up; there is one way down less.
      unused: it has the parameters that the original has without a use, too.
      dtype: dtype of the computation, but for the attention's logits; parameters stay float32.
    """

    scale: int
    dim: int = 32
    num_stage: int = 10
    unused: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        dtype = self.dtype

        def block(y, features, name, kernel_size=3):
            return ConvBlock(features, kernel_size, dtype=dtype, name=name)(y)

        def conv(y, name):
            return Conv(lr.shape[-1], kernel_init=he(), bias_init=nn.initializers.zeros, dtype=dtype,
                        name=name)(y).astype(lr.dtype)

        def attend(x, y, name):
            return Attention(dtype=dtype, name=name)(x, y)

        x = block(lr, 2 * self.dim, "feat1")
        first = block(attend(x, x, "SA0"), self.dim, "feat2")
        ups, downs = [], []
        for stage in range(1, self.num_stage + 1):
            y = Project(self.scale, True, dtype=dtype, name=f"up{stage}")(downs[-1] if downs else first)
            if stage > 2:
                y = y + block(ups[-2], self.dim, f"weight_up{stage - 2}", 1)
            ups.append(y)
            if stage < self.num_stage or self.unused:
                y = Project(self.scale, False, dtype=dtype, name=f"down{stage}")(y)
                seen = [first, *downs][-1] if stage < 3 else block(downs[-2], self.dim, f"weight_down{stage - 2}", 1)
                downs.append(attend(seen, y, f"SA{stage}"))

        large = block(block(jnp.concatenate(ups, axis=-1), self.dim, "SR_conv1", 1), self.dim, "SR_conv2")
        small = block(jnp.concatenate(downs[:self.num_stage - 1], axis=-1), self.dim, "LR_conv1", 1)
        small = Project(self.scale, True, dtype=dtype, name="LR_conv2")(small)
        sr = bicubic_upsample(lr, self.scale) + conv(large + small, "SR_conv3")

        x = block(lr - bicubic_downsample(sr, self.scale), 2 * self.dim, "final_feat1")
        return sr + bicubic_upsample(conv(attend(x, x, "final_SA0"), "final_feat2"), self.scale)


VARIANTS = {"base": dict()}  # 2.397 M, and with what the original makes no use of 2.515 M

SMALL = dict(dim=4, num_stage=3)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ABPN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ABPN, back projection with attention from one feature map to the next",
    paper="Liu et al., Image Super-Resolution via Attention based Back Projection Networks, ICCV Workshops 2019",
    code="Holmes-Alan/ABPN (no licence)",
    scales=(4,),
    other_scales=(2, 3, 4, 8),
)
