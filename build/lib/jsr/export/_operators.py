"""A traced JAX function as an ONNX graph: one table from primitives to operators, one from functions known by name.

Axes are tracked, not moved. A value says how it lies in the graph (`Tensor.layout`), a transposition in the trace only
relabels it, and what does not care about the order of axes (arithmetic, sums, slices, concatenation) takes it as it is.
A Transpose is written where a convolution or a merge of axes needs another order. Repeats along new axes are not
written where ONNX repeats by itself. What follows from parameters alone is computed here.
"""

import math

import jax
from jax import export
from jax.extend.core import Literal
import numpy as np

from jsr.export._values import FUNCTIONS, Constant, Expression, Size, Tensor, permuted, squeezed

NEVER_FOLDED = "broadcast_in_dim", "dim_as_value"
LAST = np.iinfo(np.int64).max  # the end of an axis, of whatever length


class Writer:
    """Writes the equations of a jaxpr into a graph.

    Args:
      graph: jsr.export._graph.Graph.
      image: Tensor, the function's input.
      variables: {name of a symbolic length: (axis in the graph's input, the multiple of it that the axis has)}.
    """

    def __init__(self, graph, image, variables):
        self.graph, self.image, self.variables = graph, image, variables
        self.sums = {}  # {name of a sum: (what is summed, axes in the graph, their length)}
        self._kept = {}

    def run(self, jaxpr, constants, inputs):
        """The values of a jaxpr's outputs."""
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

        def read(var):
            return Constant(np.asarray(var.val, var.aval.dtype)) if isinstance(var, Literal) else values[var]

        for eqn in jaxpr.eqns:
            values.update(zip(eqn.outvars, self._equation(eqn, [read(var) for var in eqn.invars])))
        return [read(var) for var in jaxpr.outvars]

    def _equation(self, eqn, inputs):
        name = eqn.primitive.name
        known = all(isinstance(value, Constant) for value in inputs)
        if name in INLINED:
            by_name = None if known else NAMED.get(eqn.params.get("name"))
            result = by_name and by_name(self, eqn, *inputs)
            return [result] if result else self._inline(eqn.params[INLINED[name]], inputs)
        if known and (folded := _fold(eqn, inputs)) is not None:
            return folded
        if name not in TABLE:
            raise ValueError(f"no ONNX operator is known for JAX's {name!r}")
        result = TABLE[name](self, eqn, *inputs)
        return result if isinstance(result, list) else [result]

    def _inline(self, jaxpr, inputs):
        constants = [Constant(np.asarray(const)) for const in getattr(jaxpr, "consts", ())]
        return self.run(getattr(jaxpr, "jaxpr", jaxpr), constants, inputs)

    def tensor(self, op, inputs, shape, layout, dtype, **attributes):
        """A Tensor that a new node makes; the same node is not written twice."""
        key = op, *inputs, *(sorted(attributes.items()))
        if key not in self._kept:
            self._kept[key] = self.graph.add(op, *inputs, **attributes)
        return Tensor(self._kept[key], tuple(shape), tuple(layout), np.dtype(dtype))

    # Lengths

    def lengths(self, lengths):
        """The name of the int64 vector of some lengths."""
        if all(_is_known(length) for length in lengths):
            return self.graph.integers(*lengths)
        names = [self.graph.integers(length) if _is_known(length) else self._computed(length) for length in lengths]
        return names[0] if len(names) == 1 else self._once("Concat", *names, axis=0)

    def _computed(self, length):
        if length not in self._kept:
            known = {name: self._variable(*place) for name, place in self.variables.items()}
            # JAX prints lengths in the grammar that jax.export.symbolic_shape reads, in which ^ is a power
            self._kept[length] = eval(str(length).replace("^", "**"), {"__builtins__": {}}, FUNCTIONS | known).name
        return self._kept[length]

    def _variable(self, axis, multiple):
        shape = self._once("Shape", self.image.name)
        side = Expression(self.graph, self._once("Gather", shape, self.graph.integers(axis), axis=0))
        return side if multiple == 1 else side // multiple

    def _once(self, op, *inputs, **attributes):
        return self.tensor(op, inputs, (), (), np.int64, **attributes).name

    # Ways to lie in the graph

    def arranged(self, value, layout):
        """The name of a value that lies in the graph as `layout`, which names every axis once, says."""
        layout = tuple(layout)
        if isinstance(value, Constant):
            return self.graph.constant(value.array.transpose(layout), value.name)
        value = self.as_tensor(value)
        if extra := [k for k, axis in enumerate(value.layout) if axis is None]:
            kept = tuple(axis for axis in value.layout if axis is not None)
            value = self.tensor("Squeeze", [value.name, self.graph.integers(*extra)], value.shape, kept, value.dtype)
        order = tuple(value.layout.index(axis) for axis in layout if axis in value.layout)
        if order != tuple(range(len(order))):
            kept = tuple(axis for axis in layout if axis in value.layout)
            value = self.tensor("Transpose", [value.name], value.shape, kept, value.dtype, perm=order)
        if missing := [k for k, axis in enumerate(layout) if axis not in value.layout]:
            return self.tensor("Unsqueeze", [value.name, self.graph.integers(*missing)], (), (), value.dtype).name
        return value.name

    def full(self, value, aval):
        """The value with its repeats written out: a Tensor of the traced shape."""
        value = self.as_tensor(value)
        layout = _complete(value.layout, len(value.shape))
        if value.shape == tuple(aval.shape):
            return value if set(layout) <= set(value.layout) else self._moved(value, layout)
        name = self.arranged(value, layout)
        target = self.lengths([aval.shape[axis] for axis in layout])
        return self.tensor("Expand", [name, target], aval.shape, layout, value.dtype)

    def in_order(self, value, aval, layout=None):
        """The name of a value with its repeats written out, in the order of the trace unless `layout` says another."""
        layout = tuple(layout or range(len(aval.shape)))
        if isinstance(value, Constant) and value.shape == tuple(aval.shape):
            return self.arranged(value, layout)
        return self.arranged(self.full(value, aval), layout)

    def _moved(self, value, layout):
        return Tensor(self.arranged(value, layout), value.shape, tuple(layout), value.dtype)

    def as_tensor(self, value):
        """Any value as a Tensor."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Size):
            name = self.lengths([value.length])
            return self.cast(Tensor(name, (), (None,), np.dtype(np.int64)), value.dtype)
        layout = _image_layout(value.array.ndim)
        return Tensor(self.arranged(value, layout), value.shape, layout, value.array.dtype)

    def cast(self, value, dtype):
        """A tensor in another dtype."""
        from onnx import helper

        if value.dtype == dtype:
            return value
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.tensor("Cast", [value.name], value.shape, value.layout, dtype, to=to)

    def as_image(self, value):
        """A Tensor, of four axes, in the order of ONNX's images; others as they are."""
        return self._moved(value, _image_layout(len(value.shape)))

    def aligned(self, values):
        """(names, shape, layout) of values of one rank, or scalars, that arithmetic combines."""
        values = [self.as_tensor(value) if isinstance(value, Size) else value for value in values]
        rank = max(len(value.shape) for value in values)
        tensors = [value for value in values if isinstance(value, Tensor) and len(value.shape) == rank]
        layouts = {value.layout for value in tensors}
        if len(layouts) == 1 and set(range(rank)) <= set(*layouts):
            layout, = layouts
        else:  # the order of images, or of the largest
            largest = max(tensors, key=lambda value: sum(length != 1 for length in value.shape))
            layout = _image_layout(rank) if _image_layout(rank) in layouts else _complete(largest.layout, rank)
        shape = tuple(next((n for n in lengths if not _is_one(n)), 1)
                      for lengths in zip(*(value.shape for value in values if len(value.shape) == rank)))
        return [self._operand(value, layout) for value in values], shape, layout

    def _operand(self, value, layout):
        if isinstance(value, Tensor):
            return value.name if value.layout == layout or not value.shape else self.arranged(value, layout)
        if value.array.size == 1:
            return self.graph.constant(value.array.reshape(()), value.name)
        axes = [axis for axis in layout if axis is not None]
        array = value.array.transpose(axes)
        for k, axis in enumerate(layout):
            array = np.expand_dims(array, k) if axis is None else array
        first = next(k for k, length in enumerate(array.shape) if length != 1)
        return self.graph.constant(array.reshape(array.shape[first:]), value.name)


