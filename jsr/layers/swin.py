"""Shared parts of SwinIR and its successors outside attention: rates, groups' convolutions, heads."""

import itertools
from typing import Any

import flax.linen as nn
from jax import lax
import jax.numpy as jnp
import numpy as np

from jsr.layers.conv import Conv
from jsr.layers.shuffle import pixel_shuffle
from jsr.layers.upsample import PixelShuffleUpsample


def drop_path_rates(last, depths):
    """Rates of stochastic depth, rising linearly from 0 to `last` over all layers: a list of floats for each group."""
    rates = iter(np.linspace(0, last, sum(depths)).tolist())
    return [list(itertools.islice(rates, depth)) for depth in depths]


class SpectralTransform(nn.Module):
    """Convolutions of an image's spectrum, at constant size and features: each output depends on the whole image.

    A part of SwinFIR's block, after the fast Fourier convolution (Chi et al., NeurIPS 2020). The half spectrum of the
    whole image, orthonormal, has the real and the imaginary part of a feature as two features, one after the other. It
    is computed in float32 at least.

    Submodules: `conv1_0`, `fu_conv_layer`, `conv2`.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features, width = x.shape[-1], x.shape[2]
        x = nn.leaky_relu(Conv(features // 2, 1, dtype=self.dtype, name="conv1_0")(x), 0.2)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        spectrum = jnp.fft.rfft2(x.astype(wide), axes=(1, 2), norm="ortho")
        y = jnp.stack([spectrum.real, spectrum.imag], axis=-1).reshape(*spectrum.shape[:3], -1)
        y = nn.leaky_relu(Conv(y.shape[-1], 1, dtype=self.dtype, name="fu_conv_layer")(y), 0.2)
        real, imaginary = jnp.moveaxis(y.astype(wide).reshape(*spectrum.shape, 2), -1, 0)
        # Axis by axis, as PyTorch: of what is no real image's spectrum any more irfft2 makes what the platform likes.
        y = jnp.fft.ifft(lax.complex(real, imaginary), axis=1, norm="ortho")
        y = jnp.fft.irfft(y, width, axis=2, norm="ortho")
        return Conv(features, 1, dtype=self.dtype, name="conv2")(x + y.astype(x.dtype))


class SpatialFrequencyBlock(nn.Module):
    """A residual block and a SpectralTransform of the same features, merged: SwinFIR's SFB.

    Attributes:
      reduction: outer over inner features of the residual block.
      dtype: dtype of the computation.

    Submodules: `spatial_0`, `spatial_2`, `spectral`, `fusion`.
    """

    reduction: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        features = x.shape[-1]
        y = nn.leaky_relu(Conv(features // self.reduction, dtype=self.dtype, name="spatial_0")(x), 0.2)
        spatial = x + Conv(features, dtype=self.dtype, name="spatial_2")(y)
        spectral = SpectralTransform(dtype=self.dtype, name="spectral")(x)
        y = jnp.concatenate([spatial, spectral], axis=-1)
        return Conv(features, 1, dtype=self.dtype, name="fusion")(y)


class GroupConv(nn.Module):
    """The convolution that closes a residual group, at constant size and features.

    Attributes:
      kind: "1conv", a 3x3 convolution; "3conv", a bottleneck of a quarter of the features: 3x3, 1x1, 3x3, with
        LeakyReLU of slope 0.2 between; "SFB", a SpatialFrequencyBlock; "HSFB", one of reduction 2.
      dtype: dtype of the computation.

    Submodules: `conv_0`..., or `block`.
    """

    kind: str = "1conv"
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        shapes = {"1conv": [(features, 3)], "3conv": [(features // 4, 3), (features // 4, 1), (features, 3)]}
        reductions = {"SFB": 1, "HSFB": 2}
        if self.kind in reductions:
            return SpatialFrequencyBlock(reductions[self.kind], dtype=self.dtype, name="block")(x)
        if self.kind not in shapes:
            raise ValueError(f"kind = {self.kind!r} is none of {', '.join([*shapes, *reductions])}")
        for index, (out, kernel_size) in enumerate(shapes[self.kind]):
            x = nn.leaky_relu(x, 0.2) if index else x
            x = Conv(out, kernel_size, dtype=self.dtype, name=f"conv_{index}")(x)
        return x


class Reconstruction(nn.Module):
    """From features to an image of `scale` times their size.

    Attributes:
      upsampler: "pixelshuffle", by factors of two or three, the classical one; "pixelshuffledirect", one convolution
        and one shuffle, for light networks; "nearest+conv", enlarged before the convolutions, against the checkerboards
        of networks trained with an adversary; "", one convolution at constant size.
      scale: scale of the image over the features.
      channels: channels of the image.
      num_feat: features after the first convolution, where there are several.
      dtype: dtype of the computation.

    Submodules, where used: `conv_before_upsample`, `upsample`, `conv_up1`, `conv_up2`, `conv_hr`, `conv_last`.
    """

    upsampler: str
    scale: int
    channels: int = 3
    num_feat: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * scale, W * scale, channels)."""
        if self.upsampler == "pixelshuffle":
            x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_before_upsample")(x), 0.01)
            x = PixelShuffleUpsample(self.scale, dtype=self.dtype, name="upsample")(x)
        elif self.upsampler == "pixelshuffledirect":
            x = Conv(self.channels * self.scale**2, dtype=self.dtype, name="upsample")(x)
            return pixel_shuffle(x, self.scale)
        elif self.upsampler == "nearest+conv":
            if self.scale not in (2, 4):
                raise ValueError(f"scale = {self.scale} is neither 2 nor 4, as upsampler = 'nearest+conv' needs it")
            x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_before_upsample")(x), 0.01)
            for index in range(self.scale // 2):
                x = x.repeat(2, axis=1).repeat(2, axis=2)
                x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name=f"conv_up{index + 1}")(x), 0.2)
            x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_hr")(x), 0.2)
        elif self.upsampler or self.scale != 1:
            raise ValueError(f"upsampler = {self.upsampler!r} does not enlarge by scale = {self.scale}")
        return Conv(self.channels, dtype=self.dtype, name="conv_last")(x)
