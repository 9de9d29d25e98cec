"""Speed of a recipe's input pipeline and of its training step, each alone."""

import contextlib
import time

import jax
import numpy as np

from jsr import models, sharding
from jsr.analysis import counts
from jsr.data import mix, pipeline
from jsr.timing import peers, timing
from jsr.timing.upscaling import OURS
from jsr.training import memory, stages
from jsr.training import state as states
from jsr.training.step import prepare

LEAST_BATCHES = 3
FIRST_STEPS = 3  # whose losses a peer is to have too


def measure_pipeline(recipe, num_workers, *, seconds):
    """Takes batches of a recipe's first stage as fast as they come; nobody else computes.

    The first batch, with the start of the workers, and one more for every worker are not counted.

    Args:
      recipe: Recipe.
      num_workers: worker processes; 0 loads in this one, by Grain's threads.
      seconds: least time of measuring; LEAST_BATCHES are taken in any case.

    Returns:
      {workers, batches, patches_per_s, patches_per_s_per_worker, megabytes_per_s, first_batch_s}; the megabytes (1e6)
      are of the uint8 crops handed over.

    Raises:
      UserError: a mistake in the recipe or the data.
    """
    with contextlib.closing(_batches(recipe, num_workers)) as batches:
        first_batch_s = timing.seconds_of(lambda: next(batches))
        for _ in range(num_workers):
            next(batches)
        count, size, begin = 0, 0, time.perf_counter()
        while count < LEAST_BATCHES or time.perf_counter() - begin < seconds:
            size += sum(value.nbytes for value in next(batches).values())
            count += 1
        elapsed = time.perf_counter() - begin
    rate = count * recipe.stages[0].batch / elapsed
    return {"workers": num_workers, "batches": count, "patches_per_s": rate,
            "patches_per_s_per_worker": rate / max(num_workers, 1), "megabytes_per_s": size / 1e6 / elapsed,
            "first_batch_s": first_batch_s}


def measure_step(recipe, *, steps, wanted=(), announce=lambda line: None):
    """Times the training step of a recipe's first stage on one batch that lies on the devices.

    Peers take a plain step of PyTorch's (jsr.timing.torch_training) in the same rounds, see timing.interleaved.

    Args:
      recipe: Recipe.
      steps: timed steps of each, each waited for.
      wanted: some of torch and torch_compile, keys of peers.PEERS.
      announce: called with a line before each long step.

    Returns:
      {batch, lr_shape, params, trace_s, compile_s, memory: timing.memory, patches_per_s, timing.spread, and rows}. A
      row is {name, note, loss_error, ratio, and timing.spread}, the first OURS; of what was not timed the times are
      None, and `note` says why. `loss_error` is the largest relative difference of the first losses, `ratio` the time
      of OURS over the row's, the median over the rounds.

    Raises:
      UserError: a mistake in the recipe or the data.
    """
    stage, mesh = recipe.stages[0], sharding.make_mesh(axes=recipe.mesh)
    sharding.check_batch(stage.batch, mesh)
    with contextlib.closing(_batches(recipe, 0)) as batches:
        batch = sharding.put_batch(next(batches), mesh)

    plan, key = stages.plan_of(recipe, 0), jax.random.key(recipe.seed)
    networks = plan.networks
    drawn = {name: models.init(module, states.purpose_key(key, name)) for name, module in networks.items()}
    variables = {name: drawn.pop(name) for name in recipe.trained}
    fresh = jax.tree.map(np.array, variables)  # steps take the state's arrays for their own
    frozen = jax.device_put(drawn, sharding.replicated(mesh))
    params = sum(counts.count_params(collections) for collections in variables.values())
    state = states.placed(plan, states.make_state(plan, variables), mesh)

    announce("compiling")
    begin = time.perf_counter()
    lowered = memory.build(plan, state).lower(state, batch, key, frozen)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()

    def step():
        nonlocal state
        state, metrics = jax.block_until_ready(compiled(state, batch, key, frozen))
        return metrics

    calls, rows = {OURS: step}, {OURS: _row(OURS)}
    first = [step() for _ in range(FIRST_STEPS)] if wanted else []
    for peer in wanted:
        announce(f"preparing {peer}")
        for row, its_step in _contenders(peer, recipe, networks, fresh, batch, key, first):
            rows[row["name"]] = row
            calls |= {row["name"]: its_step} if its_step else {}
    announce(f"timing {steps} steps")
    seconds = timing.interleaved(calls, steps)
    for name, values in seconds.items():
        rows[name] |= timing.spread(values) | {"ratio": float(np.median(seconds[OURS] / values))}
    spread = timing.spread(seconds[OURS])
    return {"batch": stage.batch, "lr_shape": list(mix.batch_shapes(recipe, stage, stage.batch)["lr"]),
            "params": params, "trace_s": traced - begin,
            "compile_s": done - traced, "memory": timing.memory(compiled), **spread,
            "patches_per_s": stage.batch / spread["median_ms"] * 1e3, "rows": list(rows.values())}


def _contenders(peer, recipe, networks, variables, batch, key, first):
    """[(row, step or None)] of a peer; `first` are the metrics of our first steps, which began with `variables`."""
    if note := peers.missing(peer):
        return [(_row(peer, note), None)]
    from jsr.timing import torch_training

    chain = list(recipe.chain)
    plan = stages.plan_of(recipe, 0)
    prepared = jax.jit(lambda number: prepare(plan, variables, batch, jax.random.fold_in(key, number)))
    images = [jax.tree.map(np.array, prepared(number)) for number in range(len(first))]
    seen = torch_training.FirstSteps([each["lr"] for each in images], [each["hr"] for each in images],
                                     *([float(each[name]) for each in first] for name in ("loss", "learning_rate")))
    passed = {name: networks[name] for name in chain if not stages.in_head(variables, chain, name)}
    try:
        found = torch_training.contenders(peer, recipe, passed, variables, seen)
    except ValueError as e:
        return [(_row(peer, f"not timed: {e}"), None)]
    return [(_row(each.name, each.note, each.loss_error), each.step) for each in found]


def _row(name, note="", loss_error=None):
    fields = "rounds", "best_ms", "median_ms", "p10_ms", "p90_ms", "p99_ms", "ratio"
    return {"name": name, "note": note, "loss_error": loss_error, **dict.fromkeys(fields)}


def waiting(step_rate, pipeline_rate):
    """The share of its time that a step would wait for data, of two rates in patches/s; 0 where data come faster."""
    return max(0.0, 1 - pipeline_rate / step_rate)


def _batches(recipe, num_workers):
    """The batches of the first stage, as training takes them."""
    stage = recipe.stages[0]
    rows = mix.stage_rows(recipe, stage, mix.open_sources(recipe))
    return pipeline.train_batches(rows, seed=recipe.seed, batch=stage.batch, start=0, num_workers=num_workers)