def _is_known(length):
    return not export.is_symbolic_dim(length)


def _is_one(length):
    return _is_known(length) and length == 1


def _complete(layout, rank):
    """A layout of all axes and nothing more; one that it lacked comes behind the axis before it."""
    layout = [axis for axis in layout if axis is not None]
    for axis in range(rank):
        if axis not in layout:
            layout.insert(layout.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(layout)


def _image_layout(rank):
    """The order in which values of no order of their own lie: images as ONNX's convolutions want them."""
    return (0, 3, 1, 2) if rank == 4 else tuple(range(rank))


def _fold(eqn, inputs):
    """What an equation makes of constants, or None where its shape is open."""
    arrays = [value.array for value in inputs]
    if eqn.primitive.name in ELEMENTWISE:
        arrays = np.broadcast_arrays(*arrays)
    elif eqn.primitive.name in NEVER_FOLDED:
        return None
    elif any(export.is_symbolic_dim(n) for var in (*eqn.invars, *eqn.outvars) for n in var.aval.shape):
        return None
    else:
        arrays = [np.broadcast_to(array, var.aval.shape) for array, var in zip(arrays, eqn.invars)]
    results = eqn.primitive.bind(*arrays, **eqn.params)
    results = results if eqn.primitive.multiple_results else [results]
    name = next((value.name for value in inputs if value.name), "")
    return [Constant(np.asarray(result), name) for result in results]


# Arithmetic


def _elementwise(op, **attributes):
    def write(writer, eqn, *values):
        names, shape, layout = writer.aligned(values)
        return writer.tensor(op, names, shape, layout, eqn.outvars[0].aval.dtype, **attributes)

    return write


def _composed(function):
    """An elementwise operation made of several, by a function of a helper op(name, *operands), params and operands."""
    def write(writer, eqn, *values):
        names, shape, layout = writer.aligned(values)
        dtype = values[0].dtype if isinstance(values[0], Tensor) else eqn.outvars[0].aval.dtype

        def op(kind, *operands):
            operands = [x if isinstance(x, str) else writer.graph.constant(np.asarray(x, dtype)) for x in operands]
            return writer.tensor(kind, operands, shape, layout, dtype).name

        return Tensor(function(op, eqn.params, *names), shape, layout, np.dtype(eqn.outvars[0].aval.dtype))

    return write


def _scale(op):
    """A product or a quotient, where a factor of one is left out and the quotient of a sum by its length is a mean."""
    plain = _elementwise(op)

    def write(writer, eqn, a, b):
        if _is_unit(b) and isinstance(a, Tensor):
            return a
        if op == "Mul" and _is_unit(a) and isinstance(b, Tensor):
            return b
        if op == "Div" and isinstance(a, Tensor) and a.name in writer.sums:
            summed, axes, length = writer.sums[a.name]
            if length == _number(b):
                return writer.tensor("ReduceMean", [summed, writer.graph.integers(*axes)], a.shape, a.layout, a.dtype,
                                     keepdims=1)
        return plain(writer, eqn, a, b)

    return write


def _is_unit(value):
    return isinstance(value, Constant) and _number(value) == 1


def _number(value):
    """A value that is one number known by now, or None."""
    if isinstance(value, Size):
        return value.length
    return value.array.item() if isinstance(value, Constant) and value.array.size == 1 else None


def _convert(writer, eqn, value):
    dtype = np.dtype(eqn.params["new_dtype"])
    return Size(value.length, dtype) if isinstance(value, Size) else writer.cast(value, dtype)


def _select(writer, eqn, which, *cases):
    if len(cases) != 2 or eqn.invars[0].aval.dtype != bool:
        raise ValueError(f"no ONNX operator is known for JAX's 'select_n' among {len(cases)} cases of a number")
    return _elementwise("Where")(writer, eqn, which, *cases[::-1])


def _round(op, params, x):
    if params["rounding_method"] != jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        raise ValueError("no ONNX operator is known for JAX's 'round' away from zero")
    return op("Round", x)


# Shapes


def _transpose(writer, eqn, value):
    return permuted(writer.as_tensor(value), eqn.params["permutation"])


def _broadcast(writer, eqn, value):
    rank, kept = len(eqn.params["shape"]), eqn.params["broadcast_dimensions"]
    if isinstance(value, Constant):
        shape = [1] * rank
        for axis, length in zip(kept, value.shape):
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
    ones = [axis for axis, length in enumerate(old) if _is_one(length)]
    value, old = squeezed(value, ones), [length for length in old if not _is_one(length)]
    value = _regrouped(writer, value, old, [length for length in new if not _is_one(length)])
    places = [axis for axis, length in enumerate(new) if not _is_one(length)]
    shape = [1] * len(new)
    for axis, length in zip(places, value.shape):
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
    target = [length if _is_known(length) else 0 if same[k] else -1 for k, length in enumerate(wanted)]
    return writer.graph.integers(*target) if target.count(-1) < 2 else writer.lengths(wanted)


def _repeated(value, old, ins):
    """The times that each element along the first of two axes to be merged is repeated along the second, or None."""
    if len(ins) == 2 and _is_one(value.shape[ins[1]]) and not _is_one(value.shape[ins[0]]) and _is_known(old[ins[1]]):
        return old[ins[1]]
    return None


def _repeat(writer, value, old, ins, times):
    """(value, its lengths) with each element along an axis repeated in place of the axis behind it."""
    axis, other = ins
    place, length = value.layout.index(axis), old[axis] * times
    shape = tuple(length if a == axis else n for a, n in enumerate(value.shape))
    if _is_known(length) and place < 2:  # of channels
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
           if not _is_one(value.shape[axis]) and (starts[axis], limits[axis], steps[axis]) != (0, length, 1)]
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
    if _is_known(bound):
        return bound
    behind = bound - length
    return bound if not _is_known(behind) else behind if behind < 0 else LAST


