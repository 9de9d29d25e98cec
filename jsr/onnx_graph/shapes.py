"""Operators of ONNX that move, cut, join and repeat values."""

import itertools

import jax
import numpy as np

from jsr.onnx_graph.lengths import is_known, is_one
from jsr.onnx_graph.values import Constant, Size, Tensor, permuted, squeezed

LAST = np.iinfo(np.int64).max  # the end of an axis, of whatever length


def _transpose(writer, eqn, value):
    return permuted(writer.as_tensor(value), eqn.params["permutation"])


def _broadcast(writer, eqn, value):
    rank, kept = len(eqn.params["shape"]), eqn.params["broadcast_dimensions"]
    if isinstance(value, Constant):
        shape = [1] * rank
        for axis, length in zip(kept, value.shape, strict=True):
            shape[axis] = length
        return Constant(value.array.reshape(shape), value.name)
    value = writer.as_tensor(value)
    shape = tuple(value.shape[kept.index(axis)] if axis in kept else 1 for axis in range(rank))
    layout = tuple(None if axis is None else kept[axis] for axis in value.layout)
    return _reused(Tensor(value.name, shape, layout, value.dtype))


def _reused(value):
    """A tensor that lacks as many axes in the graph as it has too many there, all of length 1: these are those."""
    missing = [axis for axis in range(len(value.shape)) if axis not in value.layout]
    if value.layout.count(None) != len(missing):
        return value
    layout = tuple(missing.pop(0) if axis is None else axis for axis in value.layout)
    return Tensor(value.name, value.shape, layout, value.dtype)


def _reshape(writer, eqn, value):
    value = writer.as_tensor(value)
    old, new = eqn.invars[0].aval.shape, eqn.params["new_sizes"]
    ones = [axis for axis, length in enumerate(old) if is_one(length)]
    value, old = squeezed(value, ones), [length for length in old if not is_one(length)]
    value = _regrouped(writer, value, old, [length for length in new if not is_one(length)])
    places = [axis for axis, length in enumerate(new) if not is_one(length)]
    shape = [1] * len(new)
    for axis, length in zip(places, value.shape, strict=True):
        shape[axis] = length
    layout = tuple(None if axis is None else places[axis] for axis in value.layout)
    return _reused(Tensor(value.name, tuple(shape), layout, value.dtype))


def _regrouped(writer, value, old, new):
    """Axes split and merged; none is of length 1, but those that stand for repeats."""
    groups = _groups(old, new)
    if all(len(ins) == len(outs) == 1 for ins, outs in groups):
        return value
    for ins, outs in groups:
        if len(outs) == 1 and (times := _repeated(value, old, ins)):
            return _regrouped(writer, *_repeat(writer, value, old, ins, times), new)
    value = writer.full(value, jax.core.ShapedArray(tuple(old), value.dtype))
    order = [axis for axis in value.layout if axis is not None]
    in_place = all(order[order.index(ins[0]):][:len(ins)] == ins for ins, _ in groups)
    if not in_place:
        order = list(range(len(old)))
    first = {ins[0]: (ins, outs) for ins, outs in groups}
    layout = [axis for start in order if start in first for axis in first[start][1]]
    name = writer.arranged(value, order)
    stored, wanted = [old[axis] for axis in order], [new[axis] for axis in layout]
    return writer.tensor("Reshape", [name, _target(writer, stored, wanted)], new, layout, value.dtype)


def _groups(old, new):
    """[(axes before, axes after)] that hold the same values; no length is 1."""
    groups, i, j = [], 0, 0
    while i < len(old):
        ins, outs, before, after = [i], [j], old[i], new[j]
        while before != after:
            if after % before == 0:
                ins.append(ins[-1] + 1)
                before = before * old[ins[-1]]
            else:
                outs.append(outs[-1] + 1)
                after = after * new[outs[-1]]
        groups.append((ins, outs))
        i, j = ins[-1] + 1, outs[-1] + 1
    return groups


def _target(writer, stored, wanted):
    """The second input of a Reshape, constant if at all possible."""
    same = [k < len(stored) and stored[k] == length for k, length in enumerate(wanted)]
    target = [length if is_known(length) else 0 if same[k] else -1 for k, length in enumerate(wanted)]
    return writer.graph.integers(*target) if target.count(-1) < 2 else writer.lengths(wanted)


