"""The training loop: stages, validation, checkpoints, and a clean end whatever ends it."""

import contextlib
import functools
import itertools
import logging
import math
import os
from pathlib import Path
import signal

from clu import parameter_overview
import jax
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jsr import distributed, model_file, sharding
from jsr.data import mix, pipeline
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.recipes.mistakes import of_stage
from jsr.training import blackbox, check, insight, memory, run_folder, stages, trackers
from jsr.training import state as states
from jsr.training.checkpoints import Checkpoints
from jsr.training.left_out import LeftOut
from jsr.training.logbook import Logbook
from jsr.training.validation import Judge
from jsr.trees import plain

log = logging.getLogger("jsr")

SNAPSHOT = "step{}.safetensors"  # of a run, which its last model is averaged with


class Interrupted(Exception):
    """The run was told to stop by a signal and has saved itself; `signal` is the signal's number."""

    def __init__(self, signum, step):
        super().__init__(f"stopped at step {step}; the same command resumes")
        self.signal = signum


def train(recipe, workdir, *, console, accept=False, told=None, profile=0):
    """Trains a recipe through all its stages, resuming from the workdir's newest checkpoint.

    Args:
      recipe: Recipe.
      workdir: the run's folder.
      console: a rich Console for progress.
      accept: see `jsr.training.run_folder.check_same_run`.
      told: jsr.training.trackers.Told that hears of the run; its end is the caller's to tell.
      profile: number of steps that are traced by jax.profiler into workdir/profile.

    Returns:
      (upscaler, steps): an Upscaler with the final (averaged, where kept) parameters and the recipe's ensemble, and the
      steps of the run, which `patience` of the recipe may have ended before its last one.

    Raises:
      Interrupted: SIGTERM or Ctrl+C came; everything is saved.
      UserError: a mistake in the recipe, the data or the workdir.
    """
    workdir, mesh = Path(workdir), sharding.make_mesh(axes=recipe.mesh)
    replicated, lead, key = sharding.replicated(mesh), distributed.is_first(), jax.random.key(recipe.seed)

    def say(text):
        if text:
            console.print(text, highlight=False, markup=False, soft_wrap=True)

    check.check(recipe)
    opened = mix.open_sources(recipe, say)
    damaged, codecs = check.check_data(recipe, opened)
    records = mix.identities(opened)
    mark = run_folder.fingerprint(recipe, mix.data_hash(records), mix.codecs(recipe, opened) | {mix.EVAL: codecs})
    distributed.agree({f"the {what} of the recipe": mark[what] for what in ("data", "codecs")},
                      "give all processes the same files and the same libraries")
    mark = distributed.first(
        lambda: run_folder.check_same_run(recipe, mark, workdir, accept=accept, records=records))
    recipe = check.fitted(recipe, mesh)

    checkpoints = Checkpoints(workdir / "checkpoints", keep=recipe.keep_checkpoints)
    step, state, meta = _restored(recipe, checkpoints, mesh) or (0, None, {"best": None, "still": 0})
    plan = stages.plan_of(recipe, recipe.stage_at(step))
    if state is None:
        variables = states.initial_variables(recipe, key)
        state = states.placed(plan, states.make_state(plan, variables), mesh)
        if lead:
            _write_overview(workdir, recipe, variables)
    if mark.get("accepted") != meta.get("fingerprint", {}).get("accepted"):  # scores may be of other images
        meta = {**meta, "best": None, "still": 0}
        meta.pop("baseline", None)
    meta["fingerprint"] = mark
    frozen = jax.device_put(states.frozen_variables(recipe), replicated)

    told = told or trackers.Told("")
    logbook, left_out = None, LeftOut(meta, recipe.data.max_damaged)
    if lead:
        told.begin(plain(recipe), workdir, step)
        logbook = Logbook(workdir, resume_step=step, told=told)
    trace = insight.Profile(workdir / "profile", profile if lead else 0)
    clock, alarm, judge = insight.Clock(), insight.Alarm(), Judge(recipe, meta, left_out, opened)
    for line in damaged:
        left_out(line)
    if codecs and lead:
        log.info("LR images of the validation by %s", codecs)

    def warn(text):
        if text and lead:
            log.warning("%s", of_stage(text, f"stages[{plan.index}]"))

    def has_stopped():
        return 0 < recipe.patience <= meta["still"] and recipe.stage_at(step) == len(recipe.stages) - 1

    def keep_skipped(number, batch, state, values, *, plan, key):
        seen = distributed.whole(batch), states.by_names(state), values  # all processes have a part
        if not lead:
            return
        folder = blackbox.write(workdir, number, *seen, plan=plan, key=key, frozen=frozen, fingerprint=mark)
        if folder:
            say(f"step {number} was skipped: its loss or gradient is not finite; to see where that began: "
                f"jsr replay {folder}")

    ended = False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"),
               TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    try:
        alone = distributed.count() == 1
        with _Signals(alone) as signals, Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("training", total=recipe.last_step, completed=step, note="")
            while step < recipe.last_step and not has_stopped():
                plan = stages.plan_of(recipe, recipe.stage_at(step + 1))
                stage = plan.stage
                if step == plan.first_step:
                    meta["still"] = 0
                    for player in stage.players:
                        if (warmup := player.schedule.get("warmup_steps", 0)) > stage.steps:
                            warn(f"the warm-up is {warmup} steps, but the stage has {stage.steps}: its learning rate "
                                 "ends where it is then (--config.stages[0].schedule.warmup_steps=...)")
                    if stage.begin:  # the best is of the network's present form
                        meta["best"] = None
                    nets = stages.begin(plan, states.versions(state), states.purpose_key(key, f"begin{plan.index}"),
                                        judge.ranking_score)
                    state = states.placed(plan, states.begin_stage(plan, state, nets), mesh)
                stage_key = states.purpose_key(key, f"stage{plan.index}")
                batches = pipeline.train_batches(
                    mix.stage_rows(recipe, stage, opened), seed=_data_seed(recipe.seed, plan.index), batch=stage.batch,
                    start=step - plan.first_step, num_workers=recipe.data.num_workers,
                    process=(jax.process_index(), jax.process_count()), max_damaged=recipe.data.max_damaged,
                    leave_out=left_out)
                with contextlib.closing(batches), distributed.stoppable():
                    feed = pipeline.prefetch_to_device(clock.waiting(batches), lambda b: sharding.put_batch(b, mesh))
                    with clock.part("start"):
                        batch = next(feed)
                        program = memory.Program(plan, state, batch, stage_key, frozen)
                        distributed.meet()  # collectives do not wait for a process that still compiles
                    keep = functools.partial(keep_skipped, plan=plan, key=stage_key)
                    run_step = blackbox.Watched(program, stage_key, frozen, skipped=int(state.skipped), on_skip=keep)
                    window, feed = [], itertools.chain([batch], feed)
                    for batch in feed:
                        if distributed.stop_asked():
                            signals.came = signal.SIGTERM
                            warn("SIGTERM came to a process: all save after this step")
                        checkpoints.check()
                        step += 1
                        due = step % recipe.log_every == 0 or step == plan.last_step
                        with program.explained(), trace.step(step):
                            state, values = run_step(step, state, batch)
                            window.append(values)
                            if due or signals.came:
                                run_step.settle(state)
                        with clock.part("start"):
                            say(trace.stepped(values, step == plan.last_step or signals.came))
                        if due:
                            summary = _summary(step, window, clock)
                            progress.update(bar, completed=step, note=f"waiting for data {summary['data_wait']:.0%}")
                            if lead:
                                logbook.scalars(step, "train", summary)
                            say(_line(step, recipe.last_step, stage, summary))
                            if not any(player.freeze for player in stage.players):  # else some are meant to be zero
                                warn(alarm.trained(step, summary))
                            window = []
                        if step % recipe.eval_every == 0 and step != recipe.last_step:
                            with clock.part("validation"):
                                gain = judge.validate(plan, step, state, workdir=workdir, logbook=logbook, clock=clock)
                            warn(alarm.validated(step, gain))
                        ends = step == plan.last_step or has_stopped()
                        if step in recipe.averaged_steps:
                            _keep_model(workdir / SNAPSHOT.format(step), recipe, judge, plan, step, state)
                        if step % recipe.checkpoint_every == 0 or ends or signals.came:
                            with clock.part("checkpoint"):
                                left_out.share()
                                checkpoints.save(step, state, meta)
                        if signals.came:
                            raise Interrupted(signals.came, step)
                        if ends:
                            break
                    checkpoints.wait()  # SIGTERM may end all at once from here
        plan = stages.plan_of(recipe, len(recipe.stages) - 1)
        variables = jax.device_get(states.eval_variables(recipe, state))
        distributed.meet()  # what the first has written is there
        if earlier := [workdir / SNAPSHOT.format(at) for at in recipe.averaged_steps if at < step]:
            log.info("the model is the mean of %s and the last one", ", ".join(path.name for path in earlier))
            found = [*(model_file.load(path)[2] for path in earlier), variables]
            variables = model_file.mean(found, [1 / len(found)] * len(found))
        beside = jax.device_get(states.beside_the_chain(recipe, state))
        if lead:
            model_file.save(workdir / "last.safetensors", variables, judge.info(plan, step, {}))
            for name, own in beside.items():
                model_file.save(workdir / f"{name}.safetensors", {name: own}, judge.info(plan, step, {}, names=[name]))
            spent = insight.times(insight.log_rows(workdir))
            console.print(insight.time_table(spent), insight.advice(spent, recipe.data.num_workers), highlight=False,
                          soft_wrap=True)
            warn(left_out.summary())
            warn("--profile: no step was left to be traced" if trace.left else "")
        ended = True
    except Interrupted:
        ended = True
        raise
    except Exception as e:
        if lead and not distributed.is_lost(e):
            if step:
                _leave_model(workdir, recipe, judge, plan, step, state)
            else:
                log.info("no step was done yet, so that %s holds no model file", workdir)
        if isinstance(e, UserError) and plan.index:
            raise type(e)(of_stage(str(e), f"stages[{plan.index}]")) from e
        raise
    finally:
        with contextlib.ExitStack() as last:
            if logbook:
                last.callback(logbook.close)
            last.callback(trace.close)
            if ended or distributed.count() == 1:  # of several processes some never come to it
                last.callback(checkpoints.close)
    return judge.upscaler(plan.networks, variables, tlc=recipe.ensemble.tlc, tile=list(recipe.ensemble.tiles) or None,
                          overlap=recipe.ensemble.overlap or None,
                          self_ensemble=recipe.ensemble.self and (recipe.ensemble.transforms or True)), step


