"""Swin2SR: SwinIR with Swin V2 layers, for compressed images.

Paper: Conde et al., ECCV Workshops 2022, arXiv:2209.11345. Structure, fields, variants and initialisation as in
mv-lab/swin2sr (models/network_swin2sr.py, main_test_swin2sr.py). There the network pads its input itself, and its
bicubic branch then squeezes the padded image into the size of the unpadded one; here it takes multiples of the window
alone, where both agree. With its head `pixelshuffle_hf`, of which no weights were published, it returns a tuple without
names whose second image is the sum of the others: that it is the result, `sr`, and the names are inferred.
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
from jsr.layers.repeated import in_turn
from jsr.layers.resize import bicubic_upsample
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.layers.window import attend_in_windows
from jsr.models._card import Card


class CosineWindowAttention(nn.Module):
    """Self-attention of Swin V2 in square windows; parameters of layers.cosine.CosineAttention lie beside its own."""

    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, windows, regions=None):
        """(N, windows, window_size**2, C) to the same shape; `regions` as jsr.layers.attention.attend takes them."""
        channels, window_size = windows.shape[-1], (round(windows.shape[-2]**0.5),) * 2
        zeros = nn.initializers.zeros
        q_bias, v_bias = (self.param(name, zeros, (channels,)) for name in ("q_bias", "v_bias"))
        qkv = Linear(3 * channels, use_bias=False, dtype=self.dtype, name="qkv")(windows)
        qkv += jnp.concatenate([q_bias, jnp.zeros_like(q_bias), v_bias]).astype(qkv.dtype)
        attention = CosineAttention(window_size, window_size, name="attention")
        nn.share_scope(self, attention)
        y = attention(*split_heads(qkv, 3, self.num_heads), regions=regions)
        return Linear(channels, dtype=self.dtype, name="proj")(y)


class SwinV2Layer(nn.Module):
    """Window attention and an MLP, each normalised and then added to their inputs."""

    num_heads: int
    window_size: int
    shift: int
    mlp_ratio: float
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        attention = CosineWindowAttention(self.num_heads, dtype=self.dtype, name="attn")
        y = attend_in_windows(attention, x, self.window_size, self.shift)
        x = x + DropPath(self.drop_path)(LayerNorm(dtype=self.dtype, name="norm1")(y))
        y = MLP(self.mlp_ratio, dtype=self.dtype, name="mlp")(x)
        return x + DropPath(self.drop_path)(LayerNorm(dtype=self.dtype, name="norm2")(y))


class ResidualGroup(nn.Module):
    """Swin V2 layers, every second one shifted by half a window, and two convolutions; the input added."""

    num_heads: int
    window_size: int
    mlp_ratio: float
    drop_paths: tuple[float, ...]  # one a layer
    resi_connection: str
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        layer = nn.remat(SwinV2Layer) if self.remat else SwinV2Layer
        y = x
        for index, drop_path in enumerate(self.drop_paths):
            shift = self.window_size // 2 if index % 2 else 0
            y = layer(self.num_heads, self.window_size, shift, self.mlp_ratio, drop_path, dtype=self.dtype,
                      name=f"blocks_{index}")(y)
        y = GroupConv(self.resi_connection, dtype=self.dtype, name="conv")(y)
        # quirk: the original's patch embedding has a convolution, and every group has a patch embedding
        return x + Conv(x.shape[-1], 1, dtype=self.dtype, name="patch_embed_proj")(y)


class AuxReconstruction(nn.Module):
    """The head for compressed images: a clean LR image, and the SR image made of it alone and of the enlarged input.

    All that the trunk found goes through the three channels of the clean image.
    """

    scale: int
    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, features, image):
        """(N, H, W, C), (N, H, W, 3) to (N, H * scale, W * scale, 3) and (N, H, W, 3)."""
        def conv(features, name):
            return Conv(features, dtype=self.dtype, name=name)

        enlarged = conv(self.num_feat, "conv_bicubic")(bicubic_upsample(image, self.scale))
        x = nn.leaky_relu(conv(self.num_feat, "conv_before_upsample")(features), 0.01)
        clean = conv(image.shape[-1], "conv_aux")(x)
        x = nn.leaky_relu(conv(self.num_feat, "conv_after_aux")(clean), 0.01)
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x) + enlarged
        return conv(image.shape[-1], "conv_last")(x), clean


class FeatureReconstruction(nn.Module):
    """The head "pixelshuffle" of jsr.layers.swin.Reconstruction, same parameters, that also returns its features."""

    scale: int
    channels: int
    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * scale, W * scale, channels) and (N, H, W, num_feat)."""
        x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_before_upsample")(x), 0.01)
        y = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        return Conv(self.channels, dtype=self.dtype, name="conv_last")(y), x


