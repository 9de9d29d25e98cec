"""The same network with the same weights in other libraries, ready to be timed beside ours.

All of them compute the graph that jsr.onnx_graph.write writes, for one size: PyTorch as a module of its own functions,
ONNX Runtime and OpenVINO as it is, ncnn as pnnx, its converter, translates it. They are imported by the functions that
need them, and only where a comparison asks.
"""

from collections.abc import Callable
import copy
import dataclasses
import importlib.util
from typing import Any

import jax
import numpy as np

from jsr.errors import UserError
from jsr.export import ncnn
from jsr.inference import runtimes
from jsr.native import import_onnxruntime, import_openvino

PEERS = {  # what they need, all of it under the same name in `import` and `pip install`
    "torch": ("onnx", "torch"),
    "torch_compile": ("onnx", "torch"),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "ncnn": ("onnx", "ncnn", "pnnx"),
}
_DEVICES = {"cpu": "cpu", "gpu": "cuda"}  # JAX's name of a backend: PyTorch's


@dataclasses.dataclass(frozen=True)
class Contender:
    """One way to compute the network.

    Attributes:
      name: name in tables.
      call: without arguments; computes SR of the one input and returns it when it is there.
      to_numpy: what `call` returns, as a float32 array (N, H, W, C).
    """

    name: str
    call: Callable[[], Any]
    to_numpy: Callable[[Any], np.ndarray]


def ours(runtime, graph, lr):
    """The same chain in another runtime that `jsr upscale` may choose, in float32.

    Args:
      runtime: key of jsr.inference.runtimes.OTHERS.
      graph: function of a size, None for any, to the onnx.ModelProto that jsr.inference.chain makes for it.
      lr: float32 numpy array (N, H, W, 3) in [0, 1], of a size that the network takes.

    Returns:
      ([one Contender], ""), or ([], why there is none).
    """
    try:
        runtimes.check_name(runtime)
    except UserError as e:
        return [], str(e)
    run = runtimes.opened(runtime, lambda size: graph(size).SerializeToString())
    return [Contender(f"jsr ({runtime})", lambda: run(lr), np.asarray)], ""


def contenders(peer, graph, lr, *, threads, dtype="float32"):
    """A library's peers of a chain of networks, on the device that JAX uses.

    Args:
      peer: a key of PEERS.
      graph: function from a dtype's name to the onnx.ModelProto of the chain, computing in it, for inputs of this size.
      lr: float32 numpy array (N, H, W, 3) in [0, 1], of a size that the network takes.
      threads: CPU threads that the library may use.
      dtype: "float32", "float16" or "bfloat16", to compute in.

    Returns:
      (Contenders, ""), or ([], why there are none).
    """
    if note := missing(peer):
        return [], note
    if jax.default_backend() not in _DEVICES:
        return [], f"does not run on a {jax.default_backend()}"
    return _MAKERS[peer](graph, np.ascontiguousarray(lr.transpose(0, 3, 1, 2)), threads, dtype)


def _torch(graph, lr, threads, dtype):
    """Eager PyTorch, in its own memory layout and in the one that its convolutions may prefer."""
    import torch

    return _of_torch(graph, lr, threads, dtype, {
        "PyTorch": (torch.contiguous_format, lambda module: module),
        "PyTorch channels_last": (torch.channels_last, lambda module: module)})


def _torch_compile(graph, lr, threads, dtype):
    """torch.compile in its default mode; on a CPU it needs a C++ compiler."""
    import torch
    from torch._inductor import config

    config.compile_threads = 1  # its workers are forks, which JAX's threads do not survive
    return _of_torch(graph, lr, threads, dtype, {
        "torch.compile": (torch.channels_last, lambda module: torch.compile(module, dynamic=False))})


def _of_torch(graph, lr, threads, dtype, ways):
    """Contenders of {name: (memory format, transformation of the module)}."""
    import torch

    from jsr.timing import torch_graph

    device = _DEVICES[jax.default_backend()]
    if device == "cuda" and not torch.cuda.is_available():
        return [], "this PyTorch sees no GPU"
    torch.set_num_threads(threads)
    module = torch_graph.module(graph("float32"))
    settings = dict(device=device, dtype=getattr(torch, dtype))

    def contender(name, memory_format, prepare):
        ready = prepare(copy.deepcopy(module).to(memory_format=memory_format, **settings))
        image = torch.from_numpy(lr).to(memory_format=memory_format, **settings)

        def call():
            with torch.inference_mode():
                sr = ready(image)
            if device == "cuda":
                torch.cuda.synchronize()
            return sr

        return Contender(name, call, lambda sr: _nhwc(sr.float().cpu().numpy()))

    return [contender(name, *way) for name, way in ways.items()], ""


def _onnxruntime(graph, lr, threads, dtype):
    """ONNX Runtime with its default optimisations of the graph; input and output stay on the device."""
    onnxruntime = import_onnxruntime()
    device = _DEVICES[jax.default_backend()]
    provider = f"{device.upper()}ExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        return [], f"this ONNX Runtime has no {provider}"
    if dtype == "bfloat16":
        return [], "no bfloat16"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph(dtype).SerializeToString(), options, providers=[provider])
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(lr, device, 0))
    binding.bind_output(session.get_outputs()[0].name, device)

    def call():
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding

    return [Contender("ONNX Runtime", call, lambda done: _nhwc(done.copy_outputs_to_cpu()[0]))], ""


def _openvino(graph, lr, threads, dtype):
    """OpenVINO's CPU plugin, told not to fall back on a shorter dtype by itself."""
    if jax.default_backend() != "cpu":
        return [], "compared on a CPU only (JAX_PLATFORMS=cpu)"
    openvino = import_openvino()
    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[dtype]}
    model = core.read_model(graph("float32").SerializeToString())
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(lr))

    def call():
        request.infer()
        return request.get_output_tensor().data

    return [Contender("OpenVINO", call, _nhwc)], ""


def _ncnn(graph, lr, threads, dtype):
    """ncnn on the CPU, the engine of the desktop programs."""
    if jax.default_backend() != "cpu" or dtype != "float32":
        return [], "compared on a CPU in float32 only"
    if len(lr) > 1:
        return [], "takes one image at a time"
    run = ncnn.plan(*ncnn.of_onnx(graph(dtype), [lr.shape]), threads=threads)
    return [Contender("ncnn", lambda: run(lr[0]), lambda sr: _nhwc(np.array(sr)[None]))], ""


def missing(peer):
    """The package to install for a peer, a key of PEERS, in one line; "" for nothing."""
    names = [name for name in PEERS[peer] if importlib.util.find_spec(name) is None]
    return f"not installed: pip install {' '.join(names)}" if names else ""


_MAKERS = {"torch": _torch, "torch_compile": _torch_compile, "onnxruntime": _onnxruntime, "openvino": _openvino,
           "ncnn": _ncnn}


def _nhwc(sr):
    return sr.transpose(0, 2, 3, 1)
