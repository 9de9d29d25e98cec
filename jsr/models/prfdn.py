"""PRFDN: RFDN's blocks beside each other, made one wide network and pruned, of NTIRE 2023's real-time challenge.

Section 3.19 of the challenge's report, team SEU CNII; structure as in yindaheng98/NTIRE23-RTSR, demo/utils/models/
rfdn_half, classes RFDNB4S_P (x2) and RFDNB2S_P (x3), and widths as in the two files of weights there. The team trains
four branches of one block (x2), or two branches of two (x3), the first branch from the head alone, the others through a
small block that distils once. It then writes the branches as one network of ordinary convolutions, in which a 1x1
convolution stands wherever features are split off or put into another order, trains these too, and prunes it. That is
the network here: `num_branch` is what is left to see of the branches. The files' weights are for values of [0, 255], as
RFDN's: on [0, 1], as the repository's demonstration gives them, they fall below bicubic.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card, row_at
from jsr.models.rfdn import RFDB


class PRFDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_branch: how often the image is given to the head; of more than two branches those with a small block have
        their features regrouped inside it.
      num_block: blocks one after the other, whose outputs all meet in a 1x1 convolution.
      num_head_feat: features of the head, of all branches.
      num_feat: features of the first branch, and after the blocks.
      num_small_feat: features of the other branches, and of the small block.
      num_block_feat: features that a block gives.
      img_range: the inside works on values of [0, img_range].
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_branch: int = 4
    num_block: int = 1
    num_head_feat: int = 23
    num_feat: int = 5
    num_small_feat: int = 17
    num_block_feat: int = 23
    img_range: float = 255.0
    dtype: Any = None

    # The attention's coarse map is stretched to the image's size: a tile has other masks than the whole.
    grid_follows_size = True

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        image = jnp.concatenate([lr * self.img_range] * self.num_branch, -1)
        x = Conv(self.num_head_feat, dtype=self.dtype, name="conv_first")(image)
        first = Conv(self.num_feat, 1, dtype=self.dtype, name="split_first")(x)
        others = Conv(self.num_small_feat, 1, dtype=self.dtype, name="split_others")(x)
        others = RFDB(num_distil=1, regroup=self.num_branch > 2, dtype=self.dtype, name="small")(others)
        x = jnp.concatenate([first, others], -1)
        head, outputs = Conv(self.num_feat, 1, dtype=self.dtype, name="split_head")(x), []
        for index in range(self.num_block):
            x = RFDB(num_feat=self.num_block_feat, regroup=True, dtype=self.dtype, name=f"body_{index}")(x)
            outputs.append(x)
        if self.num_block > 1:
            x = jnp.concatenate(outputs, -1)
            x = Conv(x.shape[-1], 1, dtype=self.dtype, name="conv_regroup")(x)
        x = nn.leaky_relu(Conv(self.num_feat, 1, dtype=self.dtype, name="conv_fuse")(x), 0.05)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype) / self.img_range


VARIANTS = {  # as pruned: 29.9 k and 62.9 k parameters
    "base": {2: dict(num_branch=4, num_block=1, num_head_feat=23, num_feat=5, num_small_feat=17, num_block_feat=23),
             3: dict(num_branch=2, num_block=2, num_head_feat=25, num_feat=12, num_small_feat=12, num_block_feat=25)},
}

# The same network, for tests: its masks are alive, and on values that do not saturate them, whatever the parameters
SMALL = dict(num_head_feat=8, num_feat=4, num_small_feat=32, num_block_feat=32, img_range=1.0)


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return PRFDN(scale=scale, **row_at(VARIANTS[variant], scale) | fields)


CARD = Card(
    title="PRFDN, RFDN's blocks side by side, merged and pruned",
    paper="Team SEU CNII in Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution. NTIRE 2023 "
          "Benchmark and Report, CVPR Workshops 2023",
    code="yindaheng98/NTIRE23-RTSR (Apache-2.0)",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
)
