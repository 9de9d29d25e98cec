"""Traces a chain of networks to a graph of operators that PyTorch has: ONNX's, and a few of PyTorch's own.

Beyond what jsr.onnx_graph.writer writes: layers that Flax or jsr compose and PyTorch has whole, Fourier
transforms, pixel unshuffles, and lengths of axes as JAX has them in place of operators on the image's size.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr.chain import chain_channels, chain_frames, chain_padding, chain_scale, run_chain
from jsr.layers.padding import Padding
from jsr.layers.upsample import TransposedConv
from jsr.onnx_graph import LEAST_SIDE, arithmetic, named, write
from jsr.onnx_graph.graph import Graph
from jsr.onnx_graph.values import Constant
from jsr.onnx_graph.writer import Writer

IMAGES = 0, 3, 1, 2  # NCHW
FIXED = 64, 64  # px, of networks whose program is of one size where nobody says another


@dataclasses.dataclass(frozen=True)
class Program:
    """A traced chain.

    Attributes:
      graph: jsr.onnx_graph.graph.Graph from `lr` to `sr`, both NCHW; its nodes' scopes are "<network>/<class>/<path>".
      padding: jsr.layers.padding.Padding that brings images to the sizes of the trace.
      scale: SR size over LR size.
      channels: channels of LR and SR.
      open_batch: whether the number of images is open; else it is one.
      frames: number of frames of clips, 0 where it is open, None of images.
      size: (height, width) of the only images, px; None is any.
      least: px, of the sides of the padded image.
    """

    graph: Graph
    padding: Padding
    scale: int
    channels: tuple[int, int]
    open_batch: bool
    frames: int | None
    size: tuple[int, int] | None
    least: int

    @property
    def makes_clips(self):
        """Whether its output is a clip, too."""
        return self.frames == 0


def trace(networks: Mapping[str, nn.Module], variables: Mapping[str, Any], size: tuple[int, int] | None) -> Program:
    """The Program of a chain: of any size where it can be left open, else of `size`, by default FIXED.

    Raises:
      Exception: of many kinds, of JAX's or a ValueError of the writer's, where it cannot be traced even for one size.
    """
    padding, scale, channels = chain_padding(networks), chain_scale(networks), chain_channels(networks)
    frames = chain_frames(networks)
    lead = (1,) if frames is None else (1, 2 if frames == "all" else frames)
    sides = len(lead), len(lead) + 1
    time, batch = ((1,), ()) if frames == "all" else ((), (0,))  # one clip at a time, of any length
    attempts = [((*batch, *time), LEAST_SIDE), (time, LEAST_SIDE)]
    if size is None:
        attempts = [((*batch, *time, *sides), 1), ((*batch, *time, *sides), LEAST_SIDE), ((*time, *sides), LEAST_SIDE),
                    *attempts]
    for number, (dynamic, least) in enumerate(attempts, 1):
        is_fixed = sides[0] not in dynamic
        height, width = map(padding.target, size or FIXED)
        shape = write.open_shape((*lead, height, width, channels[0]), dynamic, padding.multiple, least)
        try:
            with nn.intercept_methods(_by_name):
                graph, *_ = write.traced(
                    lambda variables, lr: _run(networks, variables, lr), variables,
                    jax.ShapeDtypeStruct(shape, jnp.float32), dynamic=dynamic, multiple=padding.multiple, nchw=True,
                    writer=_Writer)
        except Exception:  # of many classes: a network may do anything with sizes that are no numbers
            if number == len(attempts):
                raise
            continue
        length = None if frames is None else 0 if 1 in dynamic else lead[1]
        return Program(graph, padding, scale, channels, 0 in dynamic, length, (size or FIXED) if is_fixed else None,
                       1 if is_fixed else least)
    raise AssertionError("the last attempt returns or raises")


def _run(networks, variables, image):
    for name, network in networks.items():
        with jax.named_scope(name):
            image = run_chain({name: network}, [name], variables, image)[0]["sr"]
    return image


def _by_name(call, args, kwargs, context):
    """Has layers that PyTorch has whole be functions known by name in the trace."""
    module = context.module
    if context.method_name != "__call__" or not isinstance(module, (nn.LayerNorm, nn.BatchNorm, TransposedConv)):
        return call(*args, **kwargs)
    x, params = args[0], module.variables.get("params", {})
    if isinstance(module, TransposedConv):
        if module.kernel_size or module.weight_norm:  # written as the convolution and the shuffle that it is here
            return call(*args, **kwargs)
        return transposed_conv(x, *(params[name] for name in ("kernel", "bias") if name in params))
    if params.keys() != {"scale", "bias"}:
        return call(*args, **kwargs)
    epsilon = np.float32(module.epsilon)
    if isinstance(module, nn.LayerNorm):
        return layer_norm(x, params["scale"], params["bias"], epsilon)
    stats = module.variables["batch_stats"]
    return batch_norm(x, params["scale"], params["bias"], stats["mean"], stats["var"], epsilon)


@jax.jit
def layer_norm(x, scale, bias, epsilon):
    """torch.nn.LayerNorm over the last axis, float32."""
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale + bias


@jax.jit
def batch_norm(x, scale, bias, mean, var, epsilon):
    """torch.nn.BatchNorm2d with its running statistics, of (N, H, W, C) float32."""
    return (x - mean) * (jax.lax.rsqrt(var + epsilon) * scale) + bias


@jax.jit
def transposed_conv(x, kernel, bias=0.0):
    """torch.nn.ConvTranspose2d whose stride is its kernel's size (jsr.layers.upsample.TransposedConv), float32."""
    (n, height, width, _), (factor, _, _, features) = x.shape, kernel.shape
    y = jnp.einsum("nhwc,ijcf->nhiwjf", x, kernel)
    return y.reshape(n, height * factor, width * factor, features) + bias


