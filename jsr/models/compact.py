"""Compact: SRVGGNetCompact, the small network of Real-ESRGAN; plain convolutions beside the image enlarged.

Code: xinntao/Real-ESRGAN, realesrgan/archs/srvgg_arch.py, by which Wang et al. (Real-ESRGAN, ICCV Workshops 2021,
arXiv:2107.10833) published weights for videos and photographs; there is no paper of it. The image is enlarged by
repetition. `ultra` and `super_ultra` are what those who train call UltraCompact and SuperUltraCompact.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.errors import nearest
from jsr.layers.activation import PReLU
from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card

ACTIVATIONS = {"prelu": None, "relu": nn.relu, "leaky_relu": lambda x: nn.leaky_relu(x, 0.1)}  # one slope a feature


class Compact(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_conv: convolutions of the trunk, besides the first and the last.
      act: "prelu", "relu", or "leaky_relu" of 0.1, behind each but the last.
      channels: channels of LR and SR.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_conv: int = 16
    act: str = "prelu"
    channels: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        if self.act not in ACTIVATIONS:
            raise ValueError(f"no activation {self.act!r}; {nearest(self.act, ACTIVATIONS)}")
        x = lr
        for index in range(self.num_conv + 1):
            x = Conv(self.num_feat, dtype=self.dtype, name=f"conv_{index}")(x)
            x = (ACTIVATIONS[self.act] or PReLU(dtype=self.dtype, name=f"act_{index}"))(x)
        x = Conv(self.channels * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        enlarged = jnp.repeat(jnp.repeat(lr, self.scale, axis=1), self.scale, axis=2)
        return pixel_shuffle(x, self.scale).astype(lr.dtype) + enlarged


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4
    "base": dict(num_feat=64, num_conv=16),        # 621 k, realesr-animevideov3
    "general": dict(num_feat=64, num_conv=32),     # 1.21 M, realesr-general-x4v3
    "ultra": dict(num_feat=64, num_conv=8),        # 325 k, at x2 305 k
    "super_ultra": dict(num_feat=24, num_conv=8),  # 53.4 k
}

SMALL = dict(num_feat=4, num_conv=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Compact(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Compact (SRVGGNetCompact), the small network of Real-ESRGAN",
    paper="Wang et al., Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data, ICCV "
          "Workshops 2021",
    code="xinntao/Real-ESRGAN (BSD-3-Clause)",
    scales=(4,),
    variant_scales={"ultra": (2,), "super_ultra": (2,)},
    other_scales=(1, 2, 3, 4, 8),
)
