"""FFTformer: a U-net of transformers that attend, and filter, in the spectra of 8x8 patches, which are JPEG's blocks.

Paper: Kong et al., Efficient Frequency Domain-based Transformers for High-Quality Image Deblurring, CVPR 2023,
arXiv:2211.12250. Structure, fields and initialisation as in kkkls/FFTformer (basicsr/models/archs/fftformer_arch.py).

`qfem` is SYU-HnVLab's of NTIRE 2024's blind JPEG challenge (report, section 4.8): fewer blocks, and a branch on the
first encoder level's features, QFEM, that estimates the quality for the sake of a loss. The report says no more of it;
inferred are three convolutions of stride 2 with ReLU, as wide as the three levels, the mean, a linear layer and a
sigmoid. With what Adam keeps of them the parameters take 133.5 MiB; the submission had 135 MB.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jsr.layers.activation import gelu
from jsr.layers.conv import Conv, torch_uniform
from jsr.layers.linear import Linear
from jsr.layers.norm import LayerNorm
from jsr.layers.padding import Padding
from jsr.layers.resize import bilinear
from jsr.layers.window import window_merge, window_partition
from jsr.models._card import Card

PATCH = 8  # side of the patches, px
HALF = PATCH // 2 + 1  # columns of their half spectra


def fourier_matrices():
    """The matrices by which rfft2 and irfft2 of a patch multiply: float64 numpy arrays (80, 64) and (64, 80).

    Pixels go row by row, frequencies too; the 40 real parts come before the 40 imaginary ones. As products with
    constant matrices the transforms of so small a patch are several times quicker on a CPU than as FFTs, and every
    runtime of exported graphs has them. Counted as multiply-accumulates they are about half of the network's.
    """
    u, v, row, column = np.indices((PATCH, HALF, PATCH, PATCH)).reshape(4, PATCH * HALF, PATCH**2)
    angle = 2 * np.pi / PATCH * (u * row + v * column)
    forward = np.concatenate([np.cos(angle), -np.sin(angle)])
    conjugates = np.where(v % (PATCH // 2) == 0, 1, 2)  # how many of the whole spectrum's columns one stands for
    return forward, (np.tile(conjugates, (2, 1)) * forward / PATCH**2).T


FORWARD, INVERSE = fourier_matrices()


def spectra(x):
    """(N, H, W, C) to the half spectra of its patches, (N, patches, 80, C), in float32 at least."""
    x = window_partition(x.astype(jnp.promote_types(x.dtype, jnp.float32)), PATCH)
    return jnp.einsum("fp,nwpc->nwfc", FORWARD.astype(x.dtype), x, precision="highest")


def from_spectra(x, height, width):
    """The inverse of `spectra`: (N, patches, 80, C) to (N, height, width, C), dtype kept."""
    x = jnp.einsum("pf,nwfc->nwpc", INVERSE.astype(x.dtype), x, precision="highest")
    return window_merge(x, height, width)


class DFFN(nn.Module):
    """Discriminative feed-forward network: gated features, whose patches' spectra are weighed before.

    Attributes:
      hidden_features: features of each half.
      dtype: dtype of the computation, but for the spectra, which are float32.

    Parameters: `fft` (2 * hidden_features, 1, 1, 8, 5), the weights, as the original has them; submodules `project_in`,
    `dwconv`, `project_out`.
    """

    hidden_features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape; H and W are multiples of 8."""
        features, inner = x.shape[-1], 2 * self.hidden_features
        y = Conv(inner, 1, use_bias=False, dtype=self.dtype, name="project_in")(x)
        weights = self.param("fft", nn.initializers.ones, (inner, 1, 1, PATCH, HALF))
        weights = jnp.tile(weights.reshape(inner, -1).T, (2, 1))
        y = from_spectra(spectra(y) * weights, *x.shape[1:3]).astype(y.dtype)
        y = Conv(inner, groups=inner, use_bias=False, dtype=self.dtype, name="dwconv")(y)
        gate, y = jnp.split(y, 2, axis=-1)
        return Conv(features, 1, use_bias=False, dtype=self.dtype, name="project_out")(gelu(gate) * y)


class FSAS(nn.Module):
    """Frequency domain-based self-attention: products of the spectra of queries and keys weigh the values.

    The products are circular convolutions within patches, in float32. Submodules: `to_hidden`, `to_hidden_dw`, `norm`,
    `project_out`.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape; H and W are multiples of 8."""
        features = x.shape[-1]
        y = Conv(6 * features, 1, use_bias=False, dtype=self.dtype, name="to_hidden")(x)
        y = Conv(6 * features, groups=6 * features, use_bias=False, dtype=self.dtype, name="to_hidden_dw")(y)
        query, key, value = jnp.split(y, 3, axis=-1)
        product = from_spectra(multiply(spectra(query), spectra(key)), *x.shape[1:3])
        y = value * LayerNorm(dtype=self.dtype, name="norm")(product)
        return Conv(features, 1, use_bias=False, dtype=self.dtype, name="project_out")(y)


def multiply(a, b):
    """The product of complex numbers whose real parts come before the imaginary ones on the axis before the last."""
    (a_real, a_imag), (b_real, b_imag) = (jnp.split(x, 2, axis=-2) for x in (a, b))
    return jnp.concatenate([a_real * b_real - a_imag * b_imag, a_real * b_imag + a_imag * b_real], axis=-2)


