"""ATD: Swin layers that also attend to a dictionary of tokens, and, by its help, to similar pixels wherever they are.

Paper: Zhang et al., Transcending the Limit of Local Window: Advanced Super-Resolution Transformer with Adaptive Token
Dictionary, CVPR 2024, arXiv:2401.08209. Structure, fields, variants and initialisation as in
LabShuHangGU/Adaptive-Token-Dictionary (basicsr/archs/atd_arch.py, options/). There the network pads its input itself;
here it takes multiples of the window alone. Pixels of the whole image meet in a category: tiles give other images.
Pixels of one category stay in the image's order, which the original leaves to PyTorch's sorting.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers.attention import Linear, attend, normal, softmax, split_heads
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.cosine import unit
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.swin import GroupConv, Reconstruction
from jsr.layers.window import attend_in_windows, relative_position_index
from jsr.models._card import Card
from jsr.models.srformer import ConvFFN


@jax.jit
def stable_order(x):
    """Where the elements of the rows of (N, K) go to be in ascending order, equal ones as they are: int32 (N, K)."""
    return jnp.argsort(x, axis=1, stable=True)


@jax.jit
def rows_at(x, order):
    """(N, K, C) and places (N, K) to the rows there, (N, K, C)."""
    return jnp.take_along_axis(x, order[..., None], axis=1)


class DictionaryAttention(nn.Module):
    """Attention of pixels to the tokens of a dictionary, by few features and their cosines.

    Parameter: `scale` (tokens,), in [0, 1], which sharpens it; submodules `wq`, `wk`, `wv`.
    """

    reducted_dim: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, tokens):
        """(N, pixels, C) and (N, tokens, C) to (N, pixels, C) and the float32 weights (N, pixels, tokens)."""
        count, features = tokens.shape[-2:]

        def linear(y, out, name):
            return Linear(out, dtype=self.dtype, name=name)(y)

        query, key = unit(linear(x, self.reducted_dim, "wq")), unit(linear(tokens, self.reducted_dim, "wk"))
        scale = jnp.clip(self.param("scale", nn.initializers.constant(0.5), (count,)), 0, 1)
        weights = softmax(jnp.einsum("npc,ntc->npt", query, key) * (1 + scale * np.log(count).astype(np.float32)))
        value = linear(tokens, features, "wv")
        return jnp.einsum("npt,ntc->npc", weights.astype(value.dtype), value), weights


class CategoryAttention(nn.Module):
    """Attention between pixels whose nearest token is the same, or next to it, in groups of a fixed size.

    Parameter: `logit_scale` (1, 1), the logarithm of the products' scale; submodule `proj`.
    """

    num_heads: int
    category_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, qkv, weights, whole):
        """(N, pixels, 3 C) and weights (N, pixels, tokens) to (N, pixels, C); `whole`: groups fit, whatever the size.
        """
        n, pixels, features = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        order = stable_order(jnp.argmax(weights, axis=-1).astype(jnp.int32))
        y, size = rows_at(qkv, order), self.category_size
        if not whole:  # the last group is filled up by the last pixels, turned
            size = min(pixels, size)
            y = jnp.concatenate([y, y[:, pixels - -pixels % size:][:, ::-1]], axis=1)
        y = y.reshape(n, y.shape[1] // size, size, 3 * features)
        scale = self.param("logit_scale", nn.initializers.constant(np.log(10)), (1, 1))
        scale = jnp.exp(jnp.minimum(scale, np.log(100).astype(np.float32)))[..., None]
        y = attend(*split_heads(y, 3, self.num_heads), scale=scale, bias=jnp.zeros((1, 1, 1)))
        y = rows_at(y.reshape(n, -1, features)[:, :pixels], stable_order(order))
        return Linear(features, dtype=self.dtype, name="proj")(y)


class WindowedAttention(nn.Module):
    """Attention in windows, of given queries, keys and values.

    Parameter: `relative_position_bias_table` ((2 window_size - 1)**2, num_heads); submodule `proj`.
    """

    num_heads: int
    window_size: int
    shift: int
    dtype: Any = None

    @nn.compact
    def __call__(self, qkv):
        """(N, H, W, 3 C) to (N, H, W, C)."""
        features = qkv.shape[-1] // 3
        table = self.param("relative_position_bias_table", normal, ((2 * self.window_size - 1)**2, self.num_heads))
        bias = table[relative_position_index(self.window_size)].transpose(2, 0, 1)

        def attention(windows, regions):
            return attend(*split_heads(windows, 3, self.num_heads), scale=(features // self.num_heads)**-0.5, bias=bias,
                          regions=regions)

        y = attend_in_windows(attention, qkv, self.window_size, self.shift)
        return Linear(features, dtype=self.dtype, name="proj")(y)


class Layer(nn.Module):
    """Three kinds of attention and a ConvFFN, on normalised features and added to them; tokens are refined by them.

    Submodules: `norm1`, `wqkv`, `attn_win`, `attn_atd`, `attn_aca`, `norm2`, `convffn`, and but for the last layer of a
    group `norm3` and the parameter `sigma` (tokens, 1).
    """

    num_heads: int
    window_size: int
    shift: int
    category_size: int
    reducted_dim: int
    kernel_size: int
    mlp_ratio: float
    is_last: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x, tokens):
        n, height, width, features = x.shape
        y = LayerNorm(dtype=self.dtype, name="norm1")(x)
        qkv = Linear(3 * features, dtype=self.dtype, name="wqkv")(y)
        told, weights = DictionaryAttention(self.reducted_dim, dtype=self.dtype, name="attn_atd")(
            y.reshape(n, height * width, features), tokens)
        alike = CategoryAttention(self.num_heads, self.category_size, dtype=self.dtype, name="attn_aca")(
            qkv.reshape(n, height * width, 3 * features), weights, self.window_size**2 % self.category_size == 0)
        near = WindowedAttention(self.num_heads, self.window_size, self.shift, dtype=self.dtype, name="attn_win")(qkv)
        x = x + near + (told + alike).reshape(x.shape)
        x = x + ConvFFN(self.mlp_ratio, self.kernel_size, dtype=self.dtype, name="convffn")(
            LayerNorm(dtype=self.dtype, name="norm2")(x))
        if self.is_last:
            return x, tokens
        norm = nn.InstanceNorm(epsilon=1e-5, use_fast_variance=False, name="norm3")
        shares = jnp.swapaxes(softmax(jnp.swapaxes(norm(weights), 1, 2)), 1, 2).astype(x.dtype)
        kept = nn.sigmoid(self.param("sigma", nn.initializers.zeros, (tokens.shape[1], 1))).astype(x.dtype)
        refined = jnp.einsum("npt,npc->ntc", shares, x.reshape(n, height * width, features))
        return x, kept * tokens + (1 - kept) * refined


class ATD(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two; 2 or 4 with the upsampler "nearest+conv".
      embed_dim: features of the trunk.
      depths, num_heads: layers, and heads of their attention, of each group.
      window_size: side of the attention windows, px; H and W are multiples of it (ValueError).
      category_size: pixels that attend to each other by the dictionary's help. Sizes of images stay open in exported
        programs where it divides a window's pixels.
      num_tokens: number of tokens in the dictionary of each group.
      reducted_dim: features of the queries and keys to it.
      convffn_kernel_size: side of the depthwise kernels of the feed-forward networks.
      mlp_ratio: hidden over outer features of these.
      upsampler: the head, see jsr.layers.swin.Reconstruction, but "".
      num_feat: features of the head.
      resi_connection: what closes a group, see jsr.layers.swin.GroupConv.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 210
    depths: tuple[int, ...] = (6,) * 6
    num_heads: tuple[int, ...] = (6,) * 6
    window_size: int = 16
    category_size: int = 256
    num_tokens: int = 128
    reducted_dim: int = 20
    convffn_kernel_size: int = 5
    mlp_ratio: float = 2.0
    upsampler: str = "pixelshuffle"
    num_feat: int = 64
    resi_connection: str = "1conv"
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    dtype: Any = None

    grid_follows_size = True  # pixels are sorted over the whole image

    @property
    def size_multiple(self):
        return self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        mean = jnp.asarray(self.mean, lr.dtype)
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")((lr - mean) * self.img_range)
        x = LayerNorm(dtype=self.dtype, name="patch_embed_norm")(head)
        for group, (depth, num_heads) in enumerate(zip(self.depths, self.num_heads, strict=True)):
            tokens = self.param(f"layers_{group}_td", nn.initializers.normal(1.0), (self.num_tokens, self.embed_dim))
            tokens, y = jnp.broadcast_to(tokens, (len(x), *tokens.shape)).astype(x.dtype), x
            for index in range(depth):
                shift = self.window_size // 2 if index % 2 else 0
                y, tokens = Layer(num_heads, self.window_size, shift, self.category_size, self.reducted_dim,
                                  self.convffn_kernel_size, self.mlp_ratio, index == depth - 1, dtype=self.dtype,
                                  name=f"layers_{group}_blocks_{index}")(y, tokens)
            x = x + GroupConv(self.resi_connection, dtype=self.dtype, name=f"layers_{group}_conv")(y)
        x = LayerNorm(dtype=self.dtype, name="norm")(x)
        x = GroupConv(self.resi_connection, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Reconstruction(self.upsampler, self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(x)
        return x.astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),  # 20.3 M
    "light": dict(embed_dim=48, depths=(6,) * 4, num_heads=(4,) * 4, category_size=128, num_tokens=64, reducted_dim=8,
                  convffn_kernel_size=7, mlp_ratio=1.0, upsampler="pixelshuffledirect"),  # 769 k
}

SMALL = dict(embed_dim=8, depths=(2,), num_heads=(2,), window_size=4, category_size=8, num_tokens=4, reducted_dim=2,
             convffn_kernel_size=3, num_feat=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ATD(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ATD, window attention beside that to a dictionary and within categories",
    paper="Zhang et al., Transcending the Limit of Local Window: Advanced Super-Resolution Transformer with Adaptive "
          "Token Dictionary, CVPR 2024",
    code="LabShuHangGU/Adaptive-Token-Dictionary (Apache-2.0)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(16, "flip"),
)
