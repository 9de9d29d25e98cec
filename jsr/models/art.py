"""ART: attention retractable transformer, dense attention in windows and sparse attention over the whole image in turn.

Paper: Zhang et al., ICLR 2023, arXiv:2210.01427. Structure, fields, variants and initialisation as in gladzhang/ART
(basicsr/archs/art_arch.py, options/). Biases are made of positions by a small network: no parameter depends on the
groups' sizes, and weights serve other windows and intervals than they were trained with. The published networks of
scale 1 are those of colour noise, interval (16, 16, 12, 12, 8, 8), and of JPEG artefacts in grey images, window_size 7,
interval (18, 18, 13, 13, 7, 7), img_range 255. Options that no published network uses are left out.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers.attention import MLP, DropPath, Linear, attend, split_heads
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.models._card import Card

MOST_LOGITS = 2**29  # computed at once, 2 GiB; a sparse layer soon has more


def attend_in_groups(attention, x, side, sparse):
    """Applies attention in groups of pixels; zeros at the bottom and right complete them, and get no weight.

    Args:
      attention: function of groups (N, groups, h, w, C) and their regions, int8 (groups, h * w), 1 for pixels and 0 for
        the zeros, or None where there are none; to new groups (N, groups, h * w, C).
      x: array (N, H, W, C).
      side: of the groups, which are square windows, px. Or with `sparse` the distance of the pixels of a group: each of
        side**2 groups has pixels of the whole image.
      sparse: how groups are made.

    Returns:
      Array (N, H, W, C).
    """
    n, height, width, channels = x.shape
    rows, columns = -(-height // side), -(-width // side)
    order = (0, 2, 4, 1, 3, 5) if sparse else (0, 1, 3, 2, 4, 5)

    def cut(x):
        x = jnp.pad(x, [(0, 0), (0, rows * side - height), (0, columns * side - width), (0, 0)])
        x = x.reshape(len(x), rows, side, columns, side, -1).transpose(order)
        return x.reshape(len(x), -1, *x.shape[3:])

    groups, regions = cut(x), None
    if (height, width) != (rows * side, columns * side):
        regions = cut(jnp.ones((1, height, width, 1), jnp.int8)).reshape(groups.shape[1], -1)
    shape = n, rows, side, columns, side, channels
    y = attention(groups, regions).reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    return y.reshape(n, rows * side, columns * side, channels)[:, :height, :width]


class DynamicPositionBias(nn.Module):
    """Biases of attention in groups of height x width pixels, from the differences of positions, in float32.

    Submodules: `pos_proj`, and `pos1_0`, `pos1_2` to `pos3_0`, `pos3_2`: norms and linear layers.
    """

    features: int
    num_heads: int

    @nn.compact
    def __call__(self, height, width):
        """To (num_heads, height * width, height * width): query minus key, row and column, make the bias."""
        differences = np.indices((2 * height - 1, 2 * width - 1), np.float32).transpose(1, 2, 0)
        table = Linear(self.features, name="pos_proj")(differences - np.array([height - 1, width - 1], np.float32))
        for name, features in (("pos1", self.features), ("pos2", self.features), ("pos3", self.num_heads)):
            table = nn.relu(LayerNorm(name=f"{name}_0")(table))
            table = Linear(features, name=f"{name}_2")(table)
        for axis, length in ((0, height), (2, width)):  # a row of the table to one for each pair, then a column
            pairs = np.arange(length)[:, None] - np.arange(length) + length - 1
            table = jnp.take(table, pairs, axis)
        return table.transpose(4, 0, 2, 1, 3).reshape(self.num_heads, height * width, -1)


def attend_by_groups(query, key, value, *, at_once, regions=None, **options):
    """As jsr.layers.attention.attend, with `at_once` groups after the other, and each again in the backward pass."""
    @jax.checkpoint
    def of_group(group):
        *qkv, regions = group
        regions = None if regions is None else regions[None]
        return attend(*(x[:, None] for x in qkv), regions=regions, **options)[:, 0]

    groups = [jnp.swapaxes(x, 0, 1) for x in (query, key, value)]
    return jnp.swapaxes(jax.lax.map(of_group, (*groups, regions), batch_size=at_once), 0, 1)


class GroupAttention(nn.Module):
    """Multi-head self-attention in groups, with a DynamicPositionBias of a sixteenth of the features.

    Groups with more than MOST_LOGITS logits together are computed in turn. Submodules: `qkv`, `pos`, `proj`.
    """

    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, groups, regions=None):
        """(N, groups, h, w, C) to (N, groups, h * w, C); `regions` as jsr.layers.attention.attend takes them."""
        n, count, height, width, channels = groups.shape
        bias = DynamicPositionBias(channels // 4 // 4, self.num_heads, name="pos")(height, width)
        pixels = height * width
        tokens = groups.reshape(n, count, pixels, channels)
        qkv = split_heads(Linear(3 * channels, dtype=self.dtype, name="qkv")(tokens), 3, self.num_heads)
        at_once = max(MOST_LOGITS // (n * self.num_heads * pixels**2), 1)
        attend_to = attend if count <= at_once else functools.partial(attend_by_groups, at_once=at_once)
        y = attend_to(*qkv, scale=(channels // self.num_heads)**-0.5, bias=bias, regions=regions)
        return Linear(channels, dtype=self.dtype, name="proj")(y)


class TransformerLayer(nn.Module):
    """Attention in groups and an MLP, each on normalised features and added to them.

    Attributes:
      num_heads: number of heads of the attention.
      window_size: side of its windows, px.
      interval: distance of the pixels that attend to each other instead, px; 0 is for windows. Images that are no more
        than a window high or wide have windows in any case, as large as their shorter side.
      mlp_ratio: hidden over outer features of the MLP.
      drop_path: rate of stochastic depth.
      dtype: dtype of the computation.
    """

    num_heads: int
    window_size: int
    interval: int
    mlp_ratio: float
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        # quirk: the original stays with windows of that size for all images to come once it had so small a one; here
        # each image decides for itself.
        height, width = x.shape[1:3]
        small = height <= self.window_size or width <= self.window_size
        sparse = bool(self.interval) and not small
        side = self.interval if sparse else min(height, width) if small else self.window_size
        attention = GroupAttention(self.num_heads, dtype=self.dtype, name="attn")
        y = LayerNorm(dtype=self.dtype, name="norm1")(x)
        x = x + DropPath(self.drop_path)(attend_in_groups(attention, y, side, sparse))
        y = LayerNorm(dtype=self.dtype, name="norm2")(x)
        return x + DropPath(self.drop_path)(MLP(self.mlp_ratio, dtype=self.dtype, name="mlp")(y))


class ResidualGroup(nn.Module):
    """Layers, every second one with sparse attention, and a convolution; the input added."""

    num_heads: int
    window_size: int
    interval: int
    mlp_ratio: float
    drop_paths: tuple[float, ...]  # one a layer
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        layer = nn.remat(TransformerLayer) if self.remat else TransformerLayer
        y = x
        for index, drop_path in enumerate(self.drop_paths):
            interval = self.interval if index % 2 else 0
            y = layer(self.num_heads, self.window_size, interval, self.mlp_ratio, drop_path, dtype=self.dtype,
                      name=f"blocks_{index}")(y)
        return x + GroupConv(dtype=self.dtype, name="conv")(y)


class ART(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped; any H and W.

    With scale 1 there is no head, but one convolution, and the network adds to its input.

    Attributes:
      scale: 1, 3 or a power of two.
      embed_dim: features of the trunk; a sixteenth of them makes biases, and that of one is no function of positions.
      depths, num_heads: layers, and heads of their attention, of each group.
      window_size: side of the windows of dense attention, px.
      interval: distance of the pixels that attend to each other in sparse attention, px, of each group. A layer has
        num_heads * (H * W / interval)**2 logits.
      mlp_ratio: hidden over outer features of the MLPs.
      num_feat: features of the head.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      drop_path_rate: rate of the last layer's stochastic depth in training, rising to it linearly from 0.
      remat: layers are computed again in the backward pass, which saves their memory; same parameters, same results.
      dtype: of the computation but for attention's logits and biases and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 180
    depths: tuple[int, ...] = (6,) * 6
    num_heads: tuple[int, ...] = (6,) * 6
    window_size: int = 8
    interval: tuple[int, ...] = (4,) * 6
    mlp_ratio: float = 4.0
    num_feat: int = 64
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    grid_follows_size = True  # a sparse group is as large as the image allows

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        x = (lr - mean) * self.img_range
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")(x)
        y = LayerNorm(dtype=self.dtype, name="patch_embed_norm")(head)
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, self.depths)
        for index, (num_heads, interval, drop_paths) in enumerate(
                zip(self.num_heads, self.interval, rates, strict=True)):
            y = ResidualGroup(num_heads, self.window_size, interval, self.mlp_ratio, tuple(drop_paths), self.remat,
                              dtype=self.dtype, name=f"layers_{index}")(y)
        y = LayerNorm(dtype=self.dtype, name="norm")(y)
        y = GroupConv(dtype=self.dtype, name="conv_after_body")(y) + head
        upsampler = "" if self.scale == 1 else "pixelshuffle"
        y = Reconstruction(upsampler, self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        y = y.astype(lr.dtype)
        if self.scale == 1:
            y += x
        return y / self.img_range + mean


VARIANTS = {  # parameters at x4
    "base": dict(),  # 16.55 M
    "small": dict(interval=(8,) * 6, mlp_ratio=2.0),  # ART-S; 11.87 M
}

SMALL = dict(embed_dim=32, depths=(2,), num_heads=(2,), window_size=4, interval=(3,), num_feat=4,
             drop_path_rate=0.0)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ART(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ART, dense attention in windows and sparse attention over the whole image in turn",
    paper="Zhang et al., Accurate Image Restoration with Attention Retractable Transformer, ICLR 2023",
    code="gladzhang/ART (Apache-2.0)",
    scales=(1, 2, 3, 4),
    variant_scales={"small": (2, 3, 4)},
    other_scales=(1, 2, 3, 4, 8),
)
