"""The way back of dual learning: a network from SR to LR, learnt beside the one from LR to SR.

It is of qwq at AIM 2020's real image SR, who name a dual loss: DownsampleNet in TimothyHTimothy/NADU-DMDR, the code of
a member of theirs. Structure, initialisation (Kaiming's normal times 0.1 but for one convolution, PyTorch's there) and
parameter names as there; the idea as in Guo et al., CVPR 2020, Closed-loop Matters: Dual Regression Networks for Single
Image Super-Resolution. The code takes as many features as its RCAN has, 64 at x3 and 128 at x4, where it weighs the
loss by 0.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv, he
from jsr.layers.resize import bicubic_downsample
from jsr.models._card import Card

STRIDES = {2: (2, 1), 3: (3, 1), 4: (2, 2)}  # of the first and the last convolution


class Downsample(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H / scale, W / scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 2, 3 or 4, size of the input over size of the output.
      num_feat: features.
      num_block: residual blocks.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 4
    dtype: Any = None

    @property
    def size_multiple(self):
        """Number that the sides of images are multiples of."""
        return self.scale

    @nn.compact
    def __call__(self, lr, *, train=False):
        def small(features, name, strides=1):
            return Conv(features, strides=strides, padding=1, dtype=self.dtype, kernel_init=he(0.1),
                        bias_init=nn.initializers.zeros, name=name)

        first, last = STRIDES[self.scale]
        head = x = nn.leaky_relu(small(self.num_feat, "conv_first", first)(lr), 0.1)
        for index in range(self.num_block):
            y = nn.relu(small(self.num_feat, f"body_{index}_conv1")(x))
            x = x + small(self.num_feat, f"body_{index}_conv2")(y)
        x = nn.leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_lr")(x + head), 0.1)
        x = small(lr.shape[-1], "conv_last", last)(x)
        return x.astype(lr.dtype) + bicubic_downsample(lr, self.scale)


VARIANTS: dict[str, dict[str, Any]] = {"dual": dict()}

SMALL = dict(num_feat=4, num_block=1)


def Model(variant="dual", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return Downsample(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="qwq's downsampling network for dual learning, from SR to LR",
    paper="Wei et al., AIM 2020 Challenge on Real Image Super-Resolution: Methods and Results, ECCV Workshops 2020",
    code="TimothyHTimothy/NADU-DMDR (no licence)",
    scales=tuple(STRIDES),
    task="downscaling, for losses",
    auxiliary=True,
)
