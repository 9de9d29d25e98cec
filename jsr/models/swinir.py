"""SwinIR: image restoration with residual groups of Swin transformer layers.

Paper: Liang et al., ICCV Workshops 2021, arXiv:2108.10257. Structure, fields, variants and initialisation as in
JingyunLiang/SwinIR (models/network_swinir.py, main_test_swinir.py). There the network pads its input itself; here it
takes multiples of the window alone, and images are extended as the test script does it: by their own flip, and by a
whole window where a side is a multiple already. The bare network, as spandrel and chaiNNer run it, mirrors up to the
next multiple: on such images its borders are others. The absolute position embedding, which no published variant has,
is left out.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.attention import MLP, DropPath, WindowAttention
from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.repeated import in_turn
from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates
from jsr.layers.window import attend_in_windows
from jsr.models._card import Card


class SwinLayer(nn.Module):
    """Window attention and an MLP, each on normalised features and added to them."""

    num_heads: int
    window_size: int
    shift: int
    mlp_ratio: float
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        attention = WindowAttention(self.num_heads, dtype=self.dtype, name="attn")
        y = LayerNorm(dtype=self.dtype, name="norm1")(x)
        x = x + DropPath(self.drop_path)(attend_in_windows(attention, y, self.window_size, self.shift))
        y = LayerNorm(dtype=self.dtype, name="norm2")(x)
        return x + DropPath(self.drop_path)(MLP(self.mlp_ratio, dtype=self.dtype, name="mlp")(y))


class ResidualGroup(nn.Module):
    """Swin layers, every second one shifted by half a window, and a convolution; the input added (RSTB)."""

    num_heads: int
    window_size: int
    mlp_ratio: float
    drop_paths: tuple[float, ...]  # one a layer
    resi_connection: str
    remat: bool
    layer: type[nn.Module] = SwinLayer
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        layer: Any = nn.remat(self.layer) if self.remat else self.layer
        y = x
        for index, drop_path in enumerate(self.drop_paths):
            shift = self.window_size // 2 if index % 2 else 0
            y = layer(self.num_heads, self.window_size, shift, self.mlp_ratio, drop_path, dtype=self.dtype,
                      name=f"blocks_{index}")(y)
        return x + GroupConv(self.resi_connection, dtype=self.dtype, name="conv")(y)


def residual_groups(x, *, depths, num_heads, window_size, mlp_ratio, resi_connection, drop_path_rate, remat, dtype,
                    layer=SwinLayer):
    """Residual groups between two norms, as a part of the module that calls it; arguments as SwinIR's attributes.

    `layer` is the class of the layers, with the fields of SwinLayer. Submodules of the caller: `patch_embed_norm`,
    `layers_0`..., `norm`.
    """
    x = LayerNorm(dtype=dtype, name="patch_embed_norm")(x)
    rates = drop_path_rates(drop_path_rate, depths)
    groups = [ResidualGroup(heads, window_size, mlp_ratio, tuple(drop_paths), resi_connection, remat, layer,
                            dtype=dtype, name=f"layers_{index}")
              for index, (heads, drop_paths) in enumerate(zip(num_heads, rates, strict=True))]
    x = in_turn(groups, x, varying="drop_paths")
    return LayerNorm(dtype=dtype, name="norm")(x)


class SwinIR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1 with the upsampler "", 2 or 4 with "nearest+conv", else 1, 3 or a power of two.
      embed_dim: features of the trunk.
      depths, num_heads: layers, and heads of their attention, of each group.
      window_size: side of the attention windows, px; H and W are multiples of it (ValueError).
      mlp_ratio: hidden over outer features of the MLPs.
      upsampler: the head, see jsr.layers.swin.Reconstruction. With "" the network adds to its input.
      num_feat: features of the head.
      resi_connection: what closes a group, see jsr.layers.swin.GroupConv.
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

    layer = SwinLayer  # of networks made after this one, another

    @property
    def size_multiple(self):
        return self.window_size

    @property
    def after_body(self):
        """The kind of the GroupConv after all groups; SwinFIR's blocks close groups only."""
        return "3conv" if self.resi_connection == "3conv" else "1conv"

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        x = (lr - mean) * self.img_range
        head = Conv(self.embed_dim, dtype=self.dtype, name="conv_first")(x)
        y = residual_groups(
            head, depths=self.depths, num_heads=self.num_heads, window_size=self.window_size, mlp_ratio=self.mlp_ratio,
            resi_connection=self.resi_connection, drop_path_rate=self.drop_path_rate if train else 0.0,
            remat=self.remat, layer=self.layer, dtype=self.dtype)
        y = GroupConv(self.after_body, dtype=self.dtype, name="conv_after_body")(y) + head
        y = Reconstruction(self.upsampler, self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        y = y.astype(lr.dtype)
        if not self.upsampler:
            y += x
        return y / self.img_range + mean


VARIANTS = {  # as the test script names its tasks; parameters at the largest scale
    "classical": dict(),  # 12.05 M
    "light": dict(embed_dim=60, depths=(6,) * 4, num_heads=(6,) * 4, upsampler="pixelshuffledirect"),  # 0.930 M
    "real": dict(upsampler="nearest+conv"),  # 11.72 M
    "real_large": dict(embed_dim=240, depths=(6,) * 9, num_heads=(8,) * 9, upsampler="nearest+conv",
                       resi_connection="3conv"),  # 28.01 M
    "denoise": dict(upsampler=""),  # colour; 11.50 M
    # colour; a window that is not JPEG's 8x8 block
    "car": dict(upsampler="", window_size=7, img_range=255.0),  # 11.49 M
}

SMALL = dict(embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, num_feat=4, drop_path_rate=0.0)  # for tests


def Model(variant="classical", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SwinIR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SwinIR, residual groups of shifted-window attention",
    paper="Liang et al., SwinIR: Image Restoration Using Swin Transformer, ICCV Workshops 2021",
    code="JingyunLiang/SwinIR (Apache-2.0)",
    scales=(2, 3, 4, 8),
    variant_scales={"light": (2, 3, 4), "real": (2, 4), "real_large": (4,), "denoise": (1,), "car": (1,)},
    other_scales=(1, 2, 3, 4, 8),
    variant_other_scales={"real": (2, 4), "real_large": (2, 4), "denoise": (), "car": ()},
    padding=Padding(8, "flip", always=True),
)
