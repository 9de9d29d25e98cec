"""An autoencoder: images as latents, few and small numbers, for a database of references that is too large as images.

NoahTerminalCV (AIM 2022, track 2, report, section 4.2) keep two million images so and say no more of it. All here is
inferred: three convolutions of stride 2 with residual blocks between, as many pixel shuffles back, and latents in
[-1, 1], so that eight bits hold one (jsr.retrieval): an eighth of a byte a pixel.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card
from jsr.models.edsr import ResidualBlock


class Encoder(nn.Module):
    """(N, H, W, 3) to latents (N, H / 2 ** num_level, W / 2 ** num_level, num_latent) in [-1, 1].

    Attributes: see Autoencoder.
    """

    num_feat: int
    num_latent: int
    num_level: int
    num_block: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(x)
        for level in range(self.num_level):
            x = nn.relu(Conv(self.num_feat, strides=2, padding=1, dtype=self.dtype, name=f"down_{level}")(x))
            for index in range(self.num_block):
                x = ResidualBlock(dtype=self.dtype, name=f"body_{level}_{index}")(x)
        return jnp.tanh(Conv(self.num_latent, dtype=self.dtype, name="conv_last")(x))


class Decoder(nn.Module):
    """Latents (N, h, w, num_latent) to (N, h * 2 ** num_level, w * 2 ** num_level, 3).

    Attributes: see Autoencoder.
    """

    num_feat: int
    num_level: int
    num_block: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(x)
        for level in range(self.num_level):
            for index in range(self.num_block):
                x = ResidualBlock(dtype=self.dtype, name=f"body_{level}_{index}")(x)
            x = nn.relu(pixel_shuffle(Conv(4 * self.num_feat, dtype=self.dtype, name=f"up_{level}")(x), 2))
        return Conv(3, dtype=self.dtype, name="conv_last")(x)


class Autoencoder(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same as its latents keep it, in the input's dtype and not clipped.

    H and W are multiples of 2 ** num_level.

    Attributes:
      scale: 1.
      num_feat: features inside.
      num_latent: latents of a place.
      num_level: halvings of the size.
      num_block: residual blocks at each size.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 64
    num_latent: int = 8
    num_level: int = 3
    num_block: int = 2
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that H and W are multiples of."""
        return 2**self.num_level

    def setup(self):
        self.encoder = Encoder(self.num_feat, self.num_latent, self.num_level, self.num_block, self.dtype)
        self.decoder = Decoder(self.num_feat, self.num_level, self.num_block, self.dtype)

    def __call__(self, lr, *, train=False):
        del train  # the same in training
        return self.decode(self.encode(lr)).astype(lr.dtype)

    def encode(self, image):
        """Images (N, H, W, 3) to latents (N, H / 2 ** num_level, W / 2 ** num_level, num_latent) in [-1, 1]."""
        return self.encoder(image)

    def decode(self, latents):
        """The image (N, H, W, 3) of latents."""
        return self.decoder(latents)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=64, num_block=2),
    "small": dict(num_feat=24, num_block=1),  # of our own, for two cores
}

SMALL = dict(num_feat=4, num_latent=2, num_level=2, num_block=1)


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Autoencoder(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="an autoencoder, whose latents a database of references holds",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022, section 4.2",
    code="",
    scales=(1,),
    task="an image by way of few numbers",
)
