"""RLFN: residual local feature network, and those that were made of it for real time.

Paper: Kong et al., CVPR Workshops 2022, arXiv:2205.07514. Structure and initialisation (PyTorch's default) as in
bytedance/RLFN; field names are BasicSR's. The official weights are all for values of [0, 255], which is said of
`rlfn_ntire` alone and shows in the results of the others.

LFDN (NTIRE 2023, section 3.20, team NTU-BL6) is RLFN of 32 features, taken from a wider one by selecting channels.
ERLFN (section 3.10, team Antins CV) has two blocks, whose 3x3 convolutions train as FMEN's residual in residual blocks.
Its text and table 2 have 27 features and attention at x3: `erlfn_text`. Table 1's parameters and operations are, at
either scale, of the network that the text has for x2, with 12 features and no attention: `erlfn`. Inferred: its range,
and that it keeps everything else of RLFN. `light` is NTIRE 2024's LightRLFN, of efficient super-resolution's team 16
(Amazingren/NTIRE2024_ESR).
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.esa import ESA
from jsr.layers.rep import RepConv
from jsr.layers.resize import bilinear
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class RLFB(nn.Module):
    """Three 3x3 convolutions with a leaky ReLU after each, the input added, a 1x1 and the attention.

    Attributes are those of RLFN; features keep their number.
    """

    mid_feat: int
    esa_feat: int | None
    block: str
    deploy: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y, branches = x, rep_blocks.block(self.block)
        for index, features in enumerate((self.mid_feat, self.mid_feat, x.shape[-1])):
            y = RepConv(features, branches, deploy=self.deploy, dtype=self.dtype, name=f"conv{index + 1}")(y)
            y = nn.leaky_relu(y, 0.05)
        y = Conv(x.shape[-1], 1, dtype=self.dtype, name="conv_last")(y + x)
        return y if self.esa_feat is None else ESA(self.esa_feat, dtype=self.dtype, name="esa")(y)


class RLFN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      mid_feat: features between the 3x3 convolutions of a block; None is num_feat.
      num_block: RLFBs.
      esa_feat: features inside the attention; None leaves it out.
      block: block of jsr.layers.rep, for the 3x3 convolutions of the RLFBs.
      anchor: "bilinear" adds the image, enlarged so; "none" nothing. No tensor tells it.
      img_range: the inside works on values of [0, img_range].
      deploy: each such block is one convolution; as a "plain" one is always.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 52
    mid_feat: int | None = None
    num_block: int = 6
    esa_feat: int | None = 16
    block: str = "plain"
    anchor: str = "none"
    img_range: float = 255.0
    deploy: bool = False
    dtype: Any = None

    @property
    def grid_follows_size(self):
        """The attention's coarse map is stretched to the image's size: a tile has other masks than the whole."""
        return self.esa_feat is not None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr * self.img_range)
        x = head
        for index in range(self.num_block):
            x = RLFB(self.mid_feat or self.num_feat, self.esa_feat, self.block, self.deploy or self.block == "plain",
                     dtype=self.dtype, name=f"body_{index}")(x)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        sr = pixel_shuffle(x, self.scale).astype(lr.dtype) / self.img_range
        return sr + bilinear(lr, *(side * self.scale for side in lr.shape[1:3])) if self.anchor == "bilinear" else sr


VARIANTS = {  # the paper's table 1 and NTIRE 2022 at x4; NTIRE 2023: table 1 (LFDN and ERLFN at x2), table 2
    "rlfn": dict(num_feat=52, num_block=6),                                     # 0.544 M
    "rlfn_s": dict(num_feat=48, num_block=6),                                   # 0.470 M
    "rlfn_ntire": dict(num_feat=46, mid_feat=48, num_block=4),                  # 0.317 M
    "light": dict(num_feat=36, mid_feat=48, num_block=4, anchor="bilinear", img_range=1.0),  # NTIRE 2024, team 16
    "lfdn_ntubl6": dict(num_feat=32, num_block=6),                              # 0.2223 M
    "erlfn": dict(num_feat=12, num_block=2, esa_feat=None, block="rrrb"),       # 0.0111 M
    "erlfn_text": dict(num_feat=27, num_block=2, block="rrrb"),                 # 0.0666 M
}

SMALL = dict(num_feat=6, num_block=1, esa_feat=4)  # the same network, for tests that compile it


def Model(variant="rlfn", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RLFN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RLFN, residual local features with spatial attention",
    paper="Kong et al., Residual Local Feature Network for Efficient Super-Resolution, CVPR Workshops 2022",
    code="bytedance/RLFN (Apache-2.0)",
    scales=(2, 4),
    variant_scales={"rlfn_ntire": (4,), "light": (4,), "lfdn_ntubl6": (2,), "erlfn": (2, 3), "erlfn_text": (3,)},
    other_scales=(1, 2, 3, 4, 8),
)
