"""Finds a training's mistakes before its first step: in its networks, its files, its devices."""

import dataclasses
import functools
import logging
import math

import jax
import jax.numpy as jnp
import numpy as np
from rich.filesize import decimal

from jsr import degradations, device, losses, models, optim, sharding
from jsr.data import mix, pipeline, validation
from jsr.degradations import degrade_device
from jsr.errors import UserError
from jsr.recipes.check import of_members
from jsr.recipes.mistakes import Mistakes
from jsr.training import stages, step
from jsr.training import state as states

log = logging.getLogger("jsr")

_BYTES = 4  # of a parameter
_STORED = {"steps": [{"fn": "jpeg", "quality": 50}]}  # what may have made stored LR images


def check(recipe, devices=None):
    """Raises UserError for what `look` finds: a line each."""
    found = Mistakes(libraries=True)
    look(recipe, found, devices)
    found.done()


def look(recipe, found, devices=None):
    """Adds mistakes that show without opening the data: in networks' parameters, files, shapes, devices.

    Args:
      recipe: Recipe, as `jsr.recipes.load` gives it.
      found: Mistakes, those that `jsr.recipes.check` finds among them.
      devices: that it is for, all by default.
    """
    mesh = None
    with found.at("mesh"):
        mesh = sharding.make_mesh(devices, recipe.mesh)
    mix.look(recipe, found)
    for index, stage in enumerate(recipe.stages):
        where = f"stages[{index}]"
        with found.at(f"{where}.batch"):
            if mesh and _parts(stage, mesh) is None:
                sharding.check_batch(stage.batch, mesh)
        for number, player in enumerate(stage.players):
            if recipe.state == "sharded" and player.optimizer["name"] in optim.BY_SHAPES:
                found.add(f"{where}.players[{number}].optimizer",
                          f"{player.optimizer['name']} looks at the parameters' shapes, which a sharded state has not; "
                          "use state='replicated' or another optimizer")
        if found.within("networks", "chain", *(f"stages[{earlier}].begin" for earlier in range(index + 1))):
            continue
        plan = stages.plan_of(recipe, index)
        with found.at("networks"):
            variables = abstract_variables(plan)
            _check_size(recipe, variables)
        if not found.within("networks"):
            _check_begin(plan, where, found)
            _check_stage(plan, variables, where, found, mesh)
    _check_starts(recipe, found)
    of_members(recipe, functools.partial(look, devices=devices), found)


def fitted(recipe, mesh):
    """A recipe whose stages compute their batches in as many parts as the devices need; which is said.

    `accumulate` becomes larger, or where nothing larger does smaller, until each part is the same number of samples on
    every device. What a step computes stays the same, but for rounding and the statistics of BatchNorm.
    """
    fitting = []
    for index, stage in enumerate(recipe.stages):
        parts = _parts(stage, mesh)
        if parts != stage.accumulate:
            log.info("stage %d: a %d-th of its batch of %d cannot be split over %d devices, so that accumulate is %d",
                     index, stage.accumulate, stage.batch, mesh.shape[sharding.DATA], parts)
        fitting.append(dataclasses.replace(stage, accumulate=parts))
    return dataclasses.replace(recipe, stages=tuple(fitting))


def _parts(stage, mesh):
    """The `accumulate` of a stage on the devices of a mesh; None where its batch cannot be split over them."""
    fitting = [parts for parts in range(1, stage.batch + 1) if stage.batch % (parts * mesh.shape[sharding.DATA]) == 0]
    return min(fitting, key=lambda parts: (parts < stage.accumulate, abs(parts - stage.accumulate)), default=None)


def _check_begin(plan, where, found):
    """Checks the changes of networks' forms as a stage begins."""
    fields = plan.recipe.fields_at(plan.index - 1)
    for number, row in enumerate(plan.stage.begin):
        net, before, after = plan.recipe.networks[row.net], fields[row.net], {**fields[row.net], **row.fields}
        with found.at(f"{where}.begin[{number}]"):
            modules, shapes = zip(*((stages.create(net, its), models.abstract(net.model, scale=net.scale, **its))
                                    for its in (before, after)), strict=True)
            stages.check_carry(row.carry, *modules, shapes)
        fields[row.net] = after


def _check_starts(recipe, found):
    """The model files that networks start from."""
    frozen = [] if found.within("stages") else states.frozen(recipe)
    for name, net in recipe.networks.items():
        place = f"networks.{name}.start_from"
        if net.start_from:
            with found.at(place):
                jax.eval_shape(functools.partial(states.from_file, net), jax.random.key(0))
        elif name in frozen:
            found.add(place, f"{recipe.recipe} learns from a trained {net.model}; give its model file, of a run or of "
                             "`jsr convert`")
        elif net.carry:
            found.add(place, f"networks.{name}.carry is {net.carry!r}, but no file is named from which the network "
                             f"starts; give one, or start afresh (--config.networks.{name}.carry=)")


def abstract_variables(plan):
    """{name: abstract variables} of all networks during a stage."""
    variables = stages.abstract_variables(plan)
    for name, net in plan.recipe.networks.items():
        if name not in variables:  # it is used in its deployed form
            form = {"deploy": True} if hasattr(plan.networks[name], "deploy") else {}
            variables[name] = models.abstract(net.model, scale=net.scale, **net.fields, **form)
    return variables


