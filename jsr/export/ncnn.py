"""ncnn files of plain networks, for the programs that compute them by Vulkan: Upscayl, video2x, Real-ESRGAN-ncnn.

    param, weights = ncnn.convert(networks, variables)     # the bytes of model.param and of model.bin
    sr = ncnn.load(param, weights)(lr)                     # float32 (1, H, W, C) to (1, H * scale, W * scale, C)

pnnx, ncnn's own converter, makes them of the ONNX graph. It makes something else of some networks and says nothing, so
that what it gives has to be run and compared (jsr.export.check).
"""

from collections.abc import Callable, Mapping, Sequence
import copy
import importlib
import importlib.util
import math
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any

import flax.linen as nn
import numpy as np

from jsr.chain import chain_channels, chain_open_multiple, chain_padding
from jsr.errors import UserError, install
from jsr.onnx_graph import LEAST_SIDE
from jsr.onnx_graph.write import chain_to_onnx

# A network may end the process that computes it, without an exception: the first time it is another one.
_TRIAL = """
import sys, ncnn, numpy
param, weights, *shape = sys.argv[1:]
net = ncnn.Net()
if not net.load_param(param) and not net.load_model(weights):
    image, extractor = numpy.zeros([int(side) for side in shape], numpy.float32), net.create_extractor()
    extractor.input("data", ncnn.Mat(image))  # which does not keep it
    extractor.extract("output")
"""
NAMES = {"in0": "data", "out0": "output"}  # pnnx's names of input and output: those that Real-ESRGAN-ncnn-vulkan knows


def multiple(networks: Mapping[str, nn.Module]) -> int:
    """The number of px that height and width of the images are multiples of: nothing is padded in the file."""
    return math.lcm(chain_padding(networks).multiple, chain_open_multiple(networks))


