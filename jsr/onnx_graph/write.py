"""ONNX graphs of networks: one operator of ONNX for one of the network's, for every runtime that reads the format.

A graph is written from the trace of a JAX function. Images lie as (N, C, H, W) in it, as ONNX's convolutions want them,
whatever the function says: a plain network becomes convolutions, activations and a shuffle, and nothing that moves
pixels between them. Height and width stay open. Parameters keep their paths as names.
"""

from collections.abc import Callable, Mapping, Sequence
import importlib.util
import math
from typing import Any

import flax.linen as nn
import jax
from jax import export
import jax.numpy as jnp
from jax.typing import DTypeLike
import numpy as np

from jsr.chain import chain_channels, chain_frames, chain_open_multiple, chain_padding, run_chain
from jsr.errors import UserError, install
from jsr.onnx_graph import LEAST_SIDE
from jsr.onnx_graph.graph import OPSET, Graph
from jsr.onnx_graph.values import Constant, Tensor
from jsr.onnx_graph.writer import Writer

DYNAMIC = {0: "batch", 1: "height", 2: "width"}  # axis of images: its name in the graph
DYNAMIC_OF_CLIPS = {0: "batch", 1: "frames", 2: "height", 3: "width"}
SIDES, LEAST_FRAMES = ("height", "width"), 2
CHANNELS_FIRST = {4: (0, 3, 1, 2), 5: (0, 1, 4, 2, 3)}  # rank: order of the axes


def to_onnx(function: Callable[[jax.Array], jax.Array], example: jax.ShapeDtypeStruct, *, input_name: str = "lr",
            output_name: str = "sr", dynamic: Sequence[int] = (1, 2), multiple: int = 1, nchw: bool = False,
            opset: int = OPSET) -> Any:
    """The ONNX graph of a function of images.

    Args:
      function: pure JAX function of one array (N, H, W, C), or clips (N, T, H, W, C), that returns one array;
        parameters are closed over.
      example: jax.ShapeDtypeStruct of its input, float32, float16 or uint8.
      input_name, output_name: names of the graph's input and output.
      dynamic: axes of the input that the graph leaves open, among batch 0, height 1 and width 2, or of clips batch 0,
        frames 1, height 2 and width 3.
      multiple: open heights and widths are multiples of it, px, and 32 at least.
      nchw: the graph's input and output, where they have four axes, are (N, C, H, W) instead; of five (N, T, C, H, W).
      opset: version of ONNX's operators that the graph is for; they are written as those of 20.

    Returns:
      onnx.ModelProto, checked.

    Raises:
      ValueError: an operation has no counterpart in the table of jsr.onnx_graph.writer, its name in the message; or
        `dynamic` names another axis; or the function returns more than one array.
      UserError: the package onnx is missing, or another opset than 20 lacks one of the graph's operators in that form.

    What JAX says of shapes that cannot be left open passes through; `dynamic=()` has none.
    """
    return _export(lambda _, image: function(image), {}, example, input_name=input_name, output_name=output_name,
                   dynamic=dynamic, multiple=multiple, nchw=nchw, opset=opset)


def chain_to_onnx(networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *, dtype: DTypeLike = jnp.float32,
                  nchw: bool = False, size: tuple[int, int] | None = None, multiple: int | None = None,
                  batch: int = 1, conditions: Mapping[str, Any] | None = None) -> Any:
    """The ONNX graph of a chain of networks: float32 `lr` in [0, 1] to float32 `sr`, not clipped.

    Height and width of the input are 32 px at least and multiples of jsr.chain.chain_padding's and chain_open_multiple.
    Of networks for clips it is (batch, frames, height, width, C), and the number of frames, 2 at least, stays open
    where it is in them.

    Args:
      networks: {name: module}, in order.
      variables: {name: Flax collections}.
      dtype: dtype of the computation, float32 or float16; parameters are stored in it.
      nchw: input and output are (batch, C, H, W), as other runtimes have them, instead of (batch, H, W, C).
      size: (height, width), px, of the images if all have the same; networks whose shapes cannot be left open need it.
      multiple: open heights and widths are multiples of it, px; None is the chain's, 8 with SAFMN.
      batch: number of images.
      conditions: {name: further keyword arguments of that network}, constants of the graph.

    Returns:
      onnx.ModelProto.

    Raises:
      UserError: dtype is bfloat16; or the package onnx is missing.
      ValueError: as for `to_onnx`.
    """
    if jnp.dtype(dtype) == jnp.bfloat16:
        raise UserError("dtype = bfloat16: few runtimes compute ONNX graphs in it; use float16 or float32")
    if jnp.dtype(dtype) != jnp.float32:
        networks = {name: module.clone(dtype=dtype) for name, module in networks.items()}
    multiple = multiple or math.lcm(chain_padding(networks).multiple, chain_open_multiple(networks))
    clip = chain_frames(networks)
    lead = (batch,) if clip is None else (batch, 2 if clip == "all" else clip)
    example = jax.ShapeDtypeStruct((*lead, *(size or (multiple, multiple)), chain_channels(networks)[0]),
                                   jnp.float32)
    sides = () if size else (len(lead), len(lead) + 1)

    def function(variables, lr):
        return run_chain(networks, list(networks), variables, lr, conditions=conditions)[0]["sr"]

    return _export(function, variables, example, dynamic=(1, *sides) if clip == "all" else sides, multiple=multiple,
                   nchw=nchw)