def _layer(op, layout, attributes):
    """A writer of a layer: its first argument an image in a layout, the others its parameters; numbers are attributes.

    Args:
      op: operator of the node.
      layout: order of the image's axes; None is that of the trace.
      attributes: function of the parameters' arrays to the node's attributes; it may change the list.
    """
    def writer_of(writer, eqn, x, *parameters):
        if not all(isinstance(value, Constant) for value in parameters):
            return None
        aval, arrays = eqn.outvars[0].aval, list(parameters)
        order = layout or tuple(range(aval.ndim))
        given = attributes(arrays)
        names = [writer.graph.constant(value.array, value.name) for value in arrays]
        return writer.tensor(op, [writer.in_order(x, eqn.invars[0].aval, order), *names], aval.shape, order, aval.dtype,
                             **given)

    return writer_of


def _epsilon(parameters):
    return {"epsilon": float(str(parameters.pop().array))}  # 1e-05, not what float32 makes of it


def _torch_kernel(parameters):
    """The kernel as PyTorch's transposed convolutions have it, (C, features, height, width)."""
    kernel, *bias = parameters
    parameters[:] = [Constant(kernel.array.transpose(2, 3, 0, 1), kernel.name), *(b for b in bias if b.array.ndim)]
    return {"stride": kernel.array.shape[0]}


def _pixel_unshuffle(writer, eqn, x):
    name = writer.in_order(x, eqn.invars[0].aval, IMAGES)
    aval = eqn.outvars[0].aval
    factor = round((aval.shape[-1] // eqn.invars[0].aval.shape[-1])**0.5)
    return writer.tensor("PixelUnshuffle", [name], aval.shape, IMAGES, aval.dtype, factor=factor)


def _lower_median(writer, eqn, x):
    aval = eqn.outvars[0].aval
    return writer.tensor("Median", [writer.in_order(x, eqn.invars[0].aval)], aval.shape, range(aval.ndim), aval.dtype)


def _stable_order(writer, eqn, x):
    aval = eqn.outvars[0].aval
    return writer.tensor("Order", [writer.in_order(x, eqn.invars[0].aval)], aval.shape, range(2), np.int64)


def _rows_at(writer, eqn, x, order):
    names = [writer.in_order(value, var.aval) for value, var in zip((x, order), eqn.invars, strict=True)]
    aval = eqn.outvars[0].aval
    return writer.tensor("RowsAt", names, aval.shape, range(3), aval.dtype)


def _fft(writer, eqn, x):
    name = writer.in_order(x, eqn.invars[0].aval)
    aval = eqn.outvars[0].aval
    return writer.tensor("Fourier", [name], aval.shape, range(aval.ndim), aval.dtype,
                         kind=eqn.params["fft_type"].name.lower(), lengths=tuple(eqn.params["fft_lengths"]))


class _Writer(Writer):
    table = Writer.table | {"fft": _fft, "complex": arithmetic.elementwise("Complex"),
                            "real": arithmetic.elementwise("Real"), "imag": arithmetic.elementwise("Imag")}
    by_name = named.NAMED | {
        "layer_norm": _layer("LayerNorm", None, _epsilon), "batch_norm": _layer("BatchNorm", IMAGES, _epsilon),
        "transposed_conv": _layer("ConvTranspose", IMAGES, _torch_kernel), "pixel_unshuffle": _pixel_unshuffle,
        "lower_median": _lower_median, "stable_order": _stable_order, "rows_at": _rows_at}

    def tensor(self, op, inputs, shape, layout, dtype, **attributes):
        """As of Writer; what takes a shape has it, as traced, as `dims`, and quotients of integers are an IntDiv."""
        if op == "Div" and np.issubdtype(dtype, np.integer):
            op = "IntDiv"
        if op in ("Reshape", "Expand"):
            attributes["dims"] = tuple(1 if axis is None else shape[axis] for axis in layout)
        return super().tensor(op, inputs, shape, layout, dtype, **attributes)

    def _computed(self, length):
        if length not in self._kept:
            self._kept[length] = self.graph.add("Length", length=length)
        return self._kept[length]
