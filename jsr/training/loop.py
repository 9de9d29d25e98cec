"""The training loop: stages, validation, checkpoints, and a clean end whatever ends it."""

import functools
import hashlib
from importlib import metadata
import itertools
import json
import logging
from pathlib import Path
import signal
import subprocess
import time

from clu import metrics as clu_metrics
from clu import parameter_overview
import jax
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import jsr
from jsr import challenges, evaluation, losses, metrics, sharding
from jsr.config import plain
from jsr.data import mix, pipeline
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.inference import model_file
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
from jsr.training import optim, stages
from jsr.training import state as states
from jsr.training.checkpoints import Checkpoints
from jsr.training.logbook import Logbook
from jsr.training.step import make_step

log = logging.getLogger("jsr")

# What may differ between the command that began a run and the one that resumes it: nothing that changes its numbers.
FREE_KEYS = ("log_every", "eval_every", "checkpoint_every", "keep_checkpoints", "data.num_workers", "data.data_dir",
             "ensemble", "report", "inferred", "title")
PRUNE_IMAGES = 8  # validation images that decide which channels go


class Interrupted(Exception):
    """The run was told to stop by a signal and has saved itself; `signal` is the signal's number."""

    def __init__(self, signum, step):
        super().__init__(f"stopped at step {step}; the same command resumes")
        self.signal = signum


