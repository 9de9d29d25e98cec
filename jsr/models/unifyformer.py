"""UnifyFormer: Restormer's U-net with a linear attention between pixels before each one between channels.

Report: section 4.3 of the NTIRE 2024 challenge on blind enhancement of compressed images (Titans). Structure and
defaults as in yasharora102/UnifyFormer, unifyformer_arch.py. The report has 48 features and 4 refinement blocks; the
code has 50 and 2, which alone divide into the attention's five parts and come to the submitted 110 MB. The attention's
softmax is over all pixels of an image: those of tiles differ.
"""

from typing import Any

import flax.linen as nn
from jax import lax
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.models._card import Card
from jsr.models.restormer import GDFN, MDTA, Trunk


class ImageNorm(nn.Module):
    """LayerNorm over the channels. Parameters: `scale` and `bias`, (1, 1, 1, C) as the original has them."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        shape = 1, 1, 1, x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        dtype = jnp.promote_types(x.dtype, scale.dtype)
        y = LayerNorm(use_bias=False, use_scale=False, dtype=dtype)(x) * scale + bias
        return y.astype(self.dtype or y.dtype)


class SeparableConv(nn.Module):
    """A depthwise and a pointwise convolution without biases. Submodules: `conv1`, `pointwise_conv`."""

    features: int
    kernel_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = Conv(x.shape[-1], self.kernel_size, groups=x.shape[-1], use_bias=False, dtype=self.dtype, name="conv1")(x)
        return Conv(self.features, 1, use_bias=False, dtype=self.dtype, name="pointwise_conv")(y)


def linear_attention(query, key, value):
    """query (softmax of key over all pixels)^T value of each head: (N, H, W, C, heads) each to (N, H, W, heads * C)."""
    logits = key.astype(jnp.float32)
    weights = jnp.exp(logits - lax.stop_gradient(logits.max((1, 2), keepdims=True)))
    # Divided by their sum last: float16 does not hold the softmax of many pixels.
    context = jnp.einsum("nyxch,nyxdh->nhcd", weights.astype(key.dtype), value, preferred_element_type=jnp.float32)
    context /= weights.sum((1, 2)).swapaxes(1, 2)[..., None]
    y = jnp.einsum("nyxch,nhcd->nyxhd", query, context.astype(value.dtype))
    return y.reshape(*y.shape[:-2], -1)


class UnifyAttention(nn.Module):
    """Linear attention between all pixels over four fifths of the channels, and a convolution for the last fifth.

    Channel 3 c + l of `qkv` is channel c of the queries, the keys or the values. The first fifth of each of the three
    stays as it is; the next fifths are filtered, by kernels of 3, 5 and 7 px that the three share; the last fifths of
    the three together are filtered into one.

    Attributes:
      num_heads: divides four fifths of the channels. Neighbouring channels are of different heads.
      dtype: dtype of the computation, but for the softmax, which is float32.

    Submodules: `qkv`, `agg0` and `agg0_norm` of the last fifths, `agg1`, `agg2` and `agg3` of the others, `proj`.
    """

    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        channels, part = x.shape[-1], x.shape[-1] // 5
        if channels % 5 or 4 * part % self.num_heads:
            raise ValueError(f"four fifths of {channels} channels do not split into num_heads = {self.num_heads}")
        qkv = Conv(3 * channels, 1, use_bias=False, dtype=self.dtype, name="qkv")(x)
        shared, rest = jnp.split(qkv, [12 * part], axis=-1)
        local = SeparableConv(part, 3, dtype=self.dtype, name="agg0")(rest)
        local = gelu(ImageNorm(dtype=self.dtype, name="agg0_norm")(local))

        shared = jnp.moveaxis(shared.reshape(*x.shape[:-1], 4 * part, 3), -1, 0).reshape(-1, *x.shape[1:-1], 4 * part)
        parts = jnp.split(shared, 4, axis=-1)
        for index in (1, 2, 3):
            parts[index] = SeparableConv(part, 2 * index + 1, dtype=self.dtype, name=f"agg{index}")(parts[index])
        shared = gelu(jnp.concatenate(parts, axis=-1))
        y = linear_attention(*shared.reshape(3, *x.shape[:-1], -1, self.num_heads))
        y = (channels // self.num_heads)**-0.5 * y
        return Conv(channels, 1, use_bias=False, dtype=self.dtype, name="proj")(jnp.concatenate([y, local], axis=-1))


class UnifyBlock(nn.Module):
    """UnifyAttention, GDFN, MDTA and GDFN in turn, each of normalised features and added to its input."""

    num_heads: int
    ffn_factor: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        hidden_features = round(x.shape[-1] * self.ffn_factor / 16) * 16
        layers = (UnifyAttention(self.num_heads, dtype=self.dtype, name="attn1"),
                  GDFN(hidden_features, dtype=self.dtype, name="ffn1"),
                  MDTA(self.num_heads, dtype=self.dtype, name="attn2"),
                  GDFN(hidden_features, dtype=self.dtype, name="ffn2"))
        for index, layer in enumerate(layers, 1):
            x = x + layer(ImageNorm(dtype=self.dtype, name=f"norm{index}")(x))
        return x


class UnifyTrunk(Trunk):
    """Restormer's with four convolutions in front, `patch_embed_0`..., and blocks that are UnifyBlocks."""

    def embed(self, image):
        x = image
        for index, features in enumerate((self.dim // 4, self.dim // 2, self.dim // 2, self.dim)):
            x = gelu(x) if index else x
            x = Conv(features, use_bias=False, dtype=self.dtype, name=f"patch_embed_{index}")(x)
        return x

    def stage(self, x, name, num_blocks, heads):
        block = nn.remat(UnifyBlock) if self.remat else UnifyBlock
        for index in range(num_blocks):
            x = block(heads, self.ffn_factor, dtype=self.dtype, name=f"{name}_{index}")(x)
        return x


class UnifyFormer(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped: the trunk's features, convolved, are added.

    Attributes:
      scale: 1.
      dim: features at the image's size, a multiple of 10; twice as many at each further level.
      num_blocks, heads: of each level, the last being the coarsest. H and W are multiples of 2**(levels - 1).
      num_refinement_blocks: behind the decoder.
      ffn_factor: hidden over outer features of the GDFNs, rounded to a multiple of 16.
      remat: blocks are computed again in the backward pass, which saves their memory; same parameters, same results.
      dtype: dtype of the computation but for attention's softmax and the norms' inside; parameters stay float32.
    """

    scale: int = 1
    dim: int = 50
    num_blocks: tuple[int, ...] = (2, 3, 3, 4)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    num_refinement_blocks: int = 2
    ffn_factor: float = 2.66
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return 2**(len(self.num_blocks) - 1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        trunk = UnifyTrunk(self.dim, self.num_blocks, self.heads, self.num_refinement_blocks, self.ffn_factor,
                           remat=self.remat, dtype=self.dtype, name="trunk")
        output = Conv(lr.shape[-1], use_bias=False, dtype=self.dtype, name="output")
        return lr + output(trunk(lr)).astype(lr.dtype)


VARIANTS = {
    "base": dict(),  # 28.50 M
}

SMALL = dict(dim=10, num_blocks=(0, 1), heads=(1, 2), num_refinement_blocks=0)  # the same, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return UnifyFormer(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="UnifyFormer, a U-net with linear attention between pixels and attention between channels",
    paper="Yang, Timofte et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, "
          "CVPR Workshops 2024",
    code="yasharora102/UnifyFormer (Apache-2.0)",
    scales=(1,),
    task="restoration",
    padding=Padding(8, "reflect"),
)
