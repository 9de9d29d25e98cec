"""DRCT: Swin layers that each see the features of all layers before them in their group.

Paper: Hsu et al., DRCT: Saving Image Super-Resolution away from Information Bottleneck, CVPR Workshops 2024,
arXiv:2404.00722. Structure, fields, variants and initialisation as in ming053l/DRCT (drct/archs/DRCT_arch.py).
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.models._card import Card
from jsr.models.swinir import SwinLayer

LAYERS = 5  # of a group


def heads_of(num_heads, features):
    """The heads of a layer with more features than its group's first: fewer where they would not divide them."""
    return num_heads - features % num_heads


class DenseGroup(nn.Module):
    """Five Swin layers, every second one shifted; what a 1x1 convolution makes of each joins the features of the next.

    Submodules: `swin1`, `adjust1`...
    """

    num_heads: int
    window_size: int
    mlp_ratio: float
    gc: int
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = x
        for index in range(1, LAYERS + 1):
            shift = 0 if index % 2 else self.window_size // 2
            grown = SwinLayer(heads_of(self.num_heads, y.shape[-1]), self.window_size, shift,
                              self.mlp_ratio if index < 4 else 1.0, self.drop_path, dtype=self.dtype,
                              name=f"swin{index}")(y)
            grown = Conv(self.gc if index < LAYERS else x.shape[-1], 1, dtype=self.dtype, name=f"adjust{index}")(grown)
            if index == LAYERS:
                return x + 0.2 * grown
            y = jnp.concatenate([y, nn.leaky_relu(grown, 0.2)], axis=-1)


class DRCT(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      embed_dim: features of the trunk.
      num_heads: heads of the attention, of each group.
      window_size: side of the attention windows, px; H and W are multiples of it (ValueError).
      mlp_ratio: hidden over outer features of the MLPs of a group's first three layers; 1 in the others.
      gc: features that a layer adds to those of its group.
      num_feat: features of the head.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      drop_path_rate: rate of the last layer's stochastic depth in training, rising to it linearly from 0.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 180
    num_heads: tuple[int, ...] = (6,) * 6
    window_size: int = 16
    mlp_ratio: float = 2.0
    gc: int = 32
    num_feat: int = 64
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    dtype: Any = None

    @property
    def size_multiple(self):
        return self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")((lr - mean) * self.img_range)
        x = LayerNorm(dtype=self.dtype, name="patch_embed_norm")(head)
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, (6,) * len(self.num_heads))
        for index, (heads, drop_paths) in enumerate(zip(self.num_heads, rates, strict=True)):
            x = DenseGroup(heads, self.window_size, self.mlp_ratio, self.gc, drop_paths[0], dtype=self.dtype,
                           name=f"layers_{index}")(x)
        x = LayerNorm(dtype=self.dtype, name="norm")(x)
        x = GroupConv(dtype=self.dtype, name="conv_after_body")(x) + head
        x = Reconstruction("pixelshuffle", self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(x)
        return x.astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),                       # 14.14 M
    "large": dict(num_heads=(6,) * 12),   # 27.58 M
}

SMALL = dict(embed_dim=8, num_heads=(2,), window_size=4, gc=4, num_feat=4, drop_path_rate=0.0)  # for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DRCT(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DRCT, dense groups of Swin layers",
    paper="Hsu et al., DRCT: Saving Image Super-Resolution away from Information Bottleneck, CVPR Workshops 2024",
    code="ming053l/DRCT (MIT)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(16, "flip", always=True),
)