def train(config, workdir, *, console):
    """Trains a recipe through all its stages, resuming from the workdir's newest checkpoint.

    Args:
      config: a recipe.
      workdir: the run's folder.
      console: a rich Console for progress.

    Returns:
      An Upscaler with the final (averaged, where kept) parameters and the recipe's ensemble.

    Raises:
      Interrupted: SIGTERM or Ctrl+C came; everything is saved.
      UserError: a mistake in the recipe, the data or the workdir.
    """
    workdir = Path(workdir)
    lead = jax.process_index() == 0

    # ---- recipe ------------------------------------------------------------------------------------------------
    mesh = sharding.make_mesh()
    scale = int(np.prod([config.networks[name].scale for name in config.chain]))
    protocol = challenges.protocol(config.protocol)
    first_steps = np.cumsum([0] + [stage.steps for stage in config.stages]).tolist()
    last_step = first_steps[-1]
    for stage in config.stages:
        sharding.check_batch(stage.batch, mesh)
        for player in stage.players:
            losses.check_rows(player.losses)
    stages.check(config)
    if lead:
        _check_same_run(config, workdir)

    # ---- state -------------------------------------------------------------------------------------------------
    key = jax.random.key(config.seed)

    def abstract_of(step):
        index = _stage_at(step, first_steps)
        optimizers = optim.stage_optimizers(config.stages[index])
        shapes = jax.eval_shape(lambda v: states.make_state(v, optimizers, ema=config.ema_decay > 0),
                                stages.abstract_variables(config, index))
        return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding.replicated(mesh)), shapes)

    checkpoints = Checkpoints(workdir / "checkpoints", keep=config.keep_checkpoints)
    restored = checkpoints.restore(abstract_of)
    if restored:
        step, state, meta = restored
        log.info("resuming from step %d of %d", step, last_step)
    else:
        step, meta = 0, {"best": None}
        variables = states.initial_variables(config, key)
        state = states.make_state(variables, optim.stage_optimizers(config.stages[0]), ema=config.ema_decay > 0)
        state = jax.device_put(state, sharding.replicated(mesh))
        if lead:
            _write_overview(workdir, config, variables)
    teachers = jax.device_put(states.teacher_variables(config), sharding.replicated(mesh))

    # ---- data --------------------------------------------------------------------------------------------------
    data = config.data
    opened = mix.open_sources(config)
    for stage in config.stages:
        mix.stage_rows(config, stage, opened, scale=scale)  # a late stage's mistakes at once
    mix.validation_pairs(config)  # what is missing is said before anything is trained
    logbook = Logbook(workdir, resume_step=step) if lead else None

    @functools.cache
    def chain_of(*modules):  # what they compiled is kept
        return Chain(dict(zip(config.chain, modules)), {})

    def upscaler_of(networks, variables):
        return Upscaler([chain_of(*(networks[name] for name in config.chain)).with_variables(variables)])

    def psnr(networks, variables):
        """The mean over the first validation images, which decides what is pruned."""
        pairs = itertools.islice(mix.validation_pairs(config), PRUNE_IMAGES)
        return evaluation.ranking_score(upscaler_of(networks, variables), pairs, protocol)

    def info(index, steps, scores):
        fields = stages.fields_at(config, index)
        return {"networks": [{"name": name, "model": config.networks[name].model, "scale": config.networks[name].scale,
                              "fields": fields[name], "deployed": fields[name].get("deploy", False)}
                             for name in config.chain],
                "ema": config.ema_decay > 0, "recipe": config.recipe, "steps": steps, "ensemble": plain(config.ensemble),
                "scores": scores, "data": mix.described(config),
                "fingerprint": fingerprint(config)}

    def validate(index, networks, step, state):
        variables = jax.device_get(states.eval_variables(state))
        upscaler = upscaler_of(networks, variables)  # the ensemble would take eight times as long
        rows, best_key = [], protocol.ranking
        for name, lr, hr in mix.validation_pairs(config):
            sr = upscaler.upscale(lr)
            rows.append(evaluation.score(name, sr, hr, protocol, [best_key]))
            if len(rows) == 1:
                baseline = evaluation.enlarge(lr, scale, protocol.kernel)
                logbook.picture(step, name, np.concatenate([baseline, sr, hr], axis=1))
        score = evaluation.mean_scores(rows)
        logbook.scalars(step, "eval", score)
        improved = meta["best"] is None or score[best_key] > meta["best"]
        log.info("step %d: %s %.4f dB on %d images%s", step, metrics.label(best_key), score[best_key], len(rows),
                 ", the best so far" if improved else "")
        if improved:
            meta["best"] = score[best_key]
            model_file.save(workdir / "best.safetensors", variables, info(index, step, score))

    # ---- stages ------------------------------------------------------------------------------------------------
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"),
               TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    try:
        with _Signals() as signals, Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("training", total=last_step, completed=step, note="")
            while step < last_step:
                index = _stage_at(step + 1, first_steps)
                stage, first, end = config.stages[index], first_steps[index], first_steps[index + 1]
                optimizers = optim.stage_optimizers(stage)
                networks = stages.make_networks(config, index)
                if step == first:
                    if stage.begin:  # the best is that of the network's present form
                        meta["best"] = None
                    nets = stages.begin(config, index, states.versions(state),
                                        states.purpose_key(key, f"begin{index}"), psnr)
                    state = jax.device_put(states.begin_stage(state, nets, optimizers), sharding.replicated(mesh))
                schedules = optim.stage_schedules(stage)
                run_step = jax.jit(make_step(networks, config.chain, stage.players, optimizers, schedules,
                                             first_step=first, ema_decay=config.ema_decay, fused=stage.fused),
                                   donate_argnums=0)
                stage_key = states.purpose_key(key, f"stage{index}")
                rows = mix.stage_rows(config, stage, opened, scale=scale)
                batches = pipeline.Waiting(pipeline.train_batches(
                    rows, seed=_data_seed(config.seed, index), batch=stage.batch, start=step - first,
                    num_workers=data.num_workers, process=(jax.process_index(), jax.process_count())))
                try:
                    window = _Window(step, state, is_first=True)
                    for batch in pipeline.prefetch_to_device(batches, lambda b: sharding.put_batch(b, mesh)):
                        state, values = run_step(state, batch, stage_key, teachers)
                        step += 1
                        window.add(values)
                        if window.is_first:  # compiling would drown the rate
                            jax.block_until_ready(state)
                            window.start_clock(step, batches)
                        if step % config.log_every == 0 or step == end:
                            summary = window.close(step, state, batches)
                            progress.update(bar, completed=step, note=f"waiting for data {summary['data_wait']:.0%}")
                            if lead:
                                logbook.scalars(step, "train", summary)
                            _say(step, last_step, summary, console)
                            window = _Window(step, state)
                        if lead and step % config.eval_every == 0 and step != last_step:
                            validate(index, networks, step, state)
                        if step % config.checkpoint_every == 0 or step == end or signals.came:
                            checkpoints.save(step, state, meta)
                        if signals.came:
                            raise Interrupted(signals.came, step)
                        if step == end:
                            break
                finally:
                    batches.close()
        variables = jax.device_get(states.eval_variables(state))
        index = len(config.stages) - 1
        if lead:
            model_file.save(workdir / "last.safetensors", variables, info(index, step, {}))
    finally:
        checkpoints.close()
        if logbook:
            logbook.close()
    chain = chain_of(*map(stages.make_networks(config, index).get, config.chain))
    return Upscaler([chain.with_variables(variables)], self_ensemble=config.ensemble.self)


