"""Rules by which each operation of a trace passes reaches on (jsr.analysis.reach), one for each JAX primitive."""

import math

import jax
import numpy as np

from jsr.analysis.reach import (
    AFTER,
    BEFORE,
    NOTHING,
    Reach,
    contracted,
    gathered,
    hull,
    merged,
    placed,
    reshaped,
    spread,
    subset,
    transposed,
    united,
    without,
)


def known_value(value):
    """The array of a value that does not depend on the image and is known, else None."""
    array = None if isinstance(value, Reach) else value()
    return None if array is None else np.asarray(array)


def reaches_of(values):
    """The reaches among some values, in a list."""
    return [value for value in values if isinstance(value, Reach)]


def everything(eqn, *inputs):
    """All that is returned depends on all that is given: right for every operation, if too much for most."""
    reaches = reaches_of(inputs)
    data = np.min([reach.data.reshape(2, -1).min(1) for reach in reaches], axis=0)
    return [placed(reaches[0].having(data, ()), var.aval.shape, ()) for var in eqn.outvars]


def _plus(eqn, reach, *inputs):
    """`reach`, and that everything depends on all of `inputs`."""
    return hull([reach, *everything(eqn, *inputs)]) if reaches_of(inputs) else reach


def _elementwise(eqn, *inputs):
    shape = eqn.outvars[0].aval.shape
    return hull([placed(reach, shape, range(len(reach.shape))) for reach in reaches_of(inputs)])


def _each(eqn, *inputs):
    return list(inputs)


def _reduce(eqn, reach):
    return contracted(reach, eqn.params["axes"])


def _cumulative(eqn, reach):
    dim, axes = eqn.params["axis"], list(reach.axes)
    order = np.arange(len(axes[dim]))[::-1 if eqn.params["reverse"] else 1]
    data = np.minimum.accumulate(reach.data.take(axes[dim][order], dim + 1), dim + 1)
    axes[dim] = order
    return merged(reach.having(data, axes))


def _sort(eqn, *inputs):
    return spread(hull(reaches_of(inputs)), [eqn.params["dimension"]])


def _top_k(eqn, reach):
    return spread(reach, [eqn.params["axis"]], eqn.outvars[0].aval.shape)


def _fft(eqn, reach):
    rank = len(reach.shape)
    return spread(reach, range(rank - len(eqn.params["fft_lengths"]), rank), eqn.outvars[0].aval.shape)


def _broadcast(eqn, reach):
    return placed(reach, eqn.params["shape"], eqn.params["broadcast_dimensions"])


def _reshape(eqn, reach):
    return reshaped(reach, eqn.outvars[0].aval.shape)


def _transpose(eqn, reach):
    return transposed(reach, eqn.params["permutation"])


def _dot_general(eqn, *inputs):
    summed, batch = eqn.params["dimension_numbers"]
    shape = eqn.outvars[0].aval.shape  # batch dimensions, the left operand's, the right operand's
    parts = []
    for side, (reach, other) in enumerate(zip(inputs, inputs[::-1], strict=True)):
        if not isinstance(reach, Reach):
            continue
        free = [d for d in range(len(reach.shape)) if d not in (*summed[side], *batch[side])]
        reach = transposed(reach, (*batch[side], *free, *summed[side]))
        matrix = _constant_matrix(other, summed[1 - side]) if not batch[0] else None
        if matrix is None:
            start = len(shape) - len(free) if side else len(batch[0])
            places = [*range(len(batch[0])), *range(start, start + len(free))]
            part = placed(contracted(reach, range(len(places), len(reach.shape))), shape, places)
        else:
            part = gathered(reach, len(free), _nonzero(matrix))
            part = transposed(part, (len(free), *range(len(free)))) if side else part
        parts.append(part)
    return hull(parts)


def _constant_matrix(value, summed):
    """A matrix, known and with zeros, as (outputs, inputs), else None."""
    matrix = known_value(value)
    if matrix is None or matrix.ndim != 2 or len(summed) != 1 or matrix.all():
        return None
    return matrix if summed[0] == 1 else matrix.T


def _nonzero(matrix):
    """The places where a matrix's rows are not zero: int array (rows, the most of any), filled up with NOTHING."""
    rows, columns = np.nonzero(matrix)
    counts = np.bincount(rows, minlength=len(matrix))
    positions = np.full((len(matrix), max(1, counts.max())), NOTHING)
    positions[rows, np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)] = columns
    return positions


