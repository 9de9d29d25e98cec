"""The training step of a recipe as a user of PyTorch would write it.

The network is the graph that jsr.onnx_graph.write writes of it, as it trains, with the same parameters: PyTorch's own
branches where it has re-parameterised blocks. A step is zero_grad, forward, loss, backward and Adam. What a recipe's
step does besides, from the uint8 batch and its augmentation to the average of the parameters, is left out here: the
loop is given the images as they were when our network saw them. A step counts only where the first losses are ours.

Importing this imports PyTorch and ONNX.
"""

from collections.abc import Callable
import copy
import dataclasses
import operator

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from jsr.onnx_graph.write import chain_to_onnx
from jsr.parallel import cores
from jsr.timing import torch_graph
from jsr.timing.upscaling import brief

LOSSES = {"l1": F.l1_loss, "mse": F.mse_loss}
DEVICES = {"cpu": "cpu", "gpu": "cuda"}  # JAX's name of a backend: PyTorch's
WAYS = {  # a peer of jsr.timing.peers: {name for tables: (memory format, what is made of the module)}
    "torch": {"PyTorch": (torch.contiguous_format, lambda module: module),
              "PyTorch channels_last": (torch.channels_last, lambda module: module)},
    "torch_compile": {"torch.compile": (torch.channels_last, lambda module: torch.compile(module, dynamic=False))},
}
BOUNDS = {"float32": 1e-3, "bfloat16": 2e-2}  # of a loss's difference from ours, of its value, by the compute dtype


@dataclasses.dataclass(frozen=True)
class FirstSteps:
    """The inputs and results of jsr's first steps, one after the other.

    Attributes:
      lr, hr: lists of float32 numpy arrays (N, H, W, C) in [0, 1].
      losses, rates: lists of floats; the rates are learning rates.
    """

    lr: list
    hr: list
    losses: list
    rates: list


@dataclasses.dataclass(frozen=True)
class StepContender:
    """A way to take the step.

    Attributes:
      name: name in tables.
      step: without arguments, returns when it is done; None where it is not to be timed.
      loss_error: the largest difference of its first losses from ours, of their values; None where it took no step.
      note: why it is not timed, or a remark on it.
    """

    name: str
    step: Callable | None = None
    loss_error: float | None = None
    note: str = ""


def contenders(peer, recipe, networks, variables, seen):
    """PyTorch's peers of the step of a recipe's first stage, on the device that JAX uses.

    Args:
      peer: a key of WAYS.
      recipe: Recipe.
      networks: {name: module} of the chain, in its order, but for those without parameters at its head.
      variables: {name: Flax collections}, numpy arrays, those with which ours began.
      seen: a FirstSteps.

    Returns:
      list of Contenders.

    Raises:
      ValueError: as for `trainable`.
    """
    if reason := why_not(recipe):
        return [StepContender(peer, note=reason)]
    networks = {name: module.clone(dtype=jnp.float32) for name, module in networks.items()}
    batch, *size, _ = seen.lr[0].shape
    module, made = trainable(networks, variables, size=tuple(size), batch=batch)
    torch.set_num_threads(cores())
    from torch._inductor import config as inductor  # takes a second to import

    inductor.compile_threads = 1  # its workers are forks, which JAX's threads do not survive
    note = f"{made:,} parameters are replaced by values computed from them" if made else ""
    return [_compared(name, module, recipe, seen, note, *way) for name, way in WAYS[peer].items()]


def _compared(name, module, recipe, seen, note, memory_format, prepare):
    """A StepContender after its first steps."""
    try:
        own = copy.deepcopy(module).to(DEVICES[jax.default_backend()], memory_format=memory_format)
        step = torch_step(prepare(own), recipe, seen, memory_format)
        losses = np.array([step(number).item() for number in range(len(seen.losses))])
    except Exception as e:  # of a foreign library, whatever it is; torch.compile compiles here
        return StepContender(name, note=f"not timed: {brief(e)}")
    error = float(np.abs(losses / seen.losses - 1).max())
    if not error <= BOUNDS[recipe.dtype]:
        return StepContender(name, loss_error=error,
                             note=f"not timed: its losses are up to {error:.1%} off: another step")
    return StepContender(name, step, error, note)


def why_not(recipe):
    """Why a recipe's first stage is more than the plain loop has; "" where it is not."""
    stage = recipe.stages[0]
    player = stage.players[0]
    losses = [(row["fn"], row["pred"], row["target"]) for row in player.losses]
    extras = {
        "several players": len(stage.players) > 1,
        "networks that are not trained, or outside the chain": sorted(player.nets) != sorted(recipe.networks),
        f"losses other than {' and '.join(LOSSES)} of sr and hr": not {*losses} <= {(fn, "sr", "hr") for fn in LOSSES},
        f"the optimizer {player.optimizer['name']}": player.optimizer["name"] != "adam",
        "frozen parameters": bool(player.freeze),
        "accumulated gradients": stage.accumulate > 1,
        "frozen statistics": stage.frozen_statistics,
        f"dtype {recipe.dtype}": recipe.dtype not in BOUNDS,
        f"a {jax.default_backend()}": jax.default_backend() not in DEVICES,
        f"{jax.device_count()} devices": jax.device_count() > 1,
    }
    found = [what for what, present in extras.items() if present]
    return f"not written in PyTorch here: {', '.join(found)}" if found else ""


