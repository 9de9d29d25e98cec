"""Counts the steps that fit into a number of minutes, by timing real parts of a run, which are thrown away.

All stages become longer or shorter by one factor, with whatever counts steps in them. It is found before the first
step, since schedules end with their stage, and written into the run, which is resumed with it.
"""

import dataclasses
import itertools
import json
import shutil
import time

import jax
import numpy as np

from jsr import challenges, evaluation, models, sharding
from jsr.data import mix, pipeline, validation
from jsr.errors import UserError
from jsr.files import atomic_write, from_json
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
from jsr.training import check, memory, run_folder, stages
from jsr.training import state as states
from jsr.training.checkpoints import Checkpoints

FILE = "pace.json"  # of a run of some minutes, in its folder
SHARE, LONGEST_S = 0.05, 30.0  # of the minutes for measuring the steps of all stages; of one stage
_IMAGES = 8  # of a validation that are measured
_AHEAD = 6  # batches that a worker keeps ready: until they are used up, steps are too fast where data are slow
# What counts steps besides a stage's own number: in its schedules (of points and the spans of data rows the entries)
_COUNTS = ("warmup_steps", "milestones", "points", "period", "hold", "up", "down", "window")


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a run take.

    Attributes:
      starts: start of every stage, from its begin to its first step: workers, first batches, compiling.
      steps: one step of every stage.
      validation: one validation.
      compiling: extra time of the first validation.
      checkpoint: one checkpoint.
    """

    starts: list[float]
    steps: list[float]
    validation: float = 0.0
    compiling: float = 0.0
    checkpoint: float = 0.0


def fit(recipe, minutes, workdir, *, console, started):
    """A recipe with as many steps as its training has time for, from the command's start to its last checkpoint.

    Args:
      recipe: Recipe.
      minutes: minutes of training; None leaves the recipe as it is.
      workdir: the run's folder; one that has begun goes on with the steps that it began with.
      console: a rich Console for what is found.
      started: time.monotonic() at the command's start.

    Raises:
      UserError: the folder holds a run of other minutes, or of none; the minutes are too few; a mistake in the recipe.
    """
    if run_folder.has_begun(workdir):
        return as_begun(recipe, minutes, workdir)
    path = workdir / FILE
    if minutes is None:
        path.unlink(missing_ok=True)
        return recipe
    if not minutes > 0:
        raise UserError(f"--minutes {minutes:g}: give more than 0")
    if jax.process_count() > 1:
        raise UserError("--minutes: several hosts would measure different rates; give the steps of every stage instead")
    console.print(f"--minutes {minutes:g}: compiling, and measuring how long a step takes", highlight=False)
    with console.status("measuring"):
        costs, found = _measured(recipe, 60 * minutes, workdir, started)
    with atomic_write(path, "w") as file:
        json.dump({"minutes": minutes, "factor": found, "seconds": dataclasses.asdict(costs)}, file, indent=1)
    steps = _steps(recipe, found)
    rates = ", ".join(f"{1 / seconds:.3g}" for seconds in costs.steps)
    console.print(f"--minutes {minutes:g}: {rates} steps/s, so {' + '.join(f'{n:,}' for n in steps)} steps instead of "
                  f"{' + '.join(f'{stage.steps:,}' for stage in recipe.stages)}", highlight=False, soft_wrap=True)
    return scaled(recipe, found)


def as_begun(recipe, minutes, workdir):
    """A recipe with the steps with which its run in a folder has begun; arguments and mistakes are those of `fit`."""
    path = workdir / FILE
    given, found = None, 1.0
    if path.exists():
        with from_json(path, "put it back, or remove the run") as before:
            given, found = float(before["minutes"]), float(before["factor"])
    if given != minutes:
        there, here = ("a given number of steps" if m is None else f"--minutes {m:g}" for m in (given, minutes))
        raise UserError(f"{workdir}: holds a run of {there}, not of {here}; give the same, or choose another "
                        f"--workdir{run_folder.starting_from(workdir, recipe)}")
    return recipe if minutes is None else scaled(recipe, found)


def _measured(recipe, seconds, workdir, started):
    """(Costs, factor) of a recipe; a validation is measured only where the run gets as far as one."""
    costs = measure(recipe, min(SHARE * seconds / len(recipe.stages), LONGEST_S), workdir)

    def found():
        spent = time.monotonic() - started
        fitting = factor(recipe, costs, seconds - spent)
        if fitting is None:
            least = (spent + seconds_of(recipe, costs, 0.0)) / 60
            raise UserError(f"--minutes {seconds / 60:g}: preparing, compiling and measuring alone take {least:.1f} "
                            "minutes; give more")
        return fitting

    if sum(_steps(recipe, found())) > recipe.eval_every:
        validation, compiling = _validation(recipe)
        costs = dataclasses.replace(costs, validation=validation, compiling=compiling)
    return costs, found()


def factor(recipe, costs, seconds):
    """The largest factor by which the stages of a recipe may become longer; None where one step each is too long."""
    if seconds_of(recipe, costs, 0.0) > seconds:
        return None
    low, high = 0.0, 1.0
    while seconds_of(recipe, costs, high) <= seconds:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if seconds_of(recipe, costs, middle) <= seconds else (low, middle)
    return low


def seconds_of(recipe, costs, factor):
    """Seconds that a recipe's training takes with all stages lengthened by a factor."""
    steps = _steps(recipe, factor)
    validations = (sum(steps) - 1) // recipe.eval_every
    return (sum(costs.starts) + sum(n * each for n, each in zip(steps, costs.steps, strict=True))
            + validations * costs.validation + (costs.compiling if validations else 0)
            + (sum(steps) // recipe.checkpoint_every + len(steps)) * costs.checkpoint)


def _steps(recipe, factor):
    return [_times(stage.steps, factor) for stage in recipe.stages]


def _times(count, factor):
    return max(round(count * factor), 1)


def scaled(recipe, factor):
    """A recipe whose stages are `factor` times as long, and all that counts their steps: schedules, freezing, data."""
    data = dataclasses.replace(recipe.data, train=_with_spans(recipe.data.train, factor))
    return dataclasses.replace(recipe, data=data, stages=tuple(_stage(stage, factor) for stage in recipe.stages))


def _stage(stage, factor):
    return dataclasses.replace(stage, steps=_times(stage.steps, factor), data=_with_spans(stage.data, factor),
                               players=tuple(_player(player, factor) for player in stage.players))


def _player(player, factor):
    schedule = {key: _scaled(key, value, factor) if key in _COUNTS else value for key, value in player.schedule.items()}
    freeze = tuple(row | {"steps": _times(row["steps"], factor)} if isinstance(row, dict) and row.get("steps") else row
                   for row in player.freeze)
    return dataclasses.replace(player, schedule=schedule, freeze=freeze)


def _with_spans(rows, factor):
    return tuple(dataclasses.replace(row, steps=_span(row.steps, factor)) if row.steps else row for row in rows)


def _scaled(key, value, factor):
    if key == "points":
        return [[round(step * factor), fraction] for step, fraction in value]
    if isinstance(value, (list, tuple)):
        return [_times(step, factor) for step in value]
    return _times(value, factor) if value else value


def _span(steps, factor):
    """[first, last): what begins where another ends still does, and takes part in one step at least."""
    first = round(steps[0] * factor)
    return first, max(round(steps[1] * factor), first + 1)


def measure(recipe, seconds, workdir):
    """The Costs of a recipe but for validations, by steps of every stage with its own data.

    Args:
      recipe: Recipe.
      seconds: seconds of steps of each stage, besides its start.
      workdir: folder on the disk where checkpoints will lie.
    """
    mesh, opened, key = sharding.make_mesh(axes=recipe.mesh), mix.open_sources(recipe), jax.random.key(recipe.seed)
    recipe = check.fitted(recipe, mesh)
    frozen = jax.device_put(states.frozen_variables(recipe), sharding.replicated(mesh))
    starts, steps = [], []
    for index, stage in enumerate(recipe.stages):
        begin, plan = time.monotonic(), stages.plan_of(recipe, index)
        fields = recipe.fields_at(index)
        variables = {name: models.init(stages.create(recipe.networks[name], fields[name]), key)
                     for name in recipe.trained}
        state = states.placed(plan, states.make_state(plan, variables), mesh)
        batches = pipeline.train_batches(mix.stage_rows(recipe, stage, opened), seed=index, start=0,
                                         batch=stage.batch, num_workers=recipe.data.num_workers,
                                         max_damaged=recipe.data.max_damaged)
        try:
            feed = pipeline.prefetch_to_device(batches, lambda b: sharding.put_batch(b, mesh))
            batch = next(feed)
            program = memory.Program(plan, state, batch, key, frozen)
            starts.append(time.monotonic() - begin)
            each, state = _step_seconds(program, state, batch, feed, key, frozen, seconds,
                                        ahead=_AHEAD * recipe.data.num_workers)
            steps.append(each)
        finally:
            batches.close()
    return Costs(starts, steps, checkpoint=_checkpoint(state, workdir / "pace"))


def _step_seconds(program, state, batch, feed, key, frozen, seconds, *, ahead):
    """(seconds of a step, the state after some): the mean of those that follow the first `ahead`, or half the time."""
    begin, ends, warm = time.monotonic(), [], 2
    while True:
        with program.explained():
            state, values = program(state, batch, key, frozen, np.int32(0))
            batch = next(feed)
            jax.block_until_ready(values)
        now = time.monotonic()
        ends.append(now)
        if len(ends) <= 2 + ahead and now - begin < seconds / 2:
            warm = len(ends)
        if now - begin >= seconds and len(ends) > warm:
            return (ends[-1] - ends[warm - 1]) / (len(ends) - warm), state


def _checkpoint(state, folder):
    """Seconds of writing a checkpoint; the folder is gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder, keep=1)
    try:
        for step in (1, 2):  # the first also makes ready
            begin = time.monotonic()
            checkpoints.save(step, state, {})
            checkpoints.wait()
            seconds = time.monotonic() - begin
    finally:
        checkpoints.close()
        shutil.rmtree(folder, ignore_errors=True)
    return seconds


def _validation(recipe):
    """(seconds of a validation, extra seconds of the first one), by its first images, twice."""
    protocol = challenges.of(recipe.protocol, recipe.ranking)
    networks = stages.plan_of(recipe, 0).networks
    variables = {name: models.init(networks[name], jax.random.key(0)) for name in recipe.chain}
    upscaler = Upscaler([Chain({name: networks[name] for name in recipe.chain}, variables)])
    seconds = []
    for _ in range(2):
        begin = time.monotonic()
        pairs = itertools.islice(validation.pairs(recipe, lambda line: None), _IMAGES)
        count = itertools.count()  # one pair at a time: clips are large
        evaluation.ranking_score(upscaler, (pair for pair, _ in zip(pairs, count, strict=False)), protocol)
        seconds.append(time.monotonic() - begin)
    each = seconds[1] * validation.count(recipe) / next(count)
    return each, max(seconds[0] - seconds[1], 0.0)