def _split(writer, eqn, value):
    axis, ends = eqn.params["axis"], np.cumsum(eqn.params["sizes"]).tolist()
    shape = eqn.invars[0].aval.shape
    parts = zip([0, *ends], ends)
    return [_cut(writer, value, eqn.invars[0].aval, [start if a == axis else 0 for a in range(len(shape))],
                 [end if a == axis else n for a, n in enumerate(shape)], [1] * len(shape)) for start, end in parts]


def _concatenate(writer, eqn, *values):
    axis = eqn.params["dimension"]
    return _joined(writer, eqn, axis, [writer.full(value, var.aval) for value, var in zip(values, eqn.invars)
                                       if var.aval.shape[axis] != 0])


def _stack(writer, eqn, *values):
    new = eqn.params["axis"]
    values = [writer.full(value, var.aval) for value, var in zip(values, eqn.invars)]
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
        for axis, start in zip(numbers.start_index_map, at.tolist()):
            starts[axis] = start
        cut = _cut(writer, value, image, starts, [start + size for start, size in zip(starts, sizes)], [1] * image.ndim)
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


# Sums, products, windows


def _reduce(op):
    def write(writer, eqn, value):
        axes, aval = eqn.params["axes"], eqn.invars[0].aval
        value = writer.full(value, aval)
        places = [value.layout.index(axis) for axis in axes]
        shape = tuple(1 if axis in axes else length for axis, length in enumerate(value.shape))
        result = writer.tensor(op, [value.name, writer.graph.integers(*places)], shape, value.layout, value.dtype,
                               keepdims=1)
        writer.sums[result.name] = value.name, places, math.prod(aval.shape[axis] for axis in axes)
        return squeezed(result, axes)

    return write


