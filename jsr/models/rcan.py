"""RCAN: residual channel attention blocks in groups, each with a skip connection of its own.

Paper: Zhang et al., ECCV 2018, arXiv:1807.02758. Structure, initialisation (PyTorch's default), mean shift and range as
in yulunzhang/RCAN, whose count includes 24 frozen values of the mean shift, here arithmetic; field names are BasicSR's.

The others are entries to AIM 2020's real image SR. `c128` is DeepBlueAI's: 10 groups, 20 blocks and 128 features are
stated, a squeeze factor of 16 is likely. MoonCloud, who only name RCAN, most likely took `base`.

`nadu` is the network in the code of a member of qwq, TimothyHTimothy/NADU-DMDR, of weeks before the challenge's end:
8 groups of 8 blocks, of 64 features at x3 and of 128 at x4; its mean shift is there and not called. `multi_scale` adds
what the report says of qwq's entry and that code has not: several sizes in the base block, to enlarge the receptive
field, and features of a quarter, one, two and four times the size, "five scales", in the upsampling network. A guess:
the first convolution of each block is one of three, of the features at full size and of their means over 2x2 and 4x4
px, each with a ReLU, enlarged by repetition, and fused by a 1x1 convolution; so the block has a quarter, a half and the
whole, and the upsampler at x4 twice and four times the size. (Convolutions of 3x3 and 5x5 side by side, as MSRN's,
would see less far and give no quarter.) x2, of which the code says nothing, is as x3.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card, row_at
from jsr.models.hat import ChannelWeights
from jsr.models.rrdbnet import nearest_upsample


class MultiScaleConv(nn.Module):
    """3x3 convolutions at several sizes side by side, fused by a 1x1 convolution; features keep their number.

    H and W are multiples of the reductions.
    """

    reductions: tuple[int, ...]
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        at_sizes = []
        for factor in self.reductions:
            y = nn.avg_pool(x, (factor, factor), (factor, factor)) if factor > 1 else x
            y = nn.relu(Conv(x.shape[-1], dtype=self.dtype, name=f"conv_{factor}")(y))
            at_sizes.append(nearest_upsample(y, factor))
        return Conv(x.shape[-1], 1, dtype=self.dtype, name="fusion")(jnp.concatenate(at_sizes, axis=-1))


class RCAB(nn.Module):
    """A residual block whose residual is weighed feature by feature, by weights made of its means over the image."""

    squeeze_factor: int
    reductions: tuple[int, ...] = ()
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        first = (MultiScaleConv(self.reductions, dtype=self.dtype, name="conv1") if self.reductions else
                 Conv(x.shape[-1], dtype=self.dtype, name="conv1"))
        y = Conv(x.shape[-1], dtype=self.dtype, name="conv2")(nn.relu(first(x)))
        return x + y * ChannelWeights(self.squeeze_factor, dtype=self.dtype, name="attention")(y)


class RCAN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 1, 3 or a power of two.
      num_feat: features of the trunk.
      num_group: residual groups.
      num_block: blocks of a group.
      squeeze_factor: the features over those between the two layers of an attention.
      reductions: factors by which each block's first convolution sees its input reduced, as in (1, 2, 4); H and W are
        multiples of them. () is RCAN's one convolution.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_group: int = 10
    num_block: int = 20
    squeeze_factor: int = 16
    reductions: tuple[int, ...] = ()
    img_range: float = 255.0
    mean: tuple[float, float, float] = RGB_MEAN
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that the sides of images are multiples of."""
        return max(self.reductions, default=1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(features, name):
            return Conv(features, dtype=self.dtype, name=name)

        mean = jnp.asarray(self.mean, lr.dtype)
        head = conv(self.num_feat, "conv_first")((lr - mean) * self.img_range)
        x = head
        for group in range(self.num_group):
            y = x
            for block in range(self.num_block):
                y = RCAB(self.squeeze_factor, self.reductions, dtype=self.dtype, name=f"body_{group}_{block}")(y)
            x = x + conv(self.num_feat, f"body_{group}_conv")(y)
        x = head + conv(self.num_feat, "conv_after_body")(x)
        x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        return conv(lr.shape[-1], "conv_last")(x).astype(lr.dtype) / self.img_range + mean


_NADU: dict[str, Any] = dict(num_group=8, num_block=8, img_range=1.0, mean=(0.0, 0.0, 0.0))
VARIANTS: dict[str, dict[Any, Any]] = {  # parameters at x4
    "base": dict(),                                                     # 15.592 M
    "c128": dict(num_feat=128),                                         # 62.282 M
    "nadu": {2: _NADU, 3: _NADU, 4: _NADU | dict(num_feat=128)},        # 21.547 M
    "multi_scale": {2: _NADU | dict(reductions=(1, 2, 4)), 3: _NADU | dict(reductions=(1, 2, 4)),
                    4: _NADU | dict(num_feat=128, reductions=(1, 2, 4))},
}

SMALL = dict(num_feat=8, num_group=2, num_block=1, squeeze_factor=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RCAN(scale=scale, **row_at(VARIANTS[variant], scale) | fields)


CARD = Card(
    title="RCAN, residual channel attention blocks in residual groups",
    paper="Zhang et al., Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018",
    code="yulunzhang/RCAN (no licence), XPixelGroup/BasicSR (Apache-2.0), TimothyHTimothy/NADU-DMDR (no licence)",
    scales=(2, 3, 4, 8),
    variant_scales={"c128": (2, 3, 4), "nadu": (3, 4), "multi_scale": (2, 3, 4)},
    other_scales=(1, 2, 3, 4, 8),
)
