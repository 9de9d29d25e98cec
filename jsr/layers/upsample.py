"""Learned upsampling, at the end of a network or inside it."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax.numpy as jnp
import numpy as np

from jsr.layers.conv import Conv, convolve, torch_uniform, weight_normed
from jsr.layers.deform import grid_sample
from jsr.layers.shuffle import pixel_shuffle


class PixelShuffleUpsample(nn.Module):
    """Convolution and pixel shuffle in turn, as in EDSR, RCAN, SwinIR and HAT.

    Attributes:
      scale: a power of two, by one 3x3 convolution and one shuffle per factor of two; or 3, by one of each.
      dtype: dtype of the computation.
      activation: function between convolution and shuffle, as DRLN has; None has none.
      padding_mode: padding mode of the convolutions.

    Submodules: `conv_0`, `conv_1`...
    """

    scale: int
    dtype: Any = None
    activation: Callable | None = None
    padding_mode: str = "zeros"

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * scale, W * scale, C)."""
        features = x.shape[-1]
        for index, factor in enumerate(factors(self.scale)):
            x = Conv(features * factor**2, padding_mode=self.padding_mode, dtype=self.dtype, name=f"conv_{index}")(x)
            x = pixel_shuffle(x if self.activation is None else self.activation(x), factor)
        return x


class TransposedConv(nn.Module):
    """torch.nn.ConvTranspose2d that makes an image `factor` times as large: a convolution and a pixel shuffle.

    PyTorch's output_padding is the one that gives this size. A kernel whose side is no multiple of `factor` is filled
    up by zeros, which are multiplied too.

    Attributes:
      features: output channels.
      factor: factor of the size; the stride.
      use_bias: adds `bias`.
      dtype: dtype of the computation; parameters stay float32.
      kernel_init: initialiser of the kernel; None is PyTorch's, as the bias's.
      kernel_size: side of the kernel; None is `factor`, with which windows do not overlap.
      padding: rows and columns that PyTorch cuts off on either side.
      weight_norm: each input channel has a norm of its own, as with torch.nn.utils.weight_norm.

    Parameters: `kernel` (kernel_size, kernel_size, C, features), `bias` (features,), and with `weight_norm`
    `magnitude` (1, 1, C, 1), the norms.
    """

    features: int
    factor: int = 2
    use_bias: bool = True
    dtype: Any = None
    kernel_init: Callable | None = None
    kernel_size: int | None = None
    padding: int = 0
    weight_norm: bool = False

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * factor, W * factor, features)."""
        channels, size = x.shape[-1], self.kernel_size or self.factor
        if not 0 <= self.factor + 2 * self.padding - size < self.factor:
            raise ValueError(f"kernel_size = {size} and padding = {self.padding} do not make an image "
                             f"{self.factor} times as large")
        draw = torch_uniform(self.features * size**2)  # what PyTorch takes for the fan-in of a transposed kernel
        kernel = self.param("kernel", self.kernel_init or draw, (size, size, channels, self.features))
        if self.weight_norm:
            kernel = weight_normed(self, kernel, 2)
        bias = self.param("bias", draw, (self.features,)) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = transposed(x, kernel, self.factor, self.padding)
        return y if bias is None else y + bias


def transposed(x, kernel, factor, padding):
    """A transposed convolution of (N, H, W, C) by (k, k, C, features), as TransposedConv describes it."""
    (_, height, width, channels), size = x.shape, len(kernel)
    taps = -(-size // factor)  # of the pixels that a pixel of the output sees, along an axis
    kernel = jnp.pad(kernel, [(0, taps * factor - size)] * 2 + [(0, 0)] * 2)
    kernel = kernel.reshape(taps, factor, taps, factor, channels, -1)[::-1, :, ::-1]
    kernel = kernel.transpose(0, 2, 4, 5, 1, 3).reshape(taps, taps, channels, -1)  # as pixel_shuffle orders channels
    before, after = taps - 1 - padding // factor, -(-padding // factor)
    around = max(before, after)
    y = pixel_shuffle(convolve(x, kernel, padding=(around, around)), factor)
    start = padding % factor + factor * (around - before)
    return y[:, start:start + height * factor, start:start + width * factor] if start or around else y


class DySample(nn.Module):
    """Enlarges an image by sampling it at learned places (Liu et al., ICCV 2023), in groups of channels.

    Form and names are those of neosr and spandrel: places move by half of a gated convolution, unbounded, and a 1x1
    convolution follows.

    Attributes:
      features: output channels.
      factor: factor of the size.
      groups: parts of the channels, each sampled at places of its own.
      dtype: dtype of the convolutions; places are float32 at least.

    Submodules: `offset`, `scope`, `end_conv`.
    """

    features: int
    factor: int
    groups: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * factor, W * factor, features)."""
        (n, height, width, _), factor, groups = x.shape, self.factor, self.groups
        places = 2 * groups * factor**2
        offset = Conv(places, 1, dtype=self.dtype, kernel_init=nn.initializers.normal(0.02), name="offset")(x)
        scope = Conv(places, 1, use_bias=False, dtype=self.dtype, kernel_init=nn.initializers.zeros, name="scope")(x)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        offset = (offset * nn.sigmoid(scope)).astype(wide) * 0.5 + initial_places(factor, groups)
        places = pixel_shuffle(offset, factor).reshape(n, height * factor, width * factor, 2, groups)
        # which pixel of the input each one of the output lies in
        column, row = (jnp.repeat(jnp.arange(side), factor).astype(wide) for side in (width, height))
        grid = jnp.stack([(2 * (places[..., 0, :] + column[:, None]) + 1) / width - 1,
                          (2 * (places[..., 1, :] + row[:, None, None]) + 1) / height - 1], axis=-1)
        parts = [grid_sample(part, grid[..., group, :])
                 for group, part in enumerate(jnp.split(x, groups, axis=-1))]
        return Conv(self.features, 1, dtype=self.dtype, name="end_conv")(jnp.concatenate(parts, axis=-1))


def dysample_groups(channels, factor):
    """The groups of DySample in RealPLKSR and MoSR: the image's channels where the factor is odd, else 4."""
    return channels if factor % 2 else 4


def initial_places(factor, groups):
    """DySample's first offsets, px from the middle of the LR pixel: float32 (2 * groups * factor**2,).

    As PyTorch's channels are ordered: (column or row, group, row in the pixel, column in it).
    """
    line = (np.arange(factor, dtype=np.float32) + np.float32((1 - factor) / 2)) / np.float32(factor)
    columns, rows = np.meshgrid(line, line)
    return np.stack([np.tile(columns, (groups, 1)), np.tile(rows, (groups, 1))]).reshape(-1)


def factors(scale):
    """The factors whose product is a scale: [3], or twos; ValueError for one that is neither 3 nor a power of two."""
    if scale == 3:
        return [3]
    if scale < 1 or scale & (scale - 1):
        raise ValueError(f"scale = {scale} is neither 3 nor a power of two")
    return [2] * (scale.bit_length() - 1)