def _restored(recipe, checkpoints, mesh):
    """(step, state, meta) of the newest checkpoint, None where there is none."""
    restored = checkpoints.restore(
        lambda step: states.abstract(stages.plan_of(recipe, recipe.stage_at(step)), mesh, named=True))
    if not restored:
        return None
    step, state, meta = restored
    log.info("resuming from step %d of %d", step, recipe.last_step)
    return step, states.placed(stages.plan_of(recipe, recipe.stage_at(step)), state, mesh), meta


def _leave_model(workdir, recipe, judge, plan, step, state):
    """Leaves the model of a run that an error ends, where there is one and room for it."""
    # of several processes others have parts of a split state, which may be gone
    if distributed.count() > 1 and any(its.split for its in sharding.flats(state)):
        return
    try:
        _keep_model(workdir / "last.safetensors", recipe, judge, plan, step, state)
    except Exception:  # a full disk, or a step that failed has taken its arrays: what ends the run is said already
        return
    log.info("the model as it is after step %d is kept in %s", step, workdir / "last.safetensors")


def _keep_model(path, recipe, judge, plan, step, state):
    """Writes the model file of a run's networks after a step; all processes may have a part of the state."""
    variables = jax.device_get(states.eval_variables(recipe, state))
    if distributed.is_first():
        model_file.save(path, variables, judge.info(plan, step, {}))


