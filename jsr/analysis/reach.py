"""Reaches: the lowest and the highest row (or column) of an image strip that each element of an array depends on.

Along an axis, elements with equal reaches are one class and stored once, so that most operations on arrays of millions
of elements are operations on a few rows.
"""

import dataclasses
import functools
import math

import numpy as np

NOTHING, BEFORE, AFTER = -1, -2, -3  # in place of positions: no element, one before the image, one after it

_FAR = 1 << 28  # lowest and minus the highest row of what depends on no row


@dataclasses.dataclass(frozen=True, eq=False)
class Reach:
    """The reaches of an array's elements: element (i, j...) on data[:, axes[0][i], axes[1][j]...].

    Attributes:
      data: int array (2, classes of axis 0, classes of axis 1...): the lowest row, and minus the highest.
      axes: for each axis, the classes of its elements; all zeros where there is one class.
      length: length of the strip. Rows -1 and `length` stand for all beyond its ends.
    """

    data: np.ndarray
    axes: tuple[np.ndarray, ...]
    length: int

    @property
    def shape(self):
        """Shape of the array."""
        return tuple(map(len, self.axes))

    def having(self, data, axes):
        """Other data and axes of the same strip."""
        return Reach(data, tuple(axes), self.length)


def of_image(shape, axis, length):
    """The image itself: an array of `shape` whose elements depend on their place along `axis`, counted from the end."""
    rows = np.arange(length, dtype=np.int32)
    return placed(Reach(np.stack([rows, -rows]), (rows,), length), shape, [len(shape) + axis])


@functools.lru_cache(1024)
def _one_class(size):
    classes = np.zeros(size, np.int32)
    classes.flags.writeable = False
    return classes


def _classes(array, dim):
    """Numbers equal slabs along a dimension alike, by first appearance: (their numbers, the first slab of each)."""
    slabs = np.moveaxis(array, dim, 0).reshape(array.shape[dim], -1)
    if len(slabs) < 2 or (slabs == slabs[0]).all():
        return _one_class(len(slabs)), np.arange(len(slabs))[:1]
    hashes = slabs[:, 0] if slabs.shape[1] == 1 else slabs.astype(np.int64) @ _multipliers(slabs.shape[1])
    _, first, numbers = np.unique(hashes, return_index=True, return_inverse=True)
    order = first.argsort()
    first, numbers = first[order], order.argsort().astype(np.int32)[numbers]
    if not (slabs[first[numbers]] == slabs).all():  # unequal slabs of equal hash: leave them apart
        return np.arange(len(slabs), dtype=np.int32), np.arange(len(slabs))
    return numbers, first


@functools.lru_cache(1024)
def _multipliers(count):
    return np.random.default_rng(0).integers(1 << 62, size=count)


def merged(reach):
    """The same with classes of equal data made one."""
    data, axes = reach.data, list(reach.axes)
    for dim in range(len(axes)):
        if data.shape[dim + 1] > 1:
            numbers, first = _classes(data, dim + 1)
            if len(first) < data.shape[dim + 1]:
                data, axes[dim] = data.take(first, dim + 1), numbers[axes[dim]]
    return reach.having(data, axes)


def united(reaches, besides=None):
    """Brings reaches of one shape to the same classes: (axes, their data, which NumPy can broadcast to each other).

    Dimension `besides` may differ and is left alone.
    """
    axes, data = list(reaches[0].axes), [reach.data for reach in reaches]
    for dim in range(len(axes)):
        varied = [i for i, reach in enumerate(reaches) if reach.data.shape[dim + 1] > 1]
        if dim == besides or not varied:
            continue
        axes[dim] = reaches[varied[0]].axes[dim]
        if not all(np.array_equal(reaches[i].axes[dim], axes[dim]) for i in varied[1:]):
            numbers = np.stack([reaches[i].axes[dim] for i in varied], 1)
            axes[dim], first = _classes(numbers, 0)
            for i, classes in zip(varied, numbers[first].T, strict=True):
                data[i] = data[i].take(classes, dim + 1)
    return axes, data


def hull(reaches):
    """The union of reaches of one shape: an element depends on everything that it depends on in any of them."""
    axes, data = united(reaches)
    return reaches[0].having(functools.reduce(np.minimum, data), axes)


def subset(reach, dim, positions):
    """The elements at `positions` along a dimension."""
    axes = list(reach.axes)
    if reach.data.shape[dim + 1] == 1:
        axes[dim] = _one_class(len(positions))
        return reach.having(reach.data, axes)
    used, axes[dim] = np.unique(reach.axes[dim][positions], return_inverse=True)
    return reach.having(reach.data.take(used, dim + 1), axes)


