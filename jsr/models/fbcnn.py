"""FBCNN: JPEG restoration by a U-net that estimates the quality factor and is steered by it.

Paper: Jiang et al., ICCV 2021, arXiv:2109.14573; structure and defaults as in jiaxi-jiang/FBCNN,
models/network_fbcnn.py. `color` is the released network, and the baseline of NTIRE 2024's blind JPEG challenge.
`batch_norm` is FlyingBunny's there (report, section 4.11), as in xinyaoict/MUNet: FBCNN's own conv-BN-ReLU blocks, and
the image alone as output. The quality stays one value inside, which no loss binds to the file's.

The network starts near the identity, beside features without a mean, which is ours: the official one starts from small
orthogonal kernels and trains for millions of steps at 2e-5. Convolutions that start small are nearly linear, and a
linear feature's mean over an image says nothing of its JPEG: with PyTorch's initialisation a small network's estimate
of the quality was still a constant after 7,000 steps, from here it is within 10 of the quality after 600.

The official code predicts 1 - quality / 100, and so is `qf` here. It has 512 features in its linear layers
whatever the convolutions' are: here as many as the lowest level, which is the same at the published width.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers.conv import Conv, detail, he
from jsr.layers.linear import Linear
from jsr.layers.padding import Padding
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card


def head_init(key, shape, dtype=jnp.float32):
    """A kernel that gives the image as its first features, and differences between its pixels as the others."""
    kernel, channels = detail(3.0)(key, shape, dtype), shape[2]
    return kernel.at[..., :channels].set(_identity(shape, dtype)[..., :channels])


def tail_init(key, shape, dtype=jnp.float32):
    """A kernel that gives the first features, and little of the others, as the image."""
    kernel, channels = he(0.1)(key, shape, dtype), shape[3]
    return kernel.at[:, :, :channels].set(_identity(shape, dtype)[:, :, :channels])


def _identity(shape, dtype):
    height, width, *features = shape
    return jnp.zeros(shape, dtype).at[height // 2, width // 2].set(jnp.eye(*features, dtype=dtype))


def _conv(features, *fields, kernel_init=None, **named):
    return Conv(features, *fields, kernel_init=kernel_init or he(), bias_init=nn.initializers.zeros, **named)


class Residual(nn.Module):
    """conv, ReLU, conv, with as many features out as in; the batch's normalisation before the ReLU with `norm`.

    Parameters: `conv_0`, `norm`, `conv_1`.
    """

    norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        features = x.shape[-1]
        y = _conv(features, dtype=self.dtype, name="conv_0")(x)
        if self.norm:
            # quirk: PyTorch's momentum is the new statistics' part, 0.9 in the official code
            y = nn.BatchNorm(use_running_average=not train, momentum=0.1, epsilon=1e-4, dtype=self.dtype,
                             name="norm")(y)
        return _conv(features, dtype=self.dtype, kernel_init=he(0.3), name="conv_1")(nn.relu(y))


class ResBlock(nn.Module):
    """(N, H, W, C) to the same shape: the input and the Residual `res` of it."""

    norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        return x + Residual(self.norm, self.dtype, name="res")(x, train=train)


class QFAttention(nn.Module):
    """(N, H, W, C) to the same shape: a ResBlock whose residual is scaled and shifted, channel by channel.

    `gamma` and `beta` have shapes that broadcast, as (N, 1, 1, C).
    """

    norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, gamma, beta, *, train=False):
        y = Residual(self.norm, self.dtype, name="res")(x, train=train)
        return x + gamma.astype(y.dtype) * y + beta.astype(y.dtype)


class QualityPredictor(nn.Module):
    """Features (N, H, W, C) to 1 - quality / 100 in (0, 1), float32 (N, 1).

    The mean over the image stays global under TLC (jsr.layers.pool): a file has one quality. From there on it is
    computed in float32.

    Attributes:
      num_block: residual blocks before the mean.
      norm: norm of the blocks.
      dtype: dtype of the blocks.

    Parameters: `body_0`..., `linear_0`, `linear_1`, `linear_2`.
    """

    num_block: int = 4
    norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        features = x.shape[-1]
        for index in range(self.num_block):
            x = ResBlock(self.norm, self.dtype, name=f"body_{index}")(x, train=train)
        x = x.astype(jnp.float32).mean((1, 2))
        x = nn.relu(Linear(features, name="linear_0")(x))
        x = nn.relu(Linear(features, name="linear_1")(x))
        return nn.sigmoid(Linear(1, name="linear_2")(x))


class QualityEmbedding(nn.Module):
    """1 - quality / 100, (..., 1), to (..., features), by three linear layers with ReLU: `linear_0` to `linear_2`."""

    features: int = 512

    @nn.compact
    def __call__(self, qf):
        for index in range(3):
            qf = nn.relu(Linear(self.features, name=f"linear_{index}")(qf))
        return qf


class Modulation(nn.Module):
    """A quality's embedding (..., E) to QFAttention's gamma in (0, 1) and beta in (-1, 1), (..., features) each.

    Parameters: `gamma`, `beta`.
    """

    features: int

    @nn.compact
    def __call__(self, embedding):
        gamma = nn.sigmoid(Linear(self.features, name="gamma")(embedding))
        return gamma, jnp.tanh(Linear(self.features, name="beta")(embedding))


class FBCNN(nn.Module):
    """(N, H, W, 3) in [0, 1] to {"sr": the restored image, "qf": the estimate of 1 - quality / 100, float32 (N, 1)}.

    `sr` has the input's shape and dtype, and is not clipped. H and W are multiples of 8. Without `estimates_quality`
    the image is the only output.

    Attributes:
      scale: 1.
      num_feat: features of the highest of four levels; each lower one has twice as many.
      num_block: residual blocks of each part of a level, and of the quality's branch.
      norm: batch normalisation in every block.
      estimates_quality: gives what the branch of the quality makes; off where no loss is to train it for that.
      dtype: dtype of the computation; parameters stay float32, the quality is computed in float32.
    """

    scale: int = 1
    num_feat: int = 64
    num_block: int = 4
    norm: bool = False
    estimates_quality: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False, qf_input=None):
        """`qf_input`: float (N, 1) or (1, 1), 1 - quality / 100 to restore for, instead of the estimate."""
        x = _conv(self.num_feat, dtype=self.dtype, kernel_init=head_init, name="head")(lr)
        skips = [x]
        for level in (1, 2, 3):
            x = self.blocks(x, f"down{level}", train)
            x = _conv(2 * x.shape[-1], 2, strides=2, padding=0, dtype=self.dtype, name=f"down{level}_conv")(x)
            skips.append(x)
        x = self.blocks(x, "encoder", train)
        qf = QualityPredictor(self.num_block, self.norm, self.dtype, name="quality")(x, train=train)
        x = self.blocks(x, "decoder", train)
        embedding = QualityEmbedding(x.shape[-1], name="embedding")(qf if qf_input is None else qf_input)
        embedding = embedding[:, None, None]
        for level in (3, 2, 1):
            features = x.shape[-1] // 2
            x = TransposedConv(features, dtype=self.dtype, kernel_init=he(0.01 if level == 1 else 1.0),
                               name=f"up{level}_conv")(x + skips.pop())
            gamma, beta = Modulation(features, name=f"up{level}_modulation")(embedding)
            for index in range(self.num_block):
                x = QFAttention(self.norm, self.dtype, name=f"up{level}_{index}")(x, gamma, beta, train=train)
        x = _conv(lr.shape[-1], dtype=self.dtype, kernel_init=tail_init, name="tail")(x + skips.pop())
        sr = x.astype(lr.dtype)
        return {"sr": sr, "qf": qf} if self.estimates_quality else sr

    def blocks(self, x, name, train):
        """`num_block` residual blocks."""
        for index in range(self.num_block):
            x = ResBlock(self.norm, self.dtype, name=f"{name}_{index}")(x, train=train)
        return x


VARIANTS = {
    "color": dict(),  # 71.92 M
    "batch_norm": dict(norm=True, estimates_quality=False),  # 71.94 M
}

SMALL = dict(num_feat=2, num_block=1)


def Model(variant="color", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return FBCNN(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="FBCNN, JPEG restoration steered by the quality factor",
    paper="Jiang et al., Towards Flexible Blind JPEG Artifacts Removal, ICCV 2021",
    code="jiaxi-jiang/FBCNN (Apache-2.0), xinyaoict/MUNet (no licence stated)",
    scales=(1,),
    task="restoration",
    padding=Padding(8, "replicate"),
)
