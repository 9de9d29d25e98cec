"""Optimizers and learning-rate schedules, named as in the reports, built from rows of data with optax.

An optimizer is given the learning rate at each update, and the loss: `update(grads, state, params, learning_rate=rate,
value=loss)`. The rate is the schedule's at the stage's step, so that a skipped step does not shift the schedule.
"""

import fnmatch
import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jsr.errors import UserError, mismatch, nearest


def adam(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
    """Kingma and Ba 2015; defaults of PyTorch, whose `weight_decay` is added to the gradient (L2)."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, b1=b1, b2=b2, eps=eps))


def adamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2):
    """Loshchilov and Hutter 2019: decay beside the gradient, scaled by the learning rate, as in PyTorch."""
    return optax.adamw(learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)


def sgd(learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
    """Stochastic gradient descent as PyTorch's: decay is added to the gradient, momentum is not dampened."""
    return optax.chain(optax.add_decayed_weights(weight_decay),
                       optax.sgd(learning_rate, momentum=momentum or None, nesterov=nesterov))


def lion(learning_rate, b1=0.9, b2=0.99, weight_decay=0.0):
    """Chen et al. 2023, Symbolic Discovery of Optimization Algorithms; defaults of lucidrains/lion-pytorch."""
    return optax.lion(learning_rate, b1=b1, b2=b2, weight_decay=weight_decay)


def schedule_free_adamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
    """Defazio et al. 2024, The Road Less Scheduled; defaults of PyTorch's. What it averages is evaluated and kept.

    It is made for the schedule "constant", with a warm-up.
    """
    return optax.contrib.schedule_free_adamw(learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)


def adan(learning_rate, b1=0.98, b2=0.92, b3=0.99, eps=1e-8, weight_decay=0.0):
    """Xie et al. 2022, Adan; defaults of sail-sg/Adan, which divides by 1 + learning_rate * weight_decay.

    `b2` averages differences of gradients, `b3` squares. Not by optax 0.2.8's, which counts the differences 1 - b2
    times where the paper and its code have b2 (its pull request 1715).
    """
    def init(params):
        zeros = optax.tree.zeros_like(params)
        return optax.ScaleByAdanState(m=zeros, v=zeros, n=zeros, g=zeros, t=jnp.zeros([], jnp.int32))

    def update(grads, state, params):
        change = jax.tree.map(lambda now, before: jnp.where(state.t, now - before, 0), grads, state.g)
        ahead = optax.tree.add_scale(grads, b2, change)
        t = optax.safe_increment(state.t)
        new = optax.ScaleByAdanState(m=optax.tree.update_moment(grads, state.m, b1, 1),
                                     v=optax.tree.update_moment(change, state.v, b2, 1),
                                     n=optax.tree.update_moment_per_elem_norm(ahead, state.n, b3, 2), g=grads, t=t)

        def moved(m, v, n, param):
            step = m / (1 - b1**t) + b2 * v / (1 - b2**t)
            step = param - learning_rate * step / (jnp.sqrt(n / (1 - b3**t)) + eps)
            return step / (1 + learning_rate * weight_decay) - param

        return jax.tree.map(moved, new.m, new.v, new.n, params), new

    return optax.GradientTransformation(init, update)


def muon(learning_rate, momentum=0.95, nesterov=True, b1=0.9, b2=0.999, weight_decay=0.0):
    """Jordan et al. 2024, Muon: the update of a kernel is made orthogonal; biases and gains go Adam's way.

    `momentum` is the kernels', with Nesterov's step for both where `nesterov` says so. A convolution's kernel is a
    matrix of (height * width * inputs, outputs). Updates have the size of Adam's (Liu et al. 2025, Muon is Scalable for
    LLM Training, a root mean square of 0.2), so that its learning rates can stay.
    """
    def matrices(params):
        return jax.tree.map(lambda leaf: optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)
                            if leaf.ndim > 1 else None, params)

    return optax.contrib.muon(learning_rate, beta=momentum, nesterov=nesterov, adam_b1=b1, adam_b2=b2,
                              weight_decay=weight_decay, adam_weight_decay=weight_decay, consistent_rms=0.2,
                              muon_weight_dimension_numbers=matrices)


