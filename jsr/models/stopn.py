"""STOPN: the network of the team IVL, which aligns five frames by one deformable convolution and restores their luma.

AIM 2022, track 2 (report, section 4.5). Structure as in net_stdf.py of
claudiom4sir/AIM2022SuperResolutionOfCompressedVideos, after STDF (Deng et al., AAAI 2020). Its test script puts luma
and chroma together, and then writes the enlarged input in place of the result; here it is the result, as in the report.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers.conv import Conv
from jsr.layers.deform import deform_convolve
from jsr.layers.padding import Padding
from jsr.layers.resize import bicubic_aligned, bicubic_upsample
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card

FRAMES = 5
_GROUPS = 8  # features that are sampled, each at offsets of its own
_TAPS = 9
_FUSED = 64  # features that the deformable convolution gives
# The script's BT.601, of values in [0, 1]; the offset of Y. What Y is in RGB follows from the inverse, not rounded.
_YCBCR = np.array([[0.257, 0.504, 0.098], [-0.148, -0.291, 0.439], [0.439, -0.368, -0.071]])
_BLACK = 0.063
_OF_LUMA = np.linalg.inv(_YCBCR)[:, 0]


class Offsets(nn.Module):
    """A U-net: features (N, H, W, C) to (N, H, W, num_feat), H and W multiples of 2 ** num_level.

    Attributes:
      num_feat: features at each size.
      num_level: sizes but the smallest.
      dtype: dtype of the computation.
    """

    num_feat: int
    num_level: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        skips = [self._conv("in_conv", x)]
        for level in range(1, self.num_level):
            skips.append(self._conv(f"dn_conv{level}_1", self._conv(f"dn_conv{level}_0", skips[-1], 2)))
        x = self._conv("tr_conv_1", self._conv("tr_conv_0", skips[-1], 2))
        x = self._up("tr_conv_2", x)
        for level in range(self.num_level - 1, 0, -1):
            x = self._conv(f"up_conv{level}_0", jnp.concatenate([x, skips[level]], -1))
            x = self._up(f"up_conv{level}_1", x)
        return self._conv("out_conv", x)

    def _conv(self, name, x, strides=1):
        return nn.relu(Conv(self.num_feat, strides=strides, padding=1, dtype=self.dtype, name=name)(x))

    def _up(self, name, x):
        return nn.relu(TransposedConv(self.num_feat, kernel_size=4, padding=1, dtype=self.dtype, name=name)(x))


class STOPN(nn.Module):
    """(N, 5, H, W, 3) in [0, 1] to the frame in the middle, (N, H * 4, W * 4, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size, 4.
      num_feat: features, but for the 8 that are sampled and the 64 that are made of them.
      num_level: sizes of the U-net that finds the offsets; H and W are multiples of 2 ** num_level.
      num_conv: convolutions before each enlargement, one less before the first.
      align_corners: enlarges as published, by which the corners' pixels stay in the corners, up to 1.5 px away from
        where frames made smaller by the protocol have them. Of 256x256 px that costs bicubic 0.33 dB of the luma,
        which the network is to mend by what it sees of the borders; False, which is not the team's, does not cost it.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 32
    num_level: int = 3
    num_conv: int = 6
    align_corners: bool = True
    dtype: Any = None

    @property
    def grid_follows_size(self):
        """Whether tiles are enlarged by another grid than the image."""
        return self.align_corners

    @property
    def size_multiple(self):
        """Number that H and W are multiples of."""
        return 2**self.num_level

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        dtype = self.dtype or lr.dtype
        # Not as a product of matrices, which accelerators would round
        luma = sum(float(weight) * lr[..., channel] for channel, weight in enumerate(_YCBCR[0])) + _BLACK
        x = jnp.moveaxis(luma, 1, -1)
        x = nn.relu(Conv(_GROUPS, dtype=self.dtype, name="initial_conv")(x))
        y = Offsets(self.num_feat, self.num_level, dtype=self.dtype, name="offsets")(x)
        offset = Conv(2 * _TAPS * _GROUPS, dtype=self.dtype, name="offset")(y)
        mask = nn.sigmoid(Conv(_TAPS * _GROUPS, dtype=self.dtype, name="mask")(y))
        weights = self.param("weights", nn.initializers.uniform(1.0), (3, 3, 1, _FUSED))
        x = nn.relu(deform_convolve(x, offset, jnp.asarray(weights, dtype), mask))
        x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name="conv_fuse")(x))
        for part in (1, 2):
            for index in range(self.num_conv):
                x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name=f"hid_conv_{part}_{index}")(x))
            x = TransposedConv(self.num_feat, kernel_size=4, padding=1, dtype=self.dtype, name=f"up{part}")(x)
        luma = Conv(1, dtype=self.dtype, name="conv_last")(x).astype(lr.dtype)
        # Enlarged as YCbCr the frame is enlarged as RGB: both are linear, and weights add up to one.
        enlarge = bicubic_aligned if self.align_corners else bicubic_upsample
        return enlarge(lr[:, FRAMES // 2], self.scale) + luma * jnp.asarray(_OF_LUMA, lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {"base": dict(num_feat=32)}  # 0.379 M

SMALL = dict(num_feat=4, num_level=2, num_conv=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return STOPN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="STOPN, five frames aligned by a deformable convolution, luma alone",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022, section 4.5",
    code="claudiom4sir/AIM2022SuperResolutionOfCompressedVideos (no licence)",
    scales=(4,),
    padding=Padding(multiple=8),
    frames=FRAMES,
)