def trainable(networks, variables, *, size, batch):
    """A chain of networks as a PyTorch module whose parameters learn.

    Args:
      networks: {name: module}, in order, in float32.
      variables: {name: Flax collections}.
      size, batch: size of the input, (height, width) and number of images.

    Returns:
      (torch.fx.GraphModule, number of parameters that it does not have one by one, but only what they make: such as
      tables that a small network computes, which learn instead of it).

    Raises:
      ValueError: the network has statistics of its batches; or as for jsr.onnx_graph.write and jsr.timing.torch_graph.
    """
    if any("batch_stats" in collections for collections in variables.values()):
        raise ValueError("BatchNorm, whose statistics in training are not in the graph")
    proto = chain_to_onnx(networks, variables, nchw=True, size=size, batch=batch)
    module, params = torch_graph.module(proto), _by_path(variables)
    missing = {path: param.size for path, param in params.items()}
    own = dict(module.named_parameters())
    for index, tensor in enumerate(proto.graph.initializer):
        weight, param = own.get(f"weight_{index}"), params.get(tensor.name)
        if weight is None or param is None:
            continue
        weight.requires_grad_()
        if _is_filter(weight, param):
            _split(module, f"weight_{index}", torch.tensor(param).reshape(-1, 1, 1, 1))
            del missing[tensor.name]
        elif weight.numel() == param.size and np.array_equal(np.sort(weight.detach().ravel()), np.sort(param.ravel())):
            del missing[tensor.name]
    return module, sum(missing.values())


def _by_path(variables):
    """{path as in the names of the graph: array} of the parameters of networks by name."""
    return {"/".join([name, *(key.key for key in path)]): np.asarray(leaf) for name, collections in variables.items()
            for path, leaf in jax.tree_util.tree_leaves_with_path(collections["params"])}


def _is_filter(weight, param):
    """Whether a kernel is a fixed filter times a learned scale for each feature (jsr.layers.rep.Edge)."""
    return weight.ndim == 4 and param.shape == (1, 1, 1, len(weight)) and weight.numel() > param.size


def _split(module, name, scale):
    """Has a module make a kernel of a learned scale (C, 1, 1, 1) and the filter, as users write it."""
    kernel, largest = module.get_parameter(name).detach(), int(scale.abs().argmax())
    setattr(module, name, nn.Parameter(scale))
    module.register_buffer(f"{name}_filter", kernel[largest] / scale[largest])
    node, = module.graph.find_nodes(op="get_attr", target=name)
    with module.graph.inserting_after(node):
        fixed = module.graph.get_attr(f"{name}_filter")
    with module.graph.inserting_after(fixed):
        product = module.graph.call_function(operator.mul, (node, fixed))
    node.replace_all_uses_with(product, delete_user_cb=lambda user: user is not product)
    module.recompile()


def torch_step(module, recipe, seen, memory_format):
    """The step of a module that lies where and as it is to be computed.

    Args:
      module: PyTorch module, (N, C, H, W) to (N, C, H', W').
      recipe: Recipe for which `why_not` has nothing to say.
      seen: a FirstSteps.
      memory_format: memory format of the images.

    Returns:
      step(number=-1): an update by what our step of that number saw, at its rate of learning; returns the loss, a
      float32 tensor, when all is done.
    """
    player = recipe.stages[0].players[0]
    params = [param for param in module.parameters() if param.requires_grad]
    device, options = params[0].device, player.optimizer
    optimizer = torch.optim.Adam(params, betas=(options.get("b1", 0.9), options.get("b2", 0.999)),
                                 eps=options.get("eps", 1e-8), weight_decay=options.get("weight_decay", 0.0))

    def put(images):
        return torch.from_numpy(images).permute(0, 3, 1, 2).to(device).contiguous(memory_format=memory_format)

    batches = [(put(lr), put(hr)) for lr, hr in zip(seen.lr, seen.hr, strict=True)]

    def step(number=-1):
        lr, hr = batches[number]
        optimizer.param_groups[0]["lr"] = seen.rates[number]
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
            sr = module(lr)
        loss = sum(row["weight"] * LOSSES[row["fn"]](sr.float(), hr) for row in player.losses)
        loss.backward()
        if player.clip_norm:
            nn.utils.clip_grad_norm_(params, player.clip_norm)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return loss.detach()

    return step
