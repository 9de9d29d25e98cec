"""The convolution that every network uses."""

from collections.abc import Callable
import math
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax
import jax.numpy as jnp


def torch_uniform(fan_in):
    """An initialiser drawing from U(-b, b), b = 1 / sqrt(fan_in).

    This is PyTorch's default for the kernels and the biases of convolutions and linear layers (torch.nn.Conv2d, Linear:
    kaiming_uniform_ with a = sqrt(5) comes to the same bound).
    """
    bound = 1 / math.sqrt(fan_in)

    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


class Conv(nn.Module):
    """2D convolution with zero padding given in pixels, as torch.nn.Conv2d counts it.

    There is no "SAME": with stride 2 it pads other sides than PyTorch's padding=1, an error as large as the signal.

    Attributes:
      features: output channels.
      kernel_size, strides, dilation: an int, or (height, width).
      groups: both channel counts are multiples of it; as many as channels make a depthwise convolution.
      padding: zeros on either side, an int or (height, width); None keeps the size at stride 1, for odd kernels.
      use_bias: adds `bias`.
      dtype: of the computation; None promotes input and parameters to their common type.
      param_dtype: of the parameters.
      kernel_init, bias_init: initialisers; None is PyTorch's default, see torch_uniform.

    Parameters: `kernel` (kernel height, kernel width, input channels / groups, features), `bias` (features,).
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    strides: int | tuple[int, int] = 1
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    padding: int | tuple[int, int] | None = None
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable | None = None
    bias_init: Callable | None = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H', W', features), H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1."""
        channels = x.shape[-1]
        if channels % self.groups or self.features % self.groups:
            raise ValueError(f"groups = {self.groups} does not divide {channels} input channels and "
                             f"features = {self.features}")
        kernel_size, dilation = _pair(self.kernel_size), _pair(self.dilation)
        if self.padding is None:
            if not all(k % 2 for k in kernel_size):
                raise ValueError(f"kernel_size = {self.kernel_size} is even: say which padding it takes")
            padding = tuple(d * (k // 2) for k, d in zip(kernel_size, dilation))
        else:
            padding = _pair(self.padding)

        default = torch_uniform(math.prod(kernel_size) * channels // self.groups)
        kernel = self.param("kernel", self.kernel_init or default,
                            (*kernel_size, channels // self.groups, self.features), self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init or default, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = jax.lax.conv_general_dilated(
            x, kernel, _pair(self.strides), [(p, p) for p in padding], rhs_dilation=dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=self.groups)
        return y if bias is None else y + bias


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)
