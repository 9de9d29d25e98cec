"""HAT: hybrid attention transformer, windows with channel attention beside them and overlapping windows after them.

Paper: Chen et al., CVPR 2023, arXiv:2205.04437. Structure, fields, variants and initialisation as in XPixelGroup/HAT
(hat/archs/hat_arch.py, options/). With scale 1 its head enlarges nothing, which is how HAT is used for restoration.

Entries of challenges that change nothing but its fields:
  hft    HFT of UCAS_SCST (NTIRE 2024 blind JPEG, report, section 4.7), HAT without its upsampling. Inferred: ten groups
         at scale 1, which have the published 33.86 M parameters.
  mphat  MPHAT of BSR (AIM 2022, track 1, report, section 4.3): of an LR patch and the eight around it, on 27 channels,
         the SR image of the patch in the middle. Inferred: HAT's base sizes; the patches' order, row by row; no mean,
         as the original code has it for any but 3 channels. How images are restored is inferred too: they are stacked
         with copies of themselves that are moved by the side of a patch, so that each pixel has the neighbours that it
         has in training; at the borders, those of tiles too, they are mirrored. Patches at the borders of training
         images are no examples, as what is around them is not there.
"""

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers.activation import gelu
from jsr.layers.attention import MLP, DropPath, Linear, WindowAttention, attend, normal, split_heads
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding, mirrored
from jsr.layers.pool import GlobalMean
from jsr.layers.repeated import in_turn
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.layers.window import attend_in_windows, window_merge, window_partition
from jsr.models._card import Card


def neighbouring_patches(x, patch_size):
    """Pixels and those at the same places of the eight patches around their own.

    Args:
      x: array (N, H, W, C).
      patch_size: side of a patch, px: how far away the others are, down, right or both.

    Returns:
      Array (N, H - 2 * patch_size, W - 2 * patch_size, 9 * C) of the pixels that have all neighbours. The patches go
      row by row, each with its C channels; the fifth is their own.

    Raises:
      ValueError: no pixel has.
    """
    height, width = (side - 2 * patch_size for side in x.shape[1:3])
    if height < 1 or width < 1:  # one by one: of symbolic sizes none is known to be the smaller
        raise ValueError(f"height {x.shape[1]} or width {x.shape[2]} has no middle between two patches of "
                         f"patch_size = {patch_size}")
    starts = (0, patch_size, 2 * patch_size)
    return jnp.concatenate([x[:, top:top + height, left:left + width] for top in starts for left in starts], axis=-1)


def overlapping_windows(x, window_size, overlap):
    """Windows larger than their distance, with zeros around the image, as torch.nn.Unfold cuts them.

    Args:
      x: array (N, H, W, C); H and W are multiples of window_size.
      window_size: distance of the windows, px.
      overlap: how much longer a window's side is, px; even, at most window_size.

    Returns:
      Array (N, windows, (window_size + overlap)**2, C), in the order of jsr.layers.window.window_partition.
    """
    n, height, width, channels = x.shape
    rows, columns, side = height // window_size, width // window_size, window_size + overlap
    around = (overlap // 2, window_size - overlap // 2)  # one block more than there are windows
    x = jnp.pad(x, [(0, 0), around, around, (0, 0)])
    x = x.reshape(n, rows + 1, window_size, width + window_size, channels)
    x = jnp.concatenate([x[:, :-1], x[:, 1:, :overlap]], axis=2)
    x = x.reshape(n, rows, side, columns + 1, window_size, channels)
    x = jnp.concatenate([x[:, :, :, :-1], x[:, :, :, 1:, :overlap]], axis=4)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows * columns, side**2, channels)


def overlap_index(window_size, overlap):
    """The index of each pair in the bias table of overlapping windows: int numpy array (queries, keys).

    quirk: the original meant to shift the differences (key minus query) to start from zero, but many indices are
    negative; they count from the table's end, as negative indices do.
    """
    query, key = (np.divmod(np.arange(side**2), side) for side in (window_size, window_size + overlap))
    rows, columns = (k - q[:, None] + 1 - overlap for q, k in zip(query, key, strict=True))
    return rows * (2 * window_size + overlap - 1) + columns


