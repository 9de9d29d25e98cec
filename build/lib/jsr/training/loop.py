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

from clu import metrics as clu_metrics
from clu import parameter_overview
import jax
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import jsr
from jsr import challenges, evaluation, losses, metrics, report, sharding
from jsr.config import different, flat, plain
from jsr.data import mix, pipeline
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.inference import model_file
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
from jsr.training import blackbox, insight, memory, stages
from jsr.training import state as states
from jsr.training.checkpoints import Checkpoints
from jsr.training.logbook import Logbook

log = logging.getLogger("jsr")

# What may differ between the command that began a run and the one that resumes it: nothing that changes its numbers.
FREE_KEYS = ("log_every", "eval_every", "checkpoint_every", "keep_checkpoints", "data.num_workers", "data.data_dir",
             "ensemble", "report", "inferred", "title")
DATA_PLACES = (".dataset", ".files")  # free too, while the data are the same
_BEGUN = ("config.json", "fingerprint.json")
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
    protocol = challenges.of(config)
    first_steps = np.cumsum([0] + [stage.steps for stage in config.stages]).tolist()
    last_step = first_steps[-1]
    check(config, mesh)
    data, opened = config.data, mix.open_sources(config, lambda line: console.print(line, highlight=False))
    mark = fingerprint(config, mix.data_hash(config, opened))
    if lead:
        check_same_run(config, mark, workdir)

    # ---- state -------------------------------------------------------------------------------------------------
    key = jax.random.key(config.seed)

    checkpoints = Checkpoints(workdir / "checkpoints", keep=config.keep_checkpoints)
    restored = checkpoints.restore(lambda step: memory.abstract_state(config, _stage_at(step, first_steps), mesh))
    if restored:
        step, state, meta = restored
        log.info("resuming from step %d of %d", step, last_step)
    else:
        step, meta = 0, {"best": None}
        variables = states.initial_variables(config, key)
        state = states.make_state(config, 0, variables)
        state = jax.device_put(state, sharding.replicated(mesh))
        if lead:
            _write_overview(workdir, config, variables)
    meta["fingerprint"] = mark
    frozen = jax.device_put(states.frozen_variables(config), sharding.replicated(mesh))

    # ---- data --------------------------------------------------------------------------------------------------
    for index, stage in enumerate(config.stages):  # a late stage's mistakes at once
        rows = mix.stage_rows(config, stage, opened, scale=scale)
        if index > _stage_at(step, first_steps):
            _trace_step(config, index, rows[0], key, frozen, mesh)
    mix.validation_pairs(config)  # what is missing is said before anything is trained
    logbook = Logbook(workdir, resume_step=step) if lead else None
    clock, alarm = insight.Clock(), insight.Alarm()

    def warn(text):
        if text and lead:
            log.warning("%s", text)

    @functools.cache
    def chain_of(tlc, *modules):  # what they compiled is kept
        return Chain(dict(zip(config.chain, modules)), {}, tlc=tlc)

    def upscaler_of(networks, variables, *, tlc=0, **ensemble):
        chain = chain_of(tlc, *(networks[name] for name in config.chain))
        return Upscaler([chain.with_variables(variables)], **ensemble)

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
                "scores": scores, "data": mix.described(config), "fingerprint": meta["fingerprint"]}

    def validate(index, networks, step, state):
        variables = jax.device_get(states.eval_variables(config, state))
        upscaler = upscaler_of(networks, variables)  # the ensemble would take eight times as long
        rows, baselines, best_key = [], [], protocol.ranking
        for name, lr, hr in mix.validation_pairs(config):
            sr = upscaler.upscale(lr)
            rows.append(evaluation.score(name, sr, hr, protocol, [best_key]))
            if not rows[1:] or "baseline" not in meta:
                baseline = evaluation.enlarge(lr, scale, protocol.kernel)
                baselines.append(evaluation.score(name, baseline, hr, protocol, [best_key]))
            if not rows[1:]:
                with clock.part("picture"):
                    logbook.picture(step, name, report.strip(lr, baseline, sr, hr))
        score = evaluation.mean_scores(rows)
        meta.setdefault("baseline", evaluation.mean_scores(baselines)[best_key])
        gain = evaluation.gain(score[best_key], meta["baseline"])
        logbook.scalars(step, "eval", {**score, "gain": gain})
        improved = meta["best"] is None or score[best_key] > meta["best"]
        unit = " dB" if best_key.startswith("psnr") else ""
        log.info("step %d: %s %.4f%s on %d images, %+.4f over %s%s", step, metrics.label(best_key), score[best_key],
                 unit, len(rows), gain, protocol.baseline, ", the best so far" if improved else "")
        warn(alarm.validated(step, gain))
        if improved:
            meta["best"] = score[best_key]
            model_file.save(workdir / "best.safetensors", variables, info(index, step, score))

    def keep_skipped(number, *seen, stage, key):
        if not lead:
            return
        folder = blackbox.write(workdir, number, *seen, config=config, stage=stage, key=key, frozen=frozen,
                                fingerprint=mark)
        if folder:
            console.print(f"step {number} was skipped: its loss or gradient is not finite; to see where that began: "
                          f"jsr replay {folder}", highlight=False, markup=False, soft_wrap=True)

    # ---- stages ------------------------------------------------------------------------------------------------
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"),
               TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    try:
        with _Signals() as signals, Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("training", total=last_step, completed=step, note="")
            while step < last_step:
                index = _stage_at(step + 1, first_steps)
                stage, first, end = config.stages[index], first_steps[index], first_steps[index + 1]
                networks = stages.make_networks(config, index)
                if step == first:
                    if stage.begin:  # the best is that of the network's present form
                        meta["best"] = None
                    nets = stages.begin(config, index, states.versions(state),
                                        states.purpose_key(key, f"begin{index}"), psnr)
                    state = jax.device_put(states.begin_stage(config, index, state, nets), sharding.replicated(mesh))
                stage_key = states.purpose_key(key, f"stage{index}")
                rows = mix.stage_rows(config, stage, opened, scale=scale)
                batches = pipeline.train_batches(
                    rows, seed=_data_seed(config.seed, index), batch=stage.batch, start=step - first,
                    num_workers=data.num_workers, process=(jax.process_index(), jax.process_count()))
                try:
                    feed = pipeline.prefetch_to_device(clock.waiting(batches), lambda b: sharding.put_batch(b, mesh))
                    with clock.part("start"):
                        batch = next(feed)
                        program = memory.Program(config, index, state, batch, stage_key, frozen)
                    keep = functools.partial(keep_skipped, stage=index, key=stage_key)
                    run_step = blackbox.Watched(program, stage_key, frozen, skipped=int(state.skipped), on_skip=keep)
                    window = []
                    for batch in itertools.chain([batch], feed):
                        step += 1
                        due = step % config.log_every == 0 or step == end
                        with program.explained():
                            state, values = run_step(step, state, batch)
                            window.append(values)
                            if due or signals.came:
                                run_step.settle(state)
                        if due:
                            summary = _summary(step, window, clock)
                            progress.update(bar, completed=step, note=f"waiting for data {summary['data_wait']:.0%}")
                            if lead:
                                logbook.scalars(step, "train", summary)
                            _say(step, last_step, summary, console)
                            if not any(player.freeze for player in stage.players):  # else some are meant to be zero
                                warn(alarm.trained(step, summary))
                            window = []
                        if lead and step % config.eval_every == 0 and step != last_step:
                            with clock.part("validation"):
                                validate(index, networks, step, state)
                        if step % config.checkpoint_every == 0 or step == end or signals.came:
                            with clock.part("checkpoint"):
                                checkpoints.save(step, state, meta)
                        if signals.came:
                            raise Interrupted(signals.came, step)
                        if step == end:
                            break
                finally:
                    batches.close()
        variables = jax.device_get(states.eval_variables(config, state))
        index = len(config.stages) - 1
        if lead:
            model_file.save(workdir / "last.safetensors", variables, info(index, step, {}))
            spent = insight.times(insight.log_rows(workdir))
            console.print(insight.time_table(spent), insight.advice(spent, data.num_workers), highlight=False,
                          soft_wrap=True)
    finally:
        checkpoints.close()
        if logbook:
            logbook.close()
    return upscaler_of(stages.make_networks(config, index), variables, tlc=config.ensemble.tlc,
                       tile=list(config.ensemble.tiles) or None, self_ensemble=config.ensemble.self)


