"""What the stages of a recipe make of its networks: their form, and how parameters pass from one form to the next.

A stage may begin with rows {net, carry, fields}: the network takes other fields, and its parameters and their average
pass over by a rule of CARRIES. A network's form is so a function of the recipe and the stage alone, as it must be to
resume anywhere.
"""

import logging
import math

from flax import traverse_util
import jax
import jax.numpy as jnp

from jsr import models, reparam
from jsr.config import nearest, plain
from jsr.errors import UserError
from jsr.training import augment, channels, optim

log = logging.getLogger("jsr")


def fields_at(config, stage):
    """{network: fields} of a recipe's networks during a stage; stage -1 is before the first one's own rows."""
    fields = {name: plain(net.fields) for name, net in config.networks.items()}
    for row in (row for earlier in config.stages[:stage + 1] for row in earlier.begin):
        fields[row["net"]] = {**fields[row["net"]], **plain(row["fields"])}
    return fields


def make_networks(config, stage):
    """{name: module} of a recipe's networks during a stage, in its compute dtype; deployed where none trains them."""
    dtype, carried = jnp.dtype(config.dtype), trained(config)
    networks = {name: models.create(config.networks[name].model, scale=config.networks[name].scale, dtype=dtype, **fields)
                for name, fields in fields_at(config, stage).items()}
    return {name: module if name in carried else reparam.deployed(module) for name, module in networks.items()}


def trained(config):
    """The names of the networks that a run carries in its state: the chain, then what else any player updates."""
    others = {name for stage in config.stages for player in stage.players for name in player.nets}
    return [*config.chain, *(name for name in config.networks if name in others - set(config.chain))]


def abstract_variables(config, stage):
    """{name: abstract Flax collections} of the networks that a recipe trains (`trained`) during a stage."""
    fields = fields_at(config, stage)
    return {name: models.abstract(config.networks[name].model, scale=config.networks[name].scale, **fields[name])
            for name in trained(config)}


def in_head(variables, chain, name):
    """Whether a network of the chain, and all before it, have no parameters."""
    return not any(variables[other]["params"] for other in chain[:chain.index(name) + 1])


def begin(config, stage, nets, key, score):
    """The networks' variables as a stage begins with them.

    Args:
      config: a recipe.
      stage: number of the stage.
      nets: {name: [Flax collections, and others of the same form that are to become the same: the averaged ones]}.
      key: PRNG key for what is new.
      score: from (modules {name: module}, variables {name: Flax collections}) to a number, the more the better: the
        chain's PSNR on validation images.

    Returns:
      nets, in the stage's form.

    Raises:
      UserError: a row that does not fit its network.
    """
    rows = config.stages[stage].begin
    fields, dtype = fields_at(config, stage - 1), jnp.dtype(config.dtype)
    modules = make_networks(config, stage - 1)
    for number, row in enumerate(rows):
        net = config.networks[row["net"]]
        fields[row["net"]] = {**fields[row["net"]], **plain(row["fields"])}
        after = models.create(net.model, scale=net.scale, dtype=dtype, **fields[row["net"]])
        leading = {name: versions[-1] for name, versions in nets.items()}

        def with_variables(variables):
            return score(modules, {**leading, row["net"]: variables})

        try:
            become = CARRIES[row["carry"]](modules[row["net"]], after, leading[row["net"]],
                                        key=jax.random.fold_in(key, number), score=with_variables)
            nets = {**nets, row["net"]: [become(version) for version in nets[row["net"]]]}
        except ValueError as e:
            raise UserError(f"stages[{stage}].begin[{number}]: {row['carry']} of {net.model}: {e}") from e
        modules[row["net"]] = after
        log.info("%s: %s, %s", row["net"], row["carry"],
                 ", ".join(f"{name} = {value}" for name, value in row["fields"].items()))
    return nets


