"""TCIR: JPEG artefacts removed by Swin V2 layers and dense blocks at half size; VUE's for AIM 2022's compressed SR.

Section 4.1 of the challenge's report: the first of two stages, before an RRDBNet that enlarges. It states: SwinIR with
a convolution of stride 2 at its beginning, with layers of Swin V2, and with several RRDBs added to its basic blocks.
There is no public code.

Inferred: SwinIR's width and depths; an RRDB of the width of the trunk between each group's layers and its convolution;
back to the input's size by SwinIR's classical head, and added to the input, as SwinIR does where it does not enlarge.
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
from jsr.models.rrdbnet import RRDB
from jsr.models.swin2sr import SwinV2Layer


class HybridGroup(nn.Module):
    """Swin V2 layers, every second one shifted by half a window, an RRDB and a convolution; the input added."""

    num_heads: int
    window_size: int
    mlp_ratio: float
    drop_paths: tuple[float, ...]  # one a layer
    num_grow_ch: int
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        layer = nn.remat(SwinV2Layer) if self.remat else SwinV2Layer
        block = nn.remat(RRDB) if self.remat else RRDB
        y = x
        for index, drop_path in enumerate(self.drop_paths):
            shift = self.window_size // 2 if index % 2 else 0
            y = layer(self.num_heads, self.window_size, shift, self.mlp_ratio, drop_path, dtype=self.dtype,
                      name=f"blocks_{index}")(y)
        y = block(self.num_grow_ch, dtype=self.dtype, name="rrdb")(y)
        return x + GroupConv(dtype=self.dtype, name="conv")(y)


class TCIR(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape without compression artefacts, in the input's dtype and not clipped.

    Attributes:
      scale: 1.
      embed_dim: features of the trunk.
      depths, num_heads: layers, and heads of their attention, of each group.
      window_size: side of the attention windows, px of the trunk's half size; H and W are multiples of twice that.
      mlp_ratio: hidden over outer features of the MLPs.
      num_grow_ch: features that each convolution of a dense block adds.
      num_feat: features of the head.
      mean: RGB mean in [0, 1] that is subtracted from what the trunk gets.
      drop_path_rate: rate of the last layer's stochastic depth in training, rising to it linearly from 0.
      remat: layers and RRDBs are computed again in the backward pass, which saves their memory; same results.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 180
    depths: tuple[int, ...] = (6,) * 6
    num_heads: tuple[int, ...] = (6,) * 6
    window_size: int = 8
    mlp_ratio: float = 2.0
    num_grow_ch: int = 32
    num_feat: int = 64
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that H and W are multiples of, px."""
        return 2 * self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = lr - jnp.asarray(self.mean, lr.dtype)
        head = Conv(self.embed_dim, strides=2, padding=1, dtype=self.dtype, name="conv_first")(x)
        y = LayerNorm(dtype=self.dtype, name="patch_embed_norm")(head)
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, self.depths)
        for index, (num_heads, drop_paths) in enumerate(zip(self.num_heads, rates, strict=True)):
            y = HybridGroup(num_heads, self.window_size, self.mlp_ratio, tuple(drop_paths), self.num_grow_ch,
                            self.remat, dtype=self.dtype, name=f"layers_{index}")(y)
        y = LayerNorm(dtype=self.dtype, name="norm")(y)
        y = GroupConv(dtype=self.dtype, name="conv_after_body")(y) + head
        y = Reconstruction("pixelshuffle", 2, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        return lr + y.astype(lr.dtype)


VARIANTS = {
    "base": dict(),  # 25.58 M
}

SMALL = dict(embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, num_grow_ch=4, num_feat=4,
             drop_path_rate=0.0)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return TCIR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="TCIR, Swin V2 layers and dense blocks at half size against JPEG artefacts",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022",
    code="",
    scales=(1,),
    task="restoration",
    padding=Padding(16, "flip", always=True),
)