def _repeated(value, old, ins):
    """The times that each element along the first of two axes to be merged is repeated along the second, or None."""
    if len(ins) == 2 and is_one(value.shape[ins[1]]) and not is_one(value.shape[ins[0]]) and is_known(old[ins[1]]):
        return old[ins[1]]
    return None


def _repeat(writer, value, old, ins, times):
    """(value, its lengths) with each element along an axis repeated in place of the axis behind it."""
    axis, other = ins
    place, length = value.layout.index(axis), old[axis] * times
    shape = tuple(length if a == axis else n for a, n in enumerate(value.shape))
    if is_known(length) and place < 2:  # of channels
        indices = writer.graph.constant(np.arange(old[axis]).repeat(times))
        value = writer.tensor("Gather", [value.name, indices], shape, value.layout, value.dtype, axis=place)
    else:
        scales = np.array([times if k == place else 1 for k in range(len(value.layout))], np.float32)
        value = writer.tensor("Resize", [value.name, "", writer.graph.constant(scales)], shape, value.layout,
                              value.dtype, mode="nearest", coordinate_transformation_mode="asymmetric",
                              nearest_mode="floor")
    return squeezed(value, [other]), [length if a == axis else n for a, n in enumerate(old) if a != other]


def _squeeze(writer, eqn, value):
    rank = len(eqn.invars[0].aval.shape)
    return squeezed(writer.as_tensor(value), [axis % rank for axis in eqn.params["dimensions"]])


def _slice(writer, eqn, value):
    steps = eqn.params["strides"] or (1,) * len(eqn.params["start_indices"])
    return _cut(writer, value, eqn.invars[0].aval, eqn.params["start_indices"], eqn.params["limit_indices"], steps)


