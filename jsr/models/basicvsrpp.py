"""BasicVSR++: a clip's features passed to and fro through time, aligned by optical flow and deformable convolution.

Paper: Chan et al., CVPR 2022, arXiv:2104.13371. Structure and initialisation as in XPixelGroup/BasicSR, which follows
ckkelvinchan/BasicVSR_PlusPlus and mmagic; SPyNet (Ranjan and Black, CVPR 2017) within it, too. At scale 1 images are
halved twice by convolutions, and flows are those of the image made smaller by bicubic interpolation. The original takes
LR frames of 64 px at least, since SPyNet's coarsest flow is empty below; here it is zero.

`num_reconstruct` is what NTIRE 2022's winner (TaoMC2) grew from 5 to 55, and the variant `taomc2` that team's: Zheng et
al., CVPR Workshops 2022, arXiv:2204.09924, and the pages of ryanxingql/winner-ntire22-vqe, which have no code. Stated:
the second-order neighbour is replaced by the quality peak that a pass met last, every fourth frame from the first one
on; frames that repeat the one before are taken out, and their results copied. The names of its configurations give
128 features, 25 blocks a pass, and 5 + 10 * (r - 1) blocks of growth r. Inferred: a peak that is the neighbour itself
counts as the one met last; flow to it is composed step by step, as that to the second neighbour is; the fourth frame is
counted without the repeated ones.
"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp

from jsr.layers.conv import Conv, he
from jsr.layers.deform import DeformConv, flow_warp
from jsr.layers.padding import Padding
from jsr.layers.resize import bicubic_downsample, bilinear, bilinear_aligned
from jsr.layers.shuffle import pixel_shuffle
from jsr.models._card import Card

PASSES = "backward_1", "forward_1", "backward_2", "forward_2"
LEVELS = 6  # of SPyNet's pyramid
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which SPyNet sees its images by


def leaky_relu(x):
    """The activation of all but the residual blocks and SPyNet."""
    return nn.leaky_relu(x, 0.1)


class SPyNet(nn.Module):
    """Optical flow from images to others, estimated from coarse to fine.

    Attributes:
      num_feat: channels of each level's convolutions but the last, which gives two.
      dtype: dtype of the convolutions; flow is float32 at least.
    """

    num_feat: tuple[int, ...] = (32, 64, 32, 16)
    dtype: Any = None

    @nn.compact
    def __call__(self, image, other):
        """Images (N, H, W, 3) to flow (N, H, W, 2), px: (right, down) to the place in `other` of each pixel."""
        height, width = image.shape[1:3]
        rows, columns = (-(-side // 32) * 32 for side in (height, width))
        mean, std = (jnp.asarray(value, image.dtype) for value in (MEAN, STD))
        pyramids = [[(bilinear(x, rows, columns) - mean) / std] for x in (image, other)]
        for pyramid in pyramids:
            for _ in range(LEVELS - 1):
                pyramid.insert(0, nn.avg_pool(pyramid[0], (2, 2), (2, 2)))
        flow = jnp.zeros((*pyramids[0][0].shape[:3], 2), jnp.promote_types(image.dtype, jnp.float32))
        for level, (x, y) in enumerate(zip(*pyramids, strict=True)):
            if level:
                flow = 2 * bilinear_aligned(flow, *x.shape[1:3])
            z = jnp.concatenate([x, flow_warp(y, flow, border=True), flow.astype(x.dtype)], -1)
            for index, features in enumerate(self.num_feat):
                z = nn.relu(Conv(features, 7, dtype=self.dtype, name=f"level_{level}_conv_{index}")(z))
            z = Conv(2, 7, dtype=self.dtype, name=f"level_{level}_conv_{len(self.num_feat)}")(z)
            flow += z.astype(flow.dtype)
        share = jnp.stack([jnp.asarray(side, flow.dtype) / padded
                           for side, padded in ((width, columns), (height, rows))])
        return bilinear(flow, height, width) * share


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between, and the input added."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        conv = functools.partial(Conv, x.shape[-1], dtype=self.dtype, kernel_init=he(0.1),
                                 bias_init=nn.initializers.zeros)
        return x + conv(name="conv2")(nn.relu(conv(name="conv1")(x)))


class ResidualBlocks(nn.Module):
    """A convolution to `num_feat` features, and residual blocks."""

    num_feat: int
    num_block: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        x = leaky_relu(Conv(self.num_feat, dtype=self.dtype, name="conv_first")(x))
        for index in range(self.num_block):
            x = ResidualBlock(self.dtype, name=f"body_{index}")(x)
        return x


class SecondOrderAlignment(nn.Module):
    """Features of two frames, moved to a third by a deformable convolution whose offsets begin with the flow.

    Attributes:
      num_feat: C, features of a frame.
      deform_groups: groups of offsets, an even number: half of them are of each frame.
      max_residue_magnitude: px, the most that an offset differs from the flow.
      dtype: dtype of the computation.
    """

    num_feat: int
    deform_groups: int
    max_residue_magnitude: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x, seen, flows):
        """Features (N, H, W, 2C), what offsets are seen from, and both frames' flows (N, H, W, 2) to (N, H, W, C)."""
        y = jnp.concatenate([seen, *(flow.astype(seen.dtype) for flow in flows)], -1)
        for index in range(3):
            y = leaky_relu(Conv(self.num_feat, dtype=self.dtype, name=f"conv_offset_{index}")(y))
        zeros: Any = dict(kernel_init=nn.initializers.zeros, bias_init=nn.initializers.zeros)
        y = Conv(27 * self.deform_groups, dtype=self.dtype, **zeros, name="conv_offset_3")(y)
        *offsets, mask = jnp.split(y, 3, -1)
        moved = [self.max_residue_magnitude * jnp.tanh(offset).astype(flow.dtype)
                 + jnp.tile(flow[..., ::-1], offset.shape[-1] // 2)
                 for offset, flow in zip(offsets, flows, strict=True)]
        return DeformConv(self.num_feat, dtype=self.dtype, name="deform")(x, jnp.concatenate(moved, -1),
                                                                          nn.sigmoid(mask))


class Marks(NamedTuple):
    """Marks of frames for a pass, bool arrays (T, 1) or (T, N).

    Attributes:
      start: nothing has been passed yet.
      second: a second frame has, besides the neighbour.
      peak: of higher quality than those around it.
      repeats: equals the frame that the pass came from.
    """

    start: jax.Array
    second: jax.Array
    peak: jax.Array
    repeats: jax.Array


class Step(nn.Module):
    """One frame of a pass: aligns what was passed to it, and passes on. Fields as in `BasicVSRPlusPlus`."""

    num_feat: int
    num_block: int
    deform_groups: int
    max_residue_magnitude: float
    peak_period: int
    dtype: Any = None

    @nn.compact
    def __call__(self, carry, frame):
        """Carry (features of the neighbour, of the second frame, flow from the one to the other), and the frame's own
        (spatial features, those of earlier passes, flow to the neighbour, Marks), to (carry, its features).
        """
        first, second, onward = carry
        current, earlier, flow, marks = frame
        marks = Marks(*(mark[:, None, None, None] for mark in marks))
        flow_2 = jnp.where(marks.second, flow + flow_warp(onward, flow), 0)
        seen = jnp.concatenate([flow_warp(first, flow), current, flow_warp(second, flow_2)], -1)
        align = SecondOrderAlignment(self.num_feat, self.deform_groups, self.max_residue_magnitude, dtype=self.dtype,
                                     name="align")
        aligned = align(jnp.concatenate([first, second], -1), seen, (flow, flow_2))
        aligned = jnp.where(marks.start, 0, aligned)
        backbone = ResidualBlocks(self.num_feat, self.num_block, dtype=self.dtype, name="backbone")
        out = aligned + backbone(jnp.concatenate([current, *earlier, aligned], -1))
        if self.peak_period:
            passed = out, jnp.where(marks.peak, out, second), jnp.where(marks.peak, 0, flow_2)
        else:
            passed = out, first, flow
        carry = tuple(jnp.where(marks.repeats, old, new) for old, new in zip(carry, passed, strict=True))
        return carry, carry[0]


class BasicVSRPlusPlus(nn.Module):
    """(N, T, H, W, 3) in [0, 1] to (N, T, H * scale, W * scale, 3), in the input's dtype and not clipped.

    Attributes:
      scale: 4; or 1, where the inside works at a quarter of the size.
      num_feat: features of a frame.
      num_block: residual blocks of each of the four passes.
      num_extract: residual blocks before them.
      num_reconstruct: residual blocks behind them.
      num_hr: features at the size of SR.
      deform_groups: groups of offsets, an even number that divides twice `num_feat`.
      max_residue_magnitude: px, the most that an offset differs from the flow.
      peak_period: frames from one quality peak to the next, the first frame being one: the last peak is the second
        frame to align. 0 takes the neighbour's neighbour.
      skip_repeats: a frame that equals the one before it is left out, and gets its result.
      flow_feat: channels of SPyNet's levels.
      dtype: dtype of the computation; parameters stay float32.
    """

    scale: int
    num_feat: int = 64
    num_block: int = 7
    num_extract: int = 5
    num_reconstruct: int = 5
    num_hr: int = 64
    deform_groups: int = 16
    max_residue_magnitude: float = 10.0
    peak_period: int = 0
    skip_repeats: bool = False
    flow_feat: tuple[int, ...] = (32, 64, 32, 16)
    dtype: Any = None

    passes = PASSES

    @property
    def size_multiple(self):
        """H and W are multiples of it."""
        return 4 if self.scale == 1 else 1

    def setup(self):
        if self.scale not in (1, 4):
            raise ValueError(f"scale = {self.scale} is neither 1 nor 4")
        conv = functools.partial(Conv, dtype=self.dtype)
        if self.scale == 1:
            self.conv_down_0, self.conv_down_1 = (conv(self.num_feat, strides=2) for _ in range(2))
        self.feat_extract = ResidualBlocks(self.num_feat, self.num_extract, dtype=self.dtype)
        self.spynet = SPyNet(self.flow_feat, dtype=self.dtype)
        self.backward_1, self.forward_1, self.backward_2, self.forward_2 = (
            Step(self.num_feat, self.num_block, self.deform_groups, self.max_residue_magnitude, self.peak_period,
                 dtype=self.dtype) for _ in PASSES)
        self.reconstruction = ResidualBlocks(self.num_feat, self.num_reconstruct, dtype=self.dtype)
        self.upconv1, self.upconv2 = conv(4 * self.num_feat), conv(4 * self.num_hr)
        self.conv_hr, self.conv_last = conv(self.num_hr), conv(3)

    def __call__(self, lr, *, train=False):
        del train  # the same in training
        count, length, height, width, channels = lr.shape
        clip = lr.swapaxes(0, 1)  # what passes through time has it first
        frames = clip.reshape(length * count, height, width, channels)
        small, spatial = self._extract(frames)
        to_next, to_previous = self._flows(small.reshape(length, count, *small.shape[1:]))
        spatial = spatial.reshape(length, count, *spatial.shape[1:])
        new = self._new(clip)
        earlier: tuple[Any, ...] = ()
        for name in PASSES:
            backward = name.startswith("backward")
            scan = nn.scan(lambda step, carry, frame: step(carry, frame), variable_broadcast="params",
                           split_rngs={"params": False}, reverse=backward)
            _, passed = scan(getattr(self, name), self.rest(spatial[0], to_next[0]),
                             (spatial, earlier, to_next if backward else to_previous, self.marks(new, backward)))
            earlier = *earlier, passed
        x = self.reconstruct(frames, *(x.reshape(-1, *x.shape[2:]) for x in (spatial, *earlier)))
        return x.reshape(length, count, *x.shape[1:]).swapaxes(0, 1)

    def begin(self, frame, before):
        """The features of one frame (N, H, W, 3) for the passes, and its flow to and from the frame before.

        Returns:
          (its spatial features; flow from the frame before to it, and back; bool (N,), whether they differ).
        """
        small, spatial = self._extract(frame)
        other = bicubic_downsample(before, 4) if self.scale == 1 else before
        both = self.spynet(jnp.concatenate([other, small]), jnp.concatenate([small, other]))
        return spatial, *jnp.split(both, 2), self._differ(before, frame)

    @staticmethod
    def rest(spatial, flow):
        """The carry that a pass begins with, by spatial features and a flow of one frame."""
        return jnp.zeros_like(spatial), jnp.zeros_like(spatial), jnp.zeros_like(flow)

    def step(self, name, carry, frame):
        """One frame of a pass of PASSES, as in `Step`."""
        return getattr(self, name)(carry, frame)

    def reconstruct(self, frames, *features):
        """SR of frames (N, H, W, 3), by their spatial features and those of all passes in order."""
        x = self.reconstruction(jnp.concatenate(features, -1))
        x = leaky_relu(pixel_shuffle(self.upconv1(x), 2))
        x = leaky_relu(pixel_shuffle(self.upconv2(x), 2))
        x = self.conv_last(leaky_relu(self.conv_hr(x))).astype(frames.dtype)
        height, width = frames.shape[1:3]
        return x + (frames if self.scale == 1 else bilinear(frames, 4 * height, 4 * width))

    def _extract(self, frames):
        """(what flow is estimated from, spatial features) of frames (N, H, W, 3)."""
        x = small = frames
        if self.scale == 1:
            small = bicubic_downsample(frames, 4)
            x = leaky_relu(self.conv_down_1(leaky_relu(self.conv_down_0(x))))
        return small, self.feat_extract(x)

    def _flows(self, clip):
        """Flows from each frame of a clip (T, N, H, W, 3) to the next one and to the previous, zero where there is
        none.
        """
        length, count, height, width, _ = clip.shape
        pairs = (length - 1) * count
        before, after = (lax.slice_in_dim(clip, start, start + length - 1).reshape(pairs, *clip.shape[2:])
                         for start in (0, 1))
        both = self.spynet(jnp.concatenate([before, after]), jnp.concatenate([after, before]))
        to_next, to_previous = (lax.slice_in_dim(both, start, start + pairs).reshape(
            length - 1, count, height, width, 2) for start in (0, pairs))
        end = jnp.zeros((1, *to_next.shape[1:]), to_next.dtype)
        return jnp.concatenate([to_next, end]), jnp.concatenate([end, to_previous])

    def _new(self, clip):
        """(T, N): whether each frame differs from the one before it."""
        before, after = (lax.slice_in_dim(clip, start, start + clip.shape[0] - 1) for start in (0, 1))
        return jnp.concatenate([jnp.ones((1, clip.shape[1]), bool), self._differ(before, after)])

    def _differ(self, before, after):
        """Whether frames (..., H, W, 3) differ, as far as a pass asks; bool (...)."""
        if not self.skip_repeats:
            return jnp.ones(before.shape[:-3], bool)
        return jnp.abs(before - after).max((-3, -2, -1)) > 0

    def marks(self, new, backward):
        """The Marks of a pass, by whether each frame differs from the one before it; bool (T, N)."""
        length = new.shape[0]
        number = jnp.cumsum(new, 0) - 1  # of each frame, repeated ones not counted
        last = lax.slice_in_dim(number, length - 1, length)
        passed = last - number if backward else number
        if not self.peak_period:
            second = passed >= 2
        elif backward:
            second = (number // self.peak_period + 1) * self.peak_period <= last
        else:
            second = passed >= 1
        peak = number % self.peak_period == 0 if self.peak_period else jnp.zeros_like(new)
        repeats = ~new
        if backward:
            repeats = jnp.concatenate([lax.slice_in_dim(repeats, 1, length), jnp.zeros((1, new.shape[1]), bool)])
        return Marks(passed == 0, second, peak, repeats)


VARIANTS: dict[str, dict[str, Any]] = {  # parameters at x4, of which SPyNet has 1.440 M
    "c64n7": dict(num_feat=64, num_block=7),      # 7.323 M, the paper's
    "c128n25": dict(num_feat=128, num_block=25),  # 43.78 M, of NTIRE 2021
    "c128n25r25": dict(num_feat=128, num_block=25, num_reconstruct=25),  # 49.68 M, TaoMC2's first model at x4
    "c128n25r45": dict(num_feat=128, num_block=25, num_reconstruct=45),  # 55.59 M, NoahTerminalCV's of AIM 2022
    "taomc2": dict(num_feat=128, num_block=25, num_reconstruct=55, peak_period=4, skip_repeats=True),  # 58.54 M
    # 0.364 M, of one's own, to train on a CPU
    "tiny": dict(num_feat=16, num_block=2, num_extract=1, num_reconstruct=2, num_hr=16, deform_groups=4,
                 flow_feat=(8, 16, 8, 8)),
}

SMALL = dict(num_feat=4, num_block=1, num_extract=1, num_reconstruct=1, num_hr=4, deform_groups=2,
             flow_feat=(4, 4, 4, 2))  # the same network, for tests that compile it


def Model(variant="c64n7", *, scale, **fields):
    """The network of a row of VARIANTS; `fields` override the row."""
    return BasicVSRPlusPlus(scale=scale, **VARIANTS[variant] | fields)


CARD = Card(
    title="BasicVSR++, a recurrent network for clips with flow-guided deformable alignment",
    paper="Chan et al., BasicVSR++: Improving Video Super-Resolution with Enhanced Propagation and Alignment, CVPR "
          "2022",
    code="XPixelGroup/BasicSR (Apache-2.0), open-mmlab/mmagic (Apache-2.0)",
    scales=(4,),
    variant_scales={"c128n25": (1, 4)},
    other_scales=(1, 4),
    padding=Padding(),
    frames="all",
)
