"""Stages of a recipe: each one's plan, and how parameters pass from one form of a network to the next.

A stage may begin with rows {net, carry, fields}: the network takes other fields, and its parameters and their average
pass over by a rule of CARRIES. A network's form is so a function of the recipe and the stage alone, as it must be to
resume anywhere.
"""

import dataclasses
import functools
import logging
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp

from jsr import models, optim, reparam
from jsr.analysis import channels
from jsr.errors import UserError
from jsr.recipes.schema import Recipe

log = logging.getLogger("jsr")

_NOTHING_FITS = "nothing of it has the place and shape of anything in the new form"


@dataclasses.dataclass(frozen=True)
class StagePlan:
    """A stage of a recipe, resolved once: what the functions of this package need to know of it.

    Attributes:
      recipe: Recipe.
      index: number of the stage, from 0; -1 is the first stage before its own changes of networks.
      networks: {name: module} in the stage's form and the recipe's compute dtype; deployed where none trains them.
    """

    recipe: Recipe
    index: int
    networks: dict[str, Any]

    @property
    def stage(self):
        """The Stage."""
        return self.recipe.stages[max(self.index, 0)]

    @functools.cached_property
    def optimizers(self):
        """{network: optimizer} of the networks that the stage's players update."""
        return optim.stage_optimizers(self.stage)

    @functools.cached_property
    def schedules(self):
        """Learning-rate schedule of each player, a function of the stage's step."""
        return optim.stage_schedules(self.stage)

    @property
    def first_step(self):
        """Steps of the run before the stage."""
        return self.recipe.first_steps[max(self.index, 0)]

    @property
    def last_step(self):
        """Steps of the run at the stage's end."""
        return self.first_step + self.stage.steps


def plan_of(recipe, index):
    """The StagePlan of stage `index` of a recipe."""
    networks = {name: create(recipe.networks[name], fields, jnp.dtype(recipe.dtype))
                for name, fields in recipe.fields_at(index).items()}
    return StagePlan(recipe, index, {name: module if name in recipe.trained else reparam.deployed(module)
                                     for name, module in networks.items()})


def create(net, fields=None, dtype=None):
    """The module of a network of a recipe.

    Args:
      net: its Net.
      fields: fields instead of its own.
      dtype: compute dtype; the network's own where None.
    """
    given = {} if dtype is None else {"dtype": dtype}
    return models.create(net.model, scale=net.scale, **given, **(net.fields if fields is None else fields))


def abstract_variables(plan):
    """{name: abstract Flax collections} of the networks that a recipe trains, during a stage.

    Raises:
      UserError: a network cannot be made with its fields.
    """
    fields, found = plan.recipe.fields_at(plan.index), {}
    for name in plan.recipe.trained:
        net = plan.recipe.networks[name]
        try:
            found[name] = models.abstract(net.model, scale=net.scale, **fields[name])
        except UserError:
            raise
        except Exception as e:  # whatever a size that cannot be makes of the network's code
            raise UserError(f"--config.networks.{name}.fields: {net.model} cannot be made with {fields[name]} "
                            f"({type(e).__name__}: {str(e).splitlines()[0] if str(e) else 'no more is known'})") from e
    return found


def in_head(variables, chain, name):
    """Whether a network of the chain, and all before it, have no parameters."""
    return not any(variables[other]["params"] for other in chain[:chain.index(name) + 1])


def begin(plan, nets, key, score):
    """The networks' variables as a stage begins with them.

    Args:
      plan: StagePlan of the stage.
      nets: {name: [the variables, and, where an average is kept, the averaged variables]}; both become the same.
      key: PRNG key for what is new.
      score: from (modules {name: module}, variables {name: Flax collections}) to a number, the more the better: the
        chain's PSNR on validation images.

    Returns:
      nets, in the stage's form.

    Raises:
      UserError: a row that does not fit its network.
    """
    recipe = plan.recipe
    fields, dtype = recipe.fields_at(plan.index - 1), jnp.dtype(recipe.dtype)
    modules = dict(plan_of(recipe, plan.index - 1).networks)
    for number, row in enumerate(plan.stage.begin):
        net = recipe.networks[row.net]
        fields[row.net] = {**fields[row.net], **row.fields}
        after = create(net, fields[row.net], dtype)
        leading = {name: versions[-1] for name, versions in nets.items()}

        def with_variables(variables, row=row, leading=leading):
            return score(modules, {**leading, row.net: variables})

        try:
            become = CARRIES[row.carry](modules[row.net], after, leading[row.net],
                                        key=jax.random.fold_in(key, number), score=with_variables)
            nets = {**nets, row.net: [become(version) for version in nets[row.net]]}
        except ValueError as e:
            raise UserError(f"stages[{plan.index}].begin[{number}]: {row.carry} of {net.model}: {e}") from e
        modules[row.net] = after
        log.info("%s: %s, %s", row.net, row.carry, ", ".join(f"{name} = {value}" for name, value in row.fields.items()))
    return nets


def match(before, after, variables, *, key, score):
    """Keeps parameters of the same place and shape, draws new ones, leaves the rest out: other scale, no biases, more
    blocks."""
    del before, variables, score
    drawn = models.init(after, key)

    def become(variables):
        old, new = traverse_util.flatten_dict(variables), traverse_util.flatten_dict(drawn)
        kept = {path: leaf for path, leaf in old.items() if path in new and new[path].shape == leaf.shape}
        if not kept:
            raise ValueError(_NOTHING_FITS)
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


def check_carry(carry, before, after, shapes):
    """Raises UserError where a rule of CARRIES leads from no such form of a network to another, as far as shapes show.

    Args:
      carry: name of the rule.
      before, after: the modules.
      shapes: their abstract variables.
    """
    old, new = ({path: leaf.shape for path, leaf in traverse_util.flatten_dict(its).items()} for its in shapes)
    if carry == "match" and not any(new.get(path) == shape for path, shape in old.items()):
        raise UserError(_NOTHING_FITS)
    if carry == "fuse" and after != reparam.deployed(before):
        raise UserError("makes the network's deployed form; give the fields {'deploy': True}")
    if carry in ("select_channels", "prune"):
        if old.keys() != new.keys():
            raise UserError("the smaller network has other parameters, first "
                             f"{'/'.join(sorted(old.keys() ^ new.keys())[0])}")
        for path, shape in new.items():
            if any(less > more for less, more in zip(shape, old[path], strict=True)):
                raise UserError(f"{'/'.join(path)} is {shape}, larger than {old[path]} before")


def _keep(variables, after, found, scores):
    indices = channels.select(found, scores, variables, jax.eval_shape(lambda: models.init(after, jax.random.key(0))))
    return lambda variables: channels.take(variables, indices)


CARRIES = {"match": match, "fuse": fuse, "select_channels": select_channels, "prune": prune}