def _cut(writer, value, aval, starts, limits, steps):
    value = writer.as_tensor(value)
    cut = [axis for axis, length in enumerate(aval.shape)
           if not is_one(value.shape[axis]) and (starts[axis], limits[axis], steps[axis]) != (0, length, 1)]
    if not cut:
        return value
    shape = tuple(-(-(limits[axis] - starts[axis]) // steps[axis]) if axis in cut else length
                  for axis, length in enumerate(value.shape))
    bounds = [writer.lengths([_from_end(bound[axis], aval.shape[axis]) for axis in cut]) for bound in (starts, limits)]
    places, strides = [value.layout.index(axis) for axis in cut], [steps[axis] for axis in cut]
    bounds += [writer.graph.integers(*numbers) for numbers in (places, strides)]
    return writer.tensor("Slice", [value.name, *bounds], shape, value.layout, value.dtype)


def _from_end(bound, length):
    """A bound on an axis as ONNX counts it: from the end, where that is a number and the bound is not."""
    if is_known(bound):
        return bound
    behind = bound - length
    return bound if not is_known(behind) else behind if behind < 0 else LAST


def _split(writer, eqn, value):
    axis, ends = eqn.params["axis"], np.cumsum(eqn.params["sizes"]).tolist()
    shape = eqn.invars[0].aval.shape
    parts = itertools.pairwise([0, *ends])
    return [_cut(writer, value, eqn.invars[0].aval, [start if a == axis else 0 for a in range(len(shape))],
                 [end if a == axis else n for a, n in enumerate(shape)], [1] * len(shape)) for start, end in parts]


def _concatenate(writer, eqn, *values):
    axis = eqn.params["dimension"]
    inputs = zip(values, eqn.invars, strict=True)
    return _joined(writer, eqn, axis, [writer.full(value, var.aval) for value, var in inputs
                                       if var.aval.shape[axis] != 0])


def _stack(writer, eqn, *values):
    new = eqn.params["axis"]
    values = [writer.full(value, var.aval) for value, var in zip(values, eqn.invars, strict=True)]
    shape = (*values[0].shape[:new], 1, *values[0].shape[new:])
    return _joined(writer, eqn, new, [
        Tensor(value.name, shape, tuple(axis if axis is None else axis + (axis >= new) for axis in value.layout),
               value.dtype) for value in values])


def _joined(writer, eqn, axis, values):
    names, _, layout = writer.aligned(values)
    aval = eqn.outvars[0].aval
    return writer.tensor("Concat", names, aval.shape, layout, aval.dtype, axis=layout.index(axis))


def _tile(writer, eqn, value):
    value, times, aval = writer.full(value, eqn.invars[0].aval), eqn.params["reps"], eqn.outvars[0].aval
    repeats = writer.graph.integers(*(1 if axis is None else times[axis] for axis in value.layout))
    return writer.tensor("Tile", [value.name, repeats], aval.shape, value.layout, aval.dtype)


def _pad(writer, eqn, value, filling):
    config, aval = eqn.params["padding_config"], eqn.outvars[0].aval
    if any(inside for *_, inside in config):
        raise ValueError("no ONNX operator is known for JAX's 'pad' between pixels")
    value = writer.full(value, eqn.invars[0].aval)
    ends = [[0 if axis is None else config[axis][side] for axis in value.layout] for side in (0, 1)]
    names = value.name, writer.lengths([*ends[0], *ends[1]]), writer.arranged(filling, ())
    return writer.tensor("Pad", names, aval.shape, value.layout, aval.dtype, mode="constant")


def _reverse(writer, eqn, value):
    value, axes = writer.full(value, eqn.invars[0].aval), eqn.params["dimensions"]
    places, n = [value.layout.index(axis) for axis in axes], len(axes)
    bounds = [writer.graph.integers(*numbers) for numbers in ([-1] * n, [-LAST] * n, places, [-1] * n)]
    return writer.tensor("Slice", [value.name, *bounds], value.shape, value.layout, value.dtype)


def _iota(writer, eqn):
    params, graph = eqn.params, writer.graph
    axis, rank = params["dimension"], len(params["shape"])
    bounds = [graph.constant(np.int64(0)), writer.arranged(Size(params["shape"][axis], np.dtype(np.int64)), ()),
              graph.constant(np.int64(1))]
    value = writer.tensor("Range", bounds, [params["shape"][axis] if a == axis else 1 for a in range(rank)], (axis,),
                          np.int64)
    return writer.cast(value, params["dtype"])


def _gather(writer, eqn, value, indices):
    """`take` along an axis, and slices from a fixed place."""
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    image, places = (var.aval for var in eqn.invars)
    if isinstance(indices, Constant) and places.ndim == 1:
        starts, at = [0] * image.ndim, np.broadcast_to(indices.array, places.shape)
        for axis, start in zip(numbers.start_index_map, at.tolist(), strict=True):
            starts[axis] = start
        stops = [start + size for start, size in zip(starts, sizes, strict=True)]
        cut = _cut(writer, value, image, starts, stops, [1] * image.ndim)
        return squeezed(cut, numbers.collapsed_slice_dims)
    axis, = numbers.start_index_map if len(numbers.start_index_map) == 1 else (None,)
    others = tuple(a for a in range(image.ndim) if a != axis)
    if (places.ndim, numbers.collapsed_slice_dims, numbers.offset_dims) != (2, (axis,), others) or any(
            sizes[a] != image.shape[a] for a in others):
        raise ValueError("no ONNX operator is known for JAX's 'gather' but along one axis")
    value, out = writer.full(value, image), eqn.outvars[0].aval
    if isinstance(indices, Constant):
        name = writer.graph.constant(np.broadcast_to(indices.array, places.shape)[:, 0])
    else:
        name = writer.arranged(squeezed(writer.full(indices, places), [1]), (0,))
    place = value.layout.index(axis)
    return writer.tensor("Gather", [value.name, name], out.shape, value.layout, out.dtype, axis=place)

TABLE = {
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "optimization_barrier"), lambda writer, eqn, *x: list(x)),
    "dim_as_value": lambda writer, eqn: Size(eqn.params["dim"], np.dtype(eqn.outvars[0].aval.dtype)),
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "slice": _slice,
    "split": _split,
    "concatenate": _concatenate,
    "stack": _stack,
    "tile": _tile,
    "pad": _pad,
    "rev": _reverse,
    "iota": _iota,
    "gather": _gather,
}
