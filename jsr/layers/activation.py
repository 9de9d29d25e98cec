"""Activations that networks share. Each is a jitted function, whose name stays readable in a traced network."""

import math
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax
from jax import lax
import jax.numpy as jnp


@jax.jit
def prelu(x, slope):
    """x (..., C), times `slope`, (C,) or (1,), where it is negative; any float dtype."""
    return jnp.where(x >= 0, x, slope * x)


@jax.jit
def gelu(x):
    """The exact one, as torch.nn.GELU() and not the tanh form that is JAX's default; any float dtype, kept.

    It is written by erf, as PyTorch's is: JAX writes it by erfc, which takes twice the time on a CPU. In half precision
    it is JAX's, since 1 + erf(x) would be rounded where x is far below 0.
    """
    if jnp.finfo(x.dtype).bits < 32:
        return nn.gelu(x, approximate=False)
    return 0.5 * x * (1 + lax.erf(x * math.sqrt(0.5)))


class PReLU(nn.Module):
    """x, times a learned slope where it is negative.

    Attributes:
      shared: one slope instead of one a feature.
      dtype: dtype of the computation.
      start: the slopes at the start; PyTorch's by default.

    Parameters: `slope` (C,), or (1,).
    """

    shared: bool = False
    dtype: Any = None
    start: float = 0.25

    @nn.compact
    def __call__(self, x):
        """Array (..., C) to the same shape."""
        slope = self.param("slope", nn.initializers.constant(self.start), (1 if self.shared else x.shape[-1],))
        return prelu(*promote_dtype(x, slope, dtype=self.dtype))
