"""Optimizers and learning-rate schedules, named as in the reports, built from rows of data with optax.

The optimizers here give the update's direction; the step multiplies it by the schedule's learning rate itself, as a
function of the stage's step, so that a skipped step does not shift the schedule.
"""

import inspect

import jax.numpy as jnp
import numpy as np
import optax

from jsr.config import nearest
from jsr.errors import UserError


def adam(b1=0.9, b2=0.999, eps=1e-8):
    """Kingma and Ba 2015; defaults of PyTorch."""
    return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)


def adamw(b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2):
    """Loshchilov and Hutter 2019: decay added to the direction, so that the learning rate scales it, as in PyTorch."""
    return optax.chain(optax.scale_by_adam(b1=b1, b2=b2, eps=eps), optax.add_decayed_weights(weight_decay))


def constant(peak, steps):
    """The learning rate `peak` throughout."""
    del steps
    return optax.constant_schedule(peak)


def multi_step(peak, steps, milestones=(), factor=0.5):
    """`peak`, times `factor` at each milestone (a step of the stage)."""
    del steps
    return optax.piecewise_constant_schedule(peak, {int(m): factor for m in milestones})


def cosine(peak, steps, end=0.0):
    """Half a cosine from `peak` at step 0 to `end` at step `steps`."""
    return optax.cosine_decay_schedule(peak, max(steps, 1), alpha=end / peak)


def cosine_restarts(peak, steps, period, factor=1.0, end=0.0):
    """Half a cosine down to `end` every `period` steps; each begins at `factor` times the height of the one before."""
    del steps

    def rate(step):
        cycle, within = step // period, step % period
        return end + (peak * factor**cycle - end) * 0.5 * (1 + jnp.cos(jnp.pi * within / period))

    return rate


def piecewise_linear(peak, steps, points=()):
    """Straight lines between points (step of the stage, fraction of `peak`); two at one step make a jump."""
    del steps
    at, fractions = np.array(points).T
    return lambda step: peak * jnp.interp(step, at, fractions)


OPTIMIZERS = {"adam": adam, "adamw": adamw}
SCHEDULES = {"constant": constant, "multi_step": multi_step, "cosine": cosine, "cosine_restarts": cosine_restarts,
             "piecewise_linear": piecewise_linear}


def make_optimizer(row):
    """The optax transformation of a row {name, ...}; raises UserError for an unknown name or argument."""
    return _call(OPTIMIZERS, dict(row), "optimizer")


def make_schedule(row, *, peak, steps):
    """The schedule of a row {name, warmup_steps, ...}: a function of the stage's step.

    With `warmup_steps` the rate rises linearly from peak / warmup_steps and reaches `peak` after that many steps; the
    named schedule then runs over the rest, milestones and points still counted from the stage's start, periods from the
    end of the warm-up.

    Raises:
      UserError: an unknown name or argument.
    """
    row = dict(row)
    warmup = row.pop("warmup_steps", 0)
    if row["name"] == "multi_step":
        row["milestones"] = [m - warmup for m in row.get("milestones", ())]
    if row["name"] == "piecewise_linear":
        row["points"] = [(step - warmup, fraction) for step, fraction in row["points"]]
    after = _call(SCHEDULES, row, "schedule", peak=peak, steps=steps - warmup)
    if not warmup:
        return after
    rise = optax.linear_schedule(peak / warmup, peak, max(warmup - 1, 1))
    return optax.join_schedules([rise, after], [warmup])


def _call(table, row, what, **given):
    name = row.pop("name")
    if name not in table:
        raise UserError(f"{what} {name!r} is unknown; {nearest(name, table)}")
    known = [p for p in inspect.signature(table[name]).parameters if p not in given]
    for key in row:
        if key not in known:
            raise UserError(f"{what} {name}: unknown argument {key!r}; {nearest(key, known)}")
    return table[name](**given, **row)


def stage_optimizers(stage):
    """{network: optimizer} of a stage of a recipe."""
    return {name: make_optimizer(player.optimizer) for player in stage.players for name in player.nets}


def stage_schedules(stage):
    """The learning-rate schedule of each player of a stage."""
    return [make_schedule(player.schedule, peak=player.learning_rate, steps=stage.steps) for player in stage.players]
