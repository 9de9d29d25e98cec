"""The linear layer of networks that keep PyTorch's initialisation."""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import torch_uniform


class Linear(nn.Module):
    """nn.Dense that starts as torch.nn.Linear does; that of transformers is in jsr.layers.attention.

    Attributes:
      features: output channels.
      use_bias: adds `bias`.
      dtype: dtype of the computation; parameters stay float32.

    Parameters: `kernel` (input channels, features), `bias` (features,).
    """

    features: int
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(..., C) to (..., features)."""
        draw = torch_uniform(x.shape[-1])
        dense = nn.Dense(self.features, self.use_bias, self.dtype, kernel_init=draw, bias_init=draw)
        nn.share_scope(self, dense)  # the parameters are this layer's own
        return dense(x)
