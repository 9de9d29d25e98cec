"""SCUNet: a U-net whose blocks convolve one half of the features and attend within windows over the other.

Paper: Zhang et al., Practical Blind Image Denoising via Swin-Conv-UNet and Data Synthesis, Machine Intelligence
Research 2023, arXiv:2203.13278. Structure, fields and initialisation as in cszn/SCUNet, models/network_scunet.py; the
enhanced one of PixelArtAI in the NTIRE 2024 challenge on compressed images as in
zdyshine/BasicSR-NTIRE2024-Compressed-Image, basicsr/archs/scunet_arch.py. There the network pads its input itself; here
it takes multiples alone. Stochastic depth, whose rate no published training has above zero, is left out.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import attend, normal, split_heads
from jsr.layers.conv import Conv
from jsr.layers.linear import Linear
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.upsample import TransposedConv
from jsr.layers.window import attend_in_windows, relative_position_index
from jsr.models._card import Card


class WindowAttention(nn.Module):
    """Swin's window attention, with PyTorch's initialisation and the table of positions as (heads, rows, columns)."""

    num_heads: int
    window_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, windows, regions=None):
        channels, rows = windows.shape[-1], 2 * self.window_size - 1
        table = self.param("relative_position_params", normal, (self.num_heads, rows, rows))
        bias = table.reshape(self.num_heads, -1)[:, relative_position_index(self.window_size)]
        qkv = Linear(3 * channels, dtype=self.dtype, name="embedding_layer")(windows)
        y = attend(*split_heads(qkv, 3, self.num_heads), scale=(channels // self.num_heads)**-0.5, bias=bias,
                   regions=regions)
        return Linear(channels, dtype=self.dtype, name="linear")(y)


class SwinBlock(nn.Module):
    """Window attention and an MLP of four times the features, each on normalised features and added to them."""

    head_dim: int
    window_size: int
    shift: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        attention = WindowAttention(features // self.head_dim, self.window_size, dtype=self.dtype, name="msa")
        y = LayerNorm(dtype=self.dtype, name="ln1")(x)
        x = x + attend_in_windows(attention, y, self.window_size, self.shift)
        y = LayerNorm(dtype=self.dtype, name="ln2")(x)
        y = gelu(Linear(4 * features, dtype=self.dtype, name="mlp_0")(y))
        return x + Linear(features, dtype=self.dtype, name="mlp_1")(y)


class SwinConvBlock(nn.Module):
    """A residual block on one half of the features and a SwinBlock on the other, between 1x1 convolutions; x added."""

    head_dim: int
    window_size: int
    shift: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        convolved, attended = jnp.split(Conv(features, 1, dtype=self.dtype, name="conv1_1")(x), 2, axis=-1)
        y = Conv(features // 2, use_bias=False, dtype=self.dtype, name="conv_block_0")(convolved)
        y = Conv(features // 2, use_bias=False, dtype=self.dtype, name="conv_block_1")(nn.relu(y))
        trans_block = SwinBlock(self.head_dim, self.window_size, self.shift, dtype=self.dtype, name="trans_block")
        y = jnp.concatenate([convolved + y, trans_block(attended)], axis=-1)
        return x + Conv(features, 1, dtype=self.dtype, name="conv1_2")(y)


class SCUNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped; nothing of the input is added to it.

    Attributes:
      scale: 1.
      dim: features at the image's size, twice as many at each of the three coarser ones.
      depths: blocks going down, at the coarsest size, and going up.
      head_dim: features of an attention head; divides dim / 2.
      window_size: side of the attention windows, px; H and W are multiples of 8 times it (ValueError).
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int = 1
    dim: int = 64
    depths: tuple[int, ...] = (4,) * 7
    head_dim: int = 32
    window_size: int = 8
    dtype: Any = None

    @property
    def size_multiple(self):
        return 8 * self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x = Conv(self.dim, use_bias=False, dtype=self.dtype, name="m_head")(lr)
        skips = [x]
        for level, depth in enumerate(self.depths[:3], 1):
            x = self.blocks(x, depth, f"m_down{level}")
            x = Conv(2 * x.shape[-1], 2, 2, padding=0, use_bias=False, dtype=self.dtype, name=f"m_down{level}_conv")(x)
            skips.append(x)
        x = self.blocks(x, self.depths[3], "m_body")
        for level, depth in zip((3, 2, 1), self.depths[4:], strict=True):
            x += skips.pop()
            x = TransposedConv(x.shape[-1] // 2, use_bias=False, dtype=self.dtype, name=f"m_up{level}_conv")(x)
            x = self.blocks(x, depth, f"m_up{level}")
        x = Conv(lr.shape[-1], use_bias=False, dtype=self.dtype, name="m_tail")(x + skips.pop())
        return x.astype(lr.dtype)

    def blocks(self, x, depth, name):
        """Blocks with numbers behind the name; the windows of every second one are shifted by half."""
        for index in range(depth):
            shift = self.window_size // 2 if index % 2 else 0
            x = SwinConvBlock(self.head_dim, self.window_size, shift, dtype=self.dtype, name=f"{name}_{index}")(x)
        return x


VARIANTS = {
    "base": dict(),  # 17.95 M
    "enhanced": dict(dim=96, depths=(4, 4, 6, 8, 6, 6, 4), head_dim=48),  # 69.09 M
}

SMALL = dict(dim=8, depths=(0, 0, 0, 2, 0, 0, 0), head_dim=2, window_size=2)  # the same, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SCUNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SCUNet, a U-net of convolutions beside window attention",
    paper="Zhang et al., Practical Blind Image Denoising via Swin-Conv-UNet and Data Synthesis, Machine Intelligence "
          "Research 2023",
    code="cszn/SCUNet (Apache-2.0), zdyshine/BasicSR-NTIRE2024-Compressed-Image (Apache-2.0)",
    scales=(1,),
    task="restoration",
    padding=Padding(64, "replicate"),
)
