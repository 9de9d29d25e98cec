"""Convolutions that train as several linear branches and are deployed as one convolution.

A block is data: a tree of parts, `Sum` and `Series` over `Kernel`, `Edge`, `Bands`, `Difference`, `BatchNorm`,
`Identity` and `WhenSame`, which `RepConv` runs. Everything in it is linear and the same at every pixel, so that
`jsr.reparam` can read the one kernel off any of them.

Borders: zeros are put around the input once, at the block's entry, and nothing is padded inside; a branch that sees
less than the others has its input cropped. A 1x1 convolution before a 3x3 thus meets the zeros too, and gives them its
bias; ECBSR and FMEN write the same as a ring of that bias around the middle.

Names: the submodule of a part is its kind, `conv` for a Kernel, and its place in the tree, counted from 0: in
`Sum(Kernel(3), Series(Kernel(1), Edge("sobel_x")))` they are `conv_0`, `conv_1_0` and `edge_1_1`; a part that is the
whole tree is `conv`.
What stands in `WhenSame` has the place of the `WhenSame`. Rules of conversion are written against these names, as in
("backbone.0.conv3x3", "body_0/conv_0", "conv") for the first branch of ECBSR. In deployed form `kernel` and `bias` lie
in the block itself, as those of jsr.layers.conv.Conv would.
"""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
import jax.numpy as jnp
import numpy as np

from jsr.errors import nearest
from jsr.layers import conv

# Fixed filters, correlated with the image (not flipped), as ECBSR has them; Haar's four, not decimated.
EDGES = {
    "sobel_x": ((1, 0, -1), (2, 0, -2), (1, 0, -1)),
    "sobel_y": ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    "laplacian": ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
    "haar_ll": ((0, 0, 0), (0, 0.5, 0.5), (0, 0.5, 0.5)),
    "haar_hl": ((0, 0, 0), (0, 0.5, -0.5), (0, 0.5, -0.5)),
    "haar_lh": ((0, 0, 0), (0, 0.5, 0.5), (0, -0.5, -0.5)),
    "haar_hh": ((0, 0, 0), (0, 0.5, -0.5), (0, -0.5, 0.5)),
}
DETAIL = ("sobel_x", "sobel_y", "laplacian")
HAAR = ("haar_ll", "haar_hl", "haar_lh", "haar_hh")
DIFFERENCES = ("horizontal", "vertical", "center", "sum")


@dataclasses.dataclass(frozen=True)
class In:
    """So many times the features that come into the part, rounded down."""

    ratio: float


