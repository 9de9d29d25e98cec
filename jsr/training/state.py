"""The state that training carries from step to step."""

import functools
from typing import Any
import zlib

import flax.struct
import jax
import jax.numpy as jnp

from jsr import losses, models, optim, reparam, sharding
from jsr.errors import UserError
from jsr.training import stages

FIRST_SCALE = 2.0**15  # of the loss in float16; PyTorch's first one is twice that, and mostly overflows once


@flax.struct.dataclass
class TrainState:
    """One pytree with everything that a step reads and writes.

    Attributes:
      step: int32 scalar, updates tried since the run's start, over all stages.
      skipped: int32 scalar, how many of them were left out because a loss or gradient was not finite.
      nets: {name: {"variables": Flax collections, "ema": averaged "params", "opt": optimizer state}} of the chain and
        of what else the recipe trains; an average has the chain alone, where the recipe keeps one, and an optimizer
        what the stage updates.
      loss_params: {"player<i>": {name of the loss row: {"params", "opt"}}} of losses that learn.
      loss_scale: {"scale": float32, "good": int32, steps since it changed} in float16, else {}.
    """

    step: jax.Array
    skipped: jax.Array
    nets: dict[str, Any]
    loss_params: dict[str, Any]
    loss_scale: dict[str, Any]


def initial_variables(recipe, key):
    """{name: Flax collections} of the networks that are trained (`Recipe.trained`) at a run's start.

    They are drawn, or from the model files that `start_from` names.

    Args:
      recipe: Recipe.
      key: PRNG key; each network draws from its own fold of it.

    Raises:
      UserError: a file cannot be read, or holds no network of this form.
    """
    return {name: _initial(recipe.networks[name], purpose_key(key, f"init/{name}")) for name in recipe.trained}


def frozen_variables(recipe):
    """{name: Flax collections} of the `frozen` networks: of their model files, and fused.

    Raises:
      UserError: no file is given, it cannot be read, or it holds no network of this form.
    """
    for name in frozen(recipe):
        if not recipe.networks[name].start_from:
            raise UserError(f"{recipe.recipe} learns from a trained {recipe.networks[name].model}; give its model "
                            f"file, of a run or of `jsr convert` (--config.networks.{name}.start_from=FILE)")
    return {name: _fused(recipe.networks[name]) for name in frozen(recipe)}


def frozen(recipe):
    """The names of the networks that losses apply and nobody trains, as teachers."""
    rows = [row for stage in recipe.stages for player in stage.players for row in player.losses]
    applied = {losses.parse(key).net for key in losses.keys(rows)}
    return [name for name in recipe.networks if name in applied and name not in recipe.trained]


def _fused(net):
    variables = from_file(net)
    try:
        return reparam.fuse(stages.create(net), variables)[1]
    except ValueError as e:
        raise UserError(f"{net.start_from}: {e}") from e


def _initial(net, key):
    return from_file(net, key) if net.start_from else models.init(stages.create(net), key)


def from_file(net, key=None):
    """A network's variables from its file: all of them, or with carry = "match" what fits, and the rest drawn.

    Args:
      net: Net of a recipe that starts from a file.
      key: PRNG key for what is drawn.

    Raises:
      UserError: the file cannot be read, or holds no network of this form.
    """
    from jsr import model_file  # safetensors, which a fresh start needs not

    _, networks, found = model_file.load(net.start_from)
    module = stages.create(net)
    if net.carry == "match":
        fitting = [found[name] for name, other in networks.items() if type(other) is type(module)]
    else:
        expected = _shapes(models.abstract(net.model, scale=net.scale, **net.fields))
        fitting = [variables for variables in found.values() if _shapes(variables) == expected]
    if len(fitting) != 1:
        raise UserError(f"{net.start_from}: {'none' if not fitting else 'more than one'} of its networks "
                        f"({', '.join(found)}) has the parameters of {net.model} x{module.scale}; name a file with one "
                        "such network (start_from)")
    if net.carry == "match":
        try:
            return stages.match(None, module, fitting[0], key=key, score=None)(fitting[0])
        except ValueError as e:
            raise UserError(f"{net.start_from}: {e}") from e
    return jax.tree.map(jnp.asarray, fitting[0])


def _shapes(variables):
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(variables)}


