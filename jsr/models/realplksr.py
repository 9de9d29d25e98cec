"""RealPLKSR: partial large kernels, the form of PLKSR that those who train real-world networks made.

Paper: Lee et al., Partial Large Kernel CNNs for Efficient Super-Resolution, arXiv:2404.11848. Structure, variants and
initialisation as in neosr-project/neosr, realplksr_arch.py, and the-database/traiNNer-redux, which brought the norm
over features alone and, from Liu et al., Learning to Upsample by Learning to Sample (ICCV 2023), DySample.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jsr.layers.attention import normal
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.upsample import DySample, dysample_groups
from jsr.models._card import Card


class Block(nn.Module):
    """Mixer of features, a large kernel for a part of them, attention of elements, a 1x1 convolution; input added."""

    kernel_size: int
    partial: int  # features that the large kernel sees
    attention: bool
    norm: str
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]

        def conv(y, out, kernel_size, name, **options):
            return Conv(out, kernel_size, dtype=self.dtype, name=name, **options)(y)

        y = LayerNorm(epsilon=1e-6, dtype=self.dtype, name="layer_norm")(x) if self.norm == "layer" else x
        y = jax.nn.mish(conv(y, 2 * features, 3, "mixer_0"))
        y = conv(y, features, 3, "mixer_2", kernel_init=normal)
        seen = conv(y[..., :self.partial], self.partial, self.kernel_size, "large_kernel", kernel_init=normal)
        y = jnp.concatenate([seen, y[..., self.partial:]], axis=-1)
        if self.attention:
            y = y * nn.sigmoid(conv(y, features, 3, "attention", kernel_init=normal))
        y = conv(y, features, 1, "refine", kernel_init=normal)
        if self.norm == "group":
            y = nn.GroupNorm(4, epsilon=1e-5, use_fast_variance=False, dtype=self.dtype, name="norm")(y)
        return x + y


class RealPLKSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: number of blocks of the trunk.
      kernel_size: side of the large kernels.
      split_ratio: part of the features that they see.
      attention: blocks have attention of elements.
      norm: "group", over the whole image and each quarter of the features, or "layer", over the features of a pixel.
      upsampler: "pixelshuffle" or "dysample".
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 28
    kernel_size: int = 17
    split_ratio: float = 0.25
    attention: bool = True
    norm: str = "group"
    upsampler: str = "pixelshuffle"
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        if self.norm not in ("group", "layer") or self.upsampler not in ("pixelshuffle", "dysample"):
            raise ValueError(f"norm = {self.norm!r} is neither 'group' nor 'layer', or upsampler = {self.upsampler!r} "
                             "neither 'pixelshuffle' nor 'dysample'")
        channels, times = lr.shape[-1], self.scale**2
        x = Conv(self.num_feat, dtype=self.dtype, kernel_init=normal, name="conv_first")(lr)
        for index in range(self.num_block):
            x = Block(self.kernel_size, int(self.num_feat * self.split_ratio), self.attention, self.norm,
                      dtype=self.dtype, name=f"body_{index}")(x)
        x = Conv(channels * times, dtype=self.dtype, kernel_init=normal, name="conv_last")(x)
        x = x + jnp.repeat(lr, times, axis=-1).astype(x.dtype)
        if self.upsampler == "dysample":
            x = DySample(channels, self.scale, dysample_groups(channels, self.scale), dtype=self.dtype,
                         name="upsample")(x)
        else:
            x = pixel_shuffle(x, self.scale)
        return x.astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(num_feat=64, num_block=28),                                       # 7.390 M
    "small": dict(num_feat=64, num_block=12, kernel_size=13, attention=False),     # 2.372 M
    "large": dict(num_feat=96, num_block=28),                                      # 16.595 M
    "layer_norm": dict(num_feat=64, num_block=28, norm="layer"),
    "dysample": dict(num_feat=64, num_block=28, norm="layer", upsampler="dysample"),
}

SMALL = dict(num_feat=8, num_block=1, kernel_size=5)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RealPLKSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RealPLKSR, partial large kernels",
    paper="Lee et al., Partial Large Kernel CNNs for Efficient Super-Resolution, 2024",
    code="neosr-project/neosr (Apache-2.0)",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    variant_other_scales={"dysample": (2, 3, 4, 8)},
)
