"""MIRNet: features at three sizes side by side, which exchange what they have found again and again.

Paper: Zamir et al., ECCV 2020, arXiv:2003.06792. Structure, fields and initialisation (PyTorch's default) as in
swz30/MIRNet (networks/MIRNet_model.py). The network keeps the image's size: TeamInception (AIM 2020's x2, x3, x4) takes
it behind bicubic enlargement, which is inferred, and likely, since the code reads images of equal sizes.

As the code has it: the attention units of a stream in a block are one unit, applied once a column; one slope of a PReLU
is shared by all of them; the first fusion of a block fuses its result too. Their state dicts have all of these several
times.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.activation import PReLU, prelu
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.layers.pool import GlobalMean
from jsr.layers.resize import bilinear
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card


def blurred_half(x):
    """(N, H, W, C) to (N, H / 2, W / 2, C): every other pixel behind the blur [1, 2, 1]; the edge reflected."""
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    return nn.avg_pool(nn.avg_pool(x, (2, 2)), (2, 2), (2, 2))


class SKFF(nn.Module):
    """Selective kernel fusion: a sum of feature maps, weighed for each feature by what is known of all of them."""

    dtype: Any = None

    @nn.compact
    def __call__(self, maps):
        """A list of arrays (N, H, W, C) to one of them."""
        def conv(y, features, name):
            return Conv(features, 1, use_bias=False, dtype=self.dtype, name=name)(y)

        features = maps[0].shape[-1]
        known = conv(GlobalMean()(sum(maps)), max(features // 8, 4), "conv_du_0")
        known = PReLU(shared=True, dtype=self.dtype, name="conv_du_1")(known)
        weights = nn.softmax(jnp.stack([conv(known, features, f"fcs_{k}") for k in range(len(maps))]), axis=0)
        return sum(weight * y for weight, y in zip(weights, maps, strict=True))


class DAU(nn.Module):
    """Dual attention unit: two convolutions, then attention to places and to features side by side; input added."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x, slope):
        """(N, H, W, C) and the slope (1,) of its activation to (N, H, W, C)."""
        def conv(y, features, kernel_size, name):
            return Conv(features, kernel_size, use_bias=False, dtype=self.dtype, name=name)(y)

        features = x.shape[-1]
        y = conv(x, features, 3, "body_0")
        y = conv(prelu(y, slope.astype(y.dtype)), features, 3, "body_2")
        places = jnp.concatenate([y.max(-1, keepdims=True), y.mean(-1, keepdims=True)], axis=-1)
        places = nn.sigmoid(conv(places, 1, 5, "sa_conv"))
        known = nn.relu(conv(GlobalMean()(y), features // 8, 1, "ca_conv_du_0"))
        known = nn.sigmoid(conv(known, features, 1, "ca_conv_du_2"))
        return x + conv(jnp.concatenate([y * places, y * known], axis=-1), features, 1, "conv1x1")


class Resample(nn.Module):
    """Twice the features at half the size, or half of them at twice the size, each in two ways that are added."""

    up: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        def conv(y, features, kernel_size, name):
            return Conv(features, kernel_size, use_bias=False, dtype=self.dtype, name=name)(y)

        def act(y, name):
            return PReLU(shared=True, dtype=self.dtype, name=name)(y)

        _, height, width, features = x.shape
        top = act(conv(x, features, 1, "top_0"), "top_1")
        if self.up:
            top = TransposedConv(features, use_bias=False, dtype=self.dtype, kernel_size=3, padding=1,
                                 name="top_2")(top)
            top = conv(act(top, "top_3"), features // 2, 1, "top_4")
            return top + conv(bilinear(x, 2 * height, 2 * width), features // 2, 1, "bot_1")
        top = blurred_half(act(conv(top, features, 3, "top_2"), "top_3"))
        return conv(top, 2 * features, 1, "top_5") + conv(blurred_half(x), 2 * features, 1, "bot_1")


class Resize(nn.Module):
    """Features of one stream as another has them: `steps` times halved or doubled in size."""

    steps: int
    up: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        for index in range(self.steps):
            x = Resample(self.up, dtype=self.dtype, name=f"body_{index}")(x)
        return x


class MRB(nn.Module):
    """Multi-scale residual block: a column of attention units, then exchange and the units again; input added."""

    height: int
    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, slope):
        """(N, H, W, C) and the slope (1,) to (N, H, W, C)."""
        streams = range(self.height)
        units = [DAU(dtype=self.dtype, name=f"blocks_{j}") for j in streams]
        fusions = [SKFF(dtype=self.dtype, name=f"selective_kernel_{j}") for j in streams]
        ways = {(k, j): Resize(abs(k - j), k > j, dtype=self.dtype, name=f"{'up' if k > j else 'down'}_{k}_{j}")
                for k in streams for j in streams if k != j}

        found = [units[0](x, slope)]
        for j in streams[1:]:
            found.append(units[j](ways[j - 1, j](found[-1]), slope))
        for _ in range(1, self.width):
            fused = [fusions[j]([y if k == j else ways[k, j](y) for k, y in enumerate(found)]) for j in streams]
            found = [unit(y, slope) for unit, y in zip(units, fused, strict=True)]
        found[1:] = [Resize(k, True, dtype=self.dtype, name=f"last_up_{k}")(y) for k, y in enumerate(found) if k]
        return x + Conv(x.shape[-1], use_bias=False, dtype=self.dtype, name="conv_out")(fusions[0](found))


class MIRNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape, in the input's dtype and not clipped.

    H and W are multiples of 2**(height - 1).

    Attributes:
      scale: 1.
      n_feat: features at full size, twice as many at each half of it.
      n_rrg: recursive residual groups.
      n_msrb: blocks of each.
      height: streams, sizes of features, of a block.
      width: columns of attention units of a block.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    n_feat: int = 64
    n_rrg: int = 3
    n_msrb: int = 2
    height: int = 3
    width: int = 2
    dtype: Any = None

    @property
    def size_multiple(self):
        return 2**(self.height - 1)

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(y, features, name):
            return Conv(features, use_bias=False, dtype=self.dtype, name=name)(y)

        slope = self.param("act", nn.initializers.constant(0.25), (1,))
        x = conv(lr, self.n_feat, "conv_in")
        for group in range(self.n_rrg):
            y = x
            for block in range(self.n_msrb):
                y = MRB(self.height, self.width, dtype=self.dtype, name=f"body_{group}_{block}")(y, slope)
            x = x + conv(y, self.n_feat, f"body_{group}_{self.n_msrb}")
        return lr + conv(x, lr.shape[-1], "conv_out").astype(lr.dtype)


VARIANTS = {"base": dict()}  # 31.787 M

SMALL = dict(n_feat=32, n_rrg=1, n_msrb=1, height=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return MIRNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="MIRNet, features at three sizes that exchange what they have found",
    paper="Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement, ECCV 2020",
    code="swz30/MIRNet (Academic Public License)",
    scales=(1,),
    task="restoration",
    padding=Padding(4, "reflect"),
)