def make_state(plan, variables):
    """The state as a stage of a run's starts from nothing but variables.

    Args:
      plan: StagePlan of the stage.
      variables: {name: Flax collections}.
    """
    averaged = plan.recipe.chain if plan.recipe.ema_decay else ()
    nets = {name: [own, *([own] if name in averaged else [])] for name, own in variables.items()}
    scale = {"scale": jnp.float32(FIRST_SCALE), "good": jnp.int32(0)} if plan.recipe.dtype == "float16" else {}
    empty = TrainState(step=jnp.int32(0), skipped=jnp.int32(0), nets={}, loss_params={}, loss_scale=scale)
    return begin_stage(plan, empty, nets)


def begin_stage(plan, state, nets):
    """The state with fresh optimizers, and losses that have learnt nothing, as every stage starts.

    Args:
      plan: StagePlan of the stage.
      state: the state before it.
      nets: see `versions`, in the stage's form.
    """
    optimizers = plan.optimizers
    new, learnt = {}, {}
    for name, (variables, *averaged) in nets.items():
        new[name] = {"variables": variables}
        if name in optimizers and variables["params"]:
            new[name]["opt"] = optimizers[name].init(variables["params"])
        if averaged:
            new[name]["ema"] = jax.tree.map(jnp.copy, averaged[0]["params"])  # what is new is one array in both
    for number, player in enumerate(plan.stage.players):
        named = zip(losses.names(player.losses), player.losses, strict=True)
        params = {name: losses.initial_params(row) for name, row in named}
        learnt[f"player{number}"] = {name: {"params": own, "opt": optim.make_optimizer({"name": "adam"}).init(own)}
                                     for name, own in params.items() if own}
    return state.replace(nets=new, loss_params={name: own for name, own in learnt.items() if own})


def placed(plan, state, mesh):
    """A state on the devices, as the recipe's `state` has it.

    Args:
      plan: StagePlan of the stage.
      state: TrainState by names, on the host or on whichever devices.
      mesh: Mesh.
    """
    flatten = functools.partial(_flattened, plan, mesh=mesh)
    return jax.jit(flatten, out_shardings=sharding.shardings(jax.eval_shape(flatten, state), mesh))(state)


def _flattened(plan, state, mesh):
    """A state with parameters and what is like them as vectors, but where an optimizer looks at their shapes."""
    by_shapes = {name for player in plan.stage.players if player.optimizer["name"] in optim.BY_SHAPES
                 for name in player.nets}
    return state.replace(nets={
        name: sharding.flattened(net, net["variables"]["params"], mesh, plan.recipe.state == "sharded")
        if net["variables"]["params"] and name not in by_shapes else net for name, net in state.nets.items()})


def by_names(state):
    """A state with its arrays by names, each on all devices; one that has them so is returned itself."""
    found = sharding.flats(state)
    return jax.jit(sharding.named, out_shardings=sharding.replicated(found[0].mesh))(state) if found else state


def abstract(plan, mesh, *, named=False):
    """The TrainState of a stage as jax.ShapeDtypeStruct, with shardings: as `placed` gives it, or by names."""
    def make(variables):
        state = make_state(plan, variables)
        return state if named else _flattened(plan, state, mesh)

    shapes = jax.eval_shape(make, stages.abstract_variables(plan))
    return jax.tree.map(lambda leaf, its: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=its), shapes,
                        sharding.shardings(shapes, mesh))


def versions(state):
    """{name: [variables, and the same with averaged parameters where there are any]}, as `stages.begin` takes it."""
    state = by_names(state)
    return {name: [_with_params(net, optim.evaluated(net.get("opt"), net["variables"]["params"])),
                   *([_with_params(net, net["ema"])] if "ema" in net else [])] for name, net in state.nets.items()}


def eval_variables(recipe, state):
    """{name: variables} of the chain to evaluate and keep: the averaged parameters where there is an average."""
    found = versions(state)
    return {name: found[name][-1] for name in recipe.chain}


def beside_the_chain(recipe, state):
    """{name: variables} of the networks that a recipe trains outside its chain, such as a critic; without averages."""
    found = versions(state)
    return {name: found[name][0] for name in recipe.trained if name not in recipe.chain}


def _with_params(net, params):
    return {**net["variables"], "params": params}


def purpose_key(key, purpose):
    """The key for one purpose, named by text: draws for one never shift those for another."""
    return jax.random.fold_in(key, zlib.crc32(purpose.encode()))
