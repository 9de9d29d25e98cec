"""ResNet: residual networks for recognition, here the features by which frames are found in a database.

Paper: He et al., CVPR 2016. Structure and names as in torchvision (resnet18, resnet34). NoahTerminalCV (AIM 2022, track
2, report, section 4.2) train a ResNet-34 to 100 features by contrastive learning (SimCLR): two frames of one video are
alike, those of different videos are not. Inferred: its last layer gives the features themselves, without a head of
projection beside it; LR frames pass as they are, without ImageNet's normalisation.
"""

from typing import Any

import flax.linen as nn

from jsr.layers.conv import Conv
from jsr.layers.pool import GlobalMean, max_pool
from jsr.models._card import Card


class BasicBlock(nn.Module):
    """Two convolutions with BatchNorm beside the input, (N, H, W, C) to (N, H / strides, W / strides, features).

    Attributes:
      features: output channels.
      strides: strides of the first convolution, and of the 1x1 beside both where the shape changes.
      dtype: dtype of the computation.
    """

    features: int
    strides: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train):
        y = nn.relu(norm(self._conv("conv1", 3, self.strides)(x), "bn1", train, self.dtype))
        y = norm(self._conv("conv2", 3)(y), "bn2", train, self.dtype)
        if y.shape != x.shape:
            x = norm(self._conv("downsample_0", 1, self.strides)(x), "downsample_1", train, self.dtype)
        return nn.relu(x + y)

    def _conv(self, name, size, strides=1):
        return Conv(self.features, size, strides=strides, use_bias=False, dtype=self.dtype, name=name)


def norm(x, name, train, dtype):
    """BatchNorm as PyTorch's."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype, name=name)(x)


class ResNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to features (N, num_class), in the input's dtype.

    Attributes:
      scale: 1.
      num_block: blocks of each size, each half of the one before.
      num_feat: features of the first size, twice as many of each further one.
      num_class: features that it gives.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    num_block: tuple[int, ...] = (3, 4, 6, 3)
    num_feat: int = 64
    num_class: int = 100
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = Conv(self.num_feat, 7, strides=2, use_bias=False, dtype=self.dtype, name="conv1")(lr)
        x = nn.relu(norm(x, "bn1", train, self.dtype))
        x = max_pool(x, 3, 2, padding=1)
        for level, count in enumerate(self.num_block):
            for index in range(count):
                x = BasicBlock(self.num_feat * 2**level, 2 if level and not index else 1, dtype=self.dtype,
                               name=f"layer{level + 1}_{index}")(x, train=train)
        x = GlobalMean()(x)[:, 0, 0]
        return nn.Dense(self.num_class, dtype=self.dtype, name="fc")(x).astype(lr.dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "resnet34": dict(num_block=(3, 4, 6, 3)),  # 21.34 M with 100 features
    "small": dict(num_block=(1, 1, 1, 1), num_feat=16),  # of our own, for two cores
}

SMALL = dict(num_block=(1, 1), num_feat=2, num_class=4)


def Model(variant="resnet34", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return ResNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="ResNet, features by which a frame is found",
    paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    code="pytorch/vision (BSD-3-Clause)",
    scales=(1,),
    task="features of an image, for a database",
    auxiliary=True,
    out_channels=100,
)