def _check_size(recipe, variables):
    """Raises UserError for networks of more parameters than the device can hold."""
    for name, collections in variables.items():
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(collections["params"]))
        if _BYTES * count > (free := device.free_memory()):
            raise UserError(f"--config.networks.{name}.fields: {count:,} parameters take {decimal(_BYTES * count)}, "
                            f"but only {decimal(int(free))} are free; make the network smaller")


def _check_stage(plan, variables, where, found, mesh):
    recipe, stage = plan.recipe, plan.stage
    rows = "data.train" if not stage.data else f"{where}.data"
    if not found.within(rows, f"{where}.crop", f"{where}.players"):
        with found.at("data.degrade_on"):
            if mix.device_form(recipe, stage) and mesh and mesh.shape[sharding.ROWS] > 1:
                raise UserError("a device degrades whole images, and mesh splits them into rows; leave it to the host")
        for number in range(len(recipe.rows(stage)) if not found.within("data.degrade_on") else 0):
            with found.at(where):
                mix.transform(recipe, stage, number)
    for number, player in enumerate(stage.players):
        if not found.within(f"{where}.players[{number}]"):
            _check_freezing(player, variables, f"{where}.players[{number}]", found)
    for name in recipe.chain:
        if stage.fused and "batch_stats" in variables[name] and not stage.frozen_statistics:
            found.add(f"{where}.fused", f"{name} has BatchNorm, whose statistics would not be renewed; "
                                        f"train it as it is (--config.{where}.fused=False)")
    if not found.within("data", where):
        with found.at(f"{where}.crop"):
            if mesh:
                sharding.check_rows(batch_of(recipe, stage), mesh)
        _trace(plan, variables, where, found)


def _check_freezing(player, variables, place, found):
    """The patterns of parameters that a player freezes."""
    params = {name: variables[name]["params"] for name in player.nets}
    with found.at(place):
        leaves = jax.tree.leaves(optim.rate_factors(player.freeze, params, 0))
        if leaves and all(isinstance(factor, float) and factor == 0 for factor in leaves):
            found.add(f"{place}.freeze", "freezes all parameters: nothing would be trained")


def _trace(plan, variables, where, found):
    """Traces a stage's work on a batch up to its losses, without computing anything."""
    recipe, stage, chain = plan.recipe, plan.stage, list(plan.recipe.chain)
    in_training = {name for player in stage.players for name in player.nets}
    passed = [name for name in chain if not stages.in_head(variables, chain, name)]

    def run(variables, batch, key):
        batch = step.prepare(plan, variables, batch, key)
        for number, player in enumerate(stage.players):
            place = f"{where}.players[{number}]"
            with found.at(place):
                outputs, _ = step.forward(plan.networks, passed, variables, batch, losses.keys(player.losses),
                                          train=in_training, rngs={"dropout": key})
                for index, row in enumerate(player.losses):
                    with found.at(f"{place}.losses[{index}]"):
                        losses.total([row], outputs, batch, {losses.names([row])[0]: losses.initial_params(row)})

    with found.at(where):
        jax.eval_shape(run, variables, batch_of(recipe, stage), jax.random.key(0))


def batch_of(recipe, stage):
    """A part of a batch of a stage, or all where it has no parts, as jax.ShapeDtypeStruct: {key: array}."""
    count, size = stage.batch // stage.accumulate, tuple(side // recipe.scale for side in stage.crop_hw)
    form = mix.device_form(recipe, stage)
    batch = {} if form else {key: jax.ShapeDtypeStruct(shape, jnp.uint8)
                             for key, shape in mix.batch_shapes(recipe, stage, count).items()}
    sample, hr = {}, np.zeros((*stage.crop_hw, 3), np.uint8)
    for row in recipe.rows(stage):
        made = degradations.draw(row.degrade, **mix.fixed(row, "")) if row.degrade else _STORED
        crop = pipeline.Crop(hr, recipe.scale, 0, 0, size, made)
        sample |= {key: pipeline.DERIVED[key](crop) for key in mix.derived(recipe, stage)}
        sample |= degrade_device.part(form, hr, (0, 0), made) if form else {}
    return batch | {key: jax.ShapeDtypeStruct((count, *value.shape), value.dtype) for key, value in sample.items()}


def check_data(recipe, opened):
    """Looks at the data of a recipe: a sample of every row of every stage, and all images of the validation.

    A validation's images are read once here, since they are few: reading takes less time than any validation does, and
    one that cannot be used shows before the training instead of hours later.

    Args:
      recipe: Recipe.
      opened: see `jsr.data.mix.open_sources`.

    Returns:
      (damaged, codecs): a line for each image of the validation that is damaged, and is to be left out; the codecs of
      its LR images, see `jsr.degradations.codecs`.

    Raises:
      UserError: rows without what their stages need, or whose images are all smaller than the crop, more damaged images
        than may be left out: a line each.
    """
    found, damaged, codecs = Mistakes(libraries=True), [], ""
    for number, stage in enumerate(recipe.stages):
        place = f"stages[{number}].data" if stage.data else "data.train"
        for its, row in zip(mix.present(recipe, stage, opened), mix.stage_rows(recipe, stage, opened), strict=True):
            with found.at(f"{place}[{its}]"):
                pipeline.Sampler(row.source, row.transform, recipe.data.max_damaged)(0, np.random.default_rng(0))
                if not stage.frames:
                    row.transform.check(row.source)
    with found.at(mix.EVAL):
        codecs = validation.check(recipe, opened[mix.EVAL], damaged.append)
    if len(damaged) > recipe.data.max_damaged:
        found.add(mix.EVAL, "\n".join(damaged))
    found.done()
    return damaged, codecs