def prodigy(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0, first=1e-6, safeguard_warmup=False):
    """Mishchenko and Defazio 2023, Prodigy: it finds the learning rate, of which `learning_rate` is a multiple, 1.

    Args:
      first: its first guess of the rate.
      safeguard_warmup: whether a warm-up of the schedule is left out of what the rate is found by.
    """
    return optax.contrib.prodigy(learning_rate, betas=(b1, b2), eps=eps, weight_decay=weight_decay, estim_lr0=first,
                                 safeguard_warmup=safeguard_warmup)


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


def linear(peak, steps, end=0.0):
    """A straight line from `peak` at step 0 to `end` at step `steps`."""
    return plateau_linear(peak, steps, end=end)


def plateau_linear(peak, steps, hold=0, end=0.0):
    """`peak` for `hold` steps, then a straight line to `end` at step `steps`: Bicubic++'s."""
    return lambda step: jnp.interp(step, jnp.array([hold, max(steps, hold + 1)]), jnp.array([peak, end]))


def cyclic(peak, steps, start, up, down=0, factor=1.0):
    """Triangles from `start` to `peak` in `up` steps and back in `down`, as many as `up` by default.

    Smith 2017; PyTorch's CyclicLR. The height over `start` is multiplied by `factor` with each triangle: 0.5 is
    PyTorch's "triangular2".
    """
    del steps
    down = down or up

    def rate(step):
        cycle, within = step // (up + down), step % (up + down)
        height = jnp.where(within < up, within / up, (up + down - within) / down)
        return start + (peak - start) * height * factor**cycle

    return rate


def plateau(peak, steps, window, factor=0.5, patience=10, rtol=1e-4, lowest=0.0):
    """`peak`, times `factor` whenever the loss has not become smaller by the share `rtol` for `patience` windows.

    What is compared is the player's training loss, its mean over `window` steps: every host and every resumed run
    computes the same, where validation would have to be waited for. `make_optimizer` does it; the names are those of
    PyTorch's ReduceLROnPlateau, whose patience counts one more.

    Args:
      lowest: the smallest learning rate.
    """
    del steps, window, factor, patience, rtol, lowest
    return optax.constant_schedule(peak)


OPTIMIZERS = {fn.__name__: fn for fn in (adam, adamw, sgd, lion, adan, muon, prodigy,
                                         schedule_free_adamw)}
BY_SHAPES = ("muon",)  # optimizers that look at the shapes of the parameters
SCHEDULES = {fn.__name__: fn for fn in (constant, multi_step, cosine, cosine_restarts, piecewise_linear, linear,
                                        plateau_linear, cyclic, plateau)}


def make_optimizer(row, schedule=None, *, peak=1.0):
    """An optimizer, see above.

    Args:
      row: {name in OPTIMIZERS, and arguments of the function}.
      schedule: row of the schedule, where that is "plateau".
      peak: the schedule's highest rate.

    Returns:
      optax.GradientTransformationExtraArgs.

    Raises:
      UserError: an unknown name or argument, one that is missing, or a pair that does not go together.
    """
    after = optax.identity()
    if schedule is not None and schedule["name"] == "plateau":
        if row["name"] == "schedule_free_adamw":
            raise UserError("optimizer schedule_free_adamw: cannot follow the schedule plateau; use constant")
        make_schedule(schedule, peak=peak, steps=1)  # mistakes in it
        after = _on_plateau(schedule, peak)

    _check_row(OPTIMIZERS, row, "optimizer", ("learning_rate",))
    options = {key: value for key, value in row.items() if key != "name"}

    def at(learning_rate):
        return optax.chain(OPTIMIZERS[row["name"]](learning_rate, **options), after)

    def update(grads, state, params, *, learning_rate, value):
        return at(learning_rate).update(grads, state, params, value=value)

    return optax.GradientTransformationExtraArgs(at(0.0).init, update)


def _on_plateau(schedule, peak):
    row = {key: value for key, value in schedule.items() if key not in ("name", "warmup_steps")}
    bound = inspect.signature(plateau).bind(peak, 0, **row)
    bound.apply_defaults()
    found = bound.arguments
    return optax.contrib.reduce_on_plateau(factor=found["factor"], patience=found["patience"], rtol=found["rtol"],
                                           accumulation_size=found["window"], min_scale=found["lowest"] / peak)