def _write_overview(workdir, config, variables):
    """Says how large each network is and lists its parameters in parameters.txt."""
    with atomic_write(workdir / "parameters.txt", "w") as file:
        for name, collections in variables.items():
            overview = parameter_overview.get_parameter_overview(collections["params"], include_stats=False)
            file.write(f"{name}: {config.networks[name].model}\n{overview}\n")
            log.info("network %s: %s, %s parameters", name, config.networks[name].model,
                     f"{parameter_overview.count_parameters(collections['params']):,}")


class _Signals:
    """While it is entered, SIGTERM and Ctrl+C only leave a note, `came`; a second Ctrl+C ends at once."""

    def __init__(self):
        self.came = 0

    def __enter__(self):
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum, frame):
        if self.came:
            raise KeyboardInterrupt
        self.came = signum
        log.warning("%s: saving after this step (once more to stop at once)", signal.Signals(signum).name)


class _Window:
    """The steps between two log lines: means of their metrics, rate, share of time spent waiting for data."""

    def __init__(self, step, state, *, is_first=False):
        self.is_first = is_first  # of its stage, before the clock starts
        self._begin, self._skipped, self._values = step, int(state.skipped), []
        self._clock = step, time.perf_counter()

    def add(self, values):
        self._values.append(values)

    def start_clock(self, step, batches):
        self.is_first, self._clock = False, (step, time.perf_counter())
        batches.taken()

    def close(self, step, state, batches):
        rows = jax.device_get(self._values)
        finite = np.array([all(np.isfinite(value) for value in row.values()) for row in rows])
        if not finite.any():
            raise UserError(f"steps {self._begin + 1} to {step}: no loss or gradient was finite; lower the learning rate "
                            "or clip the gradient (--config.stages[0].players[0].clip_norm=1.0)")
        means = {name: float(clu_metrics.Average.from_model_output(np.array([row[name] for row in rows])[finite]).compute())
                 for name in rows[0]}
        clock_step, clock = self._clock
        seconds = time.perf_counter() - clock
        means["learning_rate"] = float(rows[-1]["learning_rate"])
        return {**means, "skipped": int(state.skipped) - self._skipped,
                "steps_per_second": max(step - clock_step, 1) / seconds, "data_wait": batches.taken() / seconds}


def _say(step, last_step, summary, console):
    skipped = f"  {summary['skipped']} steps skipped: not finite" if summary["skipped"] else ""
    left = (last_step - step) / summary["steps_per_second"]
    console.print(f"step {step:>{len(str(last_step))}}/{last_step}  loss {summary['loss']:.5f}  "
                  f"lr {summary['learning_rate']:.1e}  {summary['steps_per_second']:.1f} steps/s  "
                  f"data {summary['data_wait']:.0%}  left {_duration(left)}{skipped}", highlight=False, soft_wrap=True)


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _stage_at(step, first_steps):
    """The stage that step number `step` (counted from 1; 0 is before the first) belongs to."""
    return max(next(i for i, first in enumerate(first_steps) if step <= first) - 1, 0)


def _data_seed(seed, stage):
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])


def _check_same_run(config, workdir):
    """Holds the recipe against the one that began the run in `workdir`; writes it down in a new one."""
    path, now = workdir / "config.json", plain(config)
    if not path.exists():
        with atomic_write(path, "w") as file:
            json.dump(now, file, indent=1, sort_keys=True)
        return
    before = json.loads(path.read_text())
    changed = sorted(key for key in _flat(before).keys() | _flat(now).keys()
                     if _flat(before).get(key) != _flat(now).get(key) and not key.startswith(FREE_KEYS))
    if changed:
        first = changed[0]
        raise UserError(f"{workdir}: holds a run with other settings ({first}: {_flat(before).get(first)!r} there, "
                        f"{_flat(now).get(first)!r} now{f', and {len(changed) - 1} more' if len(changed) > 1 else ''}); "
                        "choose another --workdir, or remove that folder")


def _flat(tree, prefix=""):
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        return {prefix[:-1]: tree}
    return {key: value for name, node in items for key, value in _flat(node, f"{prefix}{name}.").items()}


def fingerprint(config):
    """What it takes to tell two runs apart: {config: hash, revision, versions, seed}."""
    text = json.dumps(plain(config), sort_keys=True)
    versions = {name: metadata.version(name) for name in ("jsr", "jax", "flax", "optax", "numpy", "pillow")}
    return {"config": hashlib.sha256(text.encode()).hexdigest()[:16], "revision": _revision(), "versions": versions,
            "seed": config.seed}


def _revision():
    """The git revision of this code, "" outside a checkout."""
    root = Path(jsr.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=root, capture_output=True, text=True)
    return done.stdout.strip()
