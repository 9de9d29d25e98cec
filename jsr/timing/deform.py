"""Deformable convolution and its gradient: jsr's, PyTorch's operators put together, and ONNX Runtime's."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from jsr.errors import UserError
from jsr.layers.deform import deform_convolve
from jsr.native import import_onnxruntime
from jsr.onnx_graph.write import to_onnx
from jsr.timing import timing
from jsr.torch_code.operators import FUNCTIONS

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = None


def measure_deform(*, features, groups, size, reach, rounds):
    """Times a 3x3 deformable convolution with masks, of twice the features as BasicVSR++ has it, and its gradients.

    PyTorch has none of its own; torchvision's, where it is installed, and `grid_sample` with a product stand for it.

    Args:
      features: out; twice as many go in.
      groups: number of groups of offsets.
      size: (height, width).
      reach: px, the most that a tap is moved.
      rounds: timed calls of each.

    Returns:
      {features, groups, size, reach, rows: [{name, what, error, compile_s and timing.spread}]}; `what` is "forward" or
      "gradient", error the largest difference from jsr's, of its largest value.
    """
    draw = np.random.default_rng(0)
    x, offset, kernel, mask = given = [array.astype(np.float32) for array in (
        draw.normal(size=(1, *size, 2 * features)), draw.uniform(-reach, reach, (1, *size, 18 * groups)),
        draw.normal(size=(3, 3, 2 * features, features)) / 50, draw.random((1, *size, 9 * groups)))]
    forward = jax.jit(deform_convolve)
    gradient = jax.jit(jax.grad(lambda *given: jnp.square(deform_convolve(*given)).mean(), (0, 1, 2, 3)))
    on_device, rows = jax.device_put(given), []
    for what, function in (("forward", forward), ("gradient", gradient)):
        begin = time.perf_counter()
        run = function.lower(*on_device).compile()
        compile_s = time.perf_counter() - begin
        calls = {"jsr": lambda run=run: jax.block_until_ready(run(*on_device))}
        calls |= _of_torch(given, what == "gradient")
        if what == "forward" and (own := _of_onnxruntime(given)):
            calls["ONNX Runtime"] = own
        results = {name: _flat(call()) for name, call in calls.items()}
        seconds = timing.interleaved(calls, rounds)
        ours = results["jsr"]
        rows += [{"name": name, "what": what, "error": float(np.abs(found - ours).max() / np.abs(ours).max()),
                  "compile_s": compile_s if name == "jsr" else None, **timing.spread(seconds[name])}
                 for name, found in results.items()]
    return {"features": features, "groups": groups, "size": list(size), "reach": reach, "rows": rows}


def _flat(result):
    """The first array of a result, NHWC: the output, or the gradient with respect to the image."""
    first = result[0] if isinstance(result, (list, tuple)) else result
    return np.asarray(first) if isinstance(first, jax.Array) else np.asarray(first).transpose(0, 2, 3, 1)


def _of_torch(given, with_gradient):
    """{name: call} of PyTorch's."""
    if torch is None:
        return {}
    x, offset, kernel, mask = (torch.from_numpy(np.ascontiguousarray(array.transpose(axes))) for array, axes in zip(
        given, ((0, 3, 1, 2), (0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)), strict=True))
    names = {"torch": torch, "F": F}
    exec(FUNCTIONS["deform_conv2d"], names)
    kinds = {"PyTorch, grid_sample": lambda x, offset, kernel, mask: names["deform_conv2d"](
        x, offset, kernel, mask, padding=1)}
    try:
        from torchvision.ops import deform_conv2d
        kinds["torchvision"] = lambda x, offset, kernel, mask: deform_conv2d(x, offset, kernel, padding=1, mask=mask)
    except (ImportError, RuntimeError):  # the latter where its build is not PyTorch's
        pass

    def call(function):
        if not with_gradient:
            with torch.inference_mode():
                return function(x, offset, kernel, mask).numpy()
        leaves = [leaf.requires_grad_() for leaf in (x, offset, kernel, mask)]
        gradients = torch.autograd.grad(function(*leaves).square().mean(), leaves)
        return [gradient.numpy() for gradient in gradients]

    return {name: lambda function=function: call(function) for name, function in kinds.items()}


def _of_onnxruntime(given):
    """The call of ONNX Runtime's DeformConv, with as many threads as PyTorch; None where it is not installed."""
    x, offset, kernel, mask = given
    try:
        runtime = import_onnxruntime()
        ends = np.cumsum([offset.shape[-1], x.shape[-1]])

        def function(joined):
            offset, x, mask = jnp.split(joined, ends, -1)
            return deform_convolve(x, offset, kernel, mask)

        joined = np.concatenate([offset, x, mask], -1)
        graph = to_onnx(function, jax.ShapeDtypeStruct(joined.shape, np.float32), dynamic=(), nchw=True)
    except (ImportError, UserError):
        return None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads() if torch is not None else 0
    session = runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    image = np.ascontiguousarray(joined.transpose(0, 3, 1, 2))
    return lambda: session.run(None, {"lr": image})[0]
