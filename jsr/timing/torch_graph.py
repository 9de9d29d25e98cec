"""An ONNX graph as a PyTorch module. Importing this imports PyTorch and ONNX.

A peer is to be what a PyTorch user runs: each node becomes the function that he would call, on NCHW, with parameters
that can be given a memory layout and a dtype. The interpreter below is traced once: what comes out is straight-line
code, as if it had been written by hand.
"""

import operator

import numpy as np
import onnx
from onnx import numpy_helper
import torch
from torch import fx, nn
from torch.nn import functional as F


def module(proto):
    """The PyTorch module of an ONNX graph for one size of the input, in evaluation mode.

    Args:
      proto: onnx.ModelProto with one input and one output, both (N, C, H, W); its weights are initialisers.

    Returns:
      torch.fx.GraphModule.

    Raises:
      ValueError: a kind of node that is not written here.
    """
    if unknown := {node.op_type for node in proto.graph.node} - OPS.keys():
        raise ValueError(f"nodes that are not written in PyTorch here: {', '.join(sorted(unknown))}")
    return fx.symbolic_trace(_Interpreter(proto.graph)).eval()


class _Interpreter(nn.Module):
    """Runs a graph node by node."""

    def __init__(self, graph):
        super().__init__()
        self.graph, self.constants = graph, {tensor.name: _constant(tensor) for tensor in graph.initializer}
        for node in graph.node:  # flattened while it runs, a slope would be a constant of the trace
            if node.op_type == "PRelu" and isinstance(slope := self.constants.get(node.input[1]), nn.Parameter):
                self.constants[node.input[1]] = nn.Parameter(slope.flatten(), requires_grad=False)
        for index, value in enumerate(self.constants.values()):
            if isinstance(value, nn.Parameter):
                self.register_parameter(f"weight_{index}", value)

    def forward(self, lr):
        values = {"": None, **self.constants, self.graph.input[0].name: lr}
        for node in self.graph.node:
            outputs = OPS[node.op_type](*(values[name] for name in node.input), **_attributes(node))
            values |= zip(node.output, [outputs] if len(node.output) == 1 else outputs, strict=True)
        return values[self.graph.output[0].name]


def _constant(tensor):
    """A node's constant: weights as parameters, single floats as Python's, which take part in any dtype."""
    array = np.array(numpy_helper.to_array(tensor))
    if array.dtype.kind != "f":
        return torch.from_numpy(array)
    return nn.Parameter(torch.from_numpy(array), requires_grad=False) if array.ndim else array.item()


def _attributes(node):
    found = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _ints(value):
    """The numbers of a constant vector of sizes, places or axes."""
    return [int(each) for each in value]


def _conv(x, kernel, bias=None, *, pads=(0, 0, 0, 0), strides=(1, 1), dilations=(1, 1), group=1, kernel_shape=None):
    x, padding = _padded(x, pads, 0.0)
    return F.conv2d(x, kernel, bias, strides, padding, dilations, group)


def _max_pool(x, *, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1)):
    x, padding = _padded(x, pads, -float("inf"))
    return F.max_pool2d(x, kernel_shape, strides, padding, dilations)


def _padded(x, pads, value):
    """An image and the padding that is left to the operation: all, unless the sides are unlike."""
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def _pad(x, pads, value=0.0, *, mode):
    before, after = (_ints(half) for half in pads.reshape(2, -1))
    pairs = zip(before[::-1], after[::-1], strict=True)
    return F.pad(x, [each for pair in pairs for each in pair], mode=mode, value=value)


def _space_to_depth(x, *, blocksize):
    """Channels (row, column, c)."""
    return x.unflatten(3, (-1, blocksize)).unflatten(2, (-1, blocksize)).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


def _depth_to_space(x, *, blocksize, mode):
    if mode != "CRD":
        raise ValueError(f"DepthToSpace of mode {mode} is not written in PyTorch here")
    return F.pixel_shuffle(x, blocksize)