class Swin2SR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    With the upsampler "pixelshuffle_aux" the output is a dict of that as `sr` and `lr_clean` (N, H, W, 3), the input
    without its compression artefacts. With "pixelshuffle_hf" it is a dict of `sr`, `sr_base` and `high_frequency`, all
    of SR's size: a second trunk on the head's features makes the high frequencies that are added to the base. As every
    output they have the mean added, so that sr - mean = (sr_base - mean) + (high_frequency - mean).

    Attributes:
      scale: 1 with the upsampler "", 2 or 4 with "nearest+conv", else 1, 3 or a power of two.
      embed_dim: features of the trunk.
      depths, num_heads: layers, and heads of their attention, of each group; of both trunks.
      window_size: side of the attention windows, px; H and W are multiples of it (ValueError).
      mlp_ratio: hidden over outer features of the MLPs.
      upsampler: the head, "pixelshuffle_aux", "pixelshuffle_hf" or as in jsr.layers.swin.Reconstruction. With "" the
        network adds to its input.
      num_feat: features of the head.
      resi_connection: "1conv" or "3conv", see jsr.layers.swin.GroupConv.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      drop_path_rate: rate of the last layer's stochastic depth in training, rising to it linearly from 0.
      remat: layers are computed again in the backward pass, which saves their memory; same parameters, same results.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    embed_dim: int = 180
    depths: tuple[int, ...] = (6,) * 6
    num_heads: tuple[int, ...] = (6,) * 6
    window_size: int = 8
    mlp_ratio: float = 2.0
    upsampler: str = "pixelshuffle"
    num_feat: int = 64
    resi_connection: str = "1conv"
    img_range: float = 1.0
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        x = (lr - mean) * self.img_range
        trunk = self._trunk(train)
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")(x)
        y = GroupConv(self.resi_connection, dtype=self.dtype, name="conv_after_body")(trunk(head, "layers")) + head
        if self.upsampler == "pixelshuffle_aux":
            y, clean = AuxReconstruction(self.scale, self.num_feat, dtype=self.dtype, name="head")(y, x)
            images = {"sr": y, "lr_clean": clean}
        elif self.upsampler == "pixelshuffle_hf":
            images = self._base_and_high_frequency(y, lr.shape[-1], trunk)
        else:
            images = {"sr": Reconstruction(self.upsampler, self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype,
                                           name="head")(y)}
        images = {name: image.astype(lr.dtype) for name, image in images.items()}
        if not self.upsampler:
            images["sr"] += x
        images = {name: image / self.img_range + mean for name, image in images.items()}
        return images if len(images) > 1 else images["sr"]

    def _trunk(self, train):
        """A function of (features, name of the groups); all that it is called with share the embedding and the norm."""
        embed = Conv(self.embed_dim, 1, dtype=self.dtype, name="patch_embed_proj")
        embed_norm = LayerNorm(dtype=self.dtype, name="patch_embed_norm")
        norm = LayerNorm(dtype=self.dtype, name="norm")
        rates = drop_path_rates(self.drop_path_rate if train else 0.0, self.depths)

        def trunk(x, name):
            x = embed_norm(embed(x))
            groups = [ResidualGroup(num_heads, self.window_size, self.mlp_ratio, tuple(drop_paths),
                                    self.resi_connection, self.remat, dtype=self.dtype, name=f"{name}_{index}")
                      for index, (num_heads, drop_paths) in enumerate(zip(self.num_heads, rates, strict=True))]
            return norm(in_turn(groups, x, varying="drop_paths"))

        return trunk

    def _base_and_high_frequency(self, features, channels, trunk):
        def reconstruction(name):
            return FeatureReconstruction(self.scale, channels, self.num_feat, dtype=self.dtype, name=name)

        base, y = reconstruction("head")(features)
        y = nn.leaky_relu(Conv(self.embed_dim, dtype=self.dtype, name="conv_first_hf")(y), 0.01)
        # one convolution, whatever resi_connection is
        y = Conv(self.embed_dim, dtype=self.dtype, name="conv_after_body_hf")(trunk(y, "layers_hf")) + y
        high_frequency, _ = reconstruction("head_hf")(y)
        return {"sr": base + high_frequency, "sr_base": base, "high_frequency": high_frequency}


VARIANTS = {  # as the test script names its tasks; parameters at x4 or x1
    "classical": dict(),  # 12.24 M
    "compressed": dict(upsampler="pixelshuffle_aux"),  # 12.24 M
    "light": dict(embed_dim=60, depths=(6,) * 4, num_heads=(6,) * 4, upsampler="pixelshuffledirect"),  # 1.025 M
    "real": dict(upsampler="nearest+conv"),  # 12.05 M
    # colour; a window that is not JPEG's 8x8 block
    "car": dict(upsampler="", window_size=7, img_range=255.0),  # 11.84 M
}

SMALL = dict(embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, num_feat=4, drop_path_rate=0.0)  # for tests


def Model(variant="classical", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Swin2SR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Swin2SR, SwinIR with Swin V2 layers",
    paper="Conde et al., Swin2SR: SwinV2 Transformer for Compressed Image Super-Resolution and Restoration, "
          "ECCV Workshops 2022",
    code="mv-lab/swin2sr (Apache-2.0)",
    scales=(2, 3, 4),
    variant_scales={"compressed": (2, 4), "real": (4,), "car": (1,)},
    other_scales=(1, 2, 3, 4, 8),
    variant_other_scales={"real": (2, 4), "car": ()},
    padding=Padding(8, "flip", always=True),
)