def match(before, after, variables, *, key, score):
    """What has the same place and shape stays, what is new is drawn, the rest is left out: other scale, no biases, more
    blocks."""
    del before, variables, score
    drawn = models.init(after, key)

    def become(variables):
        old, new = traverse_util.flatten_dict(variables), traverse_util.flatten_dict(drawn)
        kept = {path: leaf for path, leaf in old.items() if path in new and new[path].shape == leaf.shape}
        if not kept:
            raise ValueError("nothing of it has the place and shape of anything in the new form")
        return traverse_util.unflatten_dict(new | kept)

    return become


def fuse(before, after, variables, *, key, score):
    """The training branches become one convolution each (jsr.reparam)."""
    del after, variables, key, score
    return lambda variables: reparam.fuse(before, variables)[1]


def select_channels(before, after, variables, *, key, score):
    """The channels with the largest kernels stay, by the sum of their absolute values (Li et al., ICLR 2017)."""
    del key, score
    found = channels.groups(before, variables)
    return _keep(variables, after, found, [channels.norms(group, variables) for group in found])


def prune(before, after, variables, *, key, score):
    """The channels stay without which validation images lose most, each tried alone.

    After Bilecen and Ayazoglu, Bicubic++ (CVPR Workshops 2023), who use no norm of weights; they prune the whole
    network by one ranking, here every layer has its number of channels from the smaller network (inferred).
    """
    del key
    found = channels.groups(before, variables)
    log.info("trying the network without each of %d groups of channels", len(found))
    return _keep(variables, after, found, [-score(channels.without(group, variables)) for group in found])


def _keep(variables, after, found, scores):
    indices = channels.select(found, scores, variables, jax.eval_shape(lambda: models.init(after, jax.random.key(0))))
    return lambda variables: channels.take(variables, indices)


CARRIES = {"match": match, "fuse": fuse, "select_channels": select_channels, "prune": prune}


def check(config):
    """Raises UserError for what a stage's players or the rows of its beginning name that is not there, or cannot be."""
    for index, stage in enumerate(config.stages):
        where = f"stages[{index}]"
        if stage.batch % stage.accumulate:
            raise UserError(f"{where}: a batch of {stage.batch} is not {stage.accumulate} equal parts; mend accumulate")
        if stage.remat not in ("", "blocks"):
            raise UserError(f"{where}.remat: {stage.remat!r} is unknown; use blocks, or nothing")
        for number, row in enumerate(stage.begin):
            _check_begin(row, f"{where}.begin[{number}]", trained(config))
        variables = abstract_variables(config, index)
        _check_players(stage.players, f"{where}.players", variables)
        augment.check(stage.augment, math.prod(config.networks[name].scale for name in config.chain
                                               if not in_head(variables, config.chain, name)))
        for name in config.chain:
            if stage.fused and "batch_stats" in variables[name] and not stage.frozen_statistics:
                raise UserError(f"{where}.fused: {name} has BatchNorm, whose statistics would not be renewed; train it "
                                f"as it is (--config.{where}.fused=False)")


def _check_begin(row, where, nets):
    if set(row) != {"net", "carry", "fields"}:
        raise UserError(f"{where}: needs exactly the keys net, carry, fields")
    if row["net"] not in nets:
        raise UserError(f"{where}: no network {row['net']!r} is trained; {nearest(row['net'], nets)}")
    if row["carry"] not in CARRIES:
        raise UserError(f"{where}: no rule {row['carry']!r}; {nearest(row['carry'], CARRIES)}")


def _check_players(players, where, variables):
    updated = [name for player in players for name in player.nets]
    for number, player in enumerate(players):
        for name in player.nets:
            if name not in variables:
                raise UserError(f"{where}[{number}]: no network {name!r}; {nearest(name, variables)}")
            if updated.count(name) > 1:
                raise UserError(f"{where}: {name} is updated twice; one player may update a network")
        if player.freeze and player.optimizer.name == "schedule_free_adamw":
            raise UserError(f"{where}[{number}].freeze: not with schedule_free_adamw, whose average moves all the same")
        optim.rate_factors(player.freeze, {name: variables[name]["params"] for name in player.nets}, 0)