def _reduced(function):
    return lambda x, axes, *, keepdims=1: function(x, _ints(axes), bool(keepdims))


def _slice(x, starts, ends, axes, steps):
    index, flipped = [slice(None)] * (max(_ints(axes), default=-1) + 1), []
    for axis, start, end, step in zip(*map(_ints, (axes, starts, ends, steps)), strict=True):
        if (start, step) == (-1, -1):
            flipped.append(axis)
        else:
            index[axis] = slice(start, end, step)
    x = x[tuple(index)]
    return x.flip(flipped) if flipped else x


def _unsqueeze(x, axes):
    for axis in sorted(_ints(axes)):
        x = x.unsqueeze(axis)
    return x


def _resize(x, _, scales, sizes=None, *, mode, coordinate_transformation_mode, nearest_mode=None, cubic_coeff_a=-0.75):
    size = {"scale_factor": scales[2:].tolist()} if sizes is None else {"size": _ints(sizes)[2:]}
    if mode == "nearest":
        return F.interpolate(x, **size)
    return F.interpolate(x, **size, mode={"linear": "bilinear", "cubic": "bicubic"}[mode], align_corners=False)


def _extreme(whole, bound):
    """The extreme of two tensors, or of a tensor and a number, on either side."""
    def function(x, y):
        if not isinstance(x, float) and not isinstance(y, float):
            return whole(x, y)
        return torch.clamp(y, **{bound: x}) if isinstance(x, float) else torch.clamp(x, **{bound: y})

    return function


_TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.INT64: torch.int64,
          onnx.TensorProto.INT32: torch.int32, onnx.TensorProto.BOOL: torch.bool}
OPS = {  # a node's kind: a function of its inputs and attributes
    "Abs": torch.abs, "Add": operator.add, "And": operator.and_, "Ceil": torch.ceil, "Cos": torch.cos,
    "Div": operator.truediv, "Equal": operator.eq, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor,
    "Greater": operator.gt, "GreaterOrEqual": operator.ge, "Less": operator.lt, "LessOrEqual": operator.le,
    "Log": torch.log, "MatMul": torch.matmul, "Max": _extreme(torch.maximum, "min"),
    "Min": _extreme(torch.minimum, "max"), "Mul": operator.mul, "Neg": operator.neg, "Not": torch.logical_not,
    "Or": operator.or_, "Pow": operator.pow, "Reciprocal": torch.reciprocal, "Relu": F.relu, "Round": torch.round,
    "Sigmoid": torch.sigmoid, "Sign": torch.sign, "Sin": torch.sin, "Sqrt": torch.sqrt, "Sub": operator.sub,
    "Tanh": torch.tanh, "Where": torch.where,
    "Gelu": F.gelu,
    "LeakyRelu": lambda x, *, alpha: F.leaky_relu(x, alpha),
    "PRelu": lambda x, slope: F.leaky_relu(x, slope) if isinstance(slope, float) else F.prelu(x, slope),
    "Softmax": lambda x, *, axis: F.softmax(x, axis),
    "Conv": _conv,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "ReduceMax": _reduced(torch.amax), "ReduceMean": _reduced(torch.mean), "ReduceMin": _reduced(torch.amin),
    "ReduceSum": _reduced(torch.sum),
    "Einsum": lambda *inputs, equation: torch.einsum(equation, *inputs),
    "Cast": lambda x, *, to: x.to(_TYPES[to]),
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Expand": lambda x, shape: x.expand(_ints(shape)),
    "Gather": lambda x, index, *, axis: torch.index_select(x, axis, index),
    "Pad": _pad,
    "Reshape": lambda x, shape: x.reshape(_ints(shape)),
    "Slice": _slice,
    "Squeeze": lambda x, axes: x.squeeze(tuple(_ints(axes))),
    "Transpose": lambda x, *, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
}
