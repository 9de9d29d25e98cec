"""Restormer steered by the quality factor that a small network of its own estimates: FVL-T1's of NTIRE 2024.

Report: NTIRE 2024 blind compressed image enhancement, section 4.6. It states that a predictor of the quality factor is
trained first and frozen, and that "QF attention blocks" in Restormer take its output; no code is public. All else is
inferred: Restormer as published; one of FBCNN's attention blocks behind each decoder level; FBCNN's embedding and
modulation; and as predictor FBCNN's encoder and quality branch, narrow. The widths of predictor and embedding make the
whole 27.30 M parameters, 104.1 MiB, where the submission has 104 MB (FBCNN's 274.4 MiB are "275 MB" in that table).
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card
from jsr.models.fbcnn import Modulation, QFAttention, QualityEmbedding, QualityPredictor, ResBlock
from jsr.models.restormer import Restormer


class Predictor(nn.Module):
    """An image (N, H, W, C) to 1 - quality / 100, float32 (N, 1); H and W are multiples of 8.

    Attributes:
      num_feat: features at the image's size, twice as many at each of three further levels.
      dtype: dtype of the convolutions.

    Submodules: `head`; `down1_0` and `down1_conv`, of a level's block and of the way to the next; `quality`.
    """

    num_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, image):
        x = Conv(self.num_feat, dtype=self.dtype, name="head")(image)
        for level in (1, 2, 3):
            x = ResBlock(dtype=self.dtype, name=f"down{level}_0")(x)
            x = Conv(2 * x.shape[-1], 2, strides=2, padding=0, dtype=self.dtype, name=f"down{level}_conv")(x)
        return QualityPredictor(num_block=1, dtype=self.dtype, name="quality")(x)


class RestormerQF(Restormer):
    """(N, H, W, 3) in [0, 1] to {"sr": the restored image, "qf": the estimate of 1 - quality / 100, float32 (N, 1)}.

    `sr` has the input's shape and dtype, and is not clipped. H and W are multiples of 8.

    Attributes:
      scale, dim, num_blocks, heads, num_refinement_blocks, ffn_factor, norm_bias, remat, zero_start, dtype: as of
        Restormer.
      predictor_feat: num_feat of the Predictor.
      embed_dim: features of the quality's embedding.

    Submodules: `predictor`, `embedding`, those of Restormer, and in its trunk `decoder_level3_modulation` and
    `decoder_level3_qf`, and those of the other levels.
    """

    predictor_feat: int = 8
    embed_dim: int = 64

    estimates_quality = True

    @property
    def size_multiple(self):
        return max(8, super().size_multiple)

    @nn.compact
    def __call__(self, lr, *, train=False, qf_input=None):
        """`qf_input`: float (N, 1) or (1, 1), 1 - quality / 100 to restore for, instead of the estimate."""
        del train  # the same in training
        qf = Predictor(self.predictor_feat, dtype=self.dtype, name="predictor")(lr)
        embedding = QualityEmbedding(self.embed_dim, name="embedding")(qf if qf_input is None else qf_input)

        def modulate(x, name):
            modulation = Modulation(x.shape[-1], name=f"{name}_modulation")
            return QFAttention(dtype=self.dtype, name=f"{name}_qf")(x, *modulation(embedding[:, None, None]))

        return {"sr": self.restore(lr, modulate=modulate), "qf": qf}


VARIANTS = {
    "fvlt1": dict(),  # 27.30 M
}

SMALL = dict(dim=4, num_blocks=(1, 1), heads=(1, 2), num_refinement_blocks=1, predictor_feat=2, embed_dim=8)


def Model(variant="fvlt1", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RestormerQF(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="Restormer-QF, Restormer steered by an estimate of the quality factor",
    paper="Yang et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, CVPRW 2024",
    code="",
    scales=(1,),
    task="restoration",
    padding=Padding(8, "reflect"),
)
