"""Re-parameterisation: trained variables to deployed variables, one mechanism for every block.

A block of jsr.layers.rep is linear and the same at every pixel. Its kernel can therefore be read off by asking it: the
bias is what it makes of zeros, and the kernel the Jacobian of one output pixel. There is no formula for any one block.

A network whose blocks can be fused has a field `deploy`, which it hands to its RepConvs; `fuse` sets it. What comes
out is the same class with ordinary variables, to be saved, converted and counted like any other network's.

What becomes simpler without being one convolution, as a product of two of them or a pair of streams does, brings its
own rewrite: a module, or the network itself, with the field `deploy` and a method `fused(params)` marked `nn.nowrap`,
which makes the parameters of its deployed form from its own, in which everything inside it is fused already. It is to
be differentiable, and is found, checked and refused like a RepConv.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

from flax import traverse_util
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.layers.conv import by_products
from jsr.layers.rep import RepConv

__all__ = ["BOUND", "deployed", "find", "fuse", "fuse_params"]

BOUND = 1e-9  # of the largest output, in float64; what is not linear is off by orders of magnitude more


def fuse(model: nn.Module, variables: Mapping[str, Any], *, input_shape: Sequence[int] | None = None,
         bound: float = BOUND) -> tuple[nn.Module, Mapping[str, Any], dict[str, float]]:
    """Fuses every RepConv of a network, in float64 on the CPU, and checks each against its fused twin.

    The check is on random input, borders included, of as many sizes as there are phases of the stride. Modules with a
    rewrite of their own follow, the inner before the outer, on input in [0, 1) of the size that they get.

    Args:
      model: a network with a field `deploy`.
      variables: its variables; BatchNorm is folded with its running statistics.
      input_shape: shape of an input that it takes; None for networks of the zoo.
      bound: the error allowed, relative to the block's largest output.

    Returns:
      (deployed model, deployed variables, report): the same class with deploy = True, its variables in the type of
      the given ones without those that it has for training alone, and {path of the block, "" for the network itself:
      relative error}. A network with nothing to fuse, as one deployed already, comes back as it is, with an empty
      report.

    Raises:
      ValueError: a block is not what it must be (its error is above the bound), or the model has no field `deploy`, or
        does not hand it on.
    """
    # what is deployed is not traced for nothing: that its field is handed on was checked when it was fused
    blocks = {} if getattr(model, "deploy", False) else find(model, input_shape)
    if not blocks:
        return model, variables, {}
    deployed = _deployed(model, input_shape)
    dtype = jax.tree.leaves(variables["params"])[0].dtype
    fused, report = variables, {}
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        for path, (block, shape) in blocks.items():
            own, inside = (_float64(_subtree(tree, path)) for tree in (variables, fused))
            # A narrow block takes longer to compile than to run, a wide one would run for minutes.
            wide = sum(leaf.size for leaf in jax.tree.leaves(own)) > 50_000
            params, error = _compiled(int(wide))(block.clone(dtype=None), shape, own, inside)
            report["/".join(path)] = error = float(error)
            if not error <= bound:
                kind = type(block).__name__
                why = "is not linear, or pads inside" if isinstance(block, RepConv) else "rewrites itself inexactly"
                raise ValueError(f"{'/'.join(path)}: fused, it is off by {error:.1e} of its largest output, where "
                                 f"{bound:.0e} is allowed: this {kind} {why}")
            fused = _replaced(fused, path, params)
    fused = jax.tree.map(lambda leaf: leaf if leaf.dtype == dtype else np.asarray(leaf, dtype), fused)
    return deployed, _used(fused, deployed, input_shape), report


def fuse_params(model: nn.Module, variables: Mapping[str, Any], *, input_shape: Sequence[int] | None = None,
                at_once: bool | None = None) -> Mapping[str, Any]:
    """The deployed variables as a differentiable, jittable function of the trained ones, to train through.

    `model.clone(deploy=True).apply(fuse_params(model, variables), lr)` is the network's output, and its gradient
    with respect to `variables` that of the branches, at the cost of one convolution a block. In the parameters' own
    type, at the highest precision; nothing is checked. BatchNorm takes part with its running statistics, as constants
    that are not renewed: train through it only if it is to stay as it is.

    Args:
      model, variables, input_shape: as for `fuse`.
      at_once: blocks of equal form are one batch, by products: an accelerator waits for each small program, a CPU
        compiles and runs one block after the other more quickly. None goes by the backend that JAX uses.

    Returns:
      Variables of model.clone(deploy=True); those given, if there is nothing to fuse.
    """
    at_once = jax.default_backend() != "cpu" if at_once is None else at_once
    with jax.default_matmul_precision("highest"):
        return (_fused_at_once if at_once else _fused_in_turn)(find(model, input_shape), variables)


def _fused_in_turn(blocks, variables):
    """Variables with those of the deployed forms, a block after the other."""
    for path, (block, shape) in blocks.items():
        variables = _replaced(variables, path, _fused(block.clone(dtype=None), shape, _subtree(variables, path)))
    return variables


def _fused_at_once(blocks, variables):
    """The same with blocks of equal form as one batch, by products."""
    alike = {}
    for path, (block, shape) in blocks.items():
        types = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), _subtree(variables, path))
        alike.setdefault(repr((len(path), block, shape, types)), []).append(path)
    for paths in alike.values():  # the deepest first, as `blocks` are
        block, shape = blocks[paths[0]]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(_subtree(variables, path) for path in paths))
        with by_products():
            params = jax.vmap(functools.partial(_fused, block.clone(dtype=None), shape))(stacked)
        for index, path in enumerate(paths):
            variables = _replaced(variables, path, jax.tree.map(lambda leaf, index=index: leaf[index], params))
    return variables


def find(model: nn.Module,
         input_shape: Sequence[int] | None = None) -> dict[tuple[str, ...], tuple[nn.Module, tuple[int, ...]]]:
    """Finds the modules of a network that can be fused and are not, such as RepConvs, without computing anything.

    Args:
      model: a Linen module.
      input_shape: shape of an input that it takes; None for networks of the zoo.

    Returns:
      {path of the module, a tuple of names: (the module, shape of its input)}, the deepest first, and those of one
      depth in the order of their calls.
    """
    blocks = {path: block for path, block in _blocks(model, input_shape).items() if not block[0].deploy}
    return {path: blocks[path] for path in sorted(blocks, key=len, reverse=True)}


def deployed(model: nn.Module) -> nn.Module:
    """The network in its deployed form, deploy = True, if it has one."""
    return model.clone(deploy=True) if hasattr(model, "deploy") else model


def _blocks(model, input_shape):
    found = {}

    def note(call, args, kwargs, context):
        can_be_fused = isinstance(context.module, RepConv) or hasattr(type(context.module), "fused")
        if can_be_fused and context.method_name == "__call__":
            found[context.module.path] = context.module.clone(parent=None, name=None), args[0].shape
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        _abstract(model, input_shape)
    return found


def _abstract(model, input_shape):
    """The variables of a network, abstract."""
    if input_shape is None:
        card = models.card(model)
        input_shape = card.lr_shape(*(card.padding.target(64),) * 2)
    lr = jax.ShapeDtypeStruct(input_shape, jnp.float32)
    # A new function each time, so that nothing is cached; with the key inside, for which a program would be compiled.
    return jax.eval_shape(lambda lr: model.init(jax.random.key(0), lr), lr)


def _used(variables, model, input_shape):
    """Those variables that a network has: its deployed form may lack a part that is for training alone."""
    wanted = traverse_util.flatten_dict(_abstract(model, input_shape))
    kept = {key: leaf for key, leaf in traverse_util.flatten_dict(variables).items() if key in wanted}
    return traverse_util.unflatten_dict(kept)


def _deployed(model, input_shape):
    if not hasattr(model, "deploy"):
        raise ValueError(f"{type(model).__name__} has RepConvs, but no field `deploy` to hand to them")
    deployed = model.clone(deploy=True)
    if left := find(deployed, input_shape):
        raise ValueError(f"{type(model).__name__} does not hand its field `deploy` on to {'/'.join(next(iter(left)))}")
    return deployed


def _probe(block, channels, variables):
    """{"kernel": (kernel height, kernel width, channels / groups, features), "bias": (features,)} of a linear block."""
    height, width = _pair(block.kernel_size)
    groups, per_group = block.groups, block.features // block.groups
    window = jnp.zeros((1, height, width, channels), jax.tree.leaves(variables["params"])[0].dtype)
    bias, pullback = jax.vjp(lambda x: block.apply(variables, x, pad=False), window)
    # One row asks for an output feature of every group at once: no input of one reaches those of another.
    rows = jnp.tile(jnp.eye(per_group, dtype=bias.dtype), groups)[:, None, None, None]
    (jacobian,) = jax.vmap(pullback)(rows)
    kernel = jacobian.reshape(per_group, height, width, groups, channels // groups)
    kernel = kernel.transpose(1, 2, 4, 3, 0).reshape(height, width, channels // groups, block.features)
    return {"kernel": kernel, "bias": bias.reshape(-1)} if block.use_bias else {"kernel": kernel}


def _fused(block, shape, variables):
    """The parameters of a module's deployed form, from its variables with all inside it fused."""
    return _probe(block, shape[-1], variables) if isinstance(block, RepConv) else block.fused(variables["params"])


