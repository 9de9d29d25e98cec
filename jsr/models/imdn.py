"""IMDN: information multi-distillation network.

Paper: Hui et al., ACM Multimedia 2019, arXiv:1909.11856. Structure and initialisation (PyTorch's default) as in
Zheng222/IMDN; field names are BasicSR's. `kair` is the network of cszn/KAIR, the baseline of NTIRE 2022's efficiency
challenge: blocks without attention, one after the other.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class CCA(nn.Module):
    """Contrast-aware channel attention: features weighted by what their means and standard deviations say.

    The features inside are a sixteenth of the input's, of which there are at least 16.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        exact = x.astype(jnp.float32)
        mean = GlobalMean()(exact)
        variance = GlobalMean()(jnp.square(exact - mean))
        y = jnp.sqrt(jnp.maximum(variance, 1e-12)) + mean  # the gradient of a constant feature's is no NaN
        y = nn.relu(Conv(features // 16, 1, dtype=self.dtype, name="conv1")(y.astype(x.dtype)))
        return x * nn.sigmoid(Conv(features, 1, dtype=self.dtype, name="conv2")(y))


class IMDB(nn.Module):
    """Information multi-distillation: after each convolution a quarter of the features is kept for the end.

    Features keep their number, a multiple of 4 and at least 16.

    Attributes:
      act_last: an activation after the last convolution too, as in YNOT.
      attention: what is kept is weighed by contrast-aware channel attention.
      dtype: dtype of the computation.
    """

    act_last: bool = False
    attention: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y, kept = x, []
        for index in range(3):
            y = _act(Conv(features, dtype=self.dtype, name=f"conv_{index}")(y))
            distilled, y = jnp.split(y, [features // 4], axis=-1)
            kept.append(distilled)
        y = Conv(features // 4, dtype=self.dtype, name="conv_3")(y)
        kept.append(_act(y) if self.act_last else y)
        y = jnp.concatenate(kept, -1)
        y = CCA(dtype=self.dtype, name="attention")(y) if self.attention else y
        return Conv(features, 1, dtype=self.dtype, name="conv_fuse")(y) + x


class IMDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: blocks, whose outputs all meet in a 1x1 convolution.
      plain: blocks have no attention, and only the last one's output goes on.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 6
    plain: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr)
        x, outputs = head, []
        for index in range(self.num_block):
            x = IMDB(attention=not self.plain, dtype=self.dtype, name=f"body_{index}")(x)
            outputs.append(x)
        if not self.plain:
            x = _act(Conv(self.num_feat, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate(outputs, -1)))
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


def _act(x):
    return nn.leaky_relu(x, 0.05)


VARIANTS: dict[str, dict[str, Any]] = {
    "imdn": dict(num_feat=64, num_block=6),              # 0.694 M at x2, 0.715 M at x4
    "kair": dict(num_feat=64, num_block=8, plain=True),  # 0.894 M at x4
}

SMALL = dict(num_feat=64, num_block=1)  # the same network, for tests that compile it; the attention has 4 features


def Model(variant="imdn", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return IMDN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="IMDN, information multi-distillation with channel attention",
    paper="Hui et al., Lightweight Image Super-Resolution with Information Multi-distillation Network, ACM Multimedia "
          "2019",
    code="Zheng222/IMDN (no licence), cszn/KAIR (MIT)",
    scales=(2, 3, 4),
    variant_scales={"kair": (4,)},
    other_scales=(1, 2, 3, 4, 8),
)