class TransformerBlock(nn.Module):
    """FSAS, with `attend` alone, and DFFN, each of normalised features and added to its input.

    Submodules: `norm1`, `attn`, `norm2`, `ffn`.
    """

    ffn_expansion_factor: float = 2.66  # hidden over outer features of the DFFN, rounded down
    attend: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to the same shape."""
        hidden_features = int(x.shape[-1] * self.ffn_expansion_factor)
        if self.attend:
            x = x + FSAS(dtype=self.dtype, name="attn")(LayerNorm(dtype=self.dtype, name="norm1")(x))
        return x + DFFN(hidden_features, dtype=self.dtype, name="ffn")(LayerNorm(dtype=self.dtype, name="norm2")(x))


class Fuse(nn.Module):
    """Features of encoder and decoder, (N, H, W, C) each, to as many: mixed, and then their halves added.

    Submodules: `conv`, `att_channel`, `conv2`.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, *inputs):
        x = jnp.concatenate(inputs, axis=-1)
        x = Conv(x.shape[-1], 1, dtype=self.dtype, name="conv")(x)
        x = TransformerBlock(dtype=self.dtype, name="att_channel")(x)
        return sum(jnp.split(Conv(x.shape[-1], 1, dtype=self.dtype, name="conv2")(x), 2, axis=-1))


class QFEM(nn.Module):
    """Features (N, H, W, C) to 1 - quality / 100 in (0, 1), float32 (N, 1).

    The mean stays that of the whole image under TLC (jsr.layers.pool): a file has one quality. Submodules: `conv_0` to
    `conv_2`, `linear`.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        features = x.shape[-1]
        for level in range(3):
            x = nn.relu(Conv(2**level * features, strides=2, padding=1, dtype=self.dtype, name=f"conv_{level}")(x))
        return nn.sigmoid(Linear(1, name="linear")(x.astype(jnp.float32).mean((1, 2))))


class FFTformer(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped; H and W are multiples of 32.

    With `estimates_quality` it is a dict: `sr`, and `qf`, float32 (N, 1), 1 - quality / 100.

    Attributes:
      scale: 1.
      dim: features at the image's size; twice as many at half of it, and four times at a quarter.
      num_blocks: of each of the three levels, in the encoder and again in the decoder, where they have attention too.
      num_refinement_blocks: behind the decoder.
      ffn_expansion_factor: hidden over outer features of the DFFN, rounded down.
      estimates_quality: it has the branch QFEM.
      dtype: dtype of the computation but for the spectra, the quality and the norms' inside; parameters stay float32.
    """

    scale: int
    dim: int = 48
    num_blocks: tuple[int, ...] = (6, 6, 12)
    num_refinement_blocks: int = 4
    ffn_expansion_factor: float = 3.0
    estimates_quality: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training
        # quirk: the original has it, and counts it, but makes no use of it
        self.param("reduce_chan_level2", torch_uniform(4 * self.dim), (1, 1, 4 * self.dim, 2 * self.dim))

        first = x = self.stage(self.conv(lr, self.dim, "patch_embed"), "encoder_level1")
        second = x = self.stage(self.conv(halve(x), 2 * self.dim, "down1_2"), "encoder_level2")
        x = self.stage(self.conv(halve(x), 4 * self.dim, "down2_3"), "encoder_level3")
        x = self.stage(x, "decoder_level3", attend=True)
        x = Fuse(dtype=self.dtype, name="fuse2")(self.conv(double(x), 2 * self.dim, "up3_2"), second)
        x = self.stage(x, "decoder_level2", attend=True)
        x = Fuse(dtype=self.dtype, name="fuse1")(self.conv(double(x), self.dim, "up2_1"), first)
        x = self.stage(x, "decoder_level1", attend=True)
        x = self.stage(x, "refinement", attend=True)
        sr = lr + self.conv(x, lr.shape[-1], "output").astype(lr.dtype)
        return {"sr": sr, "qf": QFEM(dtype=self.dtype, name="qfem")(first)} if self.estimates_quality else sr

    def conv(self, x, features, name):
        """A 3x3 convolution without a bias."""
        return Conv(features, use_bias=False, dtype=self.dtype, name=name)(x)

    def stage(self, x, name, attend=False):
        """Transformer blocks of one size, with numbers behind the name."""
        num_blocks = self.num_refinement_blocks if name == "refinement" else self.num_blocks[int(name[-1]) - 1]
        for index in range(num_blocks):
            x = TransformerBlock(self.ffn_expansion_factor, attend, dtype=self.dtype, name=f"{name}_{index}")(x)
        return x


def halve(x):
    """(N, H, W, C) to (N, H / 2, W / 2, C): means of 2x2 pixels, which is bilinear interpolation."""
    n, height, width, features = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, features).mean((2, 4))


def double(x):
    """(N, H, W, C) to (N, 2 H, 2 W, C) by bilinear interpolation."""
    return bilinear(x, 2 * x.shape[1], 2 * x.shape[2])


VARIANTS = {
    "base": dict(),  # 16.560 M
    "qfem": dict(num_blocks=(4, 4, 8), estimates_quality=True),  # 11.668 M, SYU-HnVLab
}

SMALL = dict(dim=4, num_blocks=(1, 0, 1), num_refinement_blocks=0)  # the same network, for tests that compile it


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return FFTformer(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="FFTformer, a U-net of transformers in the spectra of 8x8 patches",
    paper="Kong et al., Efficient Frequency Domain-based Transformers for High-Quality Image Deblurring, CVPR 2023",
    code="kkkls/FFTformer (MIT)",
    scales=(1,),
    task="restoration",
    padding=Padding(32, "reflect"),
)
