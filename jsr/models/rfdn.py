"""RFDN: residual feature distillation network, and one that was made of it for real time.

Paper: Liu et al., ECCV Workshops 2020, arXiv:2009.11551. Structure and initialisation (PyTorch's default) as in
njulj/RFDN, the entry to AIM 2020; field names are BasicSR's. `dilated` is NTIRE 2022's, of efficient super-resolution's
team 13 (ofsoundof/NTIRE2022_ESR).

FADN (NTIRE 2023, section 3.13, team P.AI.R) has blocks without activation functions: NAFNet's gate in place of the
ReLU, its simplified channel attention, and layer normalisation. The text has no more than that; NADB is inferred, as a
block of these parts that needs what table 1 leaves for it, 12.75 num_feat**2 operations a pixel, to the digit at both
scales. The parameters come out 4 % too few. The range is inferred to be the challenge's, [0, 1].
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.esa import ESA
from jsr.layers.norm import LayerNorm
from jsr.layers.pool import GlobalMean
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card, row_at


class RFDB(nn.Module):
    """Residual feature distillation of at least 4 features.

    Attributes:
      num_distil: 3x3 convolutions, each beside a 1x1 whose output is kept for the end.
      num_feat: output channels; None keeps their number.
      dilations: dilations of the 3x3 convolutions in turn, the last one's excepted.
      regroup: a 1x1 convolution, as PRFDN's, comes before the one that fuses what is kept.
      dtype: dtype of the computation.
    """

    num_distil: int = 3
    num_feat: int | None = None
    dilations: tuple[int, ...] = (1, 1, 1)
    regroup: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y, kept = x, []
        for index in range(self.num_distil):
            kept.append(_act(Conv(features // 2, 1, dtype=self.dtype, name=f"distil_{index}")(y)))
            y = _act(Conv(features, dilation=self.dilations[index], dtype=self.dtype, name=f"conv_{index}")(y) + y)
        kept.append(_act(Conv(features // 2, dtype=self.dtype, name="conv_last")(y)))
        y, features = jnp.concatenate(kept, -1), self.num_feat or features
        if self.regroup:
            y = Conv((self.num_distil + 1) // 2 * features, 1, dtype=self.dtype, name="conv_regroup")(y)
        y = Conv(features, 1, dtype=self.dtype, name="conv_fuse")(y)
        return ESA(features // 4, num_conv=3, dtype=self.dtype, name="esa")(y)


class NADB(nn.Module):
    """Distillation without activation functions; features keep their number, which is even."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y = LayerNorm(epsilon=1e-6, dtype=self.dtype, name="norm")(x)
        distilled = Conv(features // 2, 1, dtype=self.dtype, name="distil")(y)
        one, other = jnp.split(Conv(features, dtype=self.dtype, name="conv_0")(y), 2, axis=-1)
        y = self._attend(one * other, "attention_0")
        y = Conv(features // 2, dtype=self.dtype, name="conv_1")(y)
        y = Conv(features, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate([distilled, y], -1))
        return self._attend(y, "attention_1") + x

    def _attend(self, x, name):
        """NAFNet's simplified channel attention."""
        return x * Conv(x.shape[-1], 1, dtype=self.dtype, name=name)(GlobalMean()(x))


BLOCKS = {"rfdb": RFDB, "nadb": NADB}


class RFDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: blocks, whose outputs all meet in a 1x1 convolution.
      block: "rfdb" or "nadb".
      dilations: dilations of the 3x3 convolutions of an "rfdb" in turn; no tensor tells them.
      img_range: the inside works on values of [0, img_range].
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 50
    num_block: int = 4
    block: str = "rfdb"
    dilations: tuple[int, ...] = (1, 1, 1)
    img_range: float = 255.0
    dtype: Any = None

    @property
    def grid_follows_size(self):
        """The attention's coarse map is stretched to the image's size: a tile has other masks than the whole."""
        return self.block == "rfdb"

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr * self.img_range)
        x, outputs = head, []
        own = dict(dilations=self.dilations) if self.block == "rfdb" else {}
        for index in range(self.num_block):
            x = BLOCKS[self.block](**own, dtype=self.dtype, name=f"body_{index}")(x)
            outputs.append(x)
        x = _act(Conv(self.num_feat, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate(outputs, -1)))
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype) / self.img_range


def _act(x):
    return nn.leaky_relu(x, 0.05)


VARIANTS = {  # the official repository at x4; NTIRE 2023's table 1 at x2 and x3, elsewhere the nearest's row
    "rfdn": dict(num_feat=50, num_block=4),  # 0.433 M
    "dilated": dict(num_feat=64, num_block=4, dilations=(1, 2, 5), img_range=1.0),  # NTIRE 2022, efficient SR, team 13
    "fadn": {2: dict(num_feat=16, block="nadb", img_range=1.0),      # 0.0212 M
             3: dict(num_feat=40, block="nadb", img_range=1.0)},     # 0.1280 M
}

SMALL = dict(num_feat=16, num_block=1)  # the same network, for tests that compile it


def Model(variant="rfdn", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RFDN(scale=scale, **row_at(VARIANTS[variant], scale) | fields)


CARD = Card(
    title="RFDN, residual feature distillation with spatial attention",
    paper="Liu et al., Residual Feature Distillation Network for Lightweight Image Super-Resolution, ECCV Workshops "
          "2020",
    code="njulj/RFDN (MIT)",
    scales=(2, 3, 4),
    variant_scales={"dilated": (4,), "fadn": (2, 3)},
    other_scales=(1, 2, 3, 4, 8),
)
