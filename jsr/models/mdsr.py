"""MDSR: one trunk for several scales, with two blocks before it and an upsampler after it for each.

Paper: Lim et al., CVPR Workshops 2017, arXiv:1707.02921. Structure, initialisation (PyTorch's default), mean shift and
range as the copy in yulunzhang/RCAN of sanghyun-son/EDSR-PyTorch's; the official count includes 24 frozen values of the
mean shift, here arithmetic. The network has the parts of all three scales, as its files do, and computes its own.

The variant `tv_attention` is MCML-Yonsei's at AIM 2020's real image SR, of MaryAhn/AIM2020-RealSR-Track1-2-3: after the
convolutions of every block, a gate of the features' total variation. quirk: its code writes the mean shift to names
that nothing reads, so that it is a random 1x1 convolution until weights are loaded; the team began from MDSR's public
weights, which have EDSR's mean, as here.
"""

from typing import Any

import flax.linen as nn
from jax.core import max_dim
import jax.numpy as jnp

from jsr.layers.colour import RGB_MEAN
from jsr.layers.conv import Conv
from jsr.layers.upsample import PixelShuffleUpsample
from jsr.models._card import Card
from jsr.models.edsr import ResidualBlock

SCALES = (2, 3, 4)  # whose parts the network has


def total_variation(x):
    """Half the sum of mean absolute differences of vertical and of horizontal neighbours: (N, H, W, C) to (N, C)."""
    def mean(differences):  # of which an image of one row or column has none
        return jnp.abs(differences).sum((1, 2)) / max_dim(differences.shape[1] * differences.shape[2], 1)

    return 0.5 * (mean(x[:, 1:] - x[:, :-1]) + mean(x[:, :, 1:] - x[:, :, :-1]))


class TVAttention(nn.Module):
    """The input times a gate of the features' total variation, compared with each other, and of each pixel's own.

    Submodules: `squeeze`, `excite` (1x1, of the variations), `depthwise` (3x3, of the input).
    """

    squeeze_factor: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        variation = total_variation(x.astype(jnp.float32))
        variation -= variation.mean(-1, keepdims=True)
        # PyTorch's var, whose divisor is one less
        deviation = jnp.sqrt(jnp.square(variation).sum(-1, keepdims=True) / max(features - 1, 1) + 1e-5)
        variation = (variation / deviation)[:, None, None].astype(x.dtype)
        y = nn.relu(Conv(features // self.squeeze_factor, 1, dtype=self.dtype, name="squeeze")(variation))
        y = Conv(features, 1, dtype=self.dtype, name="excite")(y)
        return x * nn.sigmoid(variation + y + Conv(features, groups=features, dtype=self.dtype, name="depthwise")(x))


class ModulatedBlock(nn.Module):
    """A residual block of EDSR with total-variation attention after its convolutions."""

    squeeze_factor: int
    dtype: Any = None
    kernel_size: int = 3

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Conv(x.shape[-1], self.kernel_size, dtype=self.dtype, name="conv1")(x))
        y = Conv(x.shape[-1], self.kernel_size, dtype=self.dtype, name="conv2")(y)
        return x + TVAttention(self.squeeze_factor, dtype=self.dtype, name="attention")(y)


class MDSR(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 2, 3 or 4; the parameters are the same whichever it is.
      num_feat: features of the trunk.
      num_block: residual blocks of the trunk.
      tv_attention: after the convolutions of every block.
      squeeze_factor: the features over those between the two layers of that attention.
      img_range: the inside works on values of [0, img_range].
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 80
    tv_attention: bool = False
    squeeze_factor: int = 16
    img_range: float = 255.0
    mean: tuple[float, float, float] = RGB_MEAN
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def block(name, kernel_size=3):
            if self.tv_attention:
                return ModulatedBlock(self.squeeze_factor, dtype=self.dtype, kernel_size=kernel_size, name=name)
            return ResidualBlock(dtype=self.dtype, kernel_size=kernel_size, name=name)

        def before(x, scale):
            return block(f"pre_process_x{scale}_1", 5)(block(f"pre_process_x{scale}_0", 5)(x))

        def upsample(x, scale):
            return PixelShuffleUpsample(scale, dtype=self.dtype, name=f"upsample_x{scale}")(x)

        mean = jnp.asarray(self.mean, lr.dtype)
        x = Conv(self.num_feat, dtype=self.dtype, name="conv_first")((lr - mean) * self.img_range)
        if self.is_initializing():  # the parts of the other scales, too
            for scale in SCALES:
                if scale != self.scale:
                    upsample(before(x, scale), scale)
        head = x = before(x, self.scale)
        for index in range(self.num_block):
            x = block(f"body_{index}")(x)
        x = head + Conv(self.num_feat, dtype=self.dtype, name="conv_after_body")(x)
        x = Conv(lr.shape[-1], dtype=self.dtype, name="conv_last")(upsample(x, self.scale))
        return x.astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {  # parameters
    "base": dict(),                           # 7.954 M
    "tv_attention": dict(tv_attention=True),  # 8.059 M
}

SMALL = dict(num_feat=8, num_block=2, squeeze_factor=4)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return MDSR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="MDSR, EDSR for three scales at once",
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR Workshops 2017",
    code="yulunzhang/RCAN (no licence), MaryAhn/AIM2020-RealSR-Track1-2-3 (no licence)",
    scales=SCALES,
)