def check(config, mesh):
    """Raises UserError for mistakes in a recipe's stages that show without its data."""
    for stage in config.stages:
        sharding.check_batch(stage.batch // stage.accumulate, mesh)
        for player in stage.players:
            losses.check_rows(player.losses)
    stages.check(config)


def _trace_step(config, index, row, key, frozen, mesh):
    """Traces the step of a stage for a batch of the form of a row's first sample, for what is wrong with its losses."""
    sample = row.transform(row.source[0], np.random.default_rng(0))
    batch = {name: jax.ShapeDtypeStruct((config.stages[index].batch, *value.shape), value.dtype)
             for name, value in sample.items()}
    jax.eval_shape(memory.build(config, index), memory.abstract_state(config, index, mesh), batch, key, frozen)


def _write_overview(workdir, config, variables):
    """Says how large each network is and lists its parameters in parameters.txt."""
    with atomic_write(workdir / "parameters.txt", "w") as file:
        for name, collections in variables.items():
            overview = parameter_overview.get_parameter_overview(collections["params"], include_stats=False)
            file.write(f"{name}: {config.networks[name].model}\n{overview}\n")
            log.info("network %s: %s, %s parameters", name, config.networks[name].model,
                     f"{parameter_overview.count_parameters(collections['params']):,}")


class _Signals:
    """While it is entered, SIGTERM and Ctrl+C only leave a note, `came`; a second Ctrl+C ends at once.

    A signal that the process was started to ignore stays ignored, as Ctrl+C is in a background job.
    """

    def __init__(self):
        self.came = 0

    def __enter__(self):
        heeded = [s for s in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(s) != signal.SIG_IGN]
        self._before = {s: signal.signal(s, self._note) for s in heeded}
        return self

    def __exit__(self, *exception):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum, frame):
        if self.came:
            raise KeyboardInterrupt
        self.came = signum
        log.warning("%s: saving after this step (once more to stop at once)", signal.Signals(signum).name)