def gathered(reach, dim, positions):
    """New elements along a dimension, each of which depends on several.

    Args:
      reach: a Reach.
      dim: a dimension of it.
      positions: int array (new length, elements): on which ones each depends, or NOTHING, BEFORE, AFTER.
    """
    codes = np.where(positions < 0, positions, reach.axes[dim][np.maximum(positions, 0)])
    for code, end in ((BEFORE, 0), (AFTER, -1)):
        if (positions == code).any() and not _is_local(reach, dim, end):
            codes[codes == code] = NOTHING
    codes = np.sort(np.where(codes == NOTHING, codes.max(1, keepdims=True), codes), 1)
    axes = list(reach.axes)
    axes[dim], first = _classes(codes, 0)
    beyond = np.array([[reach.length, -1, _FAR], [-reach.length, 1, _FAR]])  # in the order of -3, -2, -1
    beyond = beyond.reshape(2, *(3 if d == dim else 1 for d in range(len(axes))))
    shape = [2, *(3 if d == dim else n for d, n in enumerate(reach.data.shape[1:]))]
    data = np.concatenate([reach.data, np.broadcast_to(beyond, shape)], dim + 1)
    taps = dict.fromkeys(map(tuple, codes[first].T.tolist()))
    return merged(reach.having(functools.reduce(np.minimum, (data.take(tap, dim + 1) for tap in taps)), axes))


def _is_local(reach, dim, end):
    """Whether the first (0) or last (-1) elements of a dimension depend on a part of the strip only.

    Then the dimension goes along the strip, and padding at its end stands for more of the image: its being zeros
    must not make the field smaller. Padding of features, or within windows, is nothing but zeros.
    """
    if reach.data.shape[dim + 1] == 1:
        return False

    def extent(data):
        lowest, highest = np.clip([data[0].min(), -data[1].min()], 0, reach.length - 1)
        return highest - lowest

    slab = reach.data.take(reach.axes[dim][end], dim + 1)
    return slab.min() < _FAR and 2 * extent(slab) < extent(reach.data)


def spread(reach, dims, shape=None):
    """Each element depends on all along `dims`, whose lengths become those in `shape`; None leaves them."""
    shape = shape or reach.shape
    data = reach.data.min(axis=tuple(d + 1 for d in dims), keepdims=True)
    return reach.having(data, (_one_class(shape[d]) if d in dims else axis for d, axis in enumerate(reach.axes)))


def contracted(reach, dims):
    """Each element depends on all along `dims`, which are dropped."""
    return merged(without(spread(reach, dims), dims))


def without(reach, dims):
    """Drops dimensions of one class."""
    return reach.having(reach.data.squeeze(tuple(d + 1 for d in dims)),
                        (axis for d, axis in enumerate(reach.axes) if d not in dims))


def transposed(reach, order):
    """As np.transpose."""
    return reach.having(reach.data.transpose(0, *(d + 1 for d in order)), (reach.axes[d] for d in order))


def placed(reach, shape, dims):
    """Dimension i becomes dims[i] of `shape`; along the others, and where the length was 1, all is the same."""
    axes, counts = [_one_class(side) for side in shape], [1] * len(shape)
    for d, axis, count in zip(dims, reach.axes, reach.data.shape[1:], strict=True):
        counts[d] = count
        if len(axis) == shape[d]:
            axes[d] = axis
    return reach.having(reach.data.reshape(2, *counts), axes)


def reshaped(reach, shape):
    """As np.reshape, without -1."""
    data, axes, dim = reach.data, [], 1
    for old, new in _runs(reach.shape, shape):
        run = reach.axes[old]
        if len(run) == 1 and len(shape[new]) == 1:
            axes += run
        else:
            counts = data.shape[dim:dim + len(run)]
            numbers = functools.reduce(lambda a, b: (a[:, None] * b[1] + b[0]).ravel(),
                                       zip(run[1:], counts[1:], strict=True), run[0] if run else _one_class(1))
            split, grid = _as_grid(numbers.reshape(shape[new]))
            axes += split
            data = data.reshape(*data.shape[:dim], math.prod(counts), *data.shape[dim + len(run):]).take(grid, dim)
        dim += len(shape[new])
    return reach.having(data, axes)


def _runs(old, new):
    """Cuts two shapes of as many elements into pairs of runs, slices of dimensions, of as many elements."""
    i = j = 0
    while i < len(old) or j < len(new):
        starts, sizes = (i, j), [1, 1]
        if i < len(old):
            sizes[0], i = old[i], i + 1
        if j < len(new):
            sizes[1], j = new[j], j + 1
        while sizes[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                sizes[0], i = sizes[0] * old[i], i + 1
            else:
                sizes[1], j = sizes[1] * new[j], j + 1
        yield slice(starts[0], i), slice(starts[1], j)


def _as_grid(numbers):
    """An int array as classes of each axis and a smaller array: numbers[i, j...] = grid[axes[0][i], axes[1][j]...]."""
    axes = []
    for dim in range(numbers.ndim):
        classes, first = _classes(numbers, dim)
        axes.append(classes)
        numbers = numbers.take(first, dim)
    return axes, numbers