def _convolution(writer, eqn, image, kernel):
    params, numbers = eqn.params, eqn.params["dimension_numbers"]
    if params["batch_group_count"] != 1 or any(d != 1 for d in params["lhs_dilation"]):
        raise ValueError("no ONNX operator is known for JAX's 'conv_general_dilated' with lhs_dilation or "
                         "batch_group_count")
    names = [writer.in_order(value, var.aval, spec) for value, var, spec in
             zip((image, kernel), eqn.invars, (numbers.lhs_spec, numbers.rhs_spec))]
    before, after = zip(*params["padding"])
    aval = eqn.outvars[0].aval
    return writer.tensor("Conv", names, aval.shape, numbers.out_spec, aval.dtype, pads=(*before, *after),
                         strides=tuple(params["window_strides"]), dilations=tuple(params["rhs_dilation"]),
                         group=params["feature_group_count"],
                         kernel_shape=tuple(eqn.invars[1].aval.shape[axis] for axis in numbers.rhs_spec[2:]))


def _dot(writer, eqn, a, b):
    (in_a, in_b), (batch_a, batch_b) = eqn.params["dimension_numbers"]
    left, right = (var.aval for var in eqn.invars)
    free_a = [axis for axis in range(left.ndim) if axis not in (*in_a, *batch_a)]
    free_b = [axis for axis in range(right.ndim) if axis not in (*in_b, *batch_b)]
    aval = eqn.outvars[0].aval
    dtypes = {var.aval.dtype for var in (*eqn.invars, eqn.outvars[0])}
    a, b = (writer.cast(writer.full(value, var.aval), aval.dtype) if len(dtypes) > 1 else value
            for value, var in zip((a, b), eqn.invars))
    if len(in_a) == len(free_b) == 1 and (len(free_a) == 1 or not batch_a):
        names = [writer.in_order(a, left, (*batch_a, *free_a, *in_a)),
                 writer.in_order(b, right, (*batch_b, *in_b, *free_b))]
        return writer.tensor("MatMul", names, aval.shape, range(aval.ndim), aval.dtype)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    named = [[None] * left.ndim, [None] * right.ndim]
    for axes in (zip(batch_a, batch_b), zip(in_a, in_b)):
        for i, j in axes:
            named[0][i] = named[1][j] = next(letters)
    named = [[letter or next(letters) for letter in names] for names in named]
    out = [named[0][axis] for axis in (*batch_a, *free_a)] + [named[1][axis] for axis in free_b]
    equation = f"{''.join(named[0])},{''.join(named[1])}->{''.join(out)}"
    names = [writer.in_order(a, left), writer.in_order(b, right)]
    return writer.tensor("Einsum", names, aval.shape, range(aval.ndim), aval.dtype, equation=equation)


