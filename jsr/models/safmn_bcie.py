"""SAFMN_BCIE: SAFMN's modulation in residual groups at half the image's size, against compression artefacts.

Report: section 4.9 of the NTIRE 2024 challenge on blind enhancement of compressed images (VPEG). Structure and
defaults as in sunny2109/SAFMN, basicsr/archs/safmn_bcie_arch.py and inference/inference_safmn_bcie.py. The "global
residual" of the report is of features: in the code nothing of the image is added to the output.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card
from jsr.models.safmn import CCM, SAFM


class FeatureMixing(nn.Module):
    """SAFM and CCM, each of normalised features and added to them. Submodules: `norm1`, `safm`, `norm2`, `ccm`."""

    num_level: int
    ffn_scale: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm1")(x)
        x = x + SAFM(self.num_level, dtype=self.dtype, name="safm")(y)
        y = LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm2")(x)
        return x + CCM(self.ffn_scale, use_bias=True, dtype=self.dtype, name="ccm")(y)


class ResidualGroup(nn.Module):
    """Blocks of feature mixing and a convolution; the input added. Submodules: `layers_0`..., `conv`."""

    num_block: int
    num_level: int
    ffn_scale: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = x
        for index in range(self.num_block):
            y = FeatureMixing(self.num_level, self.ffn_scale, dtype=self.dtype, name=f"layers_{index}")(y)
        return x + Conv(x.shape[-1], dtype=self.dtype, name="conv")(y)


class SAFMNBCIE(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped; H and W are even, and 2**num_level at least.

    Attributes:
      scale: 1.
      num_feat: features of the trunk, a multiple of `num_level`.
      num_group: residual groups.
      num_block: number of blocks of a group.
      num_level: parts of the features that a SAFM pools, each to half the size of the one before.
      ffn_scale: the mixers' features over the trunk's.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 128
    num_group: int = 8
    num_block: int = 6
    num_level: int = 4
    ffn_scale: float = 2.0
    dtype: Any = None

    grid_follows_size = True  # a tile is pooled by other bins than the image is

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(pixel_unshuffle(lr, 2))
        x = head
        for index in range(self.num_group):
            x = ResidualGroup(self.num_block, self.num_level, self.ffn_scale, dtype=self.dtype,
                              name=f"feats_{index}")(x)
        x = Conv(4 * self.num_feat, dtype=self.dtype, name="conv_up")(x + head)
        return Conv(lr.shape[-1], dtype=self.dtype, name="conv_last")(pixel_shuffle(x, 2)).astype(lr.dtype)


VARIANTS = {
    "base": dict(),  # 18.41 M
}

SMALL = dict(num_feat=6, num_group=1, num_block=1, num_level=3)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SAFMNBCIE(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SAFMN_BCIE, residual groups of SAFMN's blocks at half the size",
    paper="Sun et al., Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution, ICCV 2023; "
          "Yang, Timofte et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, "
          "CVPR Workshops 2024",
    code="sunny2109/SAFMN (Apache-2.0)",
    scales=(1,),
    task="restoration",
    padding=Padding(2, "reflect"),  # the mode is inferred: the original test's images are of even sides
)