def _write_overview(workdir, recipe, variables):
    """Says how large each network is and lists its parameters in parameters.txt."""
    with atomic_write(workdir / "parameters.txt", "w") as file:
        for name, collections in variables.items():
            overview = parameter_overview.get_parameter_overview(collections["params"], include_stats=False)
            file.write(f"{name}: {recipe.networks[name].model}\n{overview}\n")
            log.info("network %s: %s, %s parameters", name, recipe.networks[name].model,
                     f"{parameter_overview.count_parameters(collections['params']):,}")


class _Signals:
    """While it is entered, SIGTERM and Ctrl+C only leave a note, `came`; a second Ctrl+C ends at once.

    A signal that the process was started to ignore stays ignored, as Ctrl+C is in a background job. Of several
    processes `jsr.distributed` hears SIGTERM and tells all (`stop_asked`), and Ctrl+C becomes one.

    Args:
      alone: whether this is the only process.
    """

    def __init__(self, alone):
        self.came, self._alone, self._passed = 0, alone, False

    def __enter__(self):
        signals = (signal.SIGTERM, signal.SIGINT) if self._alone else (signal.SIGINT,)
        heeded = [s for s in signals if signal.getsignal(s) != signal.SIG_IGN]
        self._before = {s: signal.signal(s, self._note if self._alone else self._pass_on) for s in heeded}
        return self

    def __exit__(self, *exception):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _pass_on(self, signum, frame):
        if self._passed:
            raise KeyboardInterrupt
        self._passed = True
        os.kill(os.getpid(), signal.SIGTERM)

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
    means = {name: float(np.mean([row[name] for row in rows], where=finite)) if finite.any() else math.nan
             for name in rows[0]}
    spent = clock.taken()
    training = spent["step"] + spent["data"]
    return {**means, "learning_rate": float(rows[-1]["learning_rate"]),
            "skipped": int(sum(row["skipped"] for row in rows)),
            "steps_per_second": len(rows) / training, "data_wait": spent["data"] / training, **insight.shares(spent)}


def _line(step, last_step, stage, summary):
    """The line that the terminal shows of some steps."""
    skipped = f"  {summary['skipped']} steps skipped: not finite" if summary["skipped"] else ""
    parts = f"  batch {stage.batch} in {stage.accumulate} parts" if stage.accumulate > 1 else ""
    left = (last_step - step) / summary["steps_per_second"]
    return (f"step {step:>{len(str(last_step))}}/{last_step}  loss {summary['loss']:.5f}  "
            f"lr {summary['learning_rate']:.1e}  {summary['steps_per_second']:.1f} steps/s{parts}  "
            f"data {summary['data_wait']:.0%}  left {insight.duration(left)}{skipped}")


def _data_seed(seed, stage):
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])
