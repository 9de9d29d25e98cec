"""DnCNN: convolutions that find what is wrong with an image; and IRCNN, seven that are dilated.

Papers: Zhang et al., Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising, IEEE TIP 2017,
arXiv:1608.03981, and Learning Deep CNN Denoiser Prior for Image Restoration, CVPR 2017, arXiv:1704.03264. Structure and
variants as in cszn/KAIR (models/network_dncnn.py, main_test_dncnn.py, main_test_ircnn_denoiser.py), whose published
weights have their batch normalisation merged into the convolutions; initialisation is PyTorch's default.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.models._card import Card

IRCNN = (1, 2, 3, 4, 3, 2, 1)


class DnCNN(nn.Module):
    """(N, H, W, C) in [0, 1] to the same shape and dtype, not clipped.

    Attributes:
      scale: 1.
      num_feat: features of the trunk.
      num_conv: convolutions, with the first and the last one.
      norm: batch normalisation after each but these two.
      dilations: dilations of the convolutions in turn; () has none.
      channels: channels of the image.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_conv: int = 17
    norm: bool = False
    dilations: tuple[int, ...] = ()
    channels: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        dilations, x = self.dilations or (1,) * self.num_conv, lr
        if len(dilations) != self.num_conv:
            raise ValueError(f"dilations = {dilations} are not those of {self.num_conv} convolutions")
        for index, dilation in enumerate(dilations[:-1]):
            x = Conv(self.num_feat, dilation=dilation, dtype=self.dtype, name=f"conv_{index}")(x)
            if self.norm and index:
                x = nn.BatchNorm(use_running_average=not train, momentum=0.1, epsilon=1e-4, dtype=self.dtype,
                                 name=f"norm_{index}")(x)
            x = nn.relu(x)
        noise = Conv(self.channels, dilation=dilations[-1], dtype=self.dtype, name=f"conv_{self.num_conv - 1}")(x)
        return lr - noise.astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "color": dict(num_conv=20),                   # dncnn_color_blind, 669 k
    "gray": dict(num_conv=17, channels=1),        # dncnn_15, _25, _50, 556 k
    "gray_blind": dict(num_conv=20, channels=1),  # dncnn_gray_blind, dncnn3, 667 k
    "norm": dict(num_conv=20, norm=True),         # as it is trained
    "ircnn": dict(num_conv=7, dilations=IRCNN),   # 188 k
}

SMALL = dict(num_feat=4, num_conv=3, dilations=())  # the same network, for tests that compile it


def Model(variant="color", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return DnCNN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="DnCNN, plain convolutions that find the noise",
    paper="Zhang et al., Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising, IEEE TIP 2017",
    code="cszn/KAIR (MIT)",
    scales=(1,),
    task="denoising",
)
