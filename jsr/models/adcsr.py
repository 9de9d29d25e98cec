"""ADCSR: residual blocks joined at two levels by connections that each have a learnt weight.

Paper: Xie et al., Adaptive Densely Connected Single Image Super-Resolution, ICCV Workshops 2019, arXiv:1912.08002.
Structure, initialisation, mean and range as in xxh96/ADCSR, of the group that entered AIM 2020's real image SR as
CETC-CSKT. quirk: what the last group gives to the fusion is the sum with what it was given, and not, as for the others,
its weighed output alone.

The variant `spatial` is CETC-CSKT's at x2, for which the report says: spatial attention is added after each residual
block. Likely: it is CBAM's (Woo et al., ECCV 2018), a mask made by a 7x7 convolution of the largest and the mean of the
features. A guess: a residual block is one of the 16 inner blocks (ADRB), and the mask weighs its output, skip and all.
"""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.upsample import factors
from jsr.models._card import Card

_STEPS = 4  # of each level


class SpatialAttention(nn.Module):
    """The input times a mask in (0, 1), made of the largest and the mean of each pixel's features."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        seen = jnp.concatenate([x.max(-1, keepdims=True), x.mean(-1, keepdims=True)], axis=-1)
        return x * nn.sigmoid(Conv(1, 7, use_bias=False, dtype=self.dtype, name="conv")(seen))


class Unit(nn.Module):
    """Two weight-normalised convolutions with a ReLU between; features keep their number."""

    num_wide: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Conv(self.num_wide, weight_norm=True, dtype=self.dtype, name="conv1")(x))
        return Conv(x.shape[-1], weight_norm=True, dtype=self.dtype, name="conv2")(y)


class AdaptiveDense(nn.Module):
    """Four steps, each given a weighed sum of all before it; then all of them, weighed, are fused, the input added.

    `step` is a function of `name` to the module of a step; a step keeps the number of features.

    Parameters: the weights `A01`, `A12`... of what a step gives to the next one, `B01`, `B02`... of what passes it by.
    """

    step: Any
    spatial_attention: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        outputs, given, terms = [x], x, []
        for index in range(1, _STEPS + 1):
            outputs.append(self.step(name=f"step_{index}")(given))
            terms = [weighed(self, outputs[index], f"A{index - 1}{index}"),
                     *(weighed(self, outputs[earlier], f"B{earlier}{index}") for earlier in reversed(range(index)))]
            given = sum(terms)
        y = Conv(x.shape[-1], 1, dtype=self.dtype, name="fusion")(jnp.concatenate(terms, axis=-1))
        return SpatialAttention(dtype=self.dtype, name="attention")(x + y) if self.spatial_attention else x + y


def weighed(module, x, name):
    """`x` times a parameter of `module`, (1,), which starts at 1."""
    return x * module.param(name, nn.initializers.ones, (1,)).astype(x.dtype)


class ADCSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk.
      num_wide: features between the two convolutions of a unit.
      num_group: groups (ADRU), each of four blocks (ADRB) of four units; at most 4. 0 is the skip connection alone, as
        CETC-CSKT train it first.
      spatial_attention: after each block.
      img_range: the inside works on values as far apart.
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 128
    num_wide: int = 384
    num_group: int = 4
    spatial_attention: bool = False
    img_range: float = 2.0
    mean: tuple[float, float, float] = RGB_MEAN
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name, kernel_size=3):
            return Conv(features, kernel_size, weight_norm=True, dtype=self.dtype, name=name)

        unit = functools.partial(Unit, self.num_wide, dtype=self.dtype)
        block = functools.partial(AdaptiveDense, unit, self.spatial_attention, dtype=self.dtype)
        mean, colours = jnp.asarray(self.mean, lr.dtype), lr.shape[-1]
        image = (lr - mean) * self.img_range
        skip = image
        for index, factor in enumerate(factors(self.scale)):
            skip = pixel_shuffle(conv(colours * factor**2, f"skip_{index}", 5)(skip), factor)
        if not self.num_group:
            return skip.astype(lr.dtype) / self.img_range + mean
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(image)
        groups = []
        for index in range(self.num_group):
            y = weighed(self, AdaptiveDense(block, dtype=self.dtype, name=f"body_{index}")(x), f"A{index}{index + 1}")
            x = y + weighed(self, x, f"B{index}{index + 1}")
            groups.append(y)
        groups[-1] = x  # quirk: a sum
        x = conv(self.num_feat, "fusion", 1)(jnp.concatenate(groups, axis=-1))
        x = conv(self.num_feat, "conv_after_body")(x)
        enlarged = [pixel_shuffle(conv(colours * self.scale**2, f"tail_{size}", size)(x), self.scale)
                    for size in (3, 5, 7, 9)]
        x = conv(colours, "tail_fusion", 1)(jnp.concatenate(enlarged, axis=-1))
        return (x + skip).astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),                           # 59.557 M
    "spatial": dict(spatial_attention=True),  # 58.801 M at x2
}

SMALL = dict(num_feat=4, num_wide=6, num_group=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ADCSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ADCSR, adaptive dense connections around weight-normalised convolutions",
    paper="Xie et al., Adaptive Densely Connected Single Image Super-Resolution, ICCV Workshops 2019",
    code="xxh96/ADCSR (no licence)",
    scales=(2, 3, 4, 8),
    variant_scales={"spatial": (2,)},
    other_scales=(2, 3, 4, 8),
)
