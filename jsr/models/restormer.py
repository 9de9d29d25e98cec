"""Restormer: a U-net of transformers whose attention is between channels, so that its cost grows with the pixels.

Paper: Zamir et al., CVPR 2022, arXiv:2111.09881. Structure, fields and initialisation as in swz30/Restormer,
basicsr/models/archs/restormer_arch.py. Attention's weights are made of all pixels of an image: those of tiles differ.
"""

from typing import Any

import flax.linen as nn
from jax import lax
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import attend_between_channels, split_heads
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card


class BiasFreeNorm(nn.Module):
    """LayerNorm over the channels without the subtraction of their mean, and without a bias."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        y = x.astype(scale.dtype)
        y = y * lax.rsqrt(y.var(-1, keepdims=True) + 1e-5) * scale
        return y.astype(self.dtype or y.dtype)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention: from channels to channels of a head, by their products over all pixels.

    Attributes:
      num_heads: divides the channels.
      use_bias: whether the convolutions have a bias.
      dtype: dtype of the computation, but for the logits, which are float32.

    Parameters: `temperature` (num_heads, 1, 1); submodules `qkv`, `qkv_dwconv`, `project_out`.
    """

    num_heads: int
    use_bias: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        channels = x.shape[-1]
        temperature = self.param("temperature", nn.initializers.ones, (self.num_heads, 1, 1))
        qkv = Conv(3 * channels, 1, use_bias=self.use_bias, dtype=self.dtype, name="qkv")(x)
        qkv = Conv(3 * channels, groups=3 * channels, use_bias=self.use_bias, dtype=self.dtype, name="qkv_dwconv")(qkv)
        query, key, value = split_heads(qkv, 3, self.num_heads)
        y = attend_between_channels(query, key, value, temperature)
        return Conv(channels, 1, use_bias=self.use_bias, dtype=self.dtype, name="project_out")(y)


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network: one half of the convolved features, through a GELU, times the other half.

    Attributes:
      hidden_features: features of each half.
      use_bias: whether the convolutions have a bias.
      dtype: dtype of the computation.

    Submodules: `project_in`, `dwconv`, `project_out`.
    """

    hidden_features: int
    use_bias: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        features, inner = x.shape[-1], 2 * self.hidden_features
        y = Conv(inner, 1, use_bias=self.use_bias, dtype=self.dtype, name="project_in")(x)
        y = Conv(inner, groups=inner, use_bias=self.use_bias, dtype=self.dtype, name="dwconv")(y)
        gate, y = jnp.split(y, 2, axis=-1)
        return Conv(features, 1, use_bias=self.use_bias, dtype=self.dtype, name="project_out")(gelu(gate) * y)


class TransformerBlock(nn.Module):
    """MDTA and GDFN, each of normalised features and added to its input.

    Attributes:
      num_heads: number of heads of the attention.
      ffn_factor: hidden over outer features of the GDFN, rounded down.
      norm_bias: LayerNorm, rather than BiasFreeNorm.
      dtype: dtype of the computation.

    Submodules: `norm1`, `attn`, `norm2`, `ffn`.
    """

    num_heads: int
    ffn_factor: float = 2.66
    norm_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        norm = LayerNorm if self.norm_bias else BiasFreeNorm
        hidden_features = int(x.shape[-1] * self.ffn_factor)
        x = x + MDTA(self.num_heads, dtype=self.dtype, name="attn")(norm(dtype=self.dtype, name="norm1")(x))
        return x + GDFN(hidden_features, dtype=self.dtype, name="ffn")(norm(dtype=self.dtype, name="norm2")(x))


class Downsample(nn.Module):
    """(N, H, W, C) to (N, H / 2, W / 2, 2 C): 3x3 convolution, pixel unshuffle. Submodule: `conv`."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        return pixel_unshuffle(Conv(x.shape[-1] // 2, use_bias=False, dtype=self.dtype, name="conv")(x), 2)


