"""What training carries from step to step."""

from typing import Any
import zlib

import flax.struct
import jax
import jax.numpy as jnp

from jsr import models
from jsr.errors import UserError
from jsr.inference import model_file
from jsr.training import stages


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


def initial_variables(config, key):
    """{name: Flax collections} of the chain at a run's start: drawn, or from the model files that `start_from` names.

    Args:
      config: a recipe.
      key: PRNG key; each network draws from its own fold of it.

    Raises:
      UserError: a file cannot be read, or holds no network of this form.
    """
    return {name: _initial(config.networks[name], purpose_key(key, f"init/{name}")) for name in config.chain}


def teacher_variables(config):
    """{name: Flax collections} of the networks outside the chain, which teach: those of their model files.

    Raises:
      UserError: no file is given, it cannot be read, or it holds no network of this form.
    """
    teachers = [name for name in config.networks if name not in config.chain]
    for name in teachers:
        if not config.networks[name].start_from:
            raise UserError(f"{config.recipe} learns from a trained {config.networks[name].model}; give its model file, "
                            f"of a run or of `jsr convert` (--config.networks.{name}.start_from=FILE)")
    return {name: _from_file(config.networks[name], None) for name in teachers}


def _initial(net, key):
    module = models.create(net.model, scale=net.scale, **net.fields)
    return _from_file(net, key) if net.start_from else models.init(module, key)


def _from_file(net, key=None):
    """A network's variables from its file: all of them, or with carry = "match" what fits, and the rest drawn."""
    _, networks, found = model_file.load(net.start_from)
    module = models.create(net.model, scale=net.scale, **net.fields)
    if net.carry == "match":
        fitting = [found[name] for name, other in networks.items() if type(other) is type(module)]
    else:
        expected = _shapes(models.abstract(net.model, scale=net.scale, **net.fields))
        fitting = [variables for variables in found.values() if _shapes(variables) == expected]
    if len(fitting) != 1:
        raise UserError(f"{net.start_from}: {'none' if not fitting else 'more than one'} of its networks "
                        f"({', '.join(found)}) has the parameters of {net.model} x{module.scale}; name a file of the "
                        "same network (start_from)")
    if net.carry == "match":
        try:
            return stages.match(None, module, fitting[0], key=key, score=None)(fitting[0])
        except ValueError as e:
            raise UserError(f"{net.start_from}: {e}") from e
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


def versions(state):
    """{name: [variables, and the same with averaged parameters where there are any]}, as `stages.begin` takes it."""
    return {name: [net["variables"], *([{**net["variables"], "params": net["ema"]}] if "ema" in net else [])]
            for name, net in state.nets.items()}


def begin_stage(state, nets, optimizers):
    """The state with fresh optimizers, as every stage starts; `nets` as of `versions`, in the stage's form."""
    new = {}
    for name, (variables, *averaged) in nets.items():
        new[name] = {"variables": variables, "opt": optimizers[name].init(variables["params"])}
        if averaged:
            new[name]["ema"] = jax.tree.map(jnp.copy, averaged[0]["params"])  # what is new is one array in both
    return state.replace(nets=new)


def eval_variables(state):
    """{name: variables} to evaluate and keep: the averaged parameters where there is an average."""
    return {name: {**net["variables"], **({"params": net["ema"]} if "ema" in net else {})}
            for name, net in state.nets.items()}


def purpose_key(key, purpose):
    """The key for one purpose, named by text: draws for one never shift those for another."""
    return jax.random.fold_in(key, zlib.crc32(purpose.encode()))
