"""CIDBNet: a branch of convolutions and one of window attention that meet again and again; of AIM 2022's compressed SR.

Section 4.4 of the challenge's report (team CASIA LCVG), and the abstract of Qin et al., ECCV Workshops 2022: two
branches, for what is local and for what is not, joined by an adaptive cross-branch fusion module (ACFM), where
cross-attention enhances each by the other and a map made of both weighs them. There is no public code; all else here is
a sketch.

Inferred: the frame is HAT's, with its width, window, six groups of six layers and head. In a group both branches start
from the same features; the one has SwinIR's layers, the other HAT's convolutions with channel attention, each added to
its input; ACFM and a convolution close the group. ACFM attends in the windows of the layers, after a normalisation, and
its map is a 3x3 convolution's. The entry averages three networks: CIDBNet, CIDBNet_NF and CIDBNet_NFE. Their names are
taken for "no fusion", where branches meet by their mean, and "no fusion, extended", of eight groups.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.attention import Linear, attend, normal, split_heads
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.layers.window import relative_position_index, window_merge, window_partition
from jsr.models._card import Card
from jsr.models.hat import ChannelAttentionBlock
from jsr.models.swinir import SwinLayer


class CrossAttention(nn.Module):
    """Attention from each pixel of an image of features to the pixels of another in the same window."""

    num_heads: int
    window_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, other):
        """(N, H, W, C) twice to (N, H, W, C); H and W are multiples of window_size."""
        channels = x.shape[-1]

        def heads(image, parts, name):
            image = Linear(parts * channels, dtype=self.dtype, name=name)(image)
            return split_heads(window_partition(image, self.window_size), parts, self.num_heads)

        table = self.param("relative_position_bias_table", normal, ((2 * self.window_size - 1)**2, self.num_heads))
        bias = table[relative_position_index(self.window_size)].transpose(2, 0, 1)
        y = attend(*heads(x, 1, "q"), *heads(other, 2, "kv"), scale=(channels // self.num_heads)**-0.5, bias=bias)
        return Linear(channels, dtype=self.dtype, name="proj")(window_merge(y, *x.shape[1:3]))


class AdaptiveFusion(nn.Module):
    """Two branches, each enhanced by the other, and their mean weighted for every value of every pixel (ACFM)."""

    num_heads: int
    window_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, one, other):
        """(N, H, W, C) twice to (N, H, W, C)."""
        def attention(name):
            return CrossAttention(self.num_heads, self.window_size, dtype=self.dtype, name=name)

        a, b = (LayerNorm(dtype=self.dtype, name=f"norm{index}")(x) for index, x in ((1, one), (2, other)))
        one, other = one + attention("attn1")(a, b), other + attention("attn2")(b, a)
        both = jnp.concatenate([one, other], -1)
        weight = nn.sigmoid(Conv(one.shape[-1], dtype=self.dtype, name="conv_map")(both))
        return weight * one + (1 - weight) * other


class DualBranchGroup(nn.Module):
    """Layers of window attention, every second one shifted by half a window, beside layers of convolutions with channel
    attention; both joined, a convolution, and the input added."""

    num_heads: int
    window_size: int
    compress_ratio: int
    squeeze_factor: int
    mlp_ratio: float
    drop_paths: tuple[float, ...]  # one a layer of attention
    fusion: bool
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        layer = nn.remat(SwinLayer) if self.remat else SwinLayer
        convolutions = nn.remat(ChannelAttentionBlock) if self.remat else ChannelAttentionBlock
        near = far = x
        for index, drop_path in enumerate(self.drop_paths):
            shift = self.window_size // 2 if index % 2 else 0
            far = layer(self.num_heads, self.window_size, shift, self.mlp_ratio, drop_path, dtype=self.dtype,
                        name=f"attention_{index}")(far)
            near += convolutions(self.compress_ratio, self.squeeze_factor, dtype=self.dtype, name=f"conv_{index}")(near)
        if self.fusion:
            y = AdaptiveFusion(self.num_heads, self.window_size, dtype=self.dtype, name="fusion")(far, near)
        else:
            y = (far + near) / 2
        return x + GroupConv(dtype=self.dtype, name="conv")(y)


class CIDBNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      embed_dim: features of the trunk.
      depths, num_heads: layers of each branch, and heads of all attention, of each group.
      window_size: side of the attention windows, px; H and W are multiples of it (ValueError).
      compress_ratio: outer over inner features of the convolutions.
      squeeze_factor: outer over inner features of channel attention.
      mlp_ratio: hidden over outer features of the MLPs.
      fusion: branches are joined by ACFM, else by their mean.
      num_feat: features of the head.
      mean: RGB mean in [0, 1] that is subtracted before and added after.
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
    mlp_ratio: float = 2.0
    fusion: bool = True
    num_feat: int = 64
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that H and W are multiples of, px."""
        return self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")(lr - mean)
        y = LayerNorm(dtype=self.dtype, name="patch_embed_norm")(head)
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, self.depths)
        for index, (num_heads, drop_paths) in enumerate(zip(self.num_heads, rates, strict=True)):
            y = DualBranchGroup(
                num_heads, self.window_size, self.compress_ratio, self.squeeze_factor, self.mlp_ratio,
                tuple(drop_paths), self.fusion, self.remat, dtype=self.dtype, name=f"layers_{index}")(y)
        y = LayerNorm(dtype=self.dtype, name="norm")(y)
        y = GroupConv(dtype=self.dtype, name="conv_after_body")(y) + head
        y = Reconstruction("pixelshuffle", self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        return y.astype(lr.dtype) + mean


VARIANTS = {  # parameters at x4
    "base": dict(),  # 24.29 M
    "nf": dict(fusion=False),  # 19.15 M
    "nfe": dict(fusion=False, depths=(6,) * 8, num_heads=(6,) * 8),  # 25.30 M
}

SMALL = dict(embed_dim=8, depths=(2,), num_heads=(2,), window_size=4, compress_ratio=2, squeeze_factor=4, num_feat=4,
             drop_path_rate=0.0)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return CIDBNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="CIDBNet, a branch of convolutions and one of window attention",
    paper="Qin et al., CIDBNet: A Consecutively-Interactive Dual-Branch Network for JPEG Compressed Image "
          "Super-Resolution, ECCV Workshops 2022",
    code="",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(16, "reflect"),
)
