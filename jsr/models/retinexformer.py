"""Retinexformer: an estimated illumination brightens the image and guides the attention of the U-net that restores it.

Paper: Cai et al., ICCV 2023, arXiv:2303.06705. Structure, initialisation and variant as in caiyuanhao1998/Retinexformer
(basicsr/models/archs/RetinexFormer_arch.py; Options/). Attention is between channels, its weights made of all pixels:
those of a tile differ.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import Linear, attend_between_channels, split_heads
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card


class Estimator(nn.Module):
    """An image (N, H, W, 3) to features of its illumination, (N, H, W, num_feat), and a map a colour, (N, H, W, 3).

    Attributes:
      num_feat: a multiple of 4.
      dtype: dtype of the computation.

    Submodules: `conv1`, `depth_conv` (of four groups), `conv2`.
    """

    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, image):
        x = jnp.concatenate([image, image.mean(-1, keepdims=True)], axis=-1)
        x = Conv(self.num_feat, 1, dtype=self.dtype, name="conv1")(x)
        features = Conv(self.num_feat, 5, groups=4, dtype=self.dtype, name="depth_conv")(x)
        return features, Conv(image.shape[-1], 1, dtype=self.dtype, name="conv2")(features)


class GuidedAttention(nn.Module):
    """Attention between channels whose values are multiplied by a guide, beside convolutions of the values (IG-MSA).

    Attributes:
      num_heads: divides the channels.
      dtype: dtype of the computation, but for the logits.

    Parameters: `rescale` (num_heads, 1, 1); submodules `to_q`, `to_k`, `to_v`, `proj`, `pos_emb_0`, `pos_emb_2`.
    """

    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, guide):
        """Two arrays (N, H, W, C) to one of the same shape."""
        channels = x.shape[-1]
        query, key, value = (Linear(channels, use_bias=False, dtype=self.dtype, name=f"to_{letter}")(x)
                             for letter in "qkv")
        rescale = self.param("rescale", nn.initializers.ones, (self.num_heads, 1, 1))
        q, k, v = (split_heads(part, 1, self.num_heads)[0] for part in (query, key, value * guide))
        y = attend_between_channels(k, q, v, rescale)  # a channel's weights are of its key and all queries
        y = Linear(channels, dtype=self.dtype, name="proj")(y)
        position = gelu(Conv(channels, groups=channels, use_bias=False, dtype=self.dtype, name="pos_emb_0")(value))
        return y + Conv(channels, groups=channels, use_bias=False, dtype=self.dtype, name="pos_emb_2")(position)


class FeedForward(nn.Module):
    """1x1 to four times the features, depthwise 3x3, 1x1 back, with GELUs between: `net_0`, `net_2`, `net_4`."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features, hidden = x.shape[-1], 4 * x.shape[-1]
        x = gelu(Conv(hidden, 1, use_bias=False, dtype=self.dtype, name="net_0")(x))
        x = gelu(Conv(hidden, groups=hidden, use_bias=False, dtype=self.dtype, name="net_2")(x))
        return Conv(features, 1, use_bias=False, dtype=self.dtype, name="net_4")(x)


class GuidedBlock(nn.Module):
    """GuidedAttention, and a FeedForward of normalised features, each added to its input: `attn`, `norm`, `ffn`."""

    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, guide):
        x = x + GuidedAttention(self.num_heads, dtype=self.dtype, name="attn")(x, guide)
        y = LayerNorm(dtype=self.dtype, name="norm")(x)
        return x + FeedForward(dtype=self.dtype, name="ffn")(y)


class Denoiser(nn.Module):
    """A U-net of guided blocks that adds its output to the image.

    Attributes:
      num_feat: features at full size, twice as many at each half of it; and of a head of attention at all sizes.
      num_blocks: of each level of encoder and decoder, from full size, and of the smallest size between them.
      dtype: dtype of the computation.

    Submodules: `embedding`, blocks `encoder_0_0`..., `bottleneck_0`..., `decoder_0_0`... of the smallest size first,
    between them `down_0`, `guide_down_0`..., `up_0`, `fuse_0`...; `mapping`.
    """

    num_feat: int
    num_blocks: tuple[int, ...]
    dtype: Any = None

    @nn.compact
    def __call__(self, image, guide):
        """An image (N, H, W, C) and what guides attention, (N, H, W, num_feat), to an image of the first's dtype."""
        *levels, bottleneck = self.num_blocks
        x, skips = Conv(self.num_feat, use_bias=False, dtype=self.dtype, name="embedding")(image), []
        for level, count in enumerate(levels):
            x = self.blocks(x, guide, f"encoder_{level}", count)
            skips.append((x, guide, count))
            x, guide = (Conv(2 * part.shape[-1], 4, strides=2, padding=1, use_bias=False, dtype=self.dtype,
                             name=f"{name}_{level}")(part) for name, part in (("down", x), ("guide_down", guide)))
        x = self.blocks(x, guide, "bottleneck", bottleneck)
        for level, (skip, guide, count) in enumerate(reversed(skips)):
            x = TransposedConv(skip.shape[-1], dtype=self.dtype, name=f"up_{level}")(x)
            x = jnp.concatenate([x, skip], axis=-1)
            x = Conv(skip.shape[-1], 1, use_bias=False, dtype=self.dtype, name=f"fuse_{level}")(x)
            x = self.blocks(x, guide, f"decoder_{level}", count)
        x = Conv(image.shape[-1], use_bias=False, dtype=self.dtype, name="mapping")(x)
        return image + x.astype(image.dtype)

    def blocks(self, x, guide, name, count):
        for index in range(count):
            block = GuidedBlock(x.shape[-1] // self.num_feat, dtype=self.dtype, name=f"{name}_{index}")
            x = block(x, guide)
        return x


class Stage(nn.Module):
    """(N, H, W, 3) to the same shape and dtype: an estimator, and the denoiser of what it has brightened.

    Attributes: see Denoiser. Submodules: `estimator`, `denoiser`.
    """

    num_feat: int
    num_blocks: tuple[int, ...]
    dtype: Any = None

    @nn.compact
    def __call__(self, image):
        features, illumination = Estimator(self.num_feat, dtype=self.dtype, name="estimator")(image)
        bright = image + image * illumination.astype(image.dtype)
        return Denoiser(self.num_feat, self.num_blocks, dtype=self.dtype, name="denoiser")(bright, features)


class Retinexformer(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped.

    H and W are multiples of 2**(len(num_blocks) - 1).

    Attributes:
      scale: 1.
      num_feat: features at full size, a multiple of 4.
      num_blocks: numbers of blocks of each level, the smallest size last.
      num_stage: estimators, each with its denoiser, one after the other.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 40
    num_blocks: tuple[int, ...] = (1, 2, 2)
    num_stage: int = 1
    dtype: Any = None

    @property
    def size_multiple(self):
        return 2**(len(self.num_blocks) - 1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x = lr
        for index in range(self.num_stage):
            x = Stage(self.num_feat, self.num_blocks, dtype=self.dtype, name=f"stages_{index}")(x)
        return x


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=40, num_blocks=(1, 2, 2), num_stage=1),  # 1.61 M
}

SMALL = dict(num_feat=4, num_blocks=(0, 1))  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Retinexformer(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Retinexformer, attention guided by the illumination",
    paper="Cai et al., Retinexformer: One-stage Retinex-based Transformer for Low-light Image Enhancement, ICCV 2023",
    code="caiyuanhao1998/Retinexformer (MIT)",
    scales=(1,),
    task="restoration",
    padding=Padding(4, "reflect"),
)
