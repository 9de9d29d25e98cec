"""What can be wrong with a training and shows before its first step: with its networks, its files, its devices."""

import jax
import numpy as np

from jsr import augment, model_file, optim, sharding
from jsr.data import mix, pipeline
from jsr.errors import UserError
from jsr.training import memory, stages


def check(recipe, mesh):
    """Raises UserError for mistakes in a recipe that show without its data: a line each, with the key's place.

    Args:
      recipe: Recipe, as `jsr.recipes.load` gives it.
      mesh: jax.sharding.Mesh of the devices.
    """
    problems = []

    def hold(place, function, *arguments):
        try:
            return function(*arguments)
        except UserError as e:
            problems.extend(f"--config.{place}: {line}".replace(f"--config.{place}: --config.", "--config.")
                            for line in str(e).splitlines())

    for name, net in recipe.networks.items():
        if net.start_from:
            hold(f"networks.{name}.start_from", model_file.find, net.start_from)
        if not net.start_from and name not in recipe.trained:
            problems.append(f"--config.networks.{name}.start_from: {recipe.recipe} learns from a trained {net.model}; "
                            "give its model file, of a run or of `jsr convert`")
    for index, stage in enumerate(recipe.stages):
        where = f"stages[{index}]"
        hold(f"{where}.batch", sharding.check_batch, stage.batch // stage.accumulate, mesh)
        variables = hold("networks", stages.abstract_variables, stages.plan_of(recipe, index))
        if variables is None:
            break
        for number, player in enumerate(stage.players):
            params = {name: variables[name]["params"] for name in player.nets}
            factors = hold(f"{where}.players[{number}]", optim.rate_factors, player.freeze, params, 0)
            leaves = jax.tree.leaves(factors)
            if leaves and all(isinstance(factor, float) and factor == 0 for factor in leaves):
                problems.append(f"--config.{where}.players[{number}].freeze: freezes all parameters: nothing would be "
                                "trained")
        hold(f"{where}.augment", augment.check, stage.augment, _scale_of_input(recipe, variables))
        for name in recipe.chain:
            if stage.fused and "batch_stats" in variables[name] and not stage.frozen_statistics:
                problems.append(f"--config.{where}.fused: {name} has BatchNorm, whose statistics would not be renewed; "
                                f"train it as it is (--config.{where}.fused=False)")
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))


def check_late_stages(recipe, opened, index, key, frozen, mesh):
    """Finds mistakes of stages that come after stage `index`, by tracing their steps.

    Args:
      recipe: Recipe.
      opened: see `jsr.data.mix.open_sources`.
      index: number of the stage that the run is in.
      key: PRNG key of the run.
      frozen: {name: variables} of the networks outside the state.
      mesh: jax.sharding.Mesh of the devices.

    Raises:
      UserError: a mistake in a stage's data or losses.
    """
    most = recipe.data.max_damaged
    for number, stage in enumerate(recipe.stages):
        row = mix.stage_rows(recipe, stage, opened)[0]
        if number <= index:
            continue
        plan, sampler = stages.plan_of(recipe, number), pipeline.Sampler(row.source, row.transform, most)
        sample = sampler(0, np.random.default_rng(0))
        del sample[pipeline.LEFT_OUT]
        batch = {name: jax.ShapeDtypeStruct((stage.batch, *value.shape), value.dtype) for name, value in sample.items()}
        jax.eval_shape(memory.build(plan), memory.abstract_state(plan, mesh), batch, key, frozen)


def _scale_of_input(recipe, variables):
    """HR size over the size of the images that augmentations see: after networks without parameters at the head."""
    scale = recipe.scale
    for name in recipe.chain:
        if stages.in_head(variables, recipe.chain, name):
            scale //= recipe.networks[name].scale
    return scale