def _max_pool(writer, eqn, value):
    params, layout = eqn.params, (0, 3, 1, 2)
    windows, strides, dilations = (params[key] for key in ("window_dimensions", "window_strides", "window_dilation"))
    if len(windows) != 4 or any(params["base_dilation"][a] != 1 or (a in (0, 3) and windows[a] != 1) for a in range(4)):
        raise ValueError("no ONNX operator is known for JAX's 'reduce_window_max' but over height and width")
    before, after = zip(*params["padding"][1:3])
    aval = eqn.outvars[0].aval
    name = writer.in_order(value, eqn.invars[0].aval, layout)
    return writer.tensor("MaxPool", [name], aval.shape, layout, aval.dtype,
                         kernel_shape=tuple(windows[1:3]), strides=tuple(strides[1:3]), dilations=tuple(dilations[1:3]),
                         pads=(*before, *after))


# Functions known by their names


def _leaky_relu(writer, eqn, x, slope):
    if isinstance(slope, Constant) and slope.array.size == 1:
        return _elementwise("LeakyRelu", alpha=slope.array.item())(writer, eqn, x)


def _prelu(writer, eqn, x, slope):
    if isinstance(slope, Constant):
        slope = Constant(slope.array.reshape([1] * (len(x.shape) - slope.array.ndim) + list(slope.shape)), slope.name)
        return _elementwise("PRelu")(writer, eqn, x, slope)


def _softmax(writer, eqn, x):
    x = writer.full(x, eqn.invars[0].aval)
    last = x.layout.index(len(x.shape) - 1)
    return writer.tensor("Softmax", [x.name], x.shape, x.layout, x.dtype, axis=last)


def _shuffled(writer, eqn, x, op, factor, channels, **attributes):
    """Pixels from channels or the other way round, of images."""
    layout = (0, 3, 1, 2)
    name = writer.in_order(x, eqn.invars[0].aval, layout)
    *shape, _ = eqn.outvars[0].aval.shape
    return writer.tensor(op, [name], (*shape, channels), layout, x.dtype, blocksize=factor, **attributes)


