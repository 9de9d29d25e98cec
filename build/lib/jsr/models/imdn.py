"""IMDN: information multi-distillation network, and one that was made of it with frequencies.

Paper: Hui et al., ACM Multimedia 2019, arXiv:1909.11856. Structure and initialisation (PyTorch's default) as in
Zheng222/IMDN; field names are BasicSR's.

YNOT (NTIRE 2023, section 3.24) makes IMDN lighter by fast Fourier convolutions (Chi et al., NeurIPS 2020; their form as
in pkumivision/FFC) and wavelets. The text has no more than that: SpectralIMDB is inferred. It halves the image by
Haar's wavelet and distils there, with Fourier convolutions in place of 3x3 ones, without their BatchNorm and their
local Fourier unit. It comes out at 1.02 of the parameters and 1.04 of the operations of table 1.
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
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y, kept = x, []
        for index in range(3):
            y = _act(Conv(features, dtype=self.dtype, name=f"conv_{index}")(y))
            distilled, y = jnp.split(y, [features // 4], axis=-1)
            kept.append(distilled)
        kept.append(Conv(features // 4, dtype=self.dtype, name="conv_3")(y))
        y = CCA(dtype=self.dtype, name="attention")(jnp.concatenate(kept, -1))
        return Conv(features, 1, dtype=self.dtype, name="conv_fuse")(y) + x


class SpectralTransform(nn.Module):
    """1x1 convolutions of the features and of their spectrum: each pixel sees the whole image."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        inside = self.features // 2
        y = nn.relu(Conv(inside, 1, dtype=self.dtype, name="conv1")(x))
        spectrum = jnp.fft.rfft2(y.astype(jnp.float32), axes=(1, 2), norm="ortho")
        parts = jnp.concatenate([spectrum.real, spectrum.imag], -1)
        parts = nn.relu(Conv(2 * inside, 1, dtype=self.dtype, name="conv_spectrum")(parts)).astype(jnp.float32)
        real, imaginary = jnp.split(parts, 2, axis=-1)
        seen = jnp.fft.irfft2(real + 1j * imaginary, s=y.shape[1:3], axes=(1, 2), norm="ortho")
        return Conv(self.features, 1, dtype=self.dtype, name="conv2")(y + seen.astype(y.dtype))


class FastFourierConv(nn.Module):
    """3x3 convolutions of local features, and between local and global ones, whose own way leads over the spectrum.

    Attributes:
      features: output channels, a quarter of them local.
      dtype: of the computation.
    """

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, local, world):
        here = self.features // 4
        from_local = Conv(self.features, dtype=self.dtype, name="from_local")(local)
        to_local = Conv(here, dtype=self.dtype, name="global_to_local")(world)
        to_global = SpectralTransform(self.features - here, dtype=self.dtype, name="global_to_global")(world)
        return from_local[..., :here] + to_local, from_local[..., here:] + to_global


class SpectralIMDB(nn.Module):
    """IMDB on a wavelet transform of a quarter of the features, with fast Fourier convolutions.

    The mean band is local and the three others are global to begin with. Features keep their number, a multiple of 16;
    height and width are even.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        y = haar(_act(Conv(features // 4, dtype=self.dtype, name="conv_first")(x)))
        parts, kept = jnp.split(y, [features // 4], axis=-1), []
        for index in range(3):
            parts = FastFourierConv(features, dtype=self.dtype, name=f"conv_{index}")(*parts)
            pairs = [jnp.split(_act(part), [part.shape[-1] // 4], axis=-1) for part in parts]
            distilled, parts = zip(*pairs)
            kept += distilled
        kept += FastFourierConv(features // 4, dtype=self.dtype, name="conv_3")(*parts)
        y = CCA(dtype=self.dtype, name="attention")(jnp.concatenate(kept, -1))
        return Conv(features, 1, dtype=self.dtype, name="conv_fuse")(inverse_haar(y)) + x


def haar(x):
    """(N, H, W, C) to (N, H / 2, W / 2, 4 C), H and W even: the mean band, differences along rows, columns, both."""
    pixels = (x[:, row::2, column::2] for row in range(2) for column in range(2))
    return jnp.concatenate(_butterfly(*pixels), -1)


def inverse_haar(bands):
    """(N, H, W, 4 C) to (N, 2 H, 2 W, C), the inverse of `haar`."""
    pixels = jnp.stack(_butterfly(*jnp.split(bands, 4, axis=-1)), -1)
    return pixel_shuffle(pixels.reshape(bands.shape), 2)


def _butterfly(a, b, c, d):
    """Its own inverse."""
    return [(a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]


BLOCKS = {"imdb": IMDB, "spectral": SpectralIMDB}


class IMDN(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk.
      num_block: blocks, whose outputs all meet in a 1x1 convolution.
      block: "imdb" or "spectral".
      dtype: of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 6
    block: str = "imdb"
    dtype: Any = None

    @property
    def size_multiple(self):
        """Of H and W, px: the wavelet halves them."""
        return 2 if self.block == "spectral" else 1

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        head = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(lr)
        x, outputs = head, []
        for index in range(self.num_block):
            x = BLOCKS[self.block](dtype=self.dtype, name=f"body_{index}")(x)
            outputs.append(x)
        x = _act(Conv(self.num_feat, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate(outputs, -1)))
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x) + head
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


def _act(x):
    return nn.leaky_relu(x, 0.05)


VARIANTS = {
    "imdn": dict(num_feat=64, num_block=6),                     # 0.694 M at x2, 0.715 M at x4
    "ynot": dict(num_feat=64, num_block=6, block="spectral"),   # 0.4734 M
}

SMALL = dict(num_feat=64, num_block=1)  # the same network, for tests that compile it; the attention has 4 features


def Model(variant="imdn", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return IMDN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="IMDN, information multi-distillation with channel attention",
    paper="Hui et al., Lightweight Image Super-Resolution with Information Multi-distillation Network, ACM Multimedia "
          "2019",
    code="Zheng222/IMDN (no licence)",
    scales=(2, 3, 4),
    variant_scales={"ynot": (2,)},
    other_scales=(1, 2, 3, 4, 8),
)