def convert(networks: Mapping[str, nn.Module], variables: Mapping[str, Any], *, half: bool = False
            ) -> tuple[bytes, bytes]:
    """The bytes of the .param and of the .bin of a chain of networks: float32 RGB in [0, 1] to float32, not clipped.

    Args:
      networks: {name: module}, in order.
      variables: {name: Flax collections}.
      half: parameters are stored as float16.

    Raises:
      UserError: a network cannot be said in ONNX for any size, or pnnx gives up; the packages pnnx or onnx are missing.
    """
    try:
        model = chain_to_onnx(networks, variables, nchw=True)
    except UserError:
        raise
    except Exception as e:  # of many classes: a network may do anything with the sizes that it is given
        raise UserError(f"ncnn takes only plain networks, and this is none ({type(e).__name__}: {e!s:.80})") from e
    side, channels = -(-LEAST_SIDE // multiple(networks)) * multiple(networks), chain_channels(networks)[0]
    return of_onnx(model, [(1, channels, side * height, side * width) for height, width in ((1, 2), (3, 2))], half=half)


def of_onnx(model: Any, shapes: Sequence[tuple[int, int, int, int]], *, half: bool = False) -> tuple[bytes, bytes]:
    """The bytes of the .param and of the .bin of an ONNX graph, an onnx.ModelProto.

    Args:
      model: the graph; one input and one output, both float32 (N, C, H, W).
      shapes: one or two shapes of the input; sizes in which two differ are open in the files.
      half: parameters are stored as float16.

    Raises:
      UserError: pnnx gives up, or ncnn, where it is installed, crashes; the package pnnx is missing.
    """
    pnnx = importlib.util.find_spec("pnnx")  # is not imported: that imports PyTorch, of which ONNX graphs need nothing
    if pnnx is None or not pnnx.submodule_search_locations:
        raise UserError(f"ncnn files are made by the package pnnx: {install('ncnn')}")
    _in_its_words(model := copy.deepcopy(model))
    texts = ["[{}]f32".format(",".join(map(str, shape))) for shape in shapes]
    options = [f"inputshape{number}={text}" for number, text in zip(("", "2"), texts, strict=False)]
    program, = (path for path in Path(pnnx.submodule_search_locations[0]).iterdir()
                if path.name in ("pnnx", "pnnx.exe"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "m.onnx").write_bytes(model.SerializeToString())
        done = subprocess.run([program, "m.onnx", *options, f"fp16={int(half)}"], cwd=folder, capture_output=True,
                              text=True, errors="replace")
        files = [Path(folder, f"m.ncnn.{kind}") for kind in ("param", "bin")]
        if done.returncode or not all(path.is_file() for path in files):
            last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
            raise UserError(f"pnnx cannot convert this network (status {done.returncode}: {last:.100})")
        param, weights = (path.read_bytes() for path in files)
        lines = [" ".join(NAMES.get(word, word) for word in line.split()) for line in param.decode().splitlines()]
        param = "\n".join([*lines, ""]).encode()
        if importlib.util.find_spec("ncnn"):
            files[0].write_bytes(param)
            tried = subprocess.run([sys.executable, "-c", _TRIAL, *files, *map(str, shapes[0][1:])],
                                   capture_output=True)
            if tried.returncode:
                raise UserError(f"ncnn crashes when it computes this network (status {tried.returncode})")
    return param, weights


def load(param: bytes, weights: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """A function that computes what `convert` made in ncnn, on the CPU in float32, clipped to [0, 1].

    Returns:
      Function of lr, float32 (1, H, W, C), to sr, float32 (1, H * scale, W * scale, C).

    Raises:
      UserError: as for `plan`.
    """
    run = plan(param, weights)

    def upscale(lr):
        sr = run(np.ascontiguousarray(lr[0].transpose(2, 0, 1)))
        return np.clip(np.array(sr), 0, 1).transpose(1, 2, 0)[None]

    return upscale


def plan(param: bytes, weights: bytes, *, threads: int = 0) -> Callable[[np.ndarray], Any]:
    """A function that computes the two files in ncnn, on the CPU in float32, as they are.

    Args:
      param, weights: what `convert` or `of_onnx` made.
      threads: CPU threads; 0 leaves the number to ncnn.

    Returns:
      Function of lr, contiguous float32 (C, H, W), to an ncnn.Mat, of which np.array makes a float32 array (C, H, W).

    Raises:
      UserError: ncnn does not take the files, or cannot compute them; the package ncnn is missing.
    """
    if importlib.util.find_spec("ncnn") is None:
        raise UserError(f"ncnn files are checked by the package ncnn: {install('ncnn')}")
    ncnn = importlib.import_module("ncnn")  # an import statement looks like one of this file to type checkers
    net = ncnn.Net()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    if threads:
        net.opt.num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("m.param", "m.bin")]
        for path, content in zip(files, (param, weights), strict=True):
            path.write_bytes(content)
        if net.load_param(str(files[0])) or net.load_model(str(files[1])):
            raise UserError("ncnn lacks layers that this network needs")

    def run(lr):
        with net.create_extractor() as extractor:
            extractor.input("data", ncnn.Mat(lr))  # which reads it where it lies, and does not keep it
            status, sr = extractor.extract("output")
            if status:
                raise UserError(f"ncnn cannot compute this network (status {status})")
            return sr

    return run


def _in_its_words(model):
    """Writes what pnnx takes for something else as convolutions by ones and zeros.

    A choice of channels, of whose list it takes the first alone; and the channels of SpaceToDepth, which are in the
    order (row, column, channel), and which it takes for PyTorch's, (channel, row, column).
    """
    from onnx import helper, numpy_helper

    constants = {row.name: row for row in model.graph.initializer}
    channels = {row.name: row.type.tensor_type.shape.dim[1].dim_value for row in model.graph.input}

    def chosen(number, indices, source, target):
        kernel = np.eye(number, dtype=np.float32)[indices][:, :, None, None]
        model.graph.initializer.append(numpy_helper.from_array(kernel, f"{target}_chosen"))
        return helper.make_node("Conv", [source, f"{target}_chosen"], [target], name=f"{target}_chosen",
                                kernel_shape=(1, 1))

    nodes = []
    for node in model.graph.node:
        source, target = node.input[0], node.output[0]
        nodes.append(node)
        if node.op_type == "Conv" and node.input[1] in constants:  # else its kernel is computed
            channels[target] = constants[node.input[1]].dims[0]
        elif node.op_type == "SpaceToDepth" and source in channels:
            side = helper.get_node_attr_value(node, "blocksize")
            order = np.arange(channels[source] * side**2).reshape(channels[source], -1).T.ravel()
            node.output[0], channels[target] = f"{target}_of_pytorch", order.size
            nodes.append(chosen(order.size, order, node.output[0], target))
        elif node.op_type == "Gather" and node.input[1] in constants and channels.get(source):
            indices = numpy_helper.to_array(constants[node.input[1]])
            if indices.ndim == 1 and helper.get_node_attr_value(node, "axis") == 1:
                nodes[-1] = chosen(channels[source], indices, source, target)
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
