"""HST: SwinIR's residual groups on an image at three sizes, from the smallest to its own.

Paper: Li et al., ECCV Workshops 2022, arXiv:2208.09885; the USTC-IR entry of AIM 2022, track 1 (report, section 4.7).
Structure, fields and initialisation as in lixinustc/HST-for-Compressed-Image-SR (model.py, swin_block.py). There the
network pads its input to multiples of 8 by itself and then fails for those that are not multiples of 32; here it takes
multiples of four windows alone, as the test script (test_HST.py) makes them.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.swin import Reconstruction
from jsr.models._card import Card
from jsr.models.swinir import residual_groups


class Branch(nn.Module):
    """SwinIR's groups and a convolution at one size; the input added."""

    depths: tuple[int, ...]
    num_heads: int
    window_size: int
    mlp_ratio: float
    drop_path_rate: float
    remat: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = residual_groups(
            x, depths=self.depths, num_heads=(self.num_heads,) * len(self.depths), window_size=self.window_size,
            mlp_ratio=self.mlp_ratio, resi_connection="1conv", drop_path_rate=self.drop_path_rate, remat=self.remat,
            dtype=self.dtype)
        return x + Conv(x.shape[-1], dtype=self.dtype, name="conv_after_groups")(y)


class Fusion(nn.Module):
    """Features of half the size, enlarged to `features` channels, before those at hand; then a 1x1 convolution."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, smaller, x):
        enlarged = pixel_shuffle(Conv(4 * self.features, dtype=self.dtype, name="upconv")(smaller), 2)
        y = jnp.concatenate([enlarged, x], axis=-1)
        return Conv(y.shape[-1], 1, dtype=self.dtype, name="conv_fuse")(y)


class HST(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_features: of the image's convolutions at its own size, at half and at a quarter of it. The trunk has a
        multiple of them: once, twice and three times as many from the smallest size to the largest.
      depths: layers of each group; of the groups at a quarter of the size, at half, and at its own.
      num_heads: number of heads of all attention.
      window_size: side of the attention windows, px; H and W are multiples of four times it (ValueError).
      mlp_ratio: hidden over outer features of the MLPs.
      num_feat: features of the head.
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      drop_path_rate: rate of a size's last layer in training, rising to it linearly from 0 within the size.
      remat: layers are computed again in the backward pass, which saves their memory; same parameters, same results.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int
    num_features: tuple[int, int, int] = (60, 60, 60)
    depths: tuple[tuple[int, ...], ...] = ((6,) * 2, (6,) * 4, (6,) * 6)
    num_heads: int = 6
    window_size: int = 8
    mlp_ratio: float = 2.0
    num_feat: int = 64
    mean: tuple[float, ...] = RGB_MEAN
    drop_path_rate: float = 0.1
    remat: bool = False
    dtype: Any = None

    @property
    def size_multiple(self):
        return 4 * self.window_size

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        x, (high, middle, low) = lr - mean, self.num_features
        x_middle = Conv(middle, 5, strides=2, padding=2, dtype=self.dtype, name="conv1")(x)
        x_low = Conv(low, 3, strides=2, padding=1, dtype=self.dtype, name="conv2")(x_middle)
        x_high = Conv(high, 7, dtype=self.dtype, name="conv3")(x)

        def branch(number, y):
            return Branch(self.depths[number], self.num_heads, self.window_size, self.mlp_ratio,
                          self.drop_path_rate if train else 0.0, self.remat, dtype=self.dtype,
                          name=f"branch_{number}")(y)

        y = branch(0, x_low)
        y = branch(1, Fusion(middle, dtype=self.dtype, name="fusion_1")(y, x_middle))
        y = branch(2, Fusion(2 * high, dtype=self.dtype, name="fusion_2")(y, x_high))
        y = Reconstruction("pixelshuffle", self.scale, lr.shape[-1], self.num_feat, dtype=self.dtype, name="head")(y)
        return y.astype(lr.dtype) + mean


VARIANTS = {
    "base": dict(),  # 16.58 M
}

SMALL = dict(num_features=(2, 2, 2), depths=((1,), (), ()), num_heads=2, window_size=2, num_feat=2,
             drop_path_rate=0.0)  # for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return HST(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="HST, hierarchical Swin transformer, residual groups at three sizes",
    paper="Li et al., HST: Hierarchical Swin Transformer for Compressed Image Super-resolution, ECCV Workshops 2022",
    code="lixinustc/HST-for-Compressed-Image-SR (no licence given)",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(32, "flip", always=True),
)
