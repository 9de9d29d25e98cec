"""Learned upsampling, at the end of a network or inside it."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype

from jsr.layers.conv import Conv, convolve, torch_uniform
from jsr.layers.shuffle import pixel_shuffle


class PixelShuffleUpsample(nn.Module):
    """Convolution and pixel shuffle in turn, as in EDSR, RCAN, SwinIR and HAT.

    Attributes:
      scale: a power of two, by one 3x3 convolution and one shuffle per factor of two; or 3, by one of each.
      dtype: of the computation.
      activation: function between convolution and shuffle, as DRLN has; None has none.

    Submodules: `conv_0`, `conv_1`...
    """

    scale: int
    dtype: Any = None
    activation: Callable | None = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * scale, W * scale, C)."""
        features = x.shape[-1]
        for index, factor in enumerate(factors(self.scale)):
            x = Conv(features * factor**2, dtype=self.dtype, name=f"conv_{index}")(x)
            x = pixel_shuffle(x if self.activation is None else self.activation(x), factor)
        return x


class TransposedConv(nn.Module):
    """torch.nn.ConvTranspose2d(C, features, factor, factor): each pixel makes `factor` x `factor` of its own.

    Kernel and stride are the same, so that windows do not overlap: a 1x1 convolution and a pixel shuffle.

    Attributes:
      features: output channels.
      factor: of the size; the kernel's side and stride.
      use_bias: adds `bias`.
      dtype: of the computation; parameters stay float32.
      kernel_init: initialiser of the kernel; None is PyTorch's, as the bias's.

    Parameters: `kernel` (factor, factor, C, features), `bias` (features,).
    """

    features: int
    factor: int = 2
    use_bias: bool = True
    dtype: Any = None
    kernel_init: Callable | None = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H * factor, W * factor, features)."""
        channels = x.shape[-1]
        draw = torch_uniform(self.features * self.factor**2)  # what PyTorch takes for the fan-in of a transposed kernel
        kernel = self.param("kernel", self.kernel_init or draw, (self.factor, self.factor, channels, self.features))
        bias = self.param("bias", draw, (self.features,)) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        kernel = kernel.transpose(2, 3, 0, 1).reshape(1, 1, channels, -1)  # as pixel_shuffle orders channels
        y = pixel_shuffle(convolve(x, kernel), self.factor)
        return y if bias is None else y + bias


def factors(scale):
    """The factors whose product is a scale: [3], or twos; ValueError for one that is neither 3 nor a power of two."""
    if scale == 3:
        return [3]
    if scale < 1 or scale & (scale - 1):
        raise ValueError(f"scale = {scale} is neither 3 nor a power of two")
    return [2] * (scale.bit_length() - 1)