def _export(function, variables, example, *, input_name="lr", output_name="sr", dynamic, multiple, nchw, opset=OPSET):
    if importlib.util.find_spec("onnx") is None:
        raise UserError(f"ONNX graphs need the package onnx: {install('export')}")
    import onnx

    if opset > (last := onnx.defs.onnx_opset_version()):
        raise UserError(f"opset {opset}: the package onnx here knows those up to {last}")
    shape = open_shape(example.shape, dynamic, multiple)
    graph, out, layouts = traced(function, variables, jax.ShapeDtypeStruct(shape, example.dtype), names=(
        input_name, output_name), dynamic=dynamic, multiple=multiple, nchw=nchw)

    sides = {_axes(shape)[axis]: shape[axis] for axis in dynamic}
    lengths = [[_text(dims[axis], sides) for axis in layout]
               for dims, layout in zip((shape, out.shape), layouts, strict=True)]
    model = graph.to_proto({input_name: (example.dtype, lengths[0])}, {output_name: (out.dtype, lengths[1])}, opset)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as e:
        if opset == OPSET:
            raise
        reason = str(e).strip().partition("\n")[0]
        raise UserError(f"opset {opset}: cannot hold this network ({reason:.100}); opset {OPSET} can") from e
    return model


def traced(function, variables, example, *, names=("lr", "sr"), dynamic=(), multiple=1, nchw=False, writer=Writer):
    """The Graph of a function.

    Args:
      function: function of variables and an image; returns one array.
      variables: nested dicts; the paths become names of constants.
      example: jax.ShapeDtypeStruct of the image, its shape as in `open_shape`.
      names: names of the graph's input and output.
      dynamic, multiple, nchw: see `to_onnx`.
      writer: Writer, or a subclass.

    Returns:
      (Graph, finished; aval of the function's output; the layouts of input and output).
    """
    closed = jax.make_jaxpr(function)(variables, example)
    if len(closed.out_avals) != 1:
        raise ValueError(f"the function returns {len(closed.out_avals)} arrays, not one")
    out, = closed.out_avals
    layouts = [CHANNELS_FIRST.get(len(dims) if nchw else None, tuple(range(len(dims))))
               for dims in (example.shape, out.shape)]
    graph = Graph()
    image = Tensor(names[0], example.shape, layouts[0], np.dtype(example.dtype))
    axes = _axes(example.shape)
    sources = {axes[axis]: (layouts[0].index(axis), multiple if axes[axis] in SIDES else 1) for axis in dynamic}
    own = writer(graph, image, sources)
    result, = own.run(closed.jaxpr, [Constant(np.asarray(const)) for const in closed.consts],
                      [*_named(variables), own.as_image(image)])
    graph.finish(own.in_order(result, out, layouts[1]), names[1])
    return graph, out, layouts


def open_shape(shape, dynamic, multiple, least=LEAST_SIDE):
    """The shape to trace with: `dynamic` axes are open, heights and widths multiples of a number, of `least` px."""
    axes = _axes(shape)
    if unknown := [axis for axis in dynamic if axis not in axes]:
        raise ValueError(f"dynamic = {dynamic}: axis {unknown[0]} is none of {', '.join(map(str, axes))}")
    if not dynamic:
        return tuple(shape)
    texts = {axis: f"{multiple}*{axes[axis]}" if axes[axis] in SIDES else axes[axis] for axis in dynamic}
    least = [f"{text} >= {least if axes[axis] in SIDES else LEAST_FRAMES}" for axis, text in texts.items() if axis]
    return export.symbolic_shape(", ".join(texts.get(axis, str(n)) for axis, n in enumerate(shape)), constraints=least)


def _axes(shape):
    """{axis that may be open: its name} of an input."""
    return DYNAMIC_OF_CLIPS if len(shape) == 5 else DYNAMIC


def _named(variables):
    """A Constant for each leaf, with its path but for the names of collections."""
    return [Constant(np.asarray(leaf), "/".join(key.key for key in path if key.key != "params"))
            for path, leaf in jax.tree_util.tree_leaves_with_path(variables)]


def _text(length, sides):
    """A length as the graph declares it: an int, or a multiple of a side of the input."""
    if isinstance(length, int):
        return length
    for name, side in sides.items():
        times = length // side
        if isinstance(times, int) and times * side == length:
            return name if times == 1 else f"{times}*{name}"
    return str(length)
