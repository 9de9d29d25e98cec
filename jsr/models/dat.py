"""DAT: attention between pixels and attention between channels in turn, each beside a convolution.

Paper: Chen et al., Dual Aggregation Transformer for Image Super-Resolution, ICCV 2023, arXiv:2308.03364. Structure,
fields, variants and initialisation as in zhengchen1999/DAT (basicsr/archs/dat_arch.py). Images of any size pass: where
windows do not fit, queries, keys and values are filled up by zeros, as there.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import DropPath, Linear, attend, attend_between_channels, split_heads
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.pool import GlobalMean
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.layers.window import attend_in_windows, fill_up
from jsr.models._card import Card
from jsr.models.art import DynamicPositionBias


def batch_norm(x, train, dtype, name):
    """PyTorch's BatchNorm2d, as a part of the module that calls it."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype, name=name)(x)


class Interaction(nn.Module):
    """Logits of a map: `outer` features after `inner` ones, of each pixel, or of their means.

    Submodules: `conv_0`, `norm`, `conv_1`.
    """

    inner: int
    outer: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        x = Conv(self.inner, 1, dtype=self.dtype, name="conv_0")(x)
        x = gelu(batch_norm(x, train, self.dtype, "norm"))
        return Conv(self.outer, 1, dtype=self.dtype, name="conv_1")(x)