@dataclasses.dataclass(frozen=True)
class Out:
    """So many times the features that the block, or the innermost Sum with `features`, gives, rounded down."""

    ratio: float


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A learned convolution, initialised as PyTorch's.

    Attributes:
      kernel_size: an int, or (height, width).
      features: output channels: an int, In, Out, or None for those of the block.
      use_bias: adds a bias, where the block has biases at all.
    """

    kernel_size: int | tuple[int, int] = 3
    features: int | In | Out | None = None
    use_bias: bool = True


@dataclasses.dataclass(frozen=True)
class Edge:
    """Each feature filtered by a fixed filter of EDGES, times its learned scale, plus its learned bias.

    Both start at 0.001 times normal noise, as in ECBSR.
    """

    filter: str


@dataclasses.dataclass(frozen=True)
class Bands:
    """Each feature filtered by several fixed filters of EDGES, beside each other; nothing is learned."""

    filters: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Difference:
    """A learned convolution of differences of pixels, or of sums, times the sigmoid of a learned number.

    This gate starts at sigmoid(1), as in peylnog/Decoupling-and-Aggregating-for-Image-Exposure-Correction.

    Attributes:
      kind: of DIFFERENCES: between neighbours in a row, or in a column; between each pixel and the centre (the mean of
        the four middle ones where the size is even); or "sum", of each pixel and the centre.
      kernel_size: an int.
      use_bias: adds a bias, where the block has biases at all.
    """

    kind: str
    kernel_size: int = 3
    use_bias: bool = True


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """PyTorch's BatchNorm2d: epsilon 1e-5, running statistics renewed by a tenth.

    In training the statistics leave out the zeros around the image.
    """


@dataclasses.dataclass(frozen=True)
class Identity:
    """The input itself."""


@dataclasses.dataclass(frozen=True)
class WhenSame:
    """A part of a Sum that is there where it has as many features in as out and stride 1; `otherwise` stands in."""

    part: Any
    otherwise: Any = None


@dataclasses.dataclass(frozen=True, init=False)
class Sum:
    """Parts that all get the input, and whose outputs are added: `Sum(Kernel(3), Identity())`.

    Attributes:
      parts: the tuple of them.
      features: what they give, for a Sum inside a Series: an int, In, Out, or None for the features of the block.
    """

    parts: tuple
    features: int | In | Out | None = None

    def __init__(self, *parts, features=None):
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "features", features)


@dataclasses.dataclass(frozen=True, init=False)
class Series:
    """Parts one after the other: `Series(Kernel(1, Out(2)), Kernel(3))`.

    A stride is taken by the last one that sees more than a pixel.
    """

    parts: tuple

    def __init__(self, *parts):
        object.__setattr__(self, "parts", parts)


class RepConv(nn.Module):
    """A convolution that trains as a tree of linear branches.

    Attributes:
      features: output channels.
      branches: the tree, as the functions of this file give it.
      kernel_size: of the deployed convolution, at least as large as what the branches see; an int, or (height, width).
      strides: an int, or (height, width).
      groups: number of groups of every learned convolution in the tree and of the deployed one.
      padding: zeros on either side, as jsr.layers.conv.Conv counts them.
      use_bias: False leaves the biases of all parts out, and of the deployed convolution; not for BatchNorm.
      zero_start: the output starts at zero: the last part of every branch does. Not for branches that end in the input.
      deploy: one convolution, whose parameters jsr.reparam makes from those of the branches.
      dtype: dtype of the computation; parameters stay float32.

    Parameters: see the module's docstring. BatchNorm has its running statistics in the collection `batch_stats`.
    """

    features: int
    branches: Any
    kernel_size: int | tuple[int, int] = 3
    strides: int | tuple[int, int] = 1
    groups: int = 1
    padding: int | tuple[int, int] | None = None
    use_bias: bool = True
    zero_start: bool = False
    deploy: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x, *, train=False, pad=True):
        """(N, H, W, C) to (N, H', W', features), H' as in jsr.layers.conv.Conv.

        Args:
          x: features.
          train: BatchNorm takes the batch's statistics, and renews its own.
          pad: False leaves the padding to the caller.

        Raises:
          ValueError: the branches see more than the kernel, or do not fit together.
        """
        padding = self.padding if pad else 0
        if self.deploy:
            fused = conv.Conv(self.features, self.kernel_size, self.strides, groups=self.groups, padding=padding,
                              use_bias=self.use_bias, dtype=self.dtype, zero_start=self.zero_start)
            nn.share_scope(self, fused)  # the parameters are this block's own
            return fused(x)
        size = _pair(self.kernel_size)
        if padding is None:
            if not all(k % 2 for k in size):
                raise ValueError(f"kernel_size = {self.kernel_size} is even: say which padding it takes")
            padding = tuple(k // 2 for k in size)
        rows, columns = _pair(padding)
        x = jnp.pad(x.astype(self.dtype or x.dtype), [(0, 0), (rows, rows), (columns, columns), (0, 0)])
        window = tuple(k - 1 for k in size)
        x = _crop(x, window, reach(self.branches))
        y = _run(self.branches, x, _Place(self, train, self.features, _pair(self.strides), zero=self.zero_start))
        if y is None or y.shape[-1] != self.features:
            raise ValueError(f"the branches give {0 if y is None else y.shape[-1]} features, not {self.features}")
        return y


def reach(part):
    """The number of (rows, columns) that a part sees besides one: 2, 2 for a 3x3 kernel."""
    match part:
        case Kernel() | Difference():
            return tuple(k - 1 for k in _pair(part.kernel_size))
        case Edge() | Bands():
            return 2, 2
        case Sum():
            return tuple(map(max, zip(*map(reach, part.parts), strict=True)))
        case Series():
            return tuple(map(sum, zip(*map(reach, part.parts), strict=True)))
        case WhenSame():
            return tuple(map(max, reach(part.part), reach(part.otherwise) if part.otherwise else (0, 0)))
    return 0, 0


@dataclasses.dataclass(frozen=True)
class _Place:
    """The place in the tree where a part runs, and its role.

    Attributes:
      block: the RepConv.
      train: the call's `train`.
      features: that the enclosing Sum or the block gives.
      strides: that the part takes.
      path: its position.
      surplus: rows and columns of its output that later parts take away, half on either side.
      zero: its output starts at zero.
    """

    block: RepConv
    train: bool
    features: int
    strides: tuple[int, int]
    path: tuple[int, ...] = ()
    surplus: tuple[int, int] = (0, 0)
    zero: bool = False

    def child(self, index, **changes):
        return dataclasses.replace(self, path=(*self.path, index), **changes)

    def name(self, kind):
        return "_".join([kind, *map(str, self.path)])

    def width(self, features, x):
        match features:
            case None:
                return self.features
            case In():
                return int(features.ratio * x.shape[-1])
            case Out():
                return int(features.ratio * self.features)
        return features


def _run(part, x, at):
    """Applies a part to an input that is as much larger than its output as it sees: None if it is not there."""
    if type(part) not in _RUN:
        raise ValueError(f"{part!r} is no part of a block; parts are {', '.join(t.__name__ for t in _RUN)}")
    return _RUN[type(part)](part, x, at)


def _run_kernel(part, x, at):
    return conv.Conv(at.width(part.features, x), part.kernel_size, at.strides, groups=at.block.groups, padding=0,
                     use_bias=part.use_bias and at.block.use_bias, dtype=at.block.dtype, zero_start=at.zero,
                     name=at.name("conv"))(x)


def _run_edge(part, x, at):
    return _EdgeConv(part.filter, at.strides, at.block.use_bias, at.zero, at.block.dtype, name=at.name("edge"))(x)


def _run_bands(part, x, at):
    if at.zero:
        raise ValueError(f"{at.name('bands')}: has nothing to learn, so it cannot start at zero")
    kernel = np.stack([_filter(name) for name in part.filters], -1)[:, :, None]
    kernel = np.tile(kernel, (1, 1, 1, x.shape[-1]))  # of a feature all filters, then of the next one
    return _convolve(x, kernel, None, at.strides, x.shape[-1], at.block.dtype)


def _run_difference(part, x, at):
    return _DifferenceConv(part.kind, part.kernel_size, at.features, at.strides, at.block.groups,
                           part.use_bias and at.block.use_bias, at.zero, at.block.dtype,
                           name=at.name("difference"))(x)


def _run_norm(part, x, at):
    if not at.block.use_bias:
        raise ValueError(f"{at.name('norm')}: BatchNorm adds a bias, which use_bias = False forbids")
    x, mask = _strided(x, at.strides), None
    if any(at.surplus):
        rows, columns = (_inside(side, surplus) for side, surplus in zip(x.shape[1:3], at.surplus, strict=True))
        mask = (rows[:, None] & columns)[None, :, :, None]
    scale_init = nn.initializers.zeros if at.zero else nn.initializers.ones
    return nn.BatchNorm(use_running_average=not at.train, momentum=0.9, epsilon=1e-5, dtype=at.block.dtype,
                        scale_init=scale_init, name=at.name("norm"))(x, mask=mask)


def _run_identity(part, x, at):
    if at.zero:
        raise ValueError(f"{at.name('identity')}: returns its input, so it cannot start at zero")
    return _strided(x, at.strides)


def _run_when_same(part, x, at):
    same = x.shape[-1] == at.features and at.strides == (1, 1)
    chosen = part.part if same else part.otherwise
    return None if chosen is None else _run(chosen, _crop(x, reach(part), reach(chosen)), at)


def _run_sum(part, x, at):
    features = at.width(part.features, x)
    outputs = [_run(each, _crop(x, reach(part), reach(each)), at.child(index, features=features))
               for index, each in enumerate(part.parts)]
    outputs = [y for y in outputs if y is not None]
    if len({y.shape for y in outputs}) != 1:
        raise ValueError(f"the parts of {at.name('sum')} give {[y.shape[-1] for y in outputs]} features: "
                         "they must agree; WhenSame(Identity()) is there only where it fits")
    return functools.reduce(jnp.add, outputs)


def _run_series(part, x, at):
    reaches = [reach(each) for each in part.parts]
    strided = max((index for index, seen in enumerate(reaches) if any(seen)), default=0)
    for index, each in enumerate(part.parts):
        later = zip(at.surplus, *reaches[index + 1:], strict=True)
        x = _run(each, x, at.child(index, strides=at.strides if index == strided else (1, 1),
                                   surplus=tuple(map(sum, later)), zero=at.zero and each is part.parts[-1]))
        if x is None:
            raise ValueError(f"{at.child(index).name('part')} of a Series is absent: WhenSame belongs into a Sum")
    return x


_RUN = {Kernel: _run_kernel, Edge: _run_edge, Bands: _run_bands, Difference: _run_difference, BatchNorm: _run_norm,
        Identity: _run_identity, WhenSame: _run_when_same, Sum: _run_sum, Series: _run_series}


class _EdgeConv(nn.Module):
    """Depthwise; parameters `scale` (1, 1, 1, C), as that of a depthwise kernel, and `bias` (C,)."""

    filter: str
    strides: tuple[int, int]
    use_bias: bool
    zero: bool
    dtype: Any

    @nn.compact
    def __call__(self, x):
        channels = x.shape[-1:]
        small = nn.initializers.zeros if self.zero else nn.initializers.normal(1e-3)
        scale = self.param("scale", small, (1, 1, 1, *channels))
        bias = self.param("bias", small, channels) if self.use_bias else None
        kernel = _filter(self.filter)[:, :, None, None] * scale
        return _convolve(x, kernel, bias, self.strides, channels[0], self.dtype)


def _filter(name):
    if name not in EDGES:
        raise ValueError(f"no filter {name!r}; {nearest(name, EDGES)}")
    return np.array(EDGES[name], np.float32)


class _DifferenceConv(nn.Module):
    """Parameters `kernel` (differences, C / groups, features), `bias` (features,) and `gate` (1,)."""

    kind: str
    kernel_size: int
    features: int
    strides: tuple[int, int]
    groups: int
    use_bias: bool
    zero: bool
    dtype: Any

    @nn.compact
    def __call__(self, x):
        differences = _differences(self.kind, self.kernel_size)
        channels = x.shape[-1] // self.groups
        default = nn.initializers.zeros if self.zero else conv.torch_uniform(self.kernel_size**2 * channels)
        kernel = self.param("kernel", default, (len(differences), channels, self.features))
        bias = self.param("bias", default, (self.features,)) if self.use_bias else None
        gate = nn.sigmoid(self.param("gate", nn.initializers.ones, (1,)))
        kernel = gate * jnp.einsum("dhw,dio->hwio", differences.astype(kernel.dtype), kernel, precision="highest")
        bias = None if bias is None else gate * bias
        return _convolve(x, kernel, bias, self.strides, self.groups, self.dtype)


def _differences(kind, size):
    """The kernels of one difference each: array (differences, size, size)."""
    taps = np.eye(size**2, dtype=np.float32).reshape(size, size, size, size)  # (row, column) to a kernel with a 1 there
    if kind == "horizontal":
        kernels = taps[:, :-1] - taps[:, 1:]
    elif kind == "vertical":
        kernels = taps[:-1] - taps[1:]
    elif kind in ("center", "sum"):
        middle = slice((size - 1) // 2, size // 2 + 1)
        kernels = taps + (1 if kind == "sum" else -1) * taps[middle, middle].mean((0, 1))
    else:
        raise ValueError(f"no difference {kind!r}; {nearest(kind, DIFFERENCES)}")
    return kernels.reshape(-1, size, size)


def _convolve(x, kernel, bias, strides, groups, dtype):
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=dtype)
    y = conv.convolve(x, kernel, strides=strides, groups=groups)
    return y if bias is None else y + bias


def _crop(x, seen, needed):
    """The input of a part that sees `needed`, cut on both sides from an input for a part that sees `seen`."""
    surplus = tuple(map(int.__sub__, seen, needed))
    if min(surplus) < 0 or any(s % 2 for s in surplus):
        raise ValueError(f"a part that sees {needed[0] + 1}x{needed[1] + 1} pixels has no middle place in "
                         f"{seen[0] + 1}x{seen[1] + 1}")
    rows, columns = (slice(s // 2, side - s // 2) for s, side in zip(surplus, x.shape[1:3], strict=True))
    return x[:, rows, columns]


def _inside(side, surplus):
    index = np.arange(side)
    return (index >= surplus // 2) & (index < side - surplus // 2)


def _strided(x, strides):
    return x[:, ::strides[0], ::strides[1]]


def _pair(value) -> tuple[int, int]:
    height, width = (value, value) if isinstance(value, int) else value
    return height, width
