"""Re-parameterisation: trained variables to deployed variables, one mechanism for every block.

A block of jsr.layers.rep is linear and the same at every pixel. Its kernel can therefore be read off by asking it: the
bias is what it makes of zeros, and the kernel the Jacobian of one output pixel. There is no formula for any one block.

A network whose blocks can be fused has a field `deploy`, which it hands to its RepConvs; `fuse` sets it. What comes
out is the same class with ordinary variables, to be saved, converted and counted like any other network's.
"""

import functools

import flax.linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.layers.rep import RepConv

BOUND = 1e-9  # of the largest output, in float64; what is not linear is off by orders of magnitude more


def fuse(model, variables, *, input_shape=None, bound=BOUND):
    """Fuses every RepConv of a network, in float64 on the CPU, and checks each against its fused twin.

    The check is on random input, borders included, of as many sizes as there are phases of the stride.

    Args:
      model: a network with a field `deploy`.
      variables: its variables; BatchNorm is folded with its running statistics.
      input_shape: of an input that it takes; None for networks of the zoo.
      bound: the error allowed, relative to the block's largest output.

    Returns:
      (deployed model, deployed variables, report): the same class with deploy = True, its variables in the types of
      the given ones, and {path of the block: relative error}. A network with nothing to fuse, as one deployed already,
      comes back as it is, with an empty report.

    Raises:
      ValueError: a block is not what it must be (its error is above the bound), or the model has no field `deploy`, or
        does not hand it on.
    """
    blocks = find(model, input_shape)
    if not blocks:
        return model, variables, {}
    deployed = _deployed(model, input_shape)
    fused, report = {}, {}
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        for path, (block, channels) in blocks.items():
            own = _subtree(variables, path)
            exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), own)
            params, error = _fuse_and_check(block.clone(dtype=None), channels, exact)
            report["/".join(path)] = error = float(error)
            if not error <= bound:
                raise ValueError(f"{'/'.join(path)}: fused, it is off by {error:.1e} of its largest output, where "
                                 f"{bound:.0e} is allowed: this {type(block).__name__} is not linear, or pads inside")
            dtype = jax.tree.leaves(own["params"])[0].dtype
            fused[path] = {key: np.asarray(value, dtype) for key, value in params.items()}
    return deployed, _replaced(variables, fused), report


def fuse_params(model, variables, *, input_shape=None):
    """The deployed variables as a function of the trained ones, to train through: differentiable and to be jitted.

    `model.clone(deploy=True).apply(fuse_params(model, variables), lr)` is the network's output, and its gradient
    with respect to `variables` that of the branches, at the cost of one convolution a block. In the parameters' own
    type, at the highest precision; nothing is checked. BatchNorm takes part with its running statistics, as constants
    that are not renewed: train through it only if it is to stay as it is.

    Args:
      model, variables, input_shape: as for `fuse`.

    Returns:
      Variables of model.clone(deploy=True); those given, if there is nothing to fuse.
    """
    with jax.default_matmul_precision("highest"):
        return _replaced(variables, {path: _probe(block.clone(dtype=None), channels, _subtree(variables, path))
                                     for path, (block, channels) in find(model, input_shape).items()})


def find(model, input_shape=None):
    """The RepConvs of a network that are not deployed, without computing anything.

    Args:
      model: a Linen module.
      input_shape: of an input that it takes; None for networks of the zoo.

    Returns:
      {path of the module, a tuple of names: (the RepConv, input channels)} in the order of their calls.
    """
    return {path: (block, channels) for path, (block, channels) in _blocks(model, input_shape).items()
            if not block.deploy}


def _blocks(model, input_shape):
    if input_shape is None:
        card = models.card(model)
        input_shape = card.lr_shape(*(card.padding.target(64),) * 2)
    found = {}

    def note(call, args, kwargs, context):
        if isinstance(context.module, RepConv) and context.method_name == "__call__":
            found[context.module.path] = context.module.clone(parent=None, name=None), args[0].shape[-1]
        return call(*args, **kwargs)

    lr = jax.ShapeDtypeStruct(input_shape, jnp.float32)
    with nn.intercept_methods(note):
        jax.eval_shape(lambda *inputs: model.init(*inputs), jax.random.key(0), lr)  # a new function: nothing is cached
    return found


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


# Each kind of block is compiled once and run on a few pixels: what counts is the time to compile.
@functools.partial(jax.jit, static_argnums=(0, 1), compiler_options={"xla_backend_optimization_level": 0})
def _fuse_and_check(block, channels, variables):
    params = _probe(block, channels, variables)
    height, width = _pair(block.kernel_size)
    errors = []
    for phase in range(max(_pair(block.strides))):
        shape = (2, 2 * height + phase, 2 * width + phase, channels)
        x = jax.random.normal(jax.random.key(0), shape, jnp.float64)
        expected = block.apply(variables, x)
        error = jnp.abs(block.clone(deploy=True).apply({"params": params}, x) - expected).max()
        errors.append(error / jnp.abs(expected).max())
    return params, jnp.stack(errors).max()


def _subtree(variables, path):
    """A module's own variables: {collection: {...}}."""
    own = {name: functools.reduce(lambda tree, key: tree.get(key, {}), path, tree) for name, tree in variables.items()}
    return {name: tree for name, tree in own.items() if tree}


def _replaced(variables, fused):
    """Variables with `fused`, {path: parameters}, in place of whatever the modules at these paths had."""
    kept = {key: leaf for key, leaf in traverse_util.flatten_dict(variables).items()
            if not any(key[1:len(path) + 1] == path for path in fused)}
    new = {("params", *path, key): leaf for path, params in fused.items() for key, leaf in params.items()}
    return traverse_util.unflatten_dict(kept | new)


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)
