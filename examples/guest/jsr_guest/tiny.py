"""Three convolutions beside the image enlarged by repetition: a network as files of jsr.models have it."""

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models import Card

VARIANTS = {"base": dict(num_feat=16), "wide": dict(num_feat=32)}
SMALL = dict(num_feat=4)  # fields that make it small enough for tests


class Tiny(nn.Module):
    """NHWC images in [0, 1] to images of `scale` times the size.

    Attributes:
      scale: SR size over LR size.
      num_feat: channels between the convolutions.
      dtype: of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 16
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train
        x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr))
        x = nn.relu(Conv(self.num_feat, dtype=self.dtype, name="conv_body")(x))
        x = pixel_shuffle(Conv(3 * self.scale**2, dtype=self.dtype, name="conv_last")(x), self.scale)
        return x + jnp.repeat(jnp.repeat(lr, self.scale, -3), self.scale, -2).astype(x.dtype)


def Model(variant="base", *, scale=2, **fields):
    """The network of a variant."""
    return Tiny(scale=scale, **{**VARIANTS[variant], **fields})


CARD = Card(title="Tiny, an example of a guest", paper="", code="", scales=(2, 3, 4))
