"""GRL: attention in windows and, by way of anchors, in long stripes, beside one another.

Paper: Li et al., CVPR 2023, arXiv:2303.00748. Structure, fields, variants and initialisation as in
ofsoundof/GRL-Image-Restoration (models/networks/grl.py, config/experiment). Of its options those are here that its
experiments make use of: stripes of fixed size, shifted, and anchors of average pooling. It pads images that are smaller
than the padding with zeros; here they are reflected again.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.attention import MLP, DropPath, Linear, split_heads
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.cosine import CosineAttention
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.layers.window import attend_in_windows, merge_shifted, shifted_windows, window_partition
from jsr.models._card import Card
from jsr.models.hat import ChannelAttentionBlock


class StripeAttention(nn.Module):
    """Attention in stripes by way of their anchors, which are few: anchors attend to pixels, and pixels to anchors."""

    num_heads: int
    stripe_size: tuple[int, int]
    shift: bool
    down_factor: int

    @nn.compact
    def __call__(self, qkv, anchors):
        """(N, H, W, 3 C) and (N, H / down_factor, W / down_factor, C) to (N, H, W, C)."""
        (height, width), factor = self.stripe_size, self.down_factor
        size, anchor_size = (height, width), (height // factor, width // factor)
        shift = (height // 2, width // 2) if self.shift else 0
        anchor_shift = (shift[0] // factor, shift[1] // factor) if shift else 0
        pixels, of_pixels = shifted_windows(qkv, size, shift)
        anchors, of_anchors = shifted_windows(anchors, anchor_size, anchor_shift)

        query, key, value = split_heads(pixels, 3, self.num_heads)
        anchors, = split_heads(anchors, 1, self.num_heads)
        gathered = CosineAttention(anchor_size, size, name="attn_transform1")(
            anchors, key, value, (of_anchors, of_pixels) if shift else None)
        gathered, = split_heads(gathered, 1, self.num_heads)
        y = CosineAttention(size, anchor_size, name="attn_transform2")(
            query, anchors, gathered, (of_pixels, of_anchors) if shift else None)
        return merge_shifted(y, *qkv.shape[1:3], window_size=size, shift=shift)


class MixedAttention(nn.Module):
    """Half of the features attend in windows and half in stripes, with the heads of each in `num_heads`."""

    num_heads: tuple[int, int]
    window_size: int
    window_shift: bool
    stripe_size: tuple[int, int]
    stripe_shift: bool
    down_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        n, height, width, features = x.shape
        window, factor = (self.window_size, self.window_size), self.down_factor
        in_windows, in_stripes = jnp.split(Linear(3 * features, dtype=self.dtype, name="qkv")(x), 2, axis=-1)
        means = window_partition(x, factor).mean(2).reshape(n, height // factor, width // factor, features)
        anchors = Linear(features // 2, dtype=self.dtype, name="anchor")(means)

        attention = CosineAttention(window, window, name="window_attn")
        in_windows = attend_in_windows(
            lambda qkv, regions: attention(*split_heads(qkv, 3, self.num_heads[0]), regions=regions),
            in_windows, self.window_size, self.window_size // 2 if self.window_shift else 0)
        in_stripes = StripeAttention(self.num_heads[1], self.stripe_size, self.stripe_shift, self.down_factor,
                                     name="stripe_attn")(in_stripes, anchors)
        y = jnp.concatenate([in_windows, in_stripes], axis=-1)
        return Linear(features, dtype=self.dtype, name="proj")(y)


class MixedLayer(nn.Module):
    """Mixed attention and an MLP, each normalised and then added to their inputs; convolutions beside attention.

    Attributes:
      index: of the layer in its stage. Every second has its windows shifted, beginning with the first; every second its
        stripes turned, beginning with the second; the latter two of each four their stripes shifted.
    """

    index: int
    num_heads: tuple[int, int]
    window_size: int
    stripe_size: tuple[int, int]
    down_factor: int
    mlp_ratio: float
    local_connection: bool
    squeeze_factor: int
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        height, width = self.stripe_size
        stripe_size = (width, height) if self.index % 2 else (height, width)
        y = MixedAttention(self.num_heads, self.window_size, self.index % 2 == 0, stripe_size, self.index % 4 >= 2,
                           self.down_factor, dtype=self.dtype, name="attn")(x)
        y = x + DropPath(self.drop_path)(LayerNorm(dtype=self.dtype, name="norm1")(y))
        if self.local_connection:
            y += ChannelAttentionBlock(4, self.squeeze_factor, dtype=self.dtype, name="conv")(x)
        x = MLP(self.mlp_ratio, dtype=self.dtype, name="mlp")(y)
        return y + DropPath(self.drop_path)(LayerNorm(dtype=self.dtype, name="norm2")(x))


class Stage(nn.Module):
    """Mixed layers and a convolution; the input added."""

    num_heads: tuple[int, int]
    window_size: int
    stripe_size: tuple[int, int]
    down_factor: int
    mlp_ratio: float
    local_connection: bool
    squeeze_factor: int
    drop_paths: tuple[float, ...]  # one a layer
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        layer = nn.remat(MixedLayer) if self.remat else MixedLayer
        y = x
        for index, drop_path in enumerate(self.drop_paths):
            y = layer(index, self.num_heads, self.window_size, self.stripe_size, self.down_factor, self.mlp_ratio,
                      self.local_connection, self.squeeze_factor, drop_path, dtype=self.dtype,
                      name=f"blocks_{index}")(y)
        return x + GroupConv(dtype=self.dtype, name="conv")(y)


class GRL(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1 with the upsampler "", else as in jsr.layers.swin.Reconstruction.
      embed_dim: features of the trunk, even.
      depths: layers of each stage.
      num_heads_window, num_heads_stripe: heads of each stage, among which half of the features are divided.
      window_size: side of the attention windows, px.
      stripe_size: height and width of the stripes, px; every second layer has them turned. H and W are multiples of all
        these (ValueError), of which the published networks' largest is a multiple of the others.
      down_factor: side of the squares that become one anchor, px; it divides the stripes.
      mlp_ratio: hidden over outer features of the MLPs.
      local_connection: convolutions with channel attention beside the mixed attention.
      squeeze_factor: outer over inner features of channel attention.
      upsampler: the head, as in jsr.layers.swin.Reconstruction. With "" the network adds to its input.
      num_feat: features of the head.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      drop_path_rate: rate of the last layer's stochastic depth in training, rising to it linearly from 0.
      remat: layers are computed again in the backward pass, which saves their memory; same parameters, same results.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 128
    depths: tuple[int, ...] = (4,) * 4
    num_heads_window: tuple[int, ...] = (2,) * 4
    num_heads_stripe: tuple[int, ...] = (2,) * 4
    window_size: int = 36
    stripe_size: tuple[int, int] = (72, 144)
    down_factor: int = 4
    mlp_ratio: float = 2.0
    local_connection: bool = False
    squeeze_factor: int = 18
    upsampler: str = ""
    num_feat: int = 64
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return max(self.window_size, *self.stripe_size)

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = (lr - jnp.asarray(self.mean, lr.dtype)) * self.img_range
        head, y = self.shallow(x)
        for stage in self.stages(train):
            y = stage(y)
        return self.reconstructed(y, head, x)

    def shallow(self, x):
        """The features of the normalised image, plain and as the first stage takes them."""
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")(x)
        return head, LayerNorm(dtype=self.dtype, name="norm_start")(head)

    def stages(self, train):
        """The stages in their order, each a Stage."""
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, self.depths)
        heads = zip(self.num_heads_window, self.num_heads_stripe, strict=True)
        for index, (num_heads, drop_paths) in enumerate(zip(heads, rates, strict=True)):
            yield Stage(num_heads, self.window_size, self.stripe_size, self.down_factor, self.mlp_ratio,
                        self.local_connection, self.squeeze_factor, tuple(drop_paths), self.remat, dtype=self.dtype,
                        name=f"layers_{index}")

    def reconstructed(self, y, head, x):
        """The image from the last stage's output, the plain features and the normalised image."""
        y = LayerNorm(dtype=self.dtype, name="norm_end")(y)
        y = GroupConv(dtype=self.dtype, name="conv_after_body")(y) + head
        y = Reconstruction(self.upsampler, self.scale, x.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        y = y.astype(x.dtype)
        return (y if self.upsampler else x + y) / self.img_range + jnp.asarray(self.mean, x.dtype)


VARIANTS = {  # parameters at x1 or x4
    "small": dict(),  # GRL-S against JPEG's artefacts; 3.12 M
    "base": dict(embed_dim=180, depths=(4, 4, 8, 8, 8, 4, 4), num_heads_window=(3,) * 7, num_heads_stripe=(3,) * 7,
                 window_size=16, stripe_size=(64, 128), local_connection=True),  # GRL-B as for denoising; 19.81 M
    # GRL-T for super-resolution; 0.91 M
    "sr_tiny": dict(embed_dim=64, window_size=32, stripe_size=(64, 64), upsampler="pixelshuffledirect"),
}

SMALL = dict(embed_dim=8, depths=(1,), num_heads_window=(1,), num_heads_stripe=(2,), window_size=4, stripe_size=(4, 8),
             down_factor=2, local_connection=True, squeeze_factor=2, drop_path_rate=0.0)  # for tests


def Model(variant="small", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return GRL(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="GRL, attention in windows and anchored stripes",
    paper="Li et al., Efficient and Explicit Modelling of Image Hierarchies for Image Restoration, CVPR 2023",
    code="ofsoundof/GRL-Image-Restoration (MIT)",
    scales=(1,),
    variant_scales={"sr_tiny": (2, 3, 4)},
    variant_other_scales={"sr_tiny": (1, 2, 3, 4, 8)},
    padding=Padding(144, "reflect"),
)
