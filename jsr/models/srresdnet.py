"""SRResDNet: a residual denoiser behind bilinear enlargement, the generator of SRResCGAN and SRResCycGAN.

Papers: Umer and Micheloni, Deep Cyclic Generative Adversarial Residual Convolutional Networks for Real Image
Super-Resolution, ECCV Workshops 2020 (MLP_SR at AIM 2020's x4); Umer et al., CVPR Workshops 2020, with the same
generator. Structure, names and initialisation as in RaoUmer/SRResCycGAN (srrescycgan_code_demo/models). The denoiser
takes away what it holds for noise and blur, but no more than the noise that a wavelet finds in the enlarged image.

Quirks of the original: before each pass it takes the mean off its kernels, which weight normalisation then makes anew,
so that nothing changes; its own initial kernels are lost in the same way. Left out: an image whose brightest value is
below 2 of 255 has its noise estimated 255 times as great there.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jsr.layers.activation import PReLU
from jsr.layers.conv import Conv
from jsr.layers.resize import bilinear
from jsr.layers.upsample import TransposedConv
from jsr.models._card import Card

DB7 = (-0.07785205408506236, 0.39653931948230575, -0.7291320908465551, 0.4697822874053586, 0.14390600392910627,
       -0.22403618499416572, -0.07130921926705004, 0.0806126091510659, 0.03802993693503463, -0.01657454163101562,
       -0.012550998556013784, 0.00042957797300470274, 0.0018016407039998328, 0.0003537138000010399)  # high pass


@jax.jit  # for its name, which stays readable in a traced network
def lower_median(x):
    """The medians of (..., N), of an even N the smaller of the two in the middle, as torch.median: (...)."""
    return jax.lax.dynamic_index_in_dim(jnp.sort(x), (x.shape[-1] - 1) // 2, -1, keepdims=False)


def noise_level(x):
    """The standard deviations (N, 1, 1, 1) of the noise in images (N, H, W, C), from their finest diagonal wavelets."""
    for axis in (1, 2):
        length, half = x.shape[axis] // 2 + 1, len(DB7) // 2
        padded = jnp.pad(x, [(half, half) if d == axis else (0, 0) for d in range(4)], "reflect")
        taps = [tap * jax.lax.slice_in_dim(padded, k, k + 2 * length - 1, 2, axis) for k, tap in enumerate(DB7)]
        x = functools.reduce(jnp.add, taps)
    n, *_, channels = x.shape
    return (lower_median(jnp.abs(x).reshape(n, -1, channels).transpose(0, 2, 1)) / 0.6745).mean(-1).reshape(n, 1, 1, 1)


def project(x, square):
    """Images (N, H, W, C) brought to a squared Euclidean norm of at most `square`, (N, 1, 1, 1) and not 0."""
    return x * jnp.sqrt(square / jnp.maximum(jnp.square(x).sum((1, 2, 3), keepdims=True), square))


class Block(nn.Module):
    """Two activations and convolutions in turn, and the input added where there is a `shortcut`."""

    shortcut: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        y = x
        for index in (1, 2):
            y = PReLU(start=0.1, dtype=self.dtype, name=f"relu{index}")(y)
            y = Conv(x.shape[-1], bias_init=nn.initializers.zeros, padding_mode="reflect", weight_norm=True,
                     dtype=self.dtype, name=f"conv{index}")(y)
        return x + y if self.shortcut else y


class SRResDNet(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and clipped to [0, 1].

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the denoiser.
      num_block: blocks of it; the first has no shortcut.
      dtype: dtype of the denoiser's computation; the noise and the projection are float32, as parameters are.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        _, height, width, channels = lr.shape
        x = bilinear(lr, height * self.scale, width * self.scale)
        y = Conv(self.num_feat, 5, bias_init=nn.initializers.zeros, padding_mode="reflect", weight_norm=True,
                 dtype=self.dtype, name="conv1")(255 * x)
        for index in range(self.num_block):
            y = Block(index > 0, dtype=self.dtype, name=f"layer1_{index}")(y)
        y = TransposedConv(channels, 1, kernel_size=5, padding=2, weight_norm=True, dtype=self.dtype,
                           name="conv_out")(y)
        alpha = self.param("alpha", nn.initializers.constant(math.log(2)), (1,))
        values = jnp.asarray(height * width * self.scale**2 * channels - 1, jnp.float32)
        square = jnp.square(jnp.exp(alpha) * noise_level(jax.lax.stop_gradient(x))) * values
        y = project(y.astype(lr.dtype) / 255, jnp.maximum(square, 1e-12))
        return jnp.clip(x - y, 0, 1).astype(lr.dtype)


VARIANTS = {"base": dict()}  # 0.380 M

SMALL = dict(num_feat=4, num_block=2)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SRResDNet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SRResDNet, a residual denoiser behind bilinear enlargement, the generator of SRResCGAN and SRResCycGAN",
    paper="Umer and Micheloni, Deep Cyclic Generative Adversarial Residual Convolutional Networks for Real Image "
          "Super-Resolution, ECCV Workshops 2020",
    code="RaoUmer/SRResCycGAN (MIT)",
    scales=(4,),
    other_scales=(1, 2, 3, 4, 8),
)
