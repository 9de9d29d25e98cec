"""SAFMN: spatially-adaptive feature modulation, and SAFMN++, the light one of AIS 2024's real-time challenge.

Papers: Sun et al., ICCV 2023, arXiv:2302.13800; section 3.3 of the challenge's report (VPEG-S). Structure and defaults
as in sunny2109/SAFMN, basicsr/archs/safmn_arch.py and AIS2024-RTSR. Features are modulated by what is left of them at
coarser sizes: a network's output depends on the whole grid of pooled pixels, which follows the image's size.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.resize import bilinear
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


def adaptive_max_pool(x, height, width):
    """(N, H, W, C) to (N, height, width, C), as torch.nn.functional.adaptive_max_pool2d.

    The i-th of `height` bins is the maximum of the rows floor(i H / height) to ceil((i + 1) H / height), without the
    last: bins overlap where H is no multiple of `height`. ValueError: the image is smaller than the bins are many.
    """
    for axis, bins in ((1, height), (2, width)):
        size = x.shape[axis]
        if not 1 <= bins <= size:
            raise ValueError(f"an image of {x.shape[1]}x{x.shape[2]} does not pool to {height}x{width}")
        longest = size // bins
        if size % bins != 0:  # shorter bins repeat their last pixel
            first, end = np.arange(bins) * size // bins, -(-np.arange(1, bins + 1) * size // bins)
            longest = int((end - first).max())
            x = x.take(np.minimum(first[:, None] + np.arange(longest), end[:, None] - 1).ravel(), axis)
        window = (longest, 1) if axis == 1 else (1, longest)
        # The gradient of jnp.max is 0 / 0 where XLA computes x once more, rounded otherwise; this one's picks a pixel.
        x = nn.max_pool(x, window, strides=window)
    return x


def resize_nearest(x, height, width):
    """(N, H, W, C) to (N, height, width, C), as torch.nn.functional.interpolate(mode="nearest")."""
    for axis, side in ((1, height), (2, width)):
        size = x.shape[axis]
        if side % size == 0 and side // size in (1, 2, 4, 8):  # without rounding, and where sizes are symbolic
            x = jnp.repeat(x, side // size, axis)
            continue
        positions = np.arange(side, dtype=np.float32) * (np.float32(size) / np.float32(side))  # rounded as PyTorch's
        x = x.take(np.minimum(positions.astype(int), size - 1), axis)
    return x


class SAFM(nn.Module):
    """Features in `num_level` parts, each filtered at half the size of the one before; what they make weighs the input.

    Parameters: `conv_0`... depthwise, `aggregate`.
    """

    num_level: int = 4
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        height, width, features = x.shape[1:]
        parts = []
        for level, part in enumerate(jnp.split(x, self.num_level, axis=-1)):
            if level:
                part = adaptive_max_pool(part, height // 2**level, width // 2**level)
            part = Conv(part.shape[-1], groups=part.shape[-1], dtype=self.dtype, name=f"conv_{level}")(part)
            parts.append(resize_nearest(part, height, width))
        weights = Conv(features, 1, dtype=self.dtype, name="aggregate")(jnp.concatenate(parts, axis=-1))
        return gelu(weights) * x


class SimpleSAFM(nn.Module):
    """SAFM++: one coarse level for half of the convolved features, and the other half as it is; no biases.

    Parameters: `project`, `conv` depthwise, `aggregate`.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        height, width, features = x.shape[1:]
        x = Conv(features, use_bias=False, dtype=self.dtype, name="project")(x)
        modulated, kept = jnp.split(x, 2, axis=-1)
        coarse = adaptive_max_pool(modulated, height // 8, width // 8)
        coarse = Conv(features // 2, groups=features // 2, use_bias=False, dtype=self.dtype, name="conv")(coarse)
        modulated = gelu(bilinear(coarse, height, width)) * modulated
        x = gelu(jnp.concatenate([kept, modulated], axis=-1))
        return Conv(features, 1, use_bias=False, dtype=self.dtype, name="aggregate")(x)


class CCM(nn.Module):
    """Convolutional channel mixer: 3x3 to `ratio` times the features, GELU, 1x1 back."""

    ratio: float
    use_bias: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y = Conv(int(features * self.ratio), use_bias=self.use_bias, dtype=self.dtype, name="conv_0")(x)
        return Conv(features, 1, use_bias=self.use_bias, dtype=self.dtype, name="conv_1")(gelu(y))


class SAFMN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    H and W are 8 at least.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk, a multiple of 4.
      num_block: number of blocks of modulation and mixer.
      ffn_scale: the mixer's features over the trunk's.
      simple: SAFMN++: its modulation, and neither biases, nor normalisation, nor residuals in the blocks.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 36
    num_block: int = 8
    ffn_scale: float = 2.0
    simple: bool = False
    dtype: Any = None

    grid_follows_size = True  # a tile is pooled by other bins than the image is
    open_multiple = 8  # of sides that the coarsest level divides evenly

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        use_bias = not self.simple
        head = Conv(self.num_feat, use_bias=use_bias, dtype=self.dtype, name="conv_first")(lr)
        x = head
        for index in range(self.num_block):
            name = f"body_{index}"
            mixer = CCM(self.ffn_scale, use_bias, dtype=self.dtype, name=f"{name}_ccm")
            if self.simple:
                x = mixer(SimpleSAFM(dtype=self.dtype, name=f"{name}_safm")(x))
            else:
                x = x + SAFM(dtype=self.dtype, name=f"{name}_safm")(self.norm(x, f"{name}_norm1"))
                x = x + mixer(self.norm(x, f"{name}_norm2"))
        x = Conv(lr.shape[-1] * self.scale**2, use_bias=use_bias, dtype=self.dtype, name="conv_last")(x + head)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)

    def norm(self, x, name):
        """Over the channels, with the official code's epsilon."""
        return LayerNorm(epsilon=1e-6, dtype=self.dtype, name=name)(x)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(num_feat=36, num_block=8, ffn_scale=2.0),                   # 240 k
    "large": dict(num_feat=128, num_block=16, ffn_scale=2.0),                # 5.60 M
    "light_pp": dict(num_feat=32, num_block=2, ffn_scale=1.5, simple=True),  # 66.2 k
}

SMALL = dict(num_feat=8, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SAFMN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SAFMN, features modulated by coarser ones",
    paper="Sun et al., Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution, ICCV 2023",
    code="sunny2109/SAFMN (Apache-2.0)",
    scales=(2, 3, 4),
    variant_scales={"light_pp": (4,)},
    other_scales=(1, 2, 3, 4, 8),
)
