"""SRFormer: SwinIR with large windows, in which keys and values have a quarter of the pixels.

Paper: Zhou et al., SRFormer: Permuted Self-Attention for Single Image Super-Resolution, ICCV 2023, arXiv:2303.09735.
Structure, fields and variants as in HVision-NKU/SRFormer (basicsr/archs/srformer_arch.py, options/), initialisation as
SwinIR's. There the network pads its input itself; here it takes multiples of the window alone.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.activation import gelu
from jsr.layers.attention import DropPath, Linear, attend, normal
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.window import merge_shifted, relative_position_index, shifted_regions, shifted_windows
from jsr.models._card import Card
from jsr.models.swinir import SwinIR


class PermutedAttention(nn.Module):
    """Attention in windows to pixels of twice the side, each with a quarter of the features of four pixels.

    Parameters: `relative_position_bias_table` ((window_size - 1)**2, num_heads); submodules `q`, `kv`, `proj`.
    """

    num_heads: int
    window_size: int
    dtype: Any = None

    @nn.compact
    def __call__(self, windows, regions=None):
        """(N, windows, window_size**2, C) to the same shape; `regions`: the queries' and the keys', or None."""
        (n, count, pixels, features), half = windows.shape, self.window_size // 2
        table = self.param("relative_position_bias_table", normal, ((2 * half - 1)**2, self.num_heads))
        bias = table[aligned_position_index(self.window_size)].transpose(2, 0, 1)
        query = Linear(features, dtype=self.dtype, name="q")(windows)
        kv = Linear(features // 2, dtype=self.dtype, name="kv")(windows)
        kv = kv.reshape(n, count, half, 2, half, 2, 2, features // 4).transpose(6, 0, 1, 2, 4, 3, 5, 7)
        key, value = kv.reshape(2, n, count, half**2, self.num_heads, -1)
        y = attend(query.reshape(n, count, pixels, self.num_heads, -1), key, value, bias=bias, regions=regions,
                   scale=(features // self.num_heads)**-0.5)
        return Linear(features, dtype=self.dtype, name="proj")(y)


def aligned_position_index(window_size):
    """Indices of pairs (query, key) in the bias table: int numpy array (window_size**2, window_size**2 / 4)."""
    half = window_size // 2
    index = relative_position_index(half).reshape(half, half, -1)
    return index.repeat(2, 0).repeat(2, 1).reshape(window_size**2, -1)


class ConvFFN(nn.Module):
    """Two linear layers, and a depthwise convolution of the features between them. Submodules: `fc1`, `dwconv`, `fc2`.
    """

    ratio: float  # hidden over outer features
    kernel_size: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        hidden = int(x.shape[-1] * self.ratio)
        y = gelu(Linear(hidden, dtype=self.dtype, name="fc1")(x))
        y = y + gelu(Conv(hidden, self.kernel_size, groups=hidden, dtype=self.dtype, name="dwconv")(y))
        return Linear(x.shape[-1], dtype=self.dtype, name="fc2")(y)


class PermutedLayer(nn.Module):
    """PermutedAttention and a ConvFFN, each on normalised features and added to them; fields as SwinLayer's."""

    num_heads: int
    window_size: int
    shift: int
    mlp_ratio: float
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        height, width = x.shape[1:3]
        attention = PermutedAttention(self.num_heads, self.window_size, dtype=self.dtype, name="attn")
        y = LayerNorm(dtype=self.dtype, name="norm1")(x)
        windows, regions = shifted_windows(y, self.window_size, self.shift)
        if regions is not None:  # of an odd shift half is rounded up
            keys = shifted_regions(height // 2, width // 2, self.window_size // 2, (self.shift + 1) // 2)
            regions = regions, keys
        y = merge_shifted(attention(windows, regions), height, width, self.window_size, self.shift)
        x = x + DropPath(self.drop_path)(y)
        y = LayerNorm(dtype=self.dtype, name="norm2")(x)
        return x + DropPath(self.drop_path)(ConvFFN(self.mlp_ratio, dtype=self.dtype, name="mlp")(y))


class SRFormer(SwinIR):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes: those of SwinIR; `window_size` is even, features are a multiple of 4.
    """

    window_size: int = 24

    layer = PermutedLayer


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(),  # 10.54 M
    "light": dict(embed_dim=60, depths=(6,) * 4, num_heads=(6,) * 4, window_size=16,
                  upsampler="pixelshuffledirect"),  # 873 k
    "real": dict(upsampler="nearest+conv"),
}

SMALL = dict(embed_dim=8, depths=(2,), num_heads=(2,), window_size=4, num_feat=4, drop_path_rate=0.0)  # for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SRFormer(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SRFormer, SwinIR with permuted attention in large windows",
    paper="Zhou et al., SRFormer: Permuted Self-Attention for Single Image Super-Resolution, ICCV 2023",
    code="HVision-NKU/SRFormer (Apache-2.0)",
    scales=(2, 3, 4),
    variant_scales={"real": (4,)},
    other_scales=(1, 2, 3, 4, 8),
    variant_other_scales={"real": (2, 4)},
    padding=Padding(24, "reflect"),
)