def _summary(step, window, clock):
    """The log line of the steps since the last one: means of their metrics, rate, where the time went."""
    rows = jax.device_get(window)
    finite = np.array([not row["skipped"] for row in rows])
    if not finite.any() and all(map(blackbox.is_accident, rows)):
        raise UserError(f"steps {step - len(rows) + 1} to {step}: no loss or gradient was finite; lower the learning "
                        "rate or clip the gradient (--config.stages[0].players[0].clip_norm=1.0)")
    means = {name: float(clu_metrics.Average.from_model_output(np.array([row[name] for row in rows])[finite]).compute())
             for name in rows[0]}
    spent = clock.taken()
    training = spent["step"] + spent["data"]
    return {**means, "learning_rate": float(rows[-1]["learning_rate"]),
            "skipped": int(sum(row["skipped"] for row in rows)),
            "steps_per_second": len(rows) / training, "data_wait": spent["data"] / training, **insight.shares(spent)}


def _say(step, last_step, summary, console):
    skipped = f"  {summary['skipped']} steps skipped: not finite" if summary["skipped"] else ""
    left = (last_step - step) / summary["steps_per_second"]
    console.print(f"step {step:>{len(str(last_step))}}/{last_step}  loss {summary['loss']:.5f}  "
                  f"lr {summary['learning_rate']:.1e}  {summary['steps_per_second']:.1f} steps/s  "
                  f"data {summary['data_wait']:.0%}  left {insight.duration(left)}{skipped}",
                  highlight=False, soft_wrap=True)


def _stage_at(step, first_steps):
    """The stage that step number `step` (counted from 1; 0 is before the first) belongs to."""
    return max(next(i for i, first in enumerate(first_steps) if step <= first) - 1, 0)


def _data_seed(seed, stage):
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])


def has_begun(workdir):
    """Whether something was trained in a folder: there is a checkpoint, and what it is of."""
    checkpoints = any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))
    return checkpoints and all((workdir / name).exists() for name in _BEGUN)


def check_same_run(config, mark, workdir):
    """Holds recipe and data against those that began the run in a folder; writes them down in a new one.

    Args:
      config: a recipe.
      mark: its `fingerprint`.
      workdir: the run's folder, with config.json and fingerprint.json unless nothing was trained in it yet.

    Raises:
      UserError: settings that change a run's numbers are others, or the data are.
    """
    paths = [workdir / name for name in _BEGUN]
    if not has_begun(workdir):
        for path, content in zip(paths, (plain(config), mark)):
            with atomic_write(path, "w") as file:
                json.dump(content, file, indent=1, sort_keys=True)
        return
    before, mark_before = (json.loads(path.read_text()) for path in paths)
    same_data, before, now = mark_before["data"] == mark["data"], flat(before), flat(plain(config))
    changed = [key for key in different(before, now)
               if not key.startswith(FREE_KEYS) and not (same_data and key.endswith(DATA_PLACES))]
    if changed:
        first = changed[0]
        raise UserError(f"{workdir}: holds a run with other settings ({first}: {before.get(first)!r} there, "
                        f"{now.get(first)!r} now{f', and {len(changed) - 1} more' if len(changed) > 1 else ''}); "
                        "choose another --workdir, or remove that folder")
    if not same_data:
        raise UserError(f"{workdir}: holds a run with other data: the names or sizes of its images or records are not "
                        "what they were; put the data back, choose another --workdir, or remove that folder")
    before, now = (flat({"code": its["revision"], **its["versions"]}) for its in (mark_before, mark))
    for name in different(before, now):
        log.warning("the run began with %s %s and goes on with %s: its numbers may differ from an uninterrupted run's",
                    name, before.get(name), now.get(name))


def fingerprint(config, data):
    """What it takes to tell two runs apart: {config: hash, data: the given hash, revision, versions, seed}."""
    text = json.dumps(plain(config), sort_keys=True)
    libraries = {name: metadata.version(name) for name in ("jax", "flax", "optax", "numpy", "pillow")}
    return {"config": hashlib.sha256(text.encode()).hexdigest()[:16], "data": data, "revision": _revision(),
            "versions": {"jsr": jsr.__version__, **libraries}, "seed": config.seed}


def _revision():
    """The git revision of this code, "" outside a checkout."""
    root = Path(jsr.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=root, capture_output=True, text=True)
    return done.stdout.strip()
