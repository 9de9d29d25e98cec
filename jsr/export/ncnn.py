"""ncnn files of plain networks, for the programs that compute them by Vulkan: Upscayl, video2x, Real-ESRGAN-ncnn.

    param, weights = ncnn.convert(networks, variables)     # the bytes of model.param and of model.bin
    sr = ncnn.load(param, weights)(lr)                     # float32 (1, H, W, C) to (1, H * scale, W * scale, C)

pnnx, ncnn's own converter, makes them of the ONNX graph. It makes something else of some networks and says nothing, so
that what it gives has to be run and compared (jsr.export.check).
"""

from collections.abc import Callable, Mapping
import importlib
import importlib.util
import math
from pathlib import Path
import subprocess
import tempfile
from typing import Any

import flax.linen as nn
import numpy as np

from jsr.chain import chain_channels, chain_open_multiple, chain_padding
from jsr.errors import UserError, install
from jsr.onnx_graph import LEAST_SIDE
from jsr.onnx_graph.write import chain_to_onnx

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
    pnnx = importlib.util.find_spec("pnnx")  # is not imported: that imports PyTorch, of which ONNX graphs need nothing
    if pnnx is None or not pnnx.submodule_search_locations:
        raise UserError(f"ncnn files are made by the package pnnx: {install('ncnn')}")
    try:
        model = chain_to_onnx(networks, variables, nchw=True)
    except UserError:
        raise
    except Exception as e:  # of many classes: a network may do anything with the sizes that it is given
        raise UserError(f"ncnn takes only plain networks, and this is none ({type(e).__name__}: {e!s:.80})") from e
    _without_gathers(model)
    side, channels = -(-LEAST_SIDE // multiple(networks)) * multiple(networks), chain_channels(networks)[0]
    shapes = [f"[1,{channels},{side * height},{side * width}]f32" for height, width in ((1, 2), (3, 2))]
    program, = (path for path in Path(pnnx.submodule_search_locations[0]).iterdir()
                if path.name in ("pnnx", "pnnx.exe"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "m.onnx").write_bytes(model.SerializeToString())
        done = subprocess.run([program, "m.onnx", f"inputshape={shapes[0]}", f"inputshape2={shapes[1]}",
                               f"fp16={int(half)}"], cwd=folder, capture_output=True, text=True, errors="replace")
        files = [Path(folder, f"m.ncnn.{kind}") for kind in ("param", "bin")]
        if done.returncode or not all(path.is_file() for path in files):
            last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
            raise UserError(f"pnnx cannot convert this network (status {done.returncode}: {last:.100})")
        param, weights = (path.read_bytes() for path in files)
    lines = [" ".join(NAMES.get(word, word) for word in line.split()) for line in param.decode().splitlines()]
    return "\n".join([*lines, ""]).encode(), weights


def load(param: bytes, weights: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """A function that computes what `convert` made in ncnn, on the CPU in float32, clipped to [0, 1].

    Returns:
      Function of lr, float32 (1, H, W, C), to sr, float32 (1, H * scale, W * scale, C).

    Raises:
      UserError: ncnn does not take the files; the package ncnn is missing.
    """
    if importlib.util.find_spec("ncnn") is None:
        raise UserError(f"ncnn files are checked by the package ncnn: {install('ncnn')}")
    ncnn = importlib.import_module("ncnn")  # an import statement looks like one of this file to type checkers
    net = ncnn.Net()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("m.param", "m.bin")]
        for path, content in zip(files, (param, weights), strict=True):
            path.write_bytes(content)
        if net.load_param(str(files[0])) or net.load_model(str(files[1])):
            raise UserError("ncnn lacks layers that this network needs")

    def run(lr):
        image = np.ascontiguousarray(lr[0].transpose(2, 0, 1))  # which ncnn reads where it lies, and does not keep
        with net.create_extractor() as extractor:
            extractor.input("data", ncnn.Mat(image))
            status, sr = extractor.extract("output")
            if status:
                raise UserError(f"ncnn cannot compute this network (status {status})")
            return np.clip(np.array(sr), 0, 1).transpose(1, 2, 0)[None]

    return run


def _without_gathers(model):
    """Writes a choice of channels as a convolution by ones and zeros: pnnx takes the first of a list for the list."""
    from onnx import helper, numpy_helper

    constants = {row.name: row for row in model.graph.initializer}
    channels = {row.name: row.type.tensor_type.shape.dim[1].dim_value for row in model.graph.input}
    for node in model.graph.node:
        if node.op_type == "Conv":
            channels[node.output[0]] = constants[node.input[1]].dims[0]
        if node.op_type != "Gather" or node.input[1] not in constants or not channels.get(node.input[0]):
            continue
        indices = numpy_helper.to_array(constants[node.input[1]])
        if indices.ndim == 1 and helper.get_node_attr_value(node, "axis") == 1:
            kernel = np.eye(channels[node.input[0]], dtype=np.float32)[indices][:, :, None, None]
            model.graph.initializer.append(numpy_helper.from_array(kernel, f"{node.name}_kernel"))
            node.CopyFrom(helper.make_node("Conv", [node.input[0], f"{node.name}_kernel"], node.output, name=node.name,
                                           kernel_shape=(1, 1)))
