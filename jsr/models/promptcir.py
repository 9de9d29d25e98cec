"""PromptCIR: a Restormer with window attention at its finer levels and prompts in its decoder; for images after JPEG.

Paper: Li et al., CVPR Workshops 2024; first of NTIRE 2024's blind JPEG challenge. Structure, fields and
initialisation as in lbc12345/PromptCIR-NTIRE24, model.py, with the `decoder=True` of its test. The two finer levels are
groups of HAT's layers whose MLPs are gated convolutions with biases. A prompt is a feature map: each pixel's is a
mixture of learned vectors.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jsr.layers.activation import gelu
from jsr.layers.attention import Linear, softmax
from jsr.layers.conv import Conv
from jsr.layers.padding import Padding
from jsr.models._card import Card
from jsr.models.hat import ResidualGroup
from jsr.models.restormer import GDFN, Downsample, TransformerBlock, Upsample


class Prompt(nn.Module):
    """Features to a prompt: each pixel weighs the bases of each task, and the tasks; a convolution of the sums.

    Parameters: `prompt` (1, num_task, num_basis, prompt_dim, 1, 1), as in the original; submodules `basis_fc1`,
    `basis_fc2`, `task_fc1`, `task_fc2`, `conv`.
    """

    num_task: int
    num_basis: int
    prompt_dim: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        """(N, H, W, C) to (N, H, W, prompt_dim)."""
        shape = (1, self.num_task, self.num_basis, self.prompt_dim, 1, 1)
        prompt = self.param("prompt", jax.random.uniform, shape)[0, ..., 0, 0]
        basis, task = self.weights(x, "basis", self.num_basis), self.weights(x, "task", self.num_task)
        mixed = jnp.einsum("nhwt,nhwb,tbc->nhwc", task, basis, prompt.astype(basis.dtype))
        return Conv(self.prompt_dim, use_bias=False, dtype=self.dtype, name="conv")(mixed)

    def weights(self, x, name, number):
        """For each pixel, `number` weights that sum to one."""
        x = gelu(Linear(number, dtype=self.dtype, name=f"{name}_fc1")(x))
        x = Linear(number, dtype=self.dtype, name=f"{name}_fc2")(x)
        return softmax(x.astype(jnp.float32)).astype(x.dtype)


class PromptInteraction(nn.Module):
    """(N, H, W, C) to (N, H, W, features): the input beside its prompt, a transformer block, a 1x1 convolution.

    Submodules: `prompt`, `block`, `reduce`.
    """

    features: int
    num_task: int
    num_basis: int
    prompt_dim: int
    num_heads: int
    ffn_factor: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        prompt = Prompt(self.num_task, self.num_basis, self.prompt_dim, dtype=self.dtype, name="prompt")(x)
        x = jnp.concatenate([x, prompt], axis=-1)
        x = TransformerBlock(self.num_heads, self.ffn_factor, dtype=self.dtype, name="block")(x)
        return Conv(self.features, 1, use_bias=False, dtype=self.dtype, name="reduce")(x)


class PromptCIR(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same shape and dtype, not clipped: what the network makes is added to the input.

    H and W are multiples of size_multiple (ValueError).

    Attributes:
      scale: 1.
      dim: features at the image's size; twice as many at each further level.
      num_blocks, heads: of each level, the last being the coarsest: hybrid layers at the first two, transformer blocks
        at the others.
      num_refinement_blocks: transformer blocks behind the decoder.
      ffn_factor: hidden over outer features of all GDFNs, rounded down.
      window_size, compress_ratio, squeeze_factor, conv_scale, overlap_ratio: see jsr.models.hat.HAT.
      num_task: number of tasks of every prompt.
      num_basis, prompt_dim: sizes of the prompts before the way up to levels 1, 2...
      prompt_heads: numbers of heads of the transformer blocks behind the prompts.
      remat: layers and blocks are computed again in the backward pass.
      dtype: dtype of the computation but for attention's logits and the norms' inside; parameters stay float32.
    """

    scale: int = 1
    dim: int = 48
    num_blocks: tuple[int, ...] = (4, 6, 6, 8)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    num_refinement_blocks: int = 4
    ffn_factor: float = 2.66
    window_size: int = 16
    compress_ratio: int = 3
    squeeze_factor: int = 16
    conv_scale: float = 0.01
    overlap_ratio: float = 0.5
    num_task: int = 7
    num_basis: tuple[int, ...] = (64, 32, 16)
    prompt_dim: tuple[int, ...] = (64, 128, 320)
    prompt_heads: int = 4
    remat: bool = False
    dtype: Any = None

    @property
    def overlap(self):
        return int(self.overlap_ratio * self.window_size)

    @property
    def size_multiple(self):
        """Windows at half the size, and pixels at the coarsest level's."""
        return math.lcm(2 * self.window_size, 2**(len(self.num_blocks) - 1))

    @nn.compact
    def __call__(self, lr, *, train=False):
        del train  # the same in training

        def conv(x, features, kernel_size, name):
            return Conv(features, kernel_size, use_bias=False, dtype=self.dtype, name=name)(x)

        x, skips = conv(lr, self.dim, 3, "patch_embed"), []
        for level in range(1, len(self.num_blocks)):
            x = self.stage(x, f"encoder_level{level}", level)
            skips.append(x)
            x = Downsample(dtype=self.dtype, name=f"down{level}_{level + 1}")(x)
        x = self.blocks(x, "latent", self.num_blocks[-1], self.heads[-1])
        for level in reversed(range(1, len(self.num_blocks))):
            x = self.interaction(level, min(x.shape[-1], 4 * self.dim))(x)
            x = Upsample(dtype=self.dtype, name=f"up{level + 1}_{level}")(x)
            x = jnp.concatenate([x, skips.pop()], axis=-1)
            if level > 1:
                x = conv(x, 2**(level - 1) * self.dim, 1, f"reduce_chan_level{level}")
            x = self.stage(x, f"decoder_level{level}", level)
        x = self.blocks(x, "refinement", self.num_refinement_blocks, self.heads[0])
        return lr + conv(x, lr.shape[-1], 3, "output").astype(lr.dtype)

    def stage(self, x, name, level):
        """A level of encoder or decoder."""
        num_blocks, heads = self.num_blocks[level - 1], self.heads[level - 1]
        if level > 2:
            return self.blocks(x, name, num_blocks, heads)
        mlp = functools.partial(GDFN, int(x.shape[-1] * self.ffn_factor), use_bias=True)
        return ResidualGroup(heads, self.window_size, self.overlap, self.compress_ratio, self.squeeze_factor,
                             self.conv_scale, mlp, (0.0,) * num_blocks, self.remat, dtype=self.dtype, name=name)(x)

    def blocks(self, x, name, num_blocks, heads):
        """Transformer blocks with numbers behind the name."""
        block = nn.remat(TransformerBlock) if self.remat else TransformerBlock
        for index in range(num_blocks):
            x = block(heads, self.ffn_factor, dtype=self.dtype, name=f"{name}_{index}")(x)
        return x

    def interaction(self, level, features):
        """The PromptInteraction before the way up to a level."""
        return PromptInteraction(features, self.num_task, self.num_basis[level - 1], self.prompt_dim[level - 1],
                                 self.prompt_heads, self.ffn_factor, dtype=self.dtype, name=f"prompt{level}")


VARIANTS = {
    "base": dict(),  # 34.755 M
}

SMALL = dict(dim=4, num_blocks=(1, 1), heads=(1, 1), num_refinement_blocks=0, window_size=4, compress_ratio=2,
             squeeze_factor=1, conv_scale=0.5, num_task=2, num_basis=(3,), prompt_dim=(4,), prompt_heads=2)


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return PromptCIR(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="PromptCIR, a Restormer with windows and prompts",
    paper="Li et al., PromptCIR: Blind Compressed Image Restoration with Prompt Learning, CVPR Workshops 2024",
    code="lbc12345/PromptCIR-NTIRE24 (Apache-2.0)",
    scales=(1,),
    task="restoration",
    padding=Padding(32, "flip", always=True),
)
