"""GRL-CIC of team BinYCn: GRL, whose features are weighted by the JPEG quality that it estimates.

NTIRE 2024 blind JPEG report, section 4.4: GRL with anchored stripes, windows and channel attention (the local
connection) in parallel, and a compression information controller (CIC), a small branch that predicts the quality from
features that the restoration shares, and gate weights made of the prediction that rescale feature maps. Neither code
nor figures of it are public. Inferred: four stages of four layers with 192 features, which with the controller come to
the 39 MB that were submitted; windows, stripes and anchors of GRL's recipe against JPEG's artefacts; the estimate from
the mean features of the first stage, by linear layers with a sigmoid; gates of the same kind on every stage's output;
the estimate in FBCNN's units, which the sigmoid fits.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.attention import Linear
from jsr.layers.padding import Padding
from jsr.layers.pool import GlobalMean
from jsr.models._card import Card
from jsr.models.grl import GRL


class Perceptron(nn.Module):
    """Two linear layers, a ReLU between and a sigmoid behind; (..., C) to (..., features) in (0, 1)."""

    hidden: int
    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = nn.relu(Linear(self.hidden, dtype=self.dtype, name="fc1")(x))
        return nn.sigmoid(Linear(self.features, dtype=self.dtype, name="fc2")(x))


class GRLCIC(GRL):
    """GRL with a controller; returns a dict of `sr` as GRL and `qf`.

    `qf`, float32 (N, 1), is the estimated JPEG quality as 1 - quality / 100. One that is given as the argument
    `qf_input` takes its place in the gates; what is returned is the estimate all the same.

    Attributes:
      hidden: inner features of the controller.
      The others as of GRL.
    """

    hidden: int = 128

    estimates_quality = True

    @nn.compact
    def __call__(self, lr, *, train=False, qf_input=None):
        def gated(y, index):
            return y * Perceptron(self.hidden, self.embed_dim, dtype=y.dtype, name=f"gates_{index}")(given)

        x = (lr - jnp.asarray(self.mean, lr.dtype)) * self.img_range
        head, y = self.shallow(x)
        first, *others = self.stages(train)
        y = first(y)
        estimate = Perceptron(self.hidden, 1, dtype=jnp.float32, name="estimate")(GlobalMean()(y))
        given = estimate if qf_input is None else jnp.asarray(qf_input, jnp.float32)[:, None, None]
        y = gated(y, 0)
        for index, stage in enumerate(others, 1):
            y = gated(stage(y), index)
        return {"sr": self.reconstructed(y, head, x), "qf": estimate.mean((1, 2))}


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(embed_dim=192, num_heads_window=(3,) * 4, num_heads_stripe=(3,) * 4, local_connection=True),  # 9.71 M
}

SMALL = dict(embed_dim=8, depths=(1,), num_heads_window=(1,), num_heads_stripe=(1,), window_size=4, stripe_size=(4, 8),
             down_factor=2, squeeze_factor=2, hidden=8, drop_path_rate=0.0)  # for tests


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return GRLCIC(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="GRL-CIC, GRL with gates made of the estimated JPEG quality",
    paper="Yang et al., NTIRE 2024 Challenge on Blind Enhancement of Compressed Image: Methods and Results, CVPRW 2024",
    code="",
    scales=(1,),
    task="restoration",
    padding=Padding(144, "reflect"),
)