class Upsample(nn.Module):
    """(N, H, W, C) to (N, 2 H, 2 W, C / 2): 3x3 convolution, pixel shuffle. Submodule: `conv`."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        return pixel_shuffle(Conv(2 * x.shape[-1], use_bias=False, dtype=self.dtype, name="conv")(x), 2)


class Trunk(nn.Module):
    """Everything but the last convolution: an image (N, H, W, C) to features (N, H, W, 2 * dim).

    Submodules: `patch_embed`, the blocks of each stage (`encoder_level1_0`..., `latent_0`..., `decoder_level1_0`...,
    `refinement_0`...), `down1_2`..., `up2_1`..., `reduce_chan_level2`...

    Attributes:
      dim: features at the image's size; twice as many at each further level.
      num_blocks, heads: of each level, the last being the coarsest. H and W are multiples of 2**(levels - 1).
      num_refinement_blocks: behind the decoder.
      ffn_factor, norm_bias: see TransformerBlock.
      remat: blocks are computed again in the backward pass.
      dtype: dtype of the computation.
    """

    dim: int = 48
    num_blocks: tuple[int, ...] = (4, 6, 6, 8)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    num_refinement_blocks: int = 4
    ffn_factor: float = 2.66
    norm_bias: bool = True
    remat: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, image, modulate=lambda x, name: x):
        """`modulate` makes of each decoder level's features and name, as "decoder_level3", the next level's input.

        Submodules that it makes are the trunk's.
        """
        *levels, coarsest = zip(self.num_blocks, self.heads, strict=True)
        x, skips = self.embed(image), []
        for level, (num_blocks, heads) in enumerate(levels, 1):
            x = self.stage(x, f"encoder_level{level}", num_blocks, heads)
            skips.append(x)
            x = Downsample(dtype=self.dtype, name=f"down{level}_{level + 1}")(x)
        x = self.stage(x, "latent", *coarsest)
        for level, (num_blocks, heads) in reversed(list(enumerate(levels, 1))):
            x = Upsample(dtype=self.dtype, name=f"up{level + 1}_{level}")(x)
            x = jnp.concatenate([x, skips.pop()], axis=-1)
            if level > 1:
                x = Conv(x.shape[-1] // 2, 1, use_bias=False, dtype=self.dtype, name=f"reduce_chan_level{level}")(x)
            x = self.stage(x, f"decoder_level{level}", num_blocks, heads)
            x = modulate(x, f"decoder_level{level}")
        return self.stage(x, "refinement", self.num_refinement_blocks, self.heads[0])

    def embed(self, image):
        """The features that the first level gets."""
        return Conv(self.dim, use_bias=False, dtype=self.dtype, name="patch_embed")(image)

    def stage(self, x, name, num_blocks, heads):
        """Transformer blocks of one size, with numbers behind the name."""
        block = nn.remat(TransformerBlock) if self.remat else TransformerBlock
        for index in range(num_blocks):
            x = block(heads, self.ffn_factor, self.norm_bias, dtype=self.dtype, name=f"{name}_{index}")(x)
        return x


class Restormer(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped: the trunk's features, convolved, are added.

    Attributes:
      scale: 1.
      dim, num_blocks, heads, num_refinement_blocks, ffn_factor, norm_bias, remat: see Trunk.
      zero_start: the last convolution starts at zero, so that the network begins as the image itself.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int = 1
    dim: int = 48
    num_blocks: tuple[int, ...] = (4, 6, 6, 8)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    num_refinement_blocks: int = 4
    ffn_factor: float = 2.66
    norm_bias: bool = True
    remat: bool = False
    zero_start: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return 2**(len(self.num_blocks) - 1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        return self.restore(lr)

    def restore(self, lr, **options):
        """The restored image; `options` are of the trunk's call."""
        output = Conv(lr.shape[-1], use_bias=False, zero_start=self.zero_start, dtype=self.dtype, name="output")
        return lr + output(self.trunk(lr, **options)).astype(lr.dtype)

    def trunk(self, lr, **options):
        """The features of a Trunk with this network's fields."""
        trunk = Trunk(self.dim, self.num_blocks, self.heads, self.num_refinement_blocks, self.ffn_factor,
                      self.norm_bias, self.remat, dtype=self.dtype, name="trunk")
        return trunk(lr, **options)


VARIANTS = {
    "base": dict(),                      # 26.127 M
    "bias_free": dict(norm_bias=False),  # 26.112 M, the original's for noise
}

SMALL = dict(dim=8, num_blocks=(1, 1), heads=(1, 2), num_refinement_blocks=1)  # the same, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Restormer(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Restormer, a U-net of transformers with attention between channels",
    paper="Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022",
    code="swz30/Restormer (its own licence, for academic use)",
    scales=(1,),
    task="restoration",
    padding=Padding(8, "reflect"),
)
