"""Operators of ONNX for sums: reductions, convolutions, products of matrices, pools."""

import dataclasses
import math

import numpy as np

from jsr.onnx_graph.values import squeezed


def _reduce(op):
    def write(writer, eqn, value):
        axes, aval = eqn.params["axes"], eqn.invars[0].aval
        value = writer.full(value, aval)
        places = [value.layout.index(axis) for axis in axes]
        shape = tuple(1 if axis in axes else length for axis, length in enumerate(value.shape))
        result = writer.tensor(op, [value.name, writer.graph.integers(*places)], shape, value.layout, value.dtype,
                               keepdims=1)

        def mean(total):
            inputs = [value.name, writer.graph.integers(*places)]
            return writer.tensor("ReduceMean", inputs, total.shape, total.layout, total.dtype, keepdims=1)

        writer.sums[result.name] = math.prod(aval.shape[axis] for axis in axes), mean
        return squeezed(result, axes)

    return write


def _argmax(writer, eqn, value):
    (axis,), aval = eqn.params["axes"], eqn.invars[0].aval
    value = writer.full(value, aval)
    shape = [1 if a == axis else length for a, length in enumerate(aval.shape)]
    place = value.layout.index(axis)
    result = writer.tensor("ArgMax", [value.name], shape, value.layout, np.int64, axis=place, keepdims=1)
    return writer.cast(squeezed(result, [axis]), eqn.outvars[0].aval.dtype)


def _convolution(writer, eqn, image, kernel):
    params, numbers = eqn.params, eqn.params["dimension_numbers"]
    if params["batch_group_count"] != 1 or any(d != 1 for d in params["lhs_dilation"]):
        raise ValueError("no ONNX operator is known for JAX's 'conv_general_dilated' with lhs_dilation or "
                         "batch_group_count")
    names = [writer.in_order(value, var.aval, spec) for value, var, spec in
             zip((image, kernel), eqn.invars, (numbers.lhs_spec, numbers.rhs_spec), strict=True)]
    before, after = zip(*params["padding"], strict=True)
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
            for value, var in zip((a, b), eqn.invars, strict=True))
    if len(in_a) == len(free_b) == 1 and (len(free_a) == 1 or not batch_a):
        names = [writer.in_order(a, left, (*batch_a, *free_a, *in_a)),
                 writer.in_order(b, right, (*batch_b, *in_b, *free_b))]
        return writer.tensor("MatMul", names, aval.shape, range(aval.ndim), aval.dtype)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    named = [[None] * left.ndim, [None] * right.ndim]
    for axes in (zip(batch_a, batch_b, strict=True), zip(in_a, in_b, strict=True)):
        for i, j in axes:
            named[0][i] = named[1][j] = next(letters)
    named = [[letter or next(letters) for letter in names] for names in named]
    out = [named[0][axis] for axis in (*batch_a, *free_a)] + [named[1][axis] for axis in free_b]
    equation = f"{''.join(named[0])},{''.join(named[1])}->{''.join(out)}"
    names = [writer.in_order(a, left), writer.in_order(b, right)]
    return writer.tensor("Einsum", names, aval.shape, range(aval.ndim), aval.dtype, equation=equation)


def _max_pool(writer, eqn, value):
    return _pool(writer, eqn, value, "MaxPool")


def _sum_pool(writer, eqn, value):
    """The sum over a window as its mean, zeros around the image included, times its size."""
    mean = _pool(writer, eqn, value, "AveragePool", count_include_pad=1)
    size = math.prod(eqn.params["window_dimensions"])
    factor = writer.graph.constant(np.array(size, mean.dtype))
    total = writer.tensor("Mul", [mean.name, factor], mean.shape, mean.layout, mean.dtype)
    writer.sums[total.name] = size, lambda total: dataclasses.replace(mean, shape=total.shape, layout=total.layout)
    return total


def _pool(writer, eqn, value, op, **attributes):
    params, layout = eqn.params, (0, 3, 1, 2)
    windows, strides, padding = (params[key] for key in ("window_dimensions", "window_strides", "padding"))
    dilations = params["window_dilation"]
    if len(windows) != 4 or any(params["base_dilation"][a] != 1 or (a in (0, 3) and windows[a] != 1) for a in range(4)):
        raise ValueError(f"no ONNX operator is known for JAX's {eqn.primitive.name!r} but over height and width")
    before, after = zip(*padding[1:3], strict=True)
    aval = eqn.outvars[0].aval
    name = writer.in_order(value, eqn.invars[0].aval, layout)
    return writer.tensor(op, [name], aval.shape, layout, aval.dtype,
                         kernel_shape=tuple(windows[1:3]), strides=tuple(strides[1:3]), dilations=tuple(dilations[1:3]),
                         pads=(*before, *after), **attributes)

TABLE = {
    "reduce_sum": _reduce("ReduceSum"),
    "argmax": _argmax,
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_window_max": _max_pool,
    "reduce_window_sum": _sum_pool,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
}
