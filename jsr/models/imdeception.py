"""IMDeception: information distillation in grouped convolutions, with attention among cells of a few pixels.

Paper: Ayazoglu, IMDeception: Grouped Information Distilling Super-Resolution Network, CVPR Workshops 2022,
arXiv:2204.11463. Structure, defaults and initialisation (PyTorch's default) as in ofsoundof/NTIRE2022_ESR,
models/team19_imdeception.py, the entry of team Aselsan Research to NTIRE 2022's efficient SR.

Attention is within areas of 32x32 px that are counted from the image's top left. The original fills the last ones up
with zeros behind its first convolution, so that they are keys too, and always adds an area; one that is all zeros is of
no consequence, and is left out here.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.attention import attend, split_heads
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding, crop_to, pad_to_multiple
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.layers.window import window_merge, window_partition
from jsr.models._card import Card

AREA, CELL = 32, 4  # sides of the areas of attention and of the cells that attend to each other there, px


class GroupedConv(nn.Module):
    """A 3x3 convolution in four groups, a ReLU and a 1x1 convolution.

    The groups are convolutions of their own, as the original has them; both numbers of features are multiples of 4.
    """

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        parts = [Conv(self.features // 4, dtype=self.dtype, name=f"conv_{index}")(part)
                 for index, part in enumerate(jnp.split(x, 4, axis=-1))]
        return Conv(self.features, 1, dtype=self.dtype, name="conv_fuse")(nn.relu(jnp.concatenate(parts, -1)))


class DistillationBlock(nn.Module):
    """Grouped convolutions one after the other, each giving some features to the end and the rest to the next (GIDB).

    Attributes:
      features: features of the output.
      num_kept: features that each of the four gives to the end.
      num_passed: features that go on to the next.
      dtype: dtype of the computation.
    """

    features: int
    num_kept: int
    num_passed: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y, kept = x, []
        for index, passed in enumerate((self.num_passed,) * 3 + (0,)):
            y = _act(GroupedConv(self.num_kept + passed, dtype=self.dtype, name=f"stage_{index}")(y))
            kept.append(y[..., :self.num_kept])
            y = y[..., self.num_kept:]
        return Conv(self.features, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate([*kept, x], -1))


class AreaAttention(nn.Module):
    """Self-attention among the cells of an area, over a quarter of the features; products are not scaled."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape, of any H and W; C is a multiple of 4."""
        channels = x.shape[-1]
        qkv = Conv(3 * (channels // 4), 1, dtype=self.dtype, name="conv_qkv")(x)
        cells = pixel_unshuffle(pad_to_multiple(qkv, Padding(AREA, "zeros")), CELL)
        query, key, value = split_heads(window_partition(cells, AREA // CELL), 3, 1)
        y = window_merge(attend(query, key, value, scale=1.0, bias=0.0), *cells.shape[1:3])
        y = crop_to(pixel_shuffle(y, CELL), *x.shape[1:3])
        return x + Conv(channels, 1, dtype=self.dtype, name="conv_out")(y)


class Trunk(nn.Module):
    """Features of an image: blocks that each keep a quarter of their features for the end.

    Attributes:
      num_feat: features of the output, a multiple of 16.
      num_block: blocks.
      attention: indices of the blocks that attention follows; not the last one's.
      dtype: dtype of the computation.
    """

    num_feat: int
    num_block: int
    attention: tuple[int, ...]
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H, W, num_feat)."""
        core = self.num_feat // 4
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(x)
        x, kept = head, []
        for index in range(self.num_block):
            features, passed = (core, 2 * core) if index == self.num_block - 1 else (4 * core, 3 * core)
            x = DistillationBlock(features, core, passed, dtype=self.dtype, name=f"body_{index}")(x)
            kept.append(x[..., :core])
            x = x[..., core:]
            if index in self.attention:
                x = AreaAttention(dtype=self.dtype, name=f"attention_{index}")(x)
        x = _act(Conv(self.num_feat, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate(kept, -1)))
        return _act(Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x)) + head


class IMDeception(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk, a multiple of 16; four times the original's `core`.
      num_block: blocks.
      attention: indices of the blocks that attention follows; not the last one's.
      dtype: dtype of the computation but for attention's logits; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 6
    attention: tuple[int, ...] = (1, 3)
    dtype: Any = None

    grid_follows_size = True  # areas are counted from the top left: a tile has them elsewhere

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x = Trunk(self.num_feat, self.num_block, self.attention, dtype=self.dtype, name="trunk")(lr)
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


def _act(x):
    return nn.leaky_relu(x, 0.05)


VARIANTS = {
    "base": dict(),  # 0.317 M at x4
}

SMALL = dict(num_block=2, attention=(0,))  # the same network, for tests that compile it; with fewer features ReLUs die


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return IMDeception(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="IMDeception, grouped information distillation with attention among cells",
    paper="Ayazoglu, IMDeception: Grouped Information Distilling Super-Resolution Network, CVPR Workshops 2022",
    code="ofsoundof/NTIRE2022_ESR (MIT)",
    scales=(2, 3, 4),
    other_scales=(1, 2, 3, 4, 8),
)