def plateau_scale(state):
    """The factor of the schedule "plateau" on the learning rate, given the optimizer's state; else 1."""
    found = _states_of(state, optax.contrib.ReduceLROnPlateauState)
    return found[0].scale if found else 1.0


def evaluated(state, params):
    """The parameters to evaluate: those that a schedule-free optimizer has averaged, of others the ones at hand."""
    found = _states_of(state, optax.contrib.ScheduleFreeState)
    return optax.contrib.schedule_free_eval_params(found[0], params) if found else params


def _states_of(state, kind):
    leaves = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, kind))
    return [leaf for leaf in leaves if isinstance(leaf, kind)]


# Of arguments of optimizers and schedules: whether a value can be, and the words for it
_RANGES = {
    **dict.fromkeys(("b1", "b2", "b3", "momentum"), (lambda value: 0 <= value < 1, "from 0 to below 1")),
    **dict.fromkeys(("eps", "factor", "first"), (lambda value: value > 0, "more than 0")),
    **dict.fromkeys(("weight_decay", "end", "start", "lowest", "rtol", "hold", "down", "patience", "warmup_steps"),
                    (lambda value: value >= 0, "0 or more")),
    **dict.fromkeys(("period", "up", "window"), (lambda value: value >= 1, "1 or more")),
    "milestones": (lambda value: all(_is_number(step) and step >= 0 for step in value) and len(set(value)) ==
                   len(value), "steps of 0 or more, each once"),
    "points": (lambda value: bool(value) and all(
        isinstance(point, (list, tuple)) and len(point) == 2 and all(_is_number(number) and number >= 0
                                                                     for number in point) for point in value)
               and list(value) == sorted(value, key=lambda point: point[0]),
               "pairs (step, fraction) of 0 or more, in the order of the steps"),
}


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_FREEZE: dict[str, Any] = {"pattern": "", "steps": 0, "factor": 0.0}


def _freeze_rows(rows: Any) -> list[dict[str, Any]]:
    """Rows {pattern, steps, factor}, whole; raises UserError for unknown keys and values of another type."""
    rows = [_FREEZE | ({"pattern": row} if isinstance(row, str) else dict(row)) for row in rows]
    for row in rows:
        for key, value in row.items():
            if key not in _FREEZE:
                raise UserError(f"freeze: unknown key {key!r}; {nearest(key, _FREEZE)}")
            if wrong := mismatch(value, _FREEZE[key]):
                raise UserError(f"freeze: {key}: {wrong}")
            if key != "pattern" and not 0 <= value < math.inf:
                raise UserError(f"freeze: {key}: {value!r}; give 0 or more")
    return rows


def check(player, steps):
    """Raises UserError for mistakes in a player's optimizer, schedule and freezing, in a stage of `steps` steps."""
    make_schedule(player.schedule, peak=player.learning_rate, steps=steps)
    make_optimizer(player.optimizer, player.schedule, peak=player.learning_rate).init({})
    _freeze_rows(player.freeze)
    if player.freeze and player.optimizer["name"] == "schedule_free_adamw":
        raise UserError("freeze: cannot be used with schedule_free_adamw, whose average would still move")


def rate_factors(rows, params, step):
    """The factor on the learning rate of each parameter.

    Args:
      rows: {pattern, steps, factor}: what `pattern` (as of a shell; of paths as "sr/body_0/conv1/kernel") fits has the
        learning rate times `factor` (0 by default) during the stage's first `steps` steps; 0 steps, the default, are
        all. A pattern alone is such a row too.
      params: {network: parameters}.
      step: step of the stage.

    Returns:
      {network: tree of numbers}; a float 0.0 is a parameter that never moves.

    Raises:
      UserError: a pattern fits nothing, or an unknown key.
    """
    rows = _freeze_rows(rows)

    def path_of(path):
        return jax.tree_util.keystr(path, simple=True, separator="/")

    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for row in rows:
        if not fnmatch.filter(paths, row["pattern"]):
            places = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 2)}
            close = nearest(row["pattern"].rstrip("/*"), places)
            raise UserError(f"freeze: no parameter fits {row['pattern']!r}; {close}")

    def factor(path, leaf):
        del leaf
        product = 1.0
        for row in (row for row in rows if fnmatch.fnmatch(path_of(path), row["pattern"])):
            product *= jnp.where(step < row["steps"], row["factor"], 1.0) if row["steps"] else float(row["factor"])
        return product

    return jax.tree_util.tree_map_with_path(factor, params)


