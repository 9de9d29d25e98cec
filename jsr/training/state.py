"""What training carries from step to step."""

from typing import Any
import zlib

import flax.struct
import jax
import jax.numpy as jnp

from jsr import models
from jsr.errors import UserError
from jsr.inference import model_file


@flax.struct.dataclass
class TrainState:
    """One pytree with everything that a step reads and writes.

    Attributes:
      step: int32 scalar, updates tried since the run's start, over all stages.
      skipped: int32 scalar, how many of them were left out because a loss or gradient was not finite.
      nets: {name: {"variables": Flax collections, "ema": averaged "params" (absent without averaging),
        "opt": optimizer state}}.
    """

    step: jax.Array
    skipped: jax.Array
    nets: dict[str, Any]


def make_networks(config):
    """{name: module} of a recipe's networks, in its compute dtype."""
    dtype = jnp.dtype(config.dtype)
    return {name: models.create(net.model, scale=net.scale, dtype=dtype, **net.fields)
            for name, net in config.networks.items()}


def initial_variables(config, networks, key):
    """{name: Flax collections} at a run's start: drawn, or those of the model file that a network's `start_from` names.

    Args:
      config: a recipe.
      networks: {name: module}.
      key: PRNG key; each network draws from its own fold of it.

    Raises:
      UserError: the file cannot be read, or holds no network of this form.
    """
    return {name: _start_from(config.networks[name], module) if config.networks[name].start_from
            else models.init(module, purpose_key(key, f"init/{name}")) for name, module in networks.items()}


def _start_from(net, module):
    _, _, found = model_file.load(net.start_from)
    expected = _shapes(models.abstract(net.model, scale=net.scale, **net.fields))
    fitting = [variables for variables in found.values() if _shapes(variables) == expected]
    if len(fitting) != 1:
        raise UserError(f"{net.start_from}: {'none' if not fitting else 'more than one'} of its networks "
                        f"({', '.join(found)}) has the parameters of {net.model} x{module.scale}; name a file of the "
                        "same network (start_from)")
    return jax.tree.map(jnp.asarray, fitting[0])


def _shapes(variables):
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(variables)}


def make_state(variables, optimizers, *, ema):
    """The state at a run's start.

    Args:
      variables: {name: Flax collections}.
      optimizers: {name: optax transformation}.
      ema: whether an average of the parameters is kept.
    """
    nets = {}
    for name, collections in variables.items():
        nets[name] = {"variables": collections, "opt": optimizers[name].init(collections["params"])}
        if ema:
            nets[name]["ema"] = jax.tree.map(jnp.copy, collections["params"])
    return TrainState(step=jnp.int32(0), skipped=jnp.int32(0), nets=nets)


def begin_stage(state, optimizers):
    """The state with fresh optimizers, as every stage starts."""
    nets = {name: {**net, "opt": optimizers[name].init(net["variables"]["params"])} for name, net in state.nets.items()}
    return state.replace(nets=nets)


def eval_variables(state):
    """{name: variables} to evaluate and keep: the averaged parameters where there is an average."""
    return {name: {**net["variables"], **({"params": net["ema"]} if "ema" in net else {})}
            for name, net in state.nets.items()}


def purpose_key(key, purpose):
    """The key for one purpose, named by text: draws for one never shift those for another."""
    return jax.random.fold_in(key, zlib.crc32(purpose.encode()))
