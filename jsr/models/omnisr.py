"""OmniSR: attention between pixels and between channels, in windows and in grids that span the image.

Paper: Wang et al., Omni Aggregation Networks for Lightweight Image Super-Resolution, CVPR 2023, arXiv:2304.10244.
Structure and defaults as in Francis0625/Omni-SR (components/OmniSR.py, ops/OSA.py). There the network pads its input by
zeros itself; here it takes multiples of the window alone.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import attend, attend_between_channels, split_heads
from jsr.layers.conv import Conv
from jsr.layers.esa import ESA
from jsr.layers.linear import Linear
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.pool import GlobalMean
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.window import relative_position_index, window_merge, window_partition
from jsr.models._card import Card

HEADS = 4  # of every attention


class MBConv(nn.Module):
    """Convolutions, the middle one depthwise, and weights for their features by the means of these; input added."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y = gelu(Conv(features, 1, dtype=self.dtype, name="conv_0")(x))
        y = gelu(Conv(features, groups=features, dtype=self.dtype, name="conv_1")(y))
        weights = nn.silu(Linear(features // 4, use_bias=False, dtype=self.dtype, name="gate_0")(GlobalMean()(y)))
        y = y * nn.sigmoid(Linear(features, use_bias=False, dtype=self.dtype, name="gate_1")(weights))
        return x + Conv(features, 1, dtype=self.dtype, name="conv_2")(y)


class PixelAttention(nn.Module):
    """Attention between the pixels of each window, (N, windows, window_size**2, C) to the same shape.

    Parameters: `rel_pos_bias` ((2 window_size - 1)**2, heads); submodules `to_qkv`, `to_out`.
    """

    window_size: int
    position_bias: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, windows):
        features, bias = windows.shape[-1], jnp.zeros((1, 1, 1))
        if self.position_bias:
            table = self.param("rel_pos_bias", nn.initializers.normal(1), ((2 * self.window_size - 1)**2, HEADS))
            bias = table[relative_position_index(self.window_size)].transpose(2, 0, 1)
        qkv = Linear(3 * features, use_bias=False, dtype=self.dtype, name="to_qkv")(windows)
        y = attend(*split_heads(qkv, 3, HEADS), scale=(features // HEADS)**-0.5, bias=bias)
        return Linear(features, use_bias=False, dtype=self.dtype, name="to_out")(y)


class ChannelAttention(nn.Module):
    """Attention between the channels of each window, or of each place in the windows over all of them.

    Parameters: `temperature` (heads, 1, 1); submodules `qkv`, `qkv_dwconv`, `project_out`.
    """

    window_size: int
    grid: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        height, width, features = x.shape[1:]
        y = Conv(3 * features, 1, use_bias=False, dtype=self.dtype, name="qkv")(x)
        y = Conv(3 * features, groups=3 * features, use_bias=False, dtype=self.dtype, name="qkv_dwconv")(y)
        temperature = self.param("temperature", nn.initializers.ones, (HEADS, 1, 1))

        def attention(parts):  # (N, parts, pixels, 3 C)
            shape = parts.shape
            whole = parts.reshape(shape[0] * shape[1], shape[2], 1, shape[3])
            query, key, value = split_heads(whole, 3, HEADS)
            return attend_between_channels(query, key, value, temperature).reshape(*shape[:3], features)

        windows = window_partition(y, self.window_size)
        swap = (lambda parts: parts.transpose(0, 2, 1, 3)) if self.grid else (lambda parts: parts)
        y = window_merge(swap(attention(swap(windows))), height, width)
        return Conv(features, 1, use_bias=False, dtype=self.dtype, name="project_out")(y)


class FeedForward(nn.Module):
    """Half of the convolved features weigh the other half; submodules `project_in`, `dwconv`, `project_out`."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y = Conv(2 * features, 1, use_bias=False, dtype=self.dtype, name="project_in")(x)
        y = Conv(2 * features, groups=2 * features, use_bias=False, dtype=self.dtype, name="dwconv")(y)
        gate, y = jnp.split(y, 2, axis=-1)
        return Conv(features, 1, use_bias=False, dtype=self.dtype, name="project_out")(gelu(gate) * y)


class OSABlock(nn.Module):
    """Convolutions, then attention between pixels and channels within windows, then within grids over the image."""

    window_size: int
    position_bias: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        height, width = x.shape[1:3]

        def residual(x, function: Callable, name, epsilon=1e-6):
            return x + function(LayerNorm(epsilon=epsilon, dtype=self.dtype, name=f"{name}_norm")(x))

        def of_windows(y):
            attention = PixelAttention(self.window_size, self.position_bias, dtype=self.dtype, name="window")
            return window_merge(attention(window_partition(y, self.window_size)), height, width)

        def of_grid(y):  # pixels as far from one another as the image is wide in windows
            steps = height // self.window_size, width // self.window_size
            attention = PixelAttention(self.window_size, self.position_bias, dtype=self.dtype, name="grid")
            y = attention(window_partition(y, steps).transpose(0, 2, 1, 3))
            return window_merge(y.transpose(0, 2, 1, 3), height, width, steps)

        def mixed(x, index):
            return residual(x, FeedForward(dtype=self.dtype, name=f"ffn_{index}"), f"ffn_{index}")

        x = MBConv(dtype=self.dtype, name="mbconv")(x)
        x = mixed(residual(x, of_windows, "window", 1e-5), 0)
        x = residual(x, ChannelAttention(self.window_size, False, dtype=self.dtype, name="channels"), "channels")
        x = mixed(residual(mixed(x, 1), of_grid, "grid", 1e-5), 2)
        x = residual(x, ChannelAttention(self.window_size, True, dtype=self.dtype, name="channels_grid"),
                     "channels_grid")
        return mixed(x, 3)


class OmniSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk, a multiple of 4.
      num_group: residual groups, each closed by ESA.
      num_block: blocks of each group.
      window_size: side of the windows, px; H and W are multiples of it (ValueError).
      position_bias: attention between pixels has a bias for each difference of positions.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_group: int = 5
    num_block: int = 1
    window_size: int = 8
    position_bias: bool = True
    dtype: Any = None

    grid_follows_size = True

    @property
    def size_multiple(self):
        return self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr)
        x = head
        for group in range(self.num_group):
            y = x
            for block in range(self.num_block):
                y = OSABlock(self.window_size, self.position_bias, dtype=self.dtype, name=f"body_{group}_{block}")(y)
            x = x + Conv(self.num_feat, 1, dtype=self.dtype, name=f"body_{group}_conv")(y)
            x = ESA(max(self.num_feat // 4, 16), dtype=self.dtype, name=f"body_{group}_esa")(x)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=64, num_group=5),  # 805 k parameters at x4; the paper has 792 k
}

SMALL = dict(num_feat=8, num_group=1, window_size=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return OmniSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="OmniSR, attention between pixels and channels in windows and grids",
    paper="Wang et al., Omni Aggregation Networks for Lightweight Image Super-Resolution, CVPR 2023",
    code="Francis0625/Omni-SR (Apache-2.0)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(8, "zeros"),
)