_FROM_THE_START = {"milestones": lambda milestones, warmup: [step - warmup for step in milestones],
                   "points": lambda points, warmup: [(step - warmup, fraction) for step, fraction in points],
                   "hold": lambda hold, warmup: max(hold - warmup, 0)}


def make_schedule(row: Any, *, peak, steps):
    """The schedule of a row {name, warmup_steps, ...}: a function of the stage's step.

    With `warmup_steps` the rate rises linearly from peak / warmup_steps and reaches `peak` after that many steps; the
    named schedule then runs over the rest, milestones, points and `hold` still counted from the stage's start, periods
    from the end of the warm-up.

    Raises:
      UserError: an unknown name or argument, or one that is missing.
    """
    row = {"name": ""} | dict(row)
    warmup = row.pop("warmup_steps", 0)
    _check_value("schedule", "warmup_steps", warmup, 0)
    _check_row(SCHEDULES, row, "schedule", ("peak", "steps"))
    row |= {key: shift(row[key], warmup) for key, shift in _FROM_THE_START.items() if key in row}
    after = SCHEDULES[row.pop("name")](peak=peak, steps=steps - warmup, **row)
    if not warmup:
        return after
    rise = optax.linear_schedule(peak / warmup, peak, max(warmup - 1, 1))
    return optax.join_schedules([rise, after], [warmup])


def arguments(what, name):
    """{key: default} of what a row of this name takes besides it; None where there is no default.

    Args:
      what: "optimizer" or "schedule".
      name: in OPTIMIZERS or SCHEDULES.

    Raises:
      UserError: an unknown name.
    """
    given = {"optimizer": ("learning_rate",), "schedule": ("peak", "steps")}[what]
    known = _signature({"optimizer": OPTIMIZERS, "schedule": SCHEDULES}[what], name, what, given)
    return ({"warmup_steps": 0} if what == "schedule" else {}) | {
        key: None if p.default is p.empty else p.default for key, p in known.items()}


def _signature(table, name, what, given):
    """{key: inspect.Parameter} of a function of a table, but for what is given."""
    if name not in table:
        raise UserError(f"{what} {name!r} is unknown; {nearest(name, table)}")
    return {key: p for key, p in inspect.signature(table[name]).parameters.items() if key not in given}


def _check_row(table, row, what, given):
    """Raises UserError for a row that names no function of a table, or whose arguments that function does not take."""
    row = dict(row)
    name = row.pop("name", "")
    known = _signature(table, name, what, given)
    for key, value in row.items():
        if key not in known:
            raise UserError(f"{what} {name}: unknown argument {key!r}; {nearest(key, known)}")
        _check_value(f"{what} {name}", key, value, None if known[key].default is inspect.Parameter.empty
                     else known[key].default)
    if missing := [key for key, p in known.items() if p.default is p.empty and key not in row]:
        raise UserError(f"{what} {name}: lacks {', '.join(missing)}")


def _check_value(what, key, value, default):
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{what}: {key}: {value!r}; give a number")
    wrong = mismatch(value, 0.0 if default is None or type(default) is int else default)
    if not wrong and key in _RANGES and not _RANGES[key][0](value):
        wrong = f"{value!r}; give {_RANGES[key][1]}"
    if wrong:
        raise UserError(f"{what}: {key}: {wrong}")


def stage_optimizers(stage):
    """{network: optimizer} of a stage of a recipe."""
    return {name: make_optimizer(player.optimizer, player.schedule, peak=player.learning_rate)
            for player in stage.players for name in player.nets}


def stage_schedules(stage):
    """The learning-rate schedule of each player of a stage."""
    return [make_schedule(player.schedule, peak=player.learning_rate, steps=stage.steps) for player in stage.players]
