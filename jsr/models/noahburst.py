"""NoahBurstSRNet: the refinement of NoahTerminalCV, which takes from references what an enlarged image lacks.

AIM 2022, track 2 (report, section 4.2), after the team's network of NTIRE 2021's burst super-resolution, of which no
code and no full description is public; the public pages were read again. Inferred, all of it: a shared encoder; each
reference aligned to the image by EDVR's pyramid, cascading and deformable convolutions (PCD; Wang et al., CVPRW 2019,
in XPixelGroup/BasicSR's form); a softmax over image and references at each pixel, by the products of embeddings; a
trunk of residual blocks, whose output is added to the image.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jsr.layers.conv import Conv
from jsr.layers.deform import DeformConv
from jsr.layers.padding import Padding
from jsr.layers.resize import bilinear
from jsr.models._card import Card
from jsr.models.edsr import ResidualBlock

_LEVELS = 3


def _act(x):
    return nn.leaky_relu(x, 0.1)


class Align(nn.Module):
    """Features of references (M, H, W, C), aligned to the image's features: EDVR's PCD.

    Attributes:
      num_group: groups of features that move apart.
      dtype: dtype of the computation.
    """

    num_group: int
    dtype: Any = None

    @nn.compact
    def __call__(self, references, base):
        """Pyramids, lists of features from fine to coarse, to (M, H, W, C)."""
        offset = feature = None
        for level in reversed(range(_LEVELS)):
            reference, image, name = references[level], base[level], f"l{level + 1}"
            own = _act(self._conv(f"offset_conv1_{name}", image, reference, image))
            if offset is None:
                offset = _act(self._conv(f"offset_conv2_{name}", image, own))
            else:
                own = _act(self._conv(f"offset_conv2_{name}", image, own, 2 * _twice(offset)))
                offset = _act(self._conv(f"offset_conv3_{name}", image, own))
            finer = self._deform(f"dcn_pack_{name}", reference, offset)
            if feature is not None:
                finer = self._conv(f"feat_conv_{name}", image, finer, _twice(feature))
            feature = _act(finer) if level else finer
        offset = _act(self._conv("cas_offset_conv1", base[0], feature, base[0]))
        offset = _act(self._conv("cas_offset_conv2", base[0], offset))
        return _act(self._deform("cas_dcnpack", feature, offset))

    def _conv(self, name, like, *parts):
        return Conv(like.shape[-1], dtype=self.dtype, name=name)(jnp.concatenate(parts, -1))

    def _deform(self, name, x, offset):
        taps = 9 * self.num_group
        y = Conv(3 * taps, zero_start=True, dtype=self.dtype, name=f"{name}_offset")(offset)
        return DeformConv(x.shape[-1], dtype=self.dtype, name=name)(x, y[..., :2 * taps], nn.sigmoid(y[..., 2 * taps:]))


def _twice(x):
    return bilinear(x, 2 * x.shape[1], 2 * x.shape[2])


class NoahBurst(nn.Module):
    """(N, H, W, 3) in [0, 1] to the same with the detail of references, in the input's dtype and not clipped.

    H and W are multiples of 4.

    Attributes:
      scale: 1.
      num_feat: features.
      num_block: residual blocks of the encoder.
      num_trunk: residual blocks behind the fusion.
      num_group: groups of features that move apart, which divide num_feat.
      zero_start: the last convolution starts at zero, so that the network begins as its image.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int = 1
    num_feat: int = 64
    num_block: int = 5
    num_trunk: int = 10
    num_group: int = 8
    zero_start: bool = False
    dtype: Any = None

    takes_refs = True

    @nn.compact
    def __call__(self, lr, *, train=False, refs=None):
        """`refs`: references (N, K, H, W, 3), roughly aligned, any K; None is the image itself, as its only one."""
        del train  # the same in training
        refs = lr[:, None] if refs is None else refs
        n, k = refs.shape[:2]
        images = jnp.concatenate([lr, refs.astype(lr.dtype).reshape(n * k, *lr.shape[1:])])
        pyramid = self._pyramid(images)
        base = [level[:n] for level in pyramid]
        aligned = Align(self.num_group, dtype=self.dtype, name="align")(
            [level[n:] for level in pyramid], [jnp.repeat(level, k, 0) for level in base])
        together = jnp.concatenate([base[0][:, None], aligned.reshape(n, k, *aligned.shape[1:])], 1)
        x = nn.relu(self._fused(base[0], together))
        for index in range(self.num_trunk):
            x = ResidualBlock(dtype=self.dtype, name=f"trunk_{index}")(x)
        return lr + Conv(3, dtype=self.dtype, zero_start=self.zero_start, name="conv_last")(x).astype(lr.dtype)

    def _pyramid(self, x):
        """Features at each size, from fine to coarse."""
        x = _act(self._conv("conv_first", x))
        for index in range(self.num_block):
            x = ResidualBlock(dtype=self.dtype, name=f"feature_{index}")(x)
        found = [x]
        for level in range(2, _LEVELS + 1):
            x = _act(self._conv(f"conv_l{level}_1", found[-1], strides=2, padding=1))
            found.append(_act(self._conv(f"conv_l{level}_2", x)))
        return found

    def _fused(self, base, together):
        """The mean of the features of image and references, by how alike embeddings are."""
        n, count, *shape = together.shape
        flat = together.reshape(n * count, *shape)
        query = self._conv("embed_query", base)[:, None]
        key = self._conv("embed_key", flat).reshape(together.shape)
        alike = (query * key).astype(jnp.float32).sum(-1, keepdims=True) / self.num_feat**0.5
        value = self._conv("embed_value", flat, kernel_size=1).reshape(together.shape)
        return (jax.nn.softmax(alike, 1).astype(value.dtype) * value).sum(1)

    def _conv(self, name, x, **options):
        return Conv(self.num_feat, dtype=self.dtype, name=name, **options)(x)


VARIANTS: dict[str, dict[str, Any]] = {
    "base": dict(num_feat=64, num_block=5, num_trunk=10),
    "small": dict(num_feat=16, num_block=1, num_trunk=2, num_group=4),  # of our own, for two cores
}

SMALL = dict(num_feat=4, num_block=1, num_trunk=1, num_group=2)


def Model(variant="base", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return NoahBurst(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="NoahBurstSRNet as read from its name: an image refined by aligned references",
    paper="Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCV Workshops "
          "2022, section 4.2",
    code="",
    scales=(1,),
    task="restoration by references",
    padding=Padding(multiple=4),
)
