"""The same network with the same weights in other libraries, ready to be timed beside ours.

PyTorch and ONNX Runtime are imported by the functions that need them, and only where a comparison asks for them.
"""

from collections.abc import Callable
import copy
import dataclasses
import importlib.util
import logging
from typing import Any
import warnings

import jax
import numpy as np

from jsr import convert

TWINS = {"edsr": "EDSR", "rrdbnet": "RRDBNet"}  # file stem of the network: class of jsr.benchmark.torch_twins
PEERS = {  # what it takes, all of it under the same name in `import` and `pip install`
    "torch": ("torch",),
    "onnxruntime": ("torch", "onnx", "onnxscript", "onnxruntime"),  # PyTorch writes the graph
}


@dataclasses.dataclass(frozen=True)
class Contender:
    """One way to compute the network.

    Attributes:
      name: for tables.
      call: without arguments; computes SR of the one input and returns it when it is there.
      to_numpy: what `call` returns, as a float32 array (N, H, W, C).
    """

    name: str
    call: Callable[[], Any]
    to_numpy: Callable[[Any], np.ndarray]


def contenders(peer, networks, variables, lr, *, threads):
    """What a library has to set against a chain of networks.

    Args:
      peer: a key of PEERS.
      networks: {name: module}, a chain.
      variables: {name: Flax collections}.
      lr: float32 numpy array (N, H, W, 3) in [0, 1], of a size that the network takes.
      threads: CPU threads that the library may use.

    Returns:
      (Contenders, ""), or ([], why there are none).
    """
    stems = [type(model).__module__.rpartition(".")[2] for model in networks.values()]
    missing = [name for name in PEERS[peer] if importlib.util.find_spec(name) is None]
    if len(stems) > 1 or stems[0] not in TWINS:
        return [], f"no PyTorch twin of {' > '.join(stems)}; there is one of {', '.join(TWINS)}"
    if jax.default_backend() != "cpu":
        return [], "compared on a CPU only (JAX_PLATFORMS=cpu)"
    if missing:
        return [], f"not installed: pip install {' '.join(missing)}"
    (name, model), = networks.items()
    twin = torch_twin(model, variables[name])
    make = {"torch": _torch_contenders, "onnxruntime": _onnxruntime_contenders}[peer]
    return make(twin, np.ascontiguousarray(lr.transpose(0, 3, 1, 2)), threads), ""


def torch_twin(model, variables):
    """The PyTorch module, in evaluation mode, that computes what a network of TWINS does with its variables.

    Args:
      model: a network whose file stem is in TWINS.
      variables: its Flax collections.
    """
    import torch

    from jsr.benchmark import torch_twins

    stem = type(model).__module__.rpartition(".")[2]
    twin = getattr(torch_twins, TWINS[stem])(model)
    tensors = convert.to_torch(variables, convert.formats(model)["basicsr"])
    twin.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()}, strict=True)
    return twin.eval()


def onnx_bytes(twin, lr):
    """The ONNX file of a PyTorch module for inputs of one size.

    Args:
      twin: torch.nn.Module.
      lr: numpy array (N, C, H, W), an input.

    Returns:
      The serialised model; its one input and its one output are NCHW.
    """
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which is not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own use of what it deprecated
        program = torch.onnx.export(twin, (torch.from_numpy(lr),), dynamo=True, verbose=False)
    return program.model_proto.SerializeToString()


def _torch_contenders(twin, lr, threads):
    """Eager PyTorch, in its own memory layout and in the one that its convolutions may prefer."""
    import torch

    torch.set_num_threads(threads)

    def contender(name, memory_format):
        module = copy.deepcopy(twin).to(memory_format=memory_format)
        image = torch.from_numpy(lr).to(memory_format=memory_format)

        def call():
            with torch.inference_mode():
                return module(image)

        return Contender(name, call, lambda sr: sr.numpy().transpose(0, 2, 3, 1))

    return [contender("PyTorch", torch.contiguous_format), contender("PyTorch channels_last", torch.channels_last)]


def _onnxruntime_contenders(twin, lr, threads):
    """ONNX Runtime's CPU provider with its default optimisations of the graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx_bytes(twin, lr), options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: lr}
    return [Contender("ONNX Runtime", lambda: session.run(None, inputs)[0], lambda sr: sr.transpose(0, 2, 3, 1))]
