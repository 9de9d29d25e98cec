"""RGT: attention in windows, and of all pixels to a coarse map of the image, in turn.

Paper: Chen et al., Recursive Generalization Transformer for Image Super-Resolution, ICLR 2024, arXiv:2303.06373.
Structure, fields, variants and initialisation as in zhengchen1999/RGT (basicsr/archs/rgt_arch.py). Images of any size
pass, as with DAT. One convolution of stride 4 makes the coarse map, twice or oftener, as the image's size asks; of
images below 16 px, where the original stops, less often.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import DropPath, Linear, attend
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.models._card import Card
from jsr.models.dat import SGFN, attend_in_rectangles, is_shifted, restored


class LocalAttention(nn.Module):
    """Attention in windows, half of it in turned ones, beside a depthwise convolution of the values.

    Submodules: `qkv`, `pos_0`, `pos_1`, `get_v`, `proj`.
    """

    num_heads: int
    split_size: tuple[int, int]
    shifted: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        del train
        features = x.shape[-1]
        qkv = Linear(3 * features, dtype=self.dtype, name="qkv")(x)
        y = attend_in_rectangles(qkv, self.num_heads, self.split_size, self.shifted)
        y = y + Conv(features, groups=features, dtype=self.dtype, name="get_v")(qkv[..., 2 * features:])
        return Linear(features, dtype=self.dtype, name="proj")(y)


class RecursiveAttention(nn.Module):
    """Attention of all pixels to the pixels of a coarse map of the image.

    Submodules: `reduction1`, `dwconv`, `conv`, `norm` (the coarse map), `q`, `k`, `v`, `cpe`, `proj`.
    """

    num_heads: int
    c_ratio: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        (n, height, width, features), heads = x.shape, self.num_heads
        inner = int(features * self.c_ratio)

        def linear(y, out, name):
            return Linear(out, dtype=self.dtype, name=name)(y)

        def split(y):
            return y.reshape(n, 1, y.shape[1] * y.shape[2], heads, -1)

        coarse = x
        reduce = Conv(features, 4, strides=4, padding=0, groups=features, dtype=self.dtype, name="reduction1")
        for _ in range(reductions(height, width, train)):
            coarse = reduce(coarse)
        coarse = Conv(features, groups=features, dtype=self.dtype, name="dwconv")(coarse)
        coarse = gelu(LayerNorm(dtype=self.dtype, name="norm")(Conv(inner, 1, dtype=self.dtype, name="conv")(coarse)))
        value = linear(coarse, features, "v")
        value = value + Conv(features, groups=features, dtype=self.dtype, name="cpe")(value)
        y = attend(split(linear(x, inner, "q")), split(linear(coarse, inner, "k")), split(value),
                   scale=(features // heads * self.c_ratio)**-0.5, bias=jnp.zeros((1, 1, 1)))
        return linear(y.reshape(x.shape), features, "proj")


def reductions(height, width, train):
    """The number of reductions of an image by 4, until its longer side is below 64 px, in training 16 px."""
    longer, shorter = max(height, width), min(height, width)
    times, fits = (0 if train else 2), 0
    while longer // (4 if train else 16) >= 4**(times + 1):
        times += 1
    while shorter >= 4**(fits + 1):
        fits += 1
    return min(times, fits)


class Block(nn.Module):
    """Attention and a feed-forward network, each on normalised features and added to them; the input scaled, too."""

    num_heads: int
    split_size: tuple[int, int] | None  # None is recursive
    shifted: bool
    mlp_ratio: float
    c_ratio: float
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        if self.split_size:
            attention = LocalAttention(self.num_heads, self.split_size, self.shifted, dtype=self.dtype, name="attn")
        else:
            attention = RecursiveAttention(self.num_heads, self.c_ratio, dtype=self.dtype, name="attn")
        gamma = self.param("gamma", nn.initializers.constant(1e-4), (x.shape[-1],)).astype(x.dtype)
        y = x + DropPath(self.drop_path)(attention(LayerNorm(dtype=self.dtype, name="norm1")(x), train=train))
        mlp = SGFN(self.mlp_ratio, dtype=self.dtype, name="mlp")
        y = y + DropPath(self.drop_path)(mlp(LayerNorm(dtype=self.dtype, name="norm2")(y)))
        return y + x * gamma


class RGT(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      embed_dim: features of the trunk, a multiple of 16, 32 at least.
      depths, num_heads: blocks, and heads of their attention, of each group.
      split_size: (height, width) of the windows, px; half of the heads have them turned.
      mlp_ratio: hidden over outer features of the feed-forward networks.
      c_ratio: features of queries and keys to the coarse map, over the trunk's.
      upsampler: the head, see jsr.layers.swin.Reconstruction.
      num_feat: features of the head.
      resi_connection: what closes a group, see jsr.layers.swin.GroupConv.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      drop_path_rate: rate of the last block's stochastic depth in training, rising to it linearly from 0.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 180
    depths: tuple[int, ...] = (6,) * 8
    num_heads: tuple[int, ...] = (6,) * 8
    split_size: tuple[int, int] = (8, 32)
    mlp_ratio: float = 2.0
    c_ratio: float = 0.5
    upsampler: str = "pixelshuffle"
    num_feat: int = 64
    resi_connection: str = "1conv"
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    dtype: Any = None

    grid_follows_size = True  # the coarse map is of the whole image

    @nn.compact
    def __call__(self, lr, *, train=False):
        def block(group, index, drop_path, name):
            split_size = None if index % 2 else self.split_size
            return Block(self.num_heads[group], split_size, is_shifted(group, index), self.mlp_ratio, self.c_ratio,
                         drop_path, dtype=self.dtype, name=name)

        return restored(self, lr, block, train)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),                                      # 13.37 M
    "small": dict(depths=(6,) * 6, num_heads=(6,) * 6),  # 10.20 M
}

SMALL = dict(embed_dim=96, depths=(2,), num_heads=(2,), split_size=(2, 4), num_feat=4, drop_path_rate=0.0)  # as DAT's


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RGT(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RGT, attention to a recursively reduced image",
    paper="Chen et al., Recursive Generalization Transformer for Image Super-Resolution, ICLR 2024",
    code="zhengchen1999/RGT (Apache-2.0)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
)