def _window(length, size, stride, padding, spacing, dilation):
    """The positions under a sliding window, as `gathered` takes them.

    Args:
      length: length of the axis.
      size, dilation: number of the window's elements and their distance.
      stride: distance of the windows.
      padding: before and after the axis, in elements that are there once it is spaced out.
      spacing: distance to which the axis's elements are moved apart before all else, with nothing between.
    """
    spaced = (length - 1) * spacing + 1
    count = (spaced + sum(padding) - (size - 1) * dilation - 1) // stride + 1
    positions = np.arange(count)[:, None] * stride + np.arange(size) * dilation - padding[0]
    inside = np.where(positions % spacing, NOTHING, positions // spacing)
    return np.where(positions < 0, BEFORE, np.where(positions >= spaced, AFTER, inside))


def _slide(reach, windows):
    """Applies windows, the arguments of `_window` after the first, to the last dimensions."""
    first = len(reach.shape) - len(windows)
    for dim, (size, stride, padding, spacing, dilation) in enumerate(windows, first):
        if (size, stride, *padding, spacing) != (1, 1, 0, 0, 1):
            positions = _window(reach.shape[dim], size, stride, padding, spacing, dilation)
            reach = gathered(reach, dim, positions)
    return reach


def _convolution(eqn, image, kernel):
    params, kernel_shape = eqn.params, eqn.invars[1].aval.shape
    if not isinstance(image, Reach) or params["batch_group_count"] != 1:
        return everything(eqn, image, kernel)
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    n, channels, *size = transposed(image, numbers.lhs_spec).shape
    reach = reshaped(transposed(image, numbers.lhs_spec), (n, groups, channels // groups, *size))
    features = kernel_shape[numbers.rhs_spec[0]]
    reach = spread(reach, [2], (n, groups, features // groups, *size))
    reach = merged(reshaped(reach, (n, features, *size)))
    windows = zip([kernel_shape[d] for d in numbers.rhs_spec[2:]], params["window_strides"], params["padding"],
                  params["lhs_dilation"], params["rhs_dilation"], strict=True)
    reach = transposed(_slide(reach, list(windows)), np.argsort(numbers.out_spec))
    return _plus(eqn, reach, kernel)


def _reduce_window(eqn, reach):
    params = eqn.params
    return _slide(reach, list(zip(params["window_dimensions"], params["window_strides"], params["padding"],
                                  params["base_dilation"], params["window_dilation"], strict=True)))


def _pad(eqn, array, value):
    if not isinstance(array, Reach):
        return everything(eqn, value)
    windows = [(1, 1, (low, high), interior + 1, 1) for low, high, interior in eqn.params["padding_config"]]
    return _plus(eqn, _slide(array, windows), value)


def _concatenate(eqn, *inputs):
    dim = eqn.params["dimension"]
    return _joined(inputs, [var.aval.shape[dim] for var in eqn.invars], dim)


def _joined(values, lengths, dim):
    """Values, some of them reaches, one after the other along a dimension, where they have these lengths."""
    tracked = [i for i, value in enumerate(values) if isinstance(value, Reach)]
    axes, data = united([values[i] for i in tracked], besides=dim)
    counts = np.max([part.shape for part in data], axis=0)
    data = [np.broadcast_to(part, (*counts[:dim + 1], part.shape[dim + 1], *counts[dim + 2:])) for part in data]
    offsets = np.cumsum([0, *(part.shape[dim + 1] for part in data[:-1])])
    axes[dim] = np.concatenate([values[i].axes[dim] + offset for i, offset in zip(tracked, offsets, strict=True)])
    reach = values[tracked[0]].having(np.concatenate(data, dim + 1), axes)
    if len(tracked) == len(values):
        return merged(reach)
    positions, start = [], 0
    for i, length in enumerate(lengths):
        if i in tracked:
            positions.append(np.arange(start, start + length))
            start += length
        else:
            kind = BEFORE if i < tracked[0] else AFTER if i > tracked[-1] else NOTHING
            positions.append(np.full(length, kind))
    return gathered(reach, dim, np.concatenate(positions)[:, None])


def _stack(eqn, *inputs):
    return stacked(inputs, eqn.params["axis"])


def _unstack(eqn, reach):
    return [row_of(reach, i, eqn.params["axis"]) for i in range(len(eqn.outvars))]


def _tile(eqn, reach):
    return reach.having(reach.data, map(np.tile, reach.axes, eqn.params["reps"]))


def _split(eqn, reach):
    dim, ends = eqn.params["axis"], np.cumsum(eqn.params["sizes"])
    return [subset(reach, dim, np.arange(end - size, end)) for size, end in zip(eqn.params["sizes"], ends, strict=True)]


def _squeeze(eqn, reach):
    return without(reach, eqn.params["dimensions"])


def _slice(eqn, reach):
    params = eqn.params
    strides = params["strides"] or [1] * len(reach.shape)
    for dim, window in enumerate(zip(params["start_indices"], params["limit_indices"], strides, strict=True)):
        if window != (0, reach.shape[dim], 1):
            reach = subset(reach, dim, np.arange(*window))
    return reach


def _reverse(eqn, reach):
    for dim in eqn.params["dimensions"]:
        reach = subset(reach, dim, np.arange(reach.shape[dim])[::-1])
    return reach


def _dynamic_slice(eqn, array, *starts):
    if not isinstance(array, Reach):
        return everything(eqn, *starts)
    reach = array
    for dim, (size, start) in enumerate(zip(eqn.params["slice_sizes"], starts, strict=True)):
        if size < array.shape[dim]:
            first = known_value(start)
            if first is None:
                reach = spread(reach, [dim], eqn.outvars[0].aval.shape)
            else:
                reach = subset(reach, dim, np.clip(first, 0, array.shape[dim] - size) + np.arange(size))
    return _plus(eqn, reach, *starts)


def _dynamic_update_slice(eqn, array, update, *starts):
    known = [known_value(start) for start in starts]
    if any(start is None for start in known):
        return everything(eqn, array, update, *starts)
    if not isinstance(update, Reach):
        return array
    spare = np.subtract(eqn.outvars[0].aval.shape, update.shape)
    before = np.clip(known, 0, spare)
    moved = _slide(update, [(1, 1, padding, 1, 1) for padding in zip(before, spare - before, strict=True)])
    return hull([moved, *reaches_of([array])])


def _gather(eqn, array, indices):
    numbers, known = eqn.params["dimension_numbers"], known_value(indices)
    if known is None:
        return everything(eqn, array, indices)
    moved, places = _places(eqn, known, array.shape, eqn.params["slice_sizes"], numbers.start_index_map,
                            numbers.operand_batching_dims, numbers.start_indices_batching_dims)
    kept = [d for d in range(len(array.shape)) if d not in moved]
    sizes = [array.shape[d] for d in kept]
    reach = reshaped(transposed(array, (*kept, *moved)), (*sizes, math.prod(array.shape[d] for d in moved)))
    reach = reshaped(gathered(reach, len(kept), places.reshape(-1, 1)), (*sizes, *places.shape))

    now = {d: i for i, d in enumerate(kept)} | {d: len(reach.shape) - len(moved) + i for i, d in enumerate(moved)}
    dropped = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    window = iter([now[d] for d in range(len(array.shape)) if d not in dropped])
    batch = iter(range(len(kept), len(reach.shape) - len(moved)))
    rank = len(eqn.outvars[0].aval.shape)
    order = [next(window if d in numbers.offset_dims else batch) for d in range(rank)]
    reach = transposed(reach, (*order, *(now[d] for d in dropped)))
    return without(reach, range(rank, len(reach.shape)))


def _scatter(eqn, array, indices, updates):
    """Right for additions too: the old values stay part of it."""
    numbers, known = eqn.params["dimension_numbers"], known_value(indices)
    if known is None:
        return everything(eqn, array, indices, updates)
    if not isinstance(updates, Reach):
        return array
    shape, window = eqn.outvars[0].aval.shape, numbers.update_window_dims
    dropped = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    now = dict(zip([d for d in range(len(shape)) if d not in dropped], window, strict=True))
    moved, places = _places(eqn, known, shape, [updates.shape[now[d]] if d in now else 1 for d in range(len(shape))],
                            numbers.scatter_dims_to_operand_dims, numbers.operand_batching_dims,
                            numbers.scatter_indices_batching_dims)
    kept = [d for d in range(len(shape)) if d not in moved]
    sizes = [shape[d] for d in kept]
    targets, source = np.unique(places, return_index=True)
    if len(targets) != places.size:  # several updates of one element
        return everything(eqn, array, updates)
    source, targets = source[targets >= 0], targets[targets >= 0]
    if not targets.size:
        return array
    positions = np.full((math.prod(shape[d] for d in moved), 1), NOTHING)
    positions[targets, 0] = source
    positions[:targets[0]], positions[targets[-1] + 1:] = BEFORE, AFTER

    batch = [d for d in range(len(updates.shape)) if d not in window]
    reach = transposed(updates, [*(now[d] for d in kept), *batch, *(now[d] for d in moved if d in now)])
    reach = gathered(reshaped(reach, (*sizes, places.size)), len(kept), positions)
    reach = reshaped(reach, (*sizes, *(shape[d] for d in moved)))
    return hull([transposed(reach, np.argsort([*kept, *moved])), *reaches_of([array])])


def _places(eqn, indices, shape, sizes, index_map, batching, indices_batching):
    """The places of a gather's or scatter's windows.

    Args:
      eqn: the equation.
      indices: int array (batch..., index).
      shape: shape of the array that is indexed.
      sizes: sizes of the windows.
      index_map: the dimension of the array that each index is for.
      batching, indices_batching: dimensions of the array and of `indices` that are gone through together.

    Returns:
      (moved, places): the dimensions in which windows are not whole or not where they were, and the elements of the
      array over those dimensions, row by row, int array (batch..., sizes of the moved...); NOTHING for those outside.
    """
    moved = [d for d in range(len(shape)) if d in (*index_map, *batching) or sizes[d] != shape[d]]
    places, valid = 0, True
    for i, d in enumerate(moved):
        start = np.zeros(indices.shape[:-1], np.int64)
        if d in index_map:
            start += indices[..., index_map.index(d)]
        elif d in batching:
            here = indices_batching[batching.index(d)]
            start += np.arange(shape[d]).reshape([-1 if b == here else 1 for b in range(start.ndim)])
        inside = np.clip(start, 0, shape[d] - sizes[d])
        along = np.arange(sizes[d]).reshape([-1 if j == i else 1 for j in range(len(moved))])
        start, inside = (a.reshape(*a.shape, *[1] * len(moved)) for a in (start, inside))
        places, valid = places * shape[d] + inside + along, valid & (start == inside)
    if eqn.params["mode"] == jax.lax.GatherScatterMode.FILL_OR_DROP:
        places = np.where(valid, places, NOTHING)
    return moved, places


def row_of(value, i, dim=0):
    """Row i of a value along a dimension, which it then lacks."""
    if isinstance(value, Reach):
        return without(subset(value, dim, np.array([i])), [dim])
    return lambda: None if value() is None else value()[i]


def stacked(values, dim):
    """Values, some of them reaches, along a new dimension."""
    def thick(reach):
        shape = (*reach.shape[:dim], 1, *reach.shape[dim:])
        return placed(reach, shape, [d for d in range(len(shape)) if d != dim])

    return _joined([thick(value) if isinstance(value, Reach) else value for value in values], [1] * len(values), dim)

_ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz complex
    conj convert_element_type copy cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt igamma igammac
    imag integer_pow is_finite le lgamma log log1p logistic lt max min mul name ne neg nextafter not or polygamma
    population_count pow real reduce_precision regularized_incomplete_beta rem round rsqrt select_n shift_left
    shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh xor zeta
""".split()

RULES = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(["argmax", "argmin", "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod",
                     "reduce_sum", "reduce_xor"], _reduce),
    **dict.fromkeys(["cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"], _cumulative),
    **dict.fromkeys(["reduce_window_max", "reduce_window_min", "reduce_window_sum"], _reduce_window),
    **dict.fromkeys(["scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul", "scatter-sub"], _scatter),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "device_put": _each,
    "dot_general": _dot_general,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "fft": _fft,
    "gather": _gather,
    "optimization_barrier": _each,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _reverse,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "top_k": _top_k,
    "transpose": _transpose,
    "unstack": _unstack,
}
