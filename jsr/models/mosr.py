"""MoSR: gated convolutions after MambaOut, without state-space models, for real-world super-resolution.

Code: umzi2/MoSR (neosr/archs/mosr_arch.py), by which people train and share weights; there is no paper of it. Yu and
Wang, MambaOut (CVPR 2025, arXiv:2405.07992), is where its block comes from.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jsr.layers.attention import normal
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.upsample import DySample
from jsr.models._card import Card

DYSAMPLE_GROUPS = 4
ENSEMBLE = 8  # convolutions that the upsampler "geoensemble" averages


class GatedBlock(nn.Module):
    """Convolved features, a part of them by a depthwise kernel too, weighed by others; the input, less 0.5, added."""

    expansion_ratio: float
    conv_ratio: float
    kernel_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        hidden, convolved = int(self.expansion_ratio * features), int(self.conv_ratio * features)

        def conv(y, out, kernel_size, name, **options):
            return Conv(out, kernel_size, dtype=self.dtype, kernel_init=normal, bias_init=nn.initializers.zeros,
                        name=name, **options)(y)

        y = conv(LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm")(x), 2 * hidden, 3, "fc1")
        gate, kept, y = jnp.split(y, [hidden, 2 * hidden - convolved], axis=-1)
        y = conv(y, convolved, self.kernel_size, "conv", groups=convolved)
        y = jax.nn.mish(conv(jax.nn.mish(gate) * jnp.concatenate([kept, y], axis=-1), features, 3, "fc2"))
        return y + (x - 0.5)


class MoSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk; with "dysample" a multiple of 4.
      num_block: number of blocks of the trunk.
      kernel_size: side of their depthwise kernels.
      expansion_ratio: hidden over outer features of a block.
      conv_ratio: features that the depthwise kernel sees, over the outer ones.
      upsampler: "pixelshuffle", "geoensemble", whose convolution is the mean of eight, or "dysample".
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 24
    kernel_size: int = 7
    expansion_ratio: float = 1.5
    conv_ratio: float = 1.0
    upsampler: str = "pixelshuffle"
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        channels = lr.shape[-1]

        def conv(y, out, kernel_size, name):
            return Conv(out, kernel_size, dtype=self.dtype, name=name)(y)

        x = conv(lr, self.num_feat, 3, "conv_first")
        for index in range(self.num_block):
            x = GatedBlock(self.expansion_ratio, self.conv_ratio, self.kernel_size, dtype=self.dtype,
                           name=f"body_{index}")(x)
        x = jax.nn.mish(conv(x, 2 * self.num_feat, 3, "conv_after_0"))
        x = conv(jax.nn.mish(conv(x, self.num_feat, 3, "conv_after_1")), self.num_feat, 1, "conv_after_2")
        short = jax.nn.mish(conv(lr, self.num_feat, 3, "shortcut_0"))
        short = jax.nn.mish(conv(short, self.num_feat, 3, "shortcut_1"))
        x = x + (short + conv(lr, self.num_feat, 1, "shortcut_2") - 0.5)
        if self.upsampler == "dysample":
            x = DySample(channels, self.scale, DYSAMPLE_GROUPS, dtype=self.dtype, name="upsample")(x)
            return x.astype(lr.dtype)
        times = {"pixelshuffle": 1, "geoensemble": ENSEMBLE}
        if self.upsampler not in times:
            raise ValueError(f"upsampler = {self.upsampler!r} is none of {', '.join([*times, 'dysample'])}")
        x = conv(x, times[self.upsampler] * channels * self.scale**2, 3, "conv_last")
        if self.upsampler == "geoensemble":
            x = sum(jnp.split(x, ENSEMBLE, axis=-1)) / ENSEMBLE
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),                            # 4.3 M
    "tiny": dict(num_feat=48, num_block=5),
    "dysample": dict(upsampler="dysample"),
    "geoensemble": dict(upsampler="geoensemble"),
}

SMALL = dict(num_feat=4, num_block=1, kernel_size=3)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return MoSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="MoSR, gated convolutions after MambaOut",
    paper="umzi2, MoSR, 2024 (code alone)",
    code="umzi2/MoSR (Apache-2.0)",
    scales=(2, 4),
    variant_scales={"tiny": (4,), "dysample": (4,), "geoensemble": (2,)},
    other_scales=(1, 2, 3, 4, 8),
)