@functools.cache
def _compiled(level):
    """`_fuse_and_check`, which compiles each kind of block once."""
    return jax.jit(_fuse_and_check, static_argnums=(0, 1), compiler_options={"xla_backend_optimization_level": level})


def _fuse_and_check(block, shape, variables, inside):
    params = _fused(block, shape, inside)
    errors = []
    for x in _samples(block, shape):
        expected = block.apply(variables, x)
        error = jnp.abs(block.clone(deploy=True).apply({"params": params}, x) - expected).max()
        largest = jnp.maximum(jnp.abs(expected).max(), jnp.finfo(expected.dtype).tiny)  # a block may be all zeros
        errors.append(error / largest)
    return params, jnp.stack(errors).max()


def _samples(block, shape):
    """Random input that shows whether a module and its fused twin are the same."""
    key = jax.random.key(0)
    if not isinstance(block, RepConv):
        return [jax.random.uniform(key, shape, jnp.float64)]
    height, width = _pair(block.kernel_size)
    return [jax.random.normal(key, (2, 2 * height + phase, 2 * width + phase, shape[-1]), jnp.float64)
            for phase in range(max(_pair(block.strides)))]


def _float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def _subtree(variables, path):
    """A module's own variables: {collection: {...}}."""
    own = {name: functools.reduce(lambda tree, key: tree.get(key, {}), path, tree) for name, tree in variables.items()}
    return {name: tree for name, tree in own.items() if tree}


def _replaced(variables, path, params):
    """Variables with parameters in place of whatever the module at a path had."""
    kept = {key: leaf for key, leaf in traverse_util.flatten_dict(variables).items() if key[1:len(path) + 1] != path}
    new = {("params", *path, *key): leaf for key, leaf in traverse_util.flatten_dict(params).items()}
    return traverse_util.unflatten_dict(kept | new)


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)
