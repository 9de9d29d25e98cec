"""A gradient step through re-parameterised blocks: by their branches, fused, and by PyTorch's branches."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr import reparam
from jsr.benchmark import timing
from jsr.layers import rep
from jsr.layers.rep import RepConv

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = None


class Stack(nn.Module):
    """Blocks of one kind with a GELU after each; features keep their number."""

    block: str
    depth: int
    deploy: bool = False

    @nn.compact
    def __call__(self, x):
        for index in range(self.depth):
            x = nn.gelu(RepConv(x.shape[-1], rep.block(self.block), deploy=self.deploy, name=f"block_{index}")(x))
        return x


def measure_blocks(block, *, features, depth, batch, size, rounds):
    """Times the gradient of a mean square with respect to all parameters of a stack of blocks.

    Args:
      block: name in jsr.layers.rep.BLOCKS, of a block without BatchNorm.
      features: in and out.
      depth: blocks.
      batch, size: of the input, (height, width).
      rounds: timed calls of each.

    Returns:
      {block, features, depth, batch, size, params, rows: [{name, error, compile_s and timing.spread}]}; error is the
      largest difference from the gradient through our branches, of the largest gradient. PyTorch is among the rows
      where it is installed.

    Raises:
      ValueError: the block has BatchNorm, or a part that is not written in PyTorch here.
    """
    stack, x = Stack(block, depth), np.random.default_rng(0).normal(size=(batch, *size, features)).astype(np.float32)
    variables = jax.jit(stack.init)(jax.random.key(0), x[:1, :8, :8])
    if "batch_stats" in variables:
        raise ValueError("it has BatchNorm, through which nothing is trained fused")
    shape = (1, 8, 8, features)

    def loss(params, x, fused):
        if fused:
            y = reparam.deployed(stack).apply(reparam.fuse_params(stack, {"params": params}, input_shape=shape), x)
        else:
            y = stack.apply({"params": params}, x)
        return jnp.square(y).mean()

    calls, results, compile_s, on_device = {}, {}, {}, jax.device_put((variables["params"], x))
    for name, fused in (("jsr, branches", False), ("jsr, fused", True)):
        lowered = jax.jit(jax.grad(functools.partial(loss, fused=fused))).lower(*on_device)
        compiled = []
        compile_s[name] = timing.seconds_of(lambda: compiled.append(lowered.compile()))
        calls[name] = lambda run=compiled[0]: jax.block_until_ready(run(*on_device))
        results[name] = jax.device_get(calls[name]())
    if torch is not None:
        calls["PyTorch, branches"], results["PyTorch, branches"] = torch_gradient(stack, variables["params"], x)
    seconds = timing.interleaved(calls, rounds)
    ours = results["jsr, branches"]
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(ours))
    rows = []
    for name, gradient in results.items():
        error = max(float(np.abs(a - b).max()) for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(gradient)))
        rows.append({"name": name, "error": error / largest, "compile_s": compile_s.get(name),
                     **timing.spread(seconds[name])})
    params = sum(leaf.size for leaf in jax.tree.leaves(variables))
    return {"block": block, "features": features, "depth": depth, "batch": batch, "size": list(size), "params": params,
            "rows": rows}


def torch_gradient(stack, params, x):
    """The same in PyTorch, in channels_last: (function that computes it, its gradients in our structure).

    Raises:
      ValueError: the block has a part that is not written here.
    """
    def tensor(value):
        return torch.tensor(np.array(value)).requires_grad_()

    leaves = jax.tree.map(tensor, params)
    x = torch.tensor(x).permute(0, 3, 1, 2)
    branches = rep.block(stack.block)
    reach = rep.reach(branches)

    def compute():
        for leaf in jax.tree.leaves(leaves):
            leaf.grad = None
        y = x
        for index in range(stack.depth):
            padded = F.pad(y, (reach[1] // 2, reach[1] // 2, reach[0] // 2, reach[0] // 2))
            y = F.gelu(_torch_part(branches, padded, leaves[f"block_{index}"]), approximate="tanh")
        y.square().mean().backward()

    compute()
    return compute, jax.tree.map(lambda leaf: leaf.grad.numpy(), leaves)


def _torch_part(part, x, params, place=()):
    """Runs a part of a block on (N, C, H, W), whose border it takes away."""
    def own(kind):
        return params["_".join([kind, *map(str, place)])]

    def crop(x, whole, needed):
        rows, columns = ((a - b) // 2 for a, b in zip(whole, needed))
        return x[:, :, rows:x.shape[2] - rows, columns:x.shape[3] - columns]

    match part:
        case rep.Conv():
            return F.conv2d(x, own("conv")["kernel"].permute(3, 2, 0, 1), own("conv").get("bias"))
        case rep.Edge():
            mask = torch.tensor(rep.EDGES[part.filter], dtype=torch.float32)
            kernel = own("edge")["scale"].reshape(-1, 1, 1, 1) * mask
            return F.conv2d(x, kernel, own("edge")["bias"].reshape(-1), groups=x.shape[1])
        case rep.Identity():
            return x
        case rep.WhenSame():
            return _torch_part(part.part, x, params, place)
        case rep.Sum():
            whole = rep.reach(part)
            return sum(_torch_part(each, crop(x, whole, rep.reach(each)), params, (*place, index))
                       for index, each in enumerate(part.parts))
        case rep.Chain():
            for index, each in enumerate(part.parts):
                x = _torch_part(each, x, params, (*place, index))
            return x
    raise ValueError(f"{type(part).__name__} is not written in PyTorch here")
