"""AsConvSR: convolutions whose kernels are assembled for each image.

Paper: Guo et al., CVPR Workshops 2023, arXiv:2305.03387; NTIRE 2023 real-time super-resolution, report section 3.1.
Half the LR size, 32 features (64 at x3), three assembled convolutions under one control module, kernels as coefficients
(features, E) times E candidates that all output features share, and the repeated image are the report's. It does not
give E or the control module. Inferred: global average, ReLU and two linear layers, as in the third party's
doantienthongbku/AsConvSR-TorchLighting, but without its softmax at temperature 30, which would make all output
features start alike where they share candidates; E four times the features and a control of five and a half times,
which are within 2 % of the published parameters at both scales (E = 4 and a control of a quarter of the features, as
there, give not a tenth of them); that the coefficients assemble biases likewise; ReLU behind each assembled
convolution, without which all but the control would be linear. Nothing here fuses: kernels depend on the image. The
published operations leave the assembled convolutions out.
"""

from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax
import jax.numpy as jnp

from jsr.layers.conv import Conv, torch_uniform
from jsr.layers.padding import Padding
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card, row_at


class AssembledBlock(nn.Module):
    """3x3 convolutions with ReLU, each output feature of which has its own mixture of shared candidates an image.

    Parameters: `basis_<i>` (num_basis, 3, 3, C) and `bias_<i>` (num_basis,), and the control module's.
    """

    num_conv: int
    num_basis: int
    control_feat: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        features = x.shape[-1]
        control = nn.relu(Conv(self.control_feat, 1, dtype=self.dtype, name="control_0")(x.mean((1, 2), keepdims=True)))
        control = Conv(self.num_conv * features * self.num_basis, 1, dtype=self.dtype, name="control_1")(control)
        control = control.reshape(-1, self.num_conv, features, self.num_basis)
        draw = torch_uniform(9 * features)
        for index in range(self.num_conv):
            basis = self.param(f"basis_{index}", draw, (self.num_basis, 3, 3, features))
            bias = self.param(f"bias_{index}", draw, (self.num_basis,))
            x, coefficients, basis, bias = promote_dtype(x, control[:, index], basis, bias, dtype=self.dtype)
            kernels = jnp.einsum("noe,ehwi->nhwio", coefficients, basis)
            x = nn.relu(_convolve_each(x, kernels) + (coefficients @ bias)[:, None, None])
        return x


@jax.vmap
def _convolve_each(image, kernel):
    """An image (H, W, C) with its own kernel (3, 3, C, features); vmap makes one grouped convolution of a batch."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(image[None], kernel, (1, 1), [(1, 1), (1, 1)], dimension_numbers=numbers)[0]


class AsConvSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped; H and W are even.

    Attributes:
      scale: SR size over LR size.
      num_feat: features at half the LR size.
      num_block: assembled convolutions.
      num_basis: candidates of each, E.
      control_feat: width of the control module.
      zero_start: the last convolution starts at zero, so that the network begins as the enlarged image.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 32
    num_block: int = 3
    num_basis: int = 128
    control_feat: int = 176
    zero_start: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        nearest = jnp.repeat(lr, self.scale**2, -1)  # its pixel shuffle is the nearest neighbour's enlargement
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")(pixel_unshuffle(lr, 2))
        x = AssembledBlock(self.num_block, self.num_basis, self.control_feat, self.dtype, name="body")(x)
        x = Conv(nearest.shape[-1] * 4, zero_start=self.zero_start, dtype=self.dtype, name="conv_last")(x)
        return pixel_shuffle(pixel_shuffle(x, 2).astype(lr.dtype) + nearest, self.scale)


VARIANTS = {  # by scale; at another the nearest one's row
    "base": {2: dict(num_feat=32, num_basis=128, control_feat=176),   # 2.31 M parameters
             3: dict(num_feat=64, num_basis=256, control_feat=352)},  # 17.89 M
}

SMALL = dict(num_feat=4, num_basis=3, control_feat=5)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return AsConvSR(scale=scale, **row_at(VARIANTS[variant], scale) | fields)


CARD = Card(
    title="AsConvSR, kernels assembled for each image",
    paper="Guo et al., AsConvSR: Fast and Lightweight Super-Resolution Network with Assembled Convolutions, "
          "CVPR Workshops 2023",
    code="doantienthongbku/AsConvSR-TorchLighting, a third party's",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(multiple=2),  # the mode is inferred
)