class ChannelAttentionBlock(nn.Module):
    """Two convolutions over few features, and a weight for each feature made of its mean over the image.

    Submodules are numbered as in the original: `cab_0`, `cab_2`, `cab_3/attention_1`, `cab_3/attention_3`.
    """

    compress_ratio: int
    squeeze_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        x = gelu(Conv(features // self.compress_ratio, dtype=self.dtype, name="cab_0")(x))
        x = Conv(features, dtype=self.dtype, name="cab_2")(x)
        return x * ChannelWeights(self.squeeze_factor, dtype=self.dtype, name="cab_3")(x)


class ChannelWeights(nn.Module):
    """(N, H, W, C) to weights (N, 1, 1, C) in (0, 1), within `local_means` (N, H, W, C)."""

    squeeze_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        squeezed = max(features // self.squeeze_factor, 1)
        y = nn.relu(Conv(squeezed, 1, dtype=self.dtype, name="attention_1")(GlobalMean()(x)))
        return nn.sigmoid(Conv(features, 1, dtype=self.dtype, name="attention_3")(y))


class HybridLayer(nn.Module):
    """Window attention and, weakly, channel attention of the same normalised features; then an MLP (HAB).

    `mlp`, here and in the layers below, is a function of `dtype` and `name` to the module that ends a layer.
    """

    num_heads: int
    window_size: int
    shift: int
    compress_ratio: int
    squeeze_factor: int
    conv_scale: float
    mlp: Callable
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        attention = WindowAttention(self.num_heads, dtype=self.dtype, name="attn")
        y = LayerNorm(dtype=self.dtype, name="norm1")(x)
        by_channel = ChannelAttentionBlock(self.compress_ratio, self.squeeze_factor, dtype=self.dtype,
                                           name="conv_block")(y)
        y = attend_in_windows(attention, y, self.window_size, self.shift)
        x = x + DropPath(self.drop_path)(y) + self.conv_scale * by_channel
        y = LayerNorm(dtype=self.dtype, name="norm2")(x)
        return x + DropPath(self.drop_path)(self.mlp(dtype=self.dtype, name="mlp")(y))


class OverlapLayer(nn.Module):
    """Attention from windows to larger windows around them, and an MLP (OCAB).

    The zeros around the image are keys like all others: a query at the border gives them weight.
    """

    num_heads: int
    window_size: int
    overlap: int
    mlp: Callable
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        channels, side = x.shape[-1], 2 * self.window_size + self.overlap - 1
        y = LayerNorm(dtype=self.dtype, name="norm1")(x)
        query, key_value = jnp.split(Linear(3 * channels, dtype=self.dtype, name="qkv")(y), [channels], axis=-1)
        query, = split_heads(window_partition(query, self.window_size), 1, self.num_heads)
        key, value = split_heads(overlapping_windows(key_value, self.window_size, self.overlap), 2, self.num_heads)
        table = self.param("relative_position_bias_table", normal, (side**2, self.num_heads))
        bias = table[overlap_index(self.window_size, self.overlap) % side**2].transpose(2, 0, 1)
        y = attend(query, key, value, scale=(channels // self.num_heads)**-0.5, bias=bias)
        x = x + Linear(channels, dtype=self.dtype, name="proj")(window_merge(y, *x.shape[1:3]))
        y = LayerNorm(dtype=self.dtype, name="norm2")(x)
        return x + self.mlp(dtype=self.dtype, name="mlp")(y)


class ResidualGroup(nn.Module):
    """Hybrid layers, every second one shifted by half a window, an overlap layer, a convolution; the input added."""

    num_heads: int
    window_size: int
    overlap: int
    compress_ratio: int
    squeeze_factor: int
    conv_scale: float
    mlp: Callable
    drop_paths: tuple[float, ...]  # one a hybrid layer
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        hybrid = nn.remat(HybridLayer) if self.remat else HybridLayer
        overlapping = nn.remat(OverlapLayer) if self.remat else OverlapLayer
        y = x
        for index, drop_path in enumerate(self.drop_paths):
            shift = self.window_size // 2 if index % 2 else 0
            y = hybrid(self.num_heads, self.window_size, shift, self.compress_ratio, self.squeeze_factor,
                       self.conv_scale, self.mlp, drop_path, dtype=self.dtype, name=f"blocks_{index}")(y)
        y = overlapping(self.num_heads, self.window_size, self.overlap, self.mlp, dtype=self.dtype,
                        name="overlap_attn")(y)
        return x + GroupConv(dtype=self.dtype, name="conv")(y)


class HAT(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    With a patch_size, in training, what lies less than that far from a border has no SR image: the output is
    (N, (H - 2 * patch_size) * scale, (W - 2 * patch_size) * scale, 3), of a crop of three patches a side that of the
    one in the middle, to be compared with the batch's `hr_centre`.

    Attributes:
      scale: 1, 3 or a power of two.
      embed_dim: features of the trunk.
      depths, num_heads: hybrid layers, and heads of all attention, of each group.
      window_size: side of the attention windows, px; H and W are multiples of it (ValueError).
      compress_ratio: outer over inner features of the convolutions beside attention.
      squeeze_factor: outer over inner features of channel attention.
      conv_scale: weight of channel attention.
      overlap_ratio: by how much of window_size the keys' windows are larger than the queries'.
      mlp_ratio: hidden over outer features of the MLPs.
      num_feat: features of the head.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      patch_size: MPHAT's: the first convolution sees each pixel with those so many px away, in eight directions, beyond
        the borders those of the mirrored image (`neighbouring_patches`); 0 for HAT, which does not.
      drop_path_rate: rate of the last layer's stochastic depth in training, rising to it linearly from 0.
      remat: layers are computed again in the backward pass, which saves their memory; same parameters, same results.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 180
    depths: tuple[int, ...] = (6,) * 6
    num_heads: tuple[int, ...] = (6,) * 6
    window_size: int = 16
    compress_ratio: int = 3
    squeeze_factor: int = 30
    conv_scale: float = 0.01
    overlap_ratio: float = 0.5
    mlp_ratio: float = 2.0
    num_feat: int = 64
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    patch_size: int = 0
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return self.window_size

    @property
    def overlap(self):
        return int(self.overlap_ratio * self.window_size)

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        x = (lr - mean) * self.img_range
        if self.patch_size:
            x = x if train else mirrored(x, self.patch_size)
            x = neighbouring_patches(x, self.patch_size)
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")(x)
        y = LayerNorm(dtype=self.dtype, name="patch_embed_norm")(head)
        mlp = functools.partial(MLP, self.mlp_ratio)
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, self.depths)
        groups = [ResidualGroup(
            num_heads, self.window_size, self.overlap, self.compress_ratio, self.squeeze_factor, self.conv_scale, mlp,
            tuple(drop_paths), self.remat, dtype=self.dtype, name=f"layers_{index}")
            for index, (num_heads, drop_paths) in enumerate(zip(self.num_heads, rates, strict=True))]
        y = in_turn(groups, y, varying="drop_paths")
        y = LayerNorm(dtype=self.dtype, name="norm")(y)
        y = GroupConv(dtype=self.dtype, name="conv_after_body")(y) + head
        y = Reconstruction("pixelshuffle", self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        return y.astype(lr.dtype) / self.img_range + mean


VARIANTS = {  # parameters at x4
    "base": dict(),  # HAT; 20.77 M
    "small": dict(embed_dim=144, compress_ratio=24, squeeze_factor=24),  # HAT-S; 9.62 M
    "large": dict(depths=(6,) * 12, num_heads=(6,) * 12),  # HAT-L; 40.85 M
    "hft": dict(depths=(6,) * 10, num_heads=(6,) * 10),  # at scale 1; 33.86 M
    "mphat": dict(patch_size=64, mean=(0.0, 0.0, 0.0)),  # 20.81 M
}

SMALL = dict(embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, compress_ratio=3, squeeze_factor=4, num_feat=4,
             conv_scale=0.5, drop_path_rate=0.0)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return HAT(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="HAT, window and channel attention and overlapping windows",
    paper="Chen et al., Activating More Pixels in Image Super-Resolution Transformer, CVPR 2023",
    code="XPixelGroup/HAT (Apache-2.0)",
    scales=(1, 2, 3, 4),
    variant_scales={"small": (2, 3, 4), "large": (2, 3, 4), "hft": (1,), "mphat": (4,)},
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(16, "reflect"),
)
