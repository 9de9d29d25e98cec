"""Unicorns: Retinexformer, what its output has in common with its input, and a second U-net (NTIRE 2024 blind JPEG).

Report of NTIRE 2024's blind compressed image enhancement, section 4.13, states the parts: Retinexformer, with its
illumination map, as the first encoder-decoder block (EDB); a multi-head correlation block (MHCB); a second EDB, given
the correlated features and the first one's output. No code is public, and no more is said of any of them. Inferred:
- both EDBs have the published Retinexformer's blocks, [1, 2, 2]; the second is its U-net, whose attention is guided by
  the correlated features as the first one's is by the illumination's
- the MHCB is attention between channels, as in Retinexformer, in four heads: the queries are of the input, keys and
  values of the first EDB's output, to whose features the result is added
- 112 features: 24.7 M parameters, where the submission's 102 MB hold 25.5 M in float32
"""

from typing import Any

import flax.linen as nn

from jsr.layers.attention import attend_between_channels, split_heads
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card
from jsr.models.retinexformer import Denoiser, Stage


class CorrelationBlock(nn.Module):
    """Two images (N, H, W, C) to features of the second that are weighed by their correlation with the first's.

    Attributes:
      num_feat: features of the result, (N, H, W, num_feat).
      num_heads: divides num_feat.
      dtype: dtype of the computation, but for the logits.

    Parameters: `temperature` (num_heads, 1, 1); submodules `embed_first`, `embed_second`, `query`, `key`, `value`,
    `proj`.
    """

    num_feat: int
    num_heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, first, second):
        first, second = (Conv(self.num_feat, dtype=self.dtype, name=f"embed_{name}")(image)
                         for name, image in (("first", first), ("second", second)))
        query, key, value = (split_heads(Conv(self.num_feat, 1, dtype=self.dtype, name=name)(x), 1, self.num_heads)[0]
                             for name, x in (("query", first), ("key", second), ("value", second)))
        temperature = self.param("temperature", nn.initializers.ones, (self.num_heads, 1, 1))
        y = attend_between_channels(query, key, value, temperature)
        return second + Conv(self.num_feat, 1, dtype=self.dtype, name="proj")(y)


class Unicorns(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped.

    H and W are multiples of 2**(len(num_blocks) - 1).

    Attributes:
      scale: 1.
      num_feat: features of both EDBs at full size and of the MHCB; a multiple of 4.
      num_blocks: numbers of blocks of each level of an EDB, the smallest size last.
      num_heads: number of heads of the MHCB.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 112
    num_blocks: tuple[int, ...] = (1, 2, 2)
    num_heads: int = 4
    dtype: Any = None

    @property
    def size_multiple(self):
        return 2**(len(self.num_blocks) - 1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        x = Stage(self.num_feat, self.num_blocks, dtype=self.dtype, name="edb1")(lr)
        correlated = CorrelationBlock(self.num_feat, self.num_heads, dtype=self.dtype, name="mhcb")(lr, x)
        return Denoiser(self.num_feat, self.num_blocks, dtype=self.dtype, name="edb2")(x, correlated)


VARIANTS = {
    "base": dict(),  # 24.71 M
}

SMALL = dict(num_feat=4, num_blocks=(0, 1), num_heads=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Unicorns(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Unicorns, two Retinexformers with a correlation block between",
    paper="Yang et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, CVPRW 2024",
    code="",
    scales=(1,),
    task="restoration",
    padding=Padding(4, "reflect"),
)
