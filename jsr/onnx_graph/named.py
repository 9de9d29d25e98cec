"""Operators of ONNX for functions that are known by name."""

import math

import numpy as np

from jsr.onnx_graph.arithmetic import elementwise
from jsr.onnx_graph.values import Constant, Tensor


def _leaky_relu(writer, eqn, x, slope):
    if isinstance(slope, Constant) and slope.array.size == 1:
        return elementwise("LeakyRelu", alpha=slope.array.item())(writer, eqn, x)


def _prelu(writer, eqn, x, slope):
    if isinstance(slope, Constant):
        slope = Constant(slope.array.reshape([1] * (len(x.shape) - slope.array.ndim) + list(slope.shape)), slope.name)
        return elementwise("PRelu")(writer, eqn, x, slope)


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


def _resized(corners, mode="linear"):
    def write(writer, eqn, x):
        layout, aval = (0, 3, 1, 2), eqn.outvars[0].aval
        name = writer.in_order(x, eqn.invars[0].aval, layout)
        sizes = writer.lengths([aval.shape[axis] for axis in layout])
        return writer.tensor("Resize", [name, "", "", sizes], aval.shape, layout, aval.dtype, mode=mode,
                             coordinate_transformation_mode=corners)

    return write


def _grid_sample(beyond):
    def write(writer, eqn, x, grid):
        layout, (x_aval, grid_aval) = (0, 3, 1, 2), (var.aval for var in eqn.invars)
        names = writer.in_order(x, x_aval, layout), writer.in_order(grid, grid_aval)
        return writer.tensor("GridSample", names, eqn.outvars[0].aval.shape, layout, x_aval.dtype, mode="linear",
                             padding_mode=beyond, align_corners=0)

    return write


def _deform_conv(writer, eqn, x, offset, kernel, *rest):
    """Its last argument are the numbers of the window; a mask may stand before it."""
    *mask, window = rest
    if not isinstance(window, Constant):
        return None
    strides, padding, dilations = window.array.tolist()
    images, (avals, aval) = (0, 3, 1, 2), ([var.aval for var in eqn.invars], eqn.outvars[0].aval)
    size = avals[2].shape[:2]
    names = [writer.in_order(value, its, order) for value, its, order in zip(
        (x, kernel, offset), (avals[0], avals[2], avals[1]), (images, (3, 2, 0, 1), images), strict=True)]
    no_bias = writer.graph.constant(np.zeros(aval.shape[-1], avals[2].dtype))
    names += [no_bias, *(writer.in_order(value, avals[3], images) for value in mask)]
    return writer.tensor("DeformConv", names, aval.shape, images, aval.dtype, kernel_shape=size, strides=tuple(strides),
                         pads=(*padding, *padding), dilations=tuple(dilations),
                         group=avals[0].shape[-1] // avals[2].shape[2],
                         offset_group=avals[1].shape[-1] // (2 * math.prod(size)))


def _lower_median(writer, eqn, x):
    """The largest of the smaller half."""
    (*shape, length), order = eqn.invars[0].aval.shape, range(len(eqn.invars[0].aval.shape))
    smaller, _ = writer.graph.add("TopK", writer.in_order(x, eqn.invars[0].aval, order),
                                  writer.lengths([(length + 1) // 2]), outputs=2, axis=len(shape), largest=0)
    return writer.tensor("ReduceMax", [smaller, writer.graph.integers(len(shape))], shape, order[:-1], x.dtype,
                         keepdims=0)


def _stable_order(writer, eqn, x):
    """A stable order by TopK, which puts the lower index of equal elements first."""
    aval = eqn.outvars[0].aval
    name = writer.in_order(x, eqn.invars[0].aval)
    _, order = writer.graph.add("TopK", name, writer.lengths([aval.shape[1]]), outputs=2, axis=1, largest=0)
    return Tensor(order, aval.shape, (0, 1), np.dtype(np.int64))


def _rows_at(writer, eqn, x, order):
    (x_aval, places), aval = (var.aval for var in eqn.invars), eqn.outvars[0].aval
    order = writer.in_order(writer.cast(writer.full(order, places), np.int64), places)
    index = writer.graph.add("Unsqueeze", order, writer.graph.integers(2))
    names = writer.in_order(x, x_aval), index
    return writer.tensor("GatherND", names, aval.shape, range(3), aval.dtype, batch_dims=1)


INLINED = {  # what holds a function: the parameter that is it
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat2": "jaxpr",
    "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr", "convolution_otherwise": "jaxpr", "pixels_moved": "jaxpr",
}

NAMED = {  # jitted functions whose names say what they do; None from one of these: write what is inside
    "relu": elementwise("Relu"),
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "gelu": elementwise("Gelu"),
    "mish": elementwise("Mish"),
    "softmax": _softmax,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "bilinear": _resized("half_pixel"),
    "bilinear_aligned": _resized("align_corners"),
    "bicubic_aligned": _resized("align_corners", "cubic"),  # ONNX's a, too, is -0.75 where nothing is said
    "grid_sample": _grid_sample("border"),
    "grid_sample_zeros": _grid_sample("zeros"),
    "deform_conv": _deform_conv,
    "lower_median": _lower_median,
    "stable_order": _stable_order,
    "rows_at": _rows_at,
}
