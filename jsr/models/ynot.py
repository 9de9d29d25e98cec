"""YNOT: IMDN between spectral transforms, with a skip of wavelet bands, of NTIRE 2023's real-time challenge.

Section 3.24 of the challenge's report; structure as in ynot-team/YNOT_NTIRE2023, archi.py. The spectral transform is
that of fast Fourier convolutions (Chi et al., NeurIPS 2020; pkumivision/FFC), with the local Fourier unit on quarters
of the image. The wavelets start as Haar's and are trained.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers import rep_blocks
from jsr.layers.conv import Conv
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card
from jsr.models.imdn import IMDB

BANDS = {  # Haar's, as the original names them
    "LL": ((1, 1), (1, 1)), "LH": ((-1, 1), (-1, 1)), "HL": ((-1, -1), (1, 1)), "HH": ((1, -1), (-1, 1))}


def haar(band):
    """An initialiser of depthwise kernels (2, 2, 1, C): half the signs of a band of BANDS for each channel."""
    def fill(key, shape, dtype=jnp.float32):
        del key
        return jnp.broadcast_to(np.array(BANDS[band], np.float32)[:, :, None, None] / 2, shape).astype(dtype)
    return fill


class NormedConv(nn.Module):
    """1x1 convolution, BatchNorm and ReLU, on (N, H, W, C)."""

    features: int
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        conv = RepConv(self.features, rep_blocks.normed(1), 1, deploy=self.deploy, dtype=self.dtype, name="conv")
        return nn.relu(conv(x, train=train))


class FourierUnit(nn.Module):
    """A NormedConv on the spectrum: each pixel sees the whole image. (N, H, W, C) to the same shape.

    Real and imaginary parts are features, in turn. The transform is computed in float32.
    """

    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        spectrum = jnp.fft.rfft2(x.astype(jnp.promote_types(x.dtype, jnp.float32)), axes=(1, 2), norm="ortho")
        parts = jnp.stack([spectrum.real, spectrum.imag], -1).reshape(*spectrum.shape[:3], -1)
        parts = NormedConv(parts.shape[-1], self.deploy, self.dtype, name="spectrum")(parts, train=train)
        parts = parts.astype(spectrum.real.dtype).reshape(*spectrum.shape, 2)
        seen = jnp.fft.irfft2(parts[..., 0] + 1j * parts[..., 1], s=x.shape[1:3], axes=(1, 2), norm="ortho")
        return seen.astype(x.dtype)


class SpectralTransform(nn.Module):
    """(N, H, W, C) to (N, H, W, features), H and W even: pixels, their spectrum, and that of the image's quarters.

    The local unit takes a quarter of the features, of all four quarters of the image beside each other, and what it
    gives is repeated in each.
    """

    features: int  # a multiple of 8
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        x = NormedConv(self.features // 2, self.deploy, self.dtype, name="conv1")(x, train=train)
        seen = FourierUnit(self.deploy, self.dtype, name="whole")(x, train=train)
        quarters = jnp.concatenate([half for column in jnp.split(x[..., :x.shape[-1] // 4], 2, axis=2)
                                    for half in jnp.split(column, 2, axis=1)], -1)
        local = FourierUnit(self.deploy, self.dtype, name="quarters")(quarters, train=train)
        y = x + seen + jnp.tile(local, (1, 2, 2, 1))
        return Conv(self.features, 1, use_bias=False, dtype=self.dtype, name="conv2")(y)


class Unpool(nn.Module):
    """(N, H, W, C) to (N, 2 H, 2 W, C): each pixel becomes four, by its feature's `kernel`, (2, 2, 1, C)."""

    band: str
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        n, height, width, channels = x.shape
        kernel = self.param("kernel", haar(self.band), (2, 2, 1, channels)).astype(x.dtype)
        y = x[:, :, None, :, None] * kernel[:, None, :, 0]
        return y.reshape(n, 2 * height, 2 * width, channels)


class YNOT(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the trunk, a multiple of 16.
      num_block: IMDN's blocks, whose outputs all meet in a 1x1 convolution.
      deploy: each BatchNorm is part of its convolution.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 4
    deploy: bool = False
    dtype: Any = None

    size_multiple = 2  # px, of H and W: for the wavelets, and for the quarters of the image
    grid_follows_size = True  # these quarters

    @nn.compact
    def __call__(self, lr, *, train=False):
        head = SpectralTransform(self.num_feat, self.deploy, self.dtype, name="conv_first")(lr, train=train)
        pools = {band: Conv(self.num_feat, 2, 2, groups=self.num_feat, padding=0, use_bias=False,
                            kernel_init=haar(band), dtype=self.dtype, name=f"pool_{band}") for band in BANDS}
        x, outputs = head, []
        for index in range(self.num_block):
            x = IMDB(act_last=True, dtype=self.dtype, name=f"body_{index}")(x)
            outputs.append(x)
        bands = {band: pool(x if band == "LL" else head) for band, pool in pools.items()}
        skip = sum(Unpool(band, self.dtype, name=f"unpool_{band}")(bands[band]) for band in BANDS)
        x = Conv(self.num_feat, 1, dtype=self.dtype, name="conv_fuse")(jnp.concatenate(outputs, -1))
        x = SpectralTransform(self.num_feat, self.deploy, self.dtype, name="conv_after_body")(
            nn.leaky_relu(x, 0.05), train=train)
        x = Conv(lr.shape[-1] * self.scale**2, dtype=self.dtype, name="conv_last")(x + skip)
        return pixel_shuffle(x, self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=64, num_block=4),  # 0.4648 M
}

SMALL = dict(num_feat=16, num_block=1)  # the same network, for tests that compile it; the attention has 1 feature


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return YNOT(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="YNOT, IMDN between spectral transforms, with a skip of wavelet bands",
    paper="Team YNOT in Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution. NTIRE 2023 "
          "Benchmark and Report, CVPR Workshops 2023",
    code="ynot-team/YNOT_NTIRE2023 (no licence stated)",
    scales=(2,),
    other_scales=(1, 2, 3, 4, 8),
)