def _pixel_shuffle(writer, eqn, x):
    channels = eqn.outvars[0].aval.shape[-1]
    factor = math.isqrt(eqn.invars[0].aval.shape[-1] // channels)
    return x if factor == 1 else _shuffled(writer, eqn, x, "DepthToSpace", factor, channels, mode="CRD")


def _pixel_unshuffle(writer, eqn, x):
    """SpaceToDepth gives (row, column, c), which is then put in order: by the next convolution's kernel, if it can."""
    channels = eqn.invars[0].aval.shape[-1]
    factor = math.isqrt(eqn.outvars[0].aval.shape[-1] // channels)
    if factor == 1:
        return x
    y = _shuffled(writer, eqn, x, "SpaceToDepth", factor, channels * factor**2)
    order = np.arange(channels * factor**2).reshape(factor**2, channels).T.reshape(-1)
    return writer.tensor("Gather", [y.name, writer.graph.constant(order)], y.shape, y.layout, y.dtype, axis=1)


def _bilinear(writer, eqn, x):
    layout, aval = (0, 3, 1, 2), eqn.outvars[0].aval
    name = writer.in_order(x, eqn.invars[0].aval, layout)
    sizes = writer.lengths([aval.shape[axis] for axis in layout])
    return writer.tensor("Resize", [name, "", "", sizes], aval.shape, layout, aval.dtype, mode="linear",
                         coordinate_transformation_mode="half_pixel")


INLINED = {  # what holds a function: the parameter that is it
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat2": "jaxpr",
    "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr", "depthwise_convolution": "jaxpr",
}

NAMED = {  # jitted functions whose names say what they do; None from one of these: write what is inside
    "relu": _elementwise("Relu"),
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "gelu": _elementwise("Gelu"),
    "softmax": _softmax,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "bilinear": _bilinear,
}

ELEMENTWISE = {
    "add": _elementwise("Add"),
    "add_any": _elementwise("Add"),
    "sub": _elementwise("Sub"),
    "mul": _scale("Mul"),
    "div": _scale("Div"),
    "rem": _elementwise("Mod", fmod=1),
    "max": _elementwise("Max"),
    "min": _elementwise("Min"),
    "pow": _elementwise("Pow"),
    "neg": _elementwise("Neg"),
    "abs": _elementwise("Abs"),
    "sign": _elementwise("Sign"),
    "floor": _elementwise("Floor"),
    "ceil": _elementwise("Ceil"),
    "exp": _elementwise("Exp"),
    "log": _elementwise("Log"),
    "sin": _elementwise("Sin"),
    "cos": _elementwise("Cos"),
    "tanh": _elementwise("Tanh"),
    "erf": _elementwise("Erf"),
    "sqrt": _elementwise("Sqrt"),
    "logistic": _elementwise("Sigmoid"),
    "eq": _elementwise("Equal"),
    "lt": _elementwise("Less"),
    "le": _elementwise("LessOrEqual"),
    "gt": _elementwise("Greater"),
    "ge": _elementwise("GreaterOrEqual"),
    "and": _elementwise("And"),
    "or": _elementwise("Or"),
    "not": _elementwise("Not"),
    "ne": _composed(lambda op, params, a, b: op("Not", op("Equal", a, b))),
    "square": _composed(lambda op, params, x: op("Mul", x, x)),
    "integer_pow": _composed(lambda op, params, x: op("Mul", x, x) if params["y"] == 2 else op("Pow", x, params["y"])),
    "rsqrt": _composed(lambda op, params, x: op("Reciprocal", op("Sqrt", x))),
    "erfc": _composed(lambda op, params, x: op("Sub", 1, op("Erf", x))),
    "log1p": _composed(lambda op, params, x: op("Log", op("Add", x, 1))),
    "expm1": _composed(lambda op, params, x: op("Sub", op("Exp", x), 1)),
    "clamp": _composed(lambda op, params, low, x, high: op("Min", op("Max", x, low), high)),
    "round": _composed(_round),
    "select_n": _select,
    "convert_element_type": _convert,
}

TABLE = ELEMENTWISE | {
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
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_window_max": _max_pool,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
}
