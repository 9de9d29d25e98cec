"""RT4KSR: real-time super-resolution for 4K, the baseline of NTIRE 2023's challenge.

Paper: Zamfir et al., CVPR Workshops 2023; section 2.2 of the challenge's report; structure, names and defaults as in
eduardzamfir/RT4KSR. A branch takes the image's high frequencies, and the released configuration throws its result away
(`forget` is False): it is computed all the same, and is in the published counts of parameters and operations. How it
was trained is not said.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers import rep_blocks
from jsr.layers.activation import gelu
from jsr.layers.conv import Conv
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.models._card import Card


def gaussian_blur(x):
    """Images (N, H, W, C) blurred by torchvision's 5x5 Gaussian of standard deviation 1, reflected at the borders."""
    taps = np.exp(-0.5 * np.arange(-2, 3)**2)
    taps = (taps / taps.sum()).tolist()
    for axis in (1, 2):
        size = x.shape[axis]
        padded = jnp.pad(x, [(2, 2) if d == axis else (0, 0) for d in range(4)], mode="reflect")
        x = jnp.asarray(sum(tap * jax.lax.slice_in_dim(padded, shift, shift + size, axis=axis)
                            for shift, tap in enumerate(taps)))
    return x


class RT4KSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    H and W are even.

    Attributes:
      scale: SR size over LR size.
      num_feat: features at half the LR size.
      num_block: number of blocks of normalisation, RepConv and GELU.
      forget: adds the high frequencies' features to `gamma` times the body's, before the tail.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 24
    num_block: int = 4
    forget: bool = False
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def reconv(x, name):
            return RepConv(self.num_feat, rep_blocks.rrrb(), deploy=self.deploy, dtype=self.dtype, name=name)(x)

        def norm(x, name):
            return LayerNorm(epsilon=1e-6, dtype=self.dtype, name=name)(x)

        head = Conv(self.num_feat, dtype=self.dtype, name="head")  # of both
        high = head(pixel_unshuffle(lr - gaussian_blur(lr), 2))
        x = head(pixel_unshuffle(lr, 2))
        for index in range(self.num_block):
            x = gelu(reconv(norm(x, f"body_{index}_norm"), f"body_{index}"))
        high = gelu(reconv(high, "high"))
        gamma = self.param("gamma", nn.initializers.zeros, (1,))
        if self.forget:
            x = gamma.astype(x.dtype) * x + high
        x = reconv(norm(x, "tail_norm"), "tail")
        x = Conv(lr.shape[-1] * (2 * self.scale)**2, dtype=self.dtype, name="upsample")(x)
        return pixel_shuffle(x, 2 * self.scale).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=24, num_block=4),  # 44.5 k parameters deployed at x2, 57.5 k at x3
}

SMALL = dict(num_feat=6, num_block=1)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return RT4KSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="RT4KSR, normalised convolutions at half the LR size",
    paper="Zamfir et al., Towards Real-Time 4K Image Super-Resolution, CVPR Workshops 2023",
    code="eduardzamfir/RT4KSR (Apache-2.0)",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
    padding=Padding(multiple=2),  # the mode is inferred: the official test cuts odd images
)
