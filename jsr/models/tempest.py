"""Hierarchical non-local enhancement: Tempest's network of NTIRE 2024, steered by the quality of each 8x8 block.

Report: NTIRE 2024 blind compressed image enhancement, section 4.10; no code is public. It states: the quality factor is
estimated, and embedded, globally and locally at four scales of the encoder; the mean of the global ones is the
prediction; the local embeddings are updated by an attention between them and the global ones; both are mapped to
offsets that, with skip connections, drive the enhancement at each scale of the decoder.

All else is inferred, after FBCNN, to which the report refers: its blocks, widths, embedding and modulation, no residual
of the image; blocks of 8x8 px, which JPEG's are, as what is local; a scale's global value as the mean of its local
ones; the four global embeddings as keys, since an attention to one key would not depend on it; one attention for all
scales; global and local offsets added up. With two blocks a scale that is 31.93 M parameters, 121.8 MiB, where the
submission has 122 MB (FBCNN's 274.4 MiB are "275 MB" in that table).
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.attention import attend, split_heads
from jsr.layers.conv import Conv
from jsr.layers.linear import Linear
from jsr.layers.padding import Padding
from jsr.layers.resize import bilinear
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card
from jsr.models.fbcnn import Modulation, QFAttention, QualityEmbedding, ResBlock


class LocalQuality(nn.Module):
    """Features (N, H, W, C) to 1 - quality / 100 of each square of them, float32 (N, H / side, W / side, 1).

    Attributes:
      side: side of the squares, px of the features.

    Parameters: `linear_0`, `linear_1`.
    """

    side: int

    @nn.compact
    def __call__(self, x):
        n, height, width, features = x.shape
        squares = x.reshape(n, height // self.side, self.side, width // self.side, self.side, features)
        x = squares.astype(jnp.float32).mean((2, 4))
        x = nn.relu(Linear(features, name="linear_0")(x))
        return nn.sigmoid(Linear(1, name="linear_1")(x))


class QualityAttention(nn.Module):
    """Local embeddings (N, h, w, E), each updated by what it asks of the global ones (N, scales, E); same shape.

    Parameters: `query`, `key_value`, `proj`.
    """

    num_heads: int

    @nn.compact
    def __call__(self, local, common):
        n, height, width, features = local.shape
        query = Linear(features, name="query")(local.reshape(n, 1, height * width, features))
        (query,) = split_heads(query, 1, self.num_heads)
        key, value = split_heads(Linear(2 * features, name="key_value")(common[:, None]), 2, self.num_heads)
        y = attend(query, key, value, scale=(features // self.num_heads)**-0.5, bias=0)
        return local + Linear(features, name="proj")(y).reshape(local.shape)


class Tempest(nn.Module):
    """(N, H, W, 3) in [0, 1] to {"sr": the restored image, "qf": the estimate of 1 - quality / 100, float32 (N, 1)}.

    `sr` has the input's shape and dtype, and is not clipped. H and W are multiples of 8.

    Attributes:
      scale: 1.
      num_feat: features of the highest of four levels; each lower one has twice as many.
      num_block: number of blocks of each level, in the encoder and in the decoder.
      embed_dim: features of the embeddings.
      num_heads: number of heads of the attention between them.
      dtype: dtype of the computation; parameters stay float32, what concerns the quality is computed in float32.
    """

    scale: int = 1
    num_feat: int = 64
    num_block: int = 2
    embed_dim: int = 512
    num_heads: int = 8
    dtype: Any = None

    estimates_quality = True

    @nn.compact
    def __call__(self, lr, *, train=False, qf_input=None):
        """`qf_input`: float (N, 1) or (1, 1), 1 - quality / 100 to restore for.

        It stands for the global estimates, and the local ones are moved to have it as their mean.
        """
        del train  # the same in training
        levels = self.encode(lr)
        local = [LocalQuality(8 >> level, name=f"quality_{level}")(x) for level, x in enumerate(levels)]
        common = [quality.mean((1, 2)) for quality in local]
        qf = jnp.asarray(sum(common)) / len(common)
        if qf_input is not None:
            local = [quality + (qf_input - mean)[:, None, None] for quality, mean in zip(local, common, strict=True)]
            common = [jnp.broadcast_to(qf_input, qf.shape)] * len(common)
        sr = self.decode(levels, self.offsets(levels, local, common), lr.shape[-1])
        return {"sr": sr.astype(lr.dtype), "qf": qf}

    def encode(self, lr):
        """The features of each level, the highest first."""
        levels, x = [], Conv(self.num_feat, dtype=self.dtype, name="head")(lr)
        for level in range(4):
            if level:
                x = Conv(2 * x.shape[-1], 2, strides=2, padding=0, dtype=self.dtype, name=f"down_{level}")(x)
            for index in range(self.num_block):
                x = ResBlock(dtype=self.dtype, name=f"encoder{level}_{index}")(x)
            levels.append(x)
        return levels

    def offsets(self, levels, local, common):
        """(gamma, beta) of each level, of the shape of its features, from its local and all global qualities."""
        embeddings = [QualityEmbedding(self.embed_dim, name=f"embedding_{level}") for level in range(len(levels))]
        attention = QualityAttention(self.num_heads, name="attention")
        common = jnp.stack([embed(quality) for embed, quality in zip(embeddings, common, strict=True)], 1)
        offsets = []
        for level, x in enumerate(levels):
            embedded = attention(embeddings[level](local[level]), common)
            pairs = zip(Modulation(x.shape[-1], name=f"global_{level}")(common[:, level, None, None]),
                        Modulation(x.shape[-1], name=f"local_{level}")(embedded), strict=True)
            offsets.append([of_all + bilinear(of_blocks, *x.shape[1:3]) for of_all, of_blocks in pairs])
        return offsets

    def decode(self, levels, offsets, channels):
        """The image, of a number of channels."""
        x = levels[-1]
        for level in reversed(range(len(levels))):
            for index in range(self.num_block):
                x = QFAttention(dtype=self.dtype, name=f"decoder{level}_{index}")(x, *offsets[level])
            if level:
                x = TransposedConv(x.shape[-1] // 2, dtype=self.dtype, name=f"up_{level}")(x) + levels[level - 1]
        return Conv(channels, dtype=self.dtype, name="tail")(x)


VARIANTS = {
    "hnle": dict(),  # 31.93 M
}

SMALL = dict(num_feat=4, num_block=1, embed_dim=8, num_heads=2)


def Model(variant="hnle", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Tempest(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Tempest's hierarchical non-local enhancement, JPEG restoration steered by the quality of its blocks",
    paper="Yang et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, CVPRW 2024",
    code="",
    scales=(1,),
    task="restoration",
    padding=Padding(8, "replicate"),
)