class AdaptiveAttention(nn.Module):
    """Attention beside a depthwise convolution of its values; each weighs the other.

    Attributes:
      num_heads: number of heads of the attention, even where it is between pixels.
      split_size: (height, width) of the windows in which pixels attend to each other; half of the heads have them
        turned. None is attention between channels.
      shifted: windows are shifted by half of their size.
      dtype: dtype of the computation, but for the logits.

    Submodules: `qkv`, `proj`, `dwconv`, `dwconv_norm`, `channel_interaction`, `spatial_interaction`, and `pos_0`,
    `pos_1` between pixels, or the parameter `temperature`.
    """

    num_heads: int
    split_size: tuple[int, int] | None = None
    shifted: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        features = x.shape[-1]
        qkv = Linear(3 * features, dtype=self.dtype, name="qkv")(x)
        if self.split_size:
            attended = attend_in_rectangles(qkv, self.num_heads, self.split_size, self.shifted)
        else:
            temperature = self.param("temperature", nn.initializers.ones, (self.num_heads, 1, 1))
            query, key, value = split_heads(qkv, 3, self.num_heads)
            attended = attend_between_channels(query, key, value, temperature)
        conv = Conv(features, groups=features, dtype=self.dtype, name="dwconv")(qkv[..., 2 * features:])
        conv = gelu(batch_norm(conv, train, self.dtype, "dwconv_norm"))
        channels = Interaction(features // 8, features, dtype=self.dtype, name="channel_interaction")
        pixels = Interaction(features // 16, 1, dtype=self.dtype, name="spatial_interaction")
        if self.split_size:
            y = (attended * nn.sigmoid(channels(GlobalMean()(conv), train=train))
                 + conv * nn.sigmoid(pixels(attended, train=train)))
        else:
            y = (attended * nn.sigmoid(pixels(conv, train=train))
                 + conv * nn.sigmoid(channels(GlobalMean()(attended), train=train)))
        return Linear(features, dtype=self.dtype, name="proj")(y)


def attend_in_rectangles(qkv, num_heads, split_size, shifted):
    """Attention in windows, the second half of the heads in turned ones, as a part of the module that calls it.

    Args:
      qkv: (N, H, W, 3 C), queries, keys and values; filled up by zeros where windows do not fit.
      num_heads: number of heads of both halves.
      split_size: (height, width) of the first half's windows, px.
      shifted: windows are shifted by half of their size.

    Returns:
      (N, H, W, C). Submodules of the caller: `pos_0`, `pos_1`.
    """
    height, width = qkv.shape[1:3]
    qkv, num_heads, halves = fill_up(qkv, max(split_size)), num_heads // 2, []
    for index, window in enumerate((split_size, split_size[::-1])):
        parts = [jnp.split(part, 2, axis=-1)[index] for part in jnp.split(qkv, 3, axis=-1)]
        features = parts[0].shape[-1]
        bias = DynamicPositionBias(features // 4 // 4, num_heads, name=f"pos_{index}")(*window)

        def attention(windows, regions, scale=(features // num_heads)**-0.5, bias=bias):
            return attend(*split_heads(windows, 3, num_heads), scale=scale, bias=bias, regions=regions)

        shift = tuple(side // 2 for side in window) if shifted else 0
        halves.append(attend_in_windows(attention, jnp.concatenate(parts, axis=-1), window, shift))
    return jnp.concatenate(halves, axis=-1)[:, :height, :width]


class SGFN(nn.Module):
    """Feed-forward network in which one half of the hidden features, convolved, weighs the other.

    Submodules: `fc1`, `norm`, `conv`, `fc2`.
    """

    ratio: float  # hidden over outer features
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        hidden = int(features * self.ratio)
        x, gate = jnp.split(gelu(Linear(hidden, dtype=self.dtype, name="fc1")(x)), 2, axis=-1)
        gate = LayerNorm(dtype=self.dtype, name="norm")(gate)
        gate = Conv(hidden // 2, groups=hidden // 2, dtype=self.dtype, name="conv")(gate)
        return Linear(features, dtype=self.dtype, name="fc2")(x * gate)


class Block(nn.Module):
    """Attention and a feed-forward network, each on normalised features and added to them."""

    num_heads: int
    split_size: tuple[int, int] | None
    shifted: bool
    expansion_factor: float
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        attention = AdaptiveAttention(self.num_heads, self.split_size, self.shifted, dtype=self.dtype, name="attn")
        y = attention(LayerNorm(dtype=self.dtype, name="norm1")(x), train=train)
        x = x + DropPath(self.drop_path)(y)
        y = SGFN(self.expansion_factor, dtype=self.dtype, name="ffn")(LayerNorm(dtype=self.dtype, name="norm2")(x))
        return x + DropPath(self.drop_path)(y)


class DAT(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two; with "pixelshuffledirect" any.
      embed_dim: features of the trunk, a multiple of 16, 32 at least.
      depths, num_heads: blocks, and heads of their attention, of each group.
      split_size: (height, width) of the windows, px; half of the heads have them turned.
      expansion_factor: hidden over outer features of the feed-forward networks.
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
    depths: tuple[int, ...] = (6,) * 6
    num_heads: tuple[int, ...] = (6,) * 6
    split_size: tuple[int, int] = (8, 32)
    expansion_factor: float = 4.0
    upsampler: str = "pixelshuffle"
    num_feat: int = 64
    resi_connection: str = "1conv"
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        def block(group, index, drop_path, name):
            split_size = None if index % 2 else self.split_size
            return Block(self.num_heads[group], split_size, is_shifted(group, index), self.expansion_factor, drop_path,
                         dtype=self.dtype, name=name)

        return restored(self, lr, block, train)


def restored(network, lr, block, train):
    """DAT and RGT around their blocks, as a part of the module that calls it.

    Args:
      network: the caller; its fields are DAT's.
      lr: its input.
      block: function of (group, index in it, rate of stochastic depth, name) to a block.
      train: as for networks.
    """
    mean, dtype = jnp.asarray(network.mean, lr.dtype), network.dtype
    head = Conv(network.embed_dim, dtype=dtype, name="conv_first")((lr - mean) * network.img_range)
    x = LayerNorm(dtype=dtype, name="before_RG")(head)
    for group, rates in enumerate(drop_path_rates(network.drop_path_rate if train else 0.0, network.depths)):
        y = x
        for index, rate in enumerate(rates):
            y = block(group, index, rate, f"layers_{group}_blocks_{index}")(y, train=train)
        x = x + GroupConv(network.resi_connection, dtype=dtype, name=f"layers_{group}_conv")(y)
    x = LayerNorm(dtype=dtype, name="norm")(x)
    x = GroupConv(network.resi_connection, dtype=dtype, name="conv_after_body")(x) + head
    x = Reconstruction(network.upsampler, network.scale, lr.shape[-1], network.num_feat, dtype=dtype, name="head")(x)
    return x.astype(lr.dtype) / network.img_range + mean


def is_shifted(group, index):
    """Whether the windows of a block of a group are shifted: of every second one with windows, from another on."""
    return index % 4 == (2 if group % 2 == 0 else 0)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),                                           # 14.80 M
    "small": dict(split_size=(8, 16), expansion_factor=2.0),  # 11.21 M
    "dat2": dict(expansion_factor=2.0),                       # 11.21 M
    "light": dict(embed_dim=60, depths=(18,), num_heads=(6,), expansion_factor=2.0, resi_connection="3conv",
                  upsampler="pixelshuffledirect"),            # 573 k
}

SMALL = dict(embed_dim=96, depths=(2,), num_heads=(2,), split_size=(2, 4), expansion_factor=2.0, num_feat=4,
             drop_path_rate=0.0)  # the same network, for tests that compile it; a norm of its positions has 3 features


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DAT(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DAT, attention between pixels and between channels in turn",
    paper="Chen et al., Dual Aggregation Transformer for Image Super-Resolution, ICCV 2023",
    code="zhengchen1999/DAT (Apache-2.0)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
)
