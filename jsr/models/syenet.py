"""SCSYENet: products of branches and a skip by concatenation, of NTIRE 2023's real-time challenge.

Section 3.9 of the challenge's report, team Multimedia: x2 and x3. The layers follow from it and from the published
counts: two units of two branches each, of ECBs at 16 features, the first with one PReLU, and an ECB of the second's
output beside the input. The units are those of the team's SYENet (sanechips-multimedia/syenet): the product times 0.1,
which is part of one branch once deployed, plus a learned bias. Inferred: that factor, and the input's range and mean,
which are SYENet's; that the mean is added again at the end.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jsr.layers import rep_blocks
from jsr.layers.activation import prelu
from jsr.layers.colour import RGB_MEAN
from jsr.layers.rep import RepConv
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card


class Product(nn.Module):
    """SYENet's quadratic connection unit, `scale` * A(x) * B(x) + bias: A is one RepConv or several, B is one.

    Attributes:
      features: output channels.
      depth: RepConvs in A, with a PReLU between.
      scale: scale of the product; deployed, it is in B.
      block: the branches of the RepConvs, by name, see jsr.layers.rep.
      deploy: RepConvs are one convolution each.
      dtype: dtype of the computation.

    Parameters: RepConvs `a_0`... and `b`, slopes `prelu_1`..., each (features,), and `bias` (features,).
    """

    features: int
    depth: int = 1
    scale: float = 0.1
    block: str = "ecb"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False):
        def reconv(x, name):
            return RepConv(self.features, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                           name=name)(x, train=train)

        a = x
        for index in range(self.depth):
            if index:
                slope = self.param(f"prelu_{index}", nn.initializers.constant(0.25), (self.features,))
                a = prelu(a, slope.astype(a.dtype))
            a = reconv(a, f"a_{index}")
        y = a * reconv(x, "b")
        bias = self.param("bias", nn.initializers.normal(1), (self.features,)).astype(y.dtype)
        return (y if self.deploy else self.scale * y) + bias

    @nn.nowrap
    def fused(self, params):
        """The parameters of the deployed unit from those whose RepConvs are fused, for jsr.reparam."""
        return {**params, "b": {name: self.scale * value for name, value in params["b"].items()}}


class SCSYENet(nn.Module):
    """(N, H, W, 3) in [0, 1] to (N, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: SR size over LR size.
      num_feat: features of the units.
      img_range: the inside works on values of [0, img_range], less the mean.
      mean: RGB mean in [0, 1] that is subtracted before and added after.
      product_scale: scale of the units' products, in training.
      block: the branches of the RepConvs, by name, see jsr.layers.rep.
      deploy: RepConvs are one convolution each, and the products have no factor.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 16
    img_range: float = 255.0
    mean: tuple[float, float, float] = RGB_MEAN
    product_scale: float = 0.1
    block: str = "ecb"
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, lr, *, train=False):
        mean = jnp.asarray(self.mean, lr.dtype)
        image = (lr - mean) * self.img_range
        x = image
        for name, depth in (("head", 2), ("body", 1)):
            x = Product(self.num_feat, depth, self.product_scale, self.block, self.deploy, self.dtype, name=name)(
                x, train=train)
        x = jnp.concatenate([x, image.astype(x.dtype)], axis=-1)
        x = RepConv(lr.shape[-1] * self.scale**2, rep_blocks.block(self.block), deploy=self.deploy, dtype=self.dtype,
                    name="tail")(x, train=train)
        return pixel_shuffle(x, self.scale).astype(lr.dtype) / self.img_range + mean


VARIANTS: dict[str, dict[str, Any]] = {
    "scsyenet": dict(num_feat=16),  # 9968 parameters deployed at x2, 12548 at x3
}

SMALL = dict(num_feat=4)  # the same network, for tests that compile it


def Model(variant="scsyenet", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return SCSYENet(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="SCSYENet, products of branches and a skip by concatenation",
    paper="Team Multimedia in Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution. NTIRE 2023 "
          "Benchmark and Report, CVPR Workshops 2023",
    code="",
    scales=(2, 3),
    other_scales=(1, 2, 3, 4, 8),
)
