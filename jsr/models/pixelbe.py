"""The network of PixelBE: first a clean LR image, then its enlargement.

NTIRE 2023 real-time super-resolution, report section 3.14; no code is public. The two stages are the report's: a 3x3
convolution of stride 2, two edge-oriented blocks (ECB) and a pixel shuffle to a clean image of LR size; two ECBs and a
pixel shuffle to SR. The widths (32, 20; 36) are one of some thirty sets that meet the published 13.7 k parameters and
14.7226 G, which count ReLUs: one behind the strided convolution and one in the second stage. Inferred: their places,
that they are ReLUs, and no sum with the image.
"""

from typing import Any

import flax.linen as nn

from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class PixelBE(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped; H and W are even.

    In training it returns {"sr", "lr_clean"}: the second is the first stage's image, (N, H, W, 3) without the
    compression's artefacts, for a loss against the LR image before compression.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the first stage: of the strided convolution and of the first ECB.
      num_feat_up: features of the second stage.
      block: block of jsr.layers.rep.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: tuple[int, int] = (32, 20)
    num_feat_up: int = 36
    block: str = "ecb"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        def reconv(x, features, name):
            return RepConv(features, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                           name=name)(x, train=train)

        channels = lr.shape[-1]
        x = nn.relu(Conv(self.num_feat[0], strides=2, padding=1, dtype=self.dtype, name="conv_first")(lr))
        x = reconv(x, self.num_feat[1], "clean_0")
        clean = pixel_shuffle(reconv(x, channels * 4, "clean_1"), 2)
        x = nn.relu(reconv(clean, self.num_feat_up, "up_0"))
        sr = pixel_shuffle(reconv(x, channels * self.scale**2, "up_1"), self.scale).astype(lr.dtype)
        return {"sr": sr, "lr_clean": clean.astype(lr.dtype)} if train else sr


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=(32, 20), num_feat_up=36),  # 13.8 k parameters deployed
}

SMALL = dict(num_feat=(4, 4), num_feat_up=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return PixelBE(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="PixelBE's two stages, a clean LR image and its enlargement",
    paper="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution: NTIRE 2023 Benchmark and "
          "Report, CVPR Workshops 2023, section 3.14",
    code="",
    scales=(2,),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(multiple=2),  # the mode is inferred
)
