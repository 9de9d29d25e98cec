"""Trains a recipe, evaluates it and names the files of the run.

    python -m jsr.main --config=configs/aim22_t1.py                      # the recipe `quick`, on any machine
    python -m jsr.main --config=configs/aim22_t1.py:edsr --workdir=runs/mine
    python -m jsr.main --config=configs/aim22_t1.py --config.seed=1 '--config.stages[0].batch=32'
    python -m jsr.main --config=configs/aim22_t1.py --minutes=20         # the number of steps that fit into 20 minutes
    python -m jsr.main --config=configs/aim22_t1.py:bsr --member=2       # one network of an ensemble, for a queue
    srun python -m jsr.main --config=configs/aim22_t1.py:edsr            # on all nodes of a SLURM job

The same command again resumes; --config.KEY=VALUE changes one entry of the recipe. `jsr train` is the same command.
"""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import logging
import os
from pathlib import Path
import re
import sys
import textwrap
import time

from jsr import command_line

if __name__ == "__main__":
    command_line.own_process()

from rich.console import Console
from rich.text import Text

from jsr import buckets, guests, recipes, results, terminal, trees
from jsr.errors import UserError, is_out_of_memory
from jsr.files import is_remote, sha256

log = logging.getLogger("jsr")

_WRITTEN = ("config.json", "metrics.jsonl", "report.json", "report.html", "parameters.txt", "best.safetensors",
            "last.safetensors")  # of a run, beside its fingerprint.json
_DATA_DIR = "data.data_dir"
_SHOWN = 4  # changes of a recipe in a run's title, and keys in the name of its folder


class _LogLines(logging.Handler):
    """Prints log records on a rich console, above a bar that it shows, each on one line."""

    def __init__(self, console):
        super().__init__()
        self._console = console

    def emit(self, record):
        """Prints a record, as `logging.Handler` asks."""
        self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


def parse(argv):
    """(args, overrides) of a command line; overrides are (key, text) pairs."""
    parser = command_line.Parser(prog="python -m jsr.main", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    args = parser.parse_args(argv)
    return args, args.overrides


def add_arguments(parser):
    """Adds the arguments of a training to an argparse parser."""
    parser.remote = frozenset(["--workdir", f"--config.{_DATA_DIR}"])
    parser.add_argument("recipe", nargs="?", metavar="FILE[:RECIPE]", help="track file, which is Python and runs, and "
                        "one of its recipes")
    parser.add_argument("--config", metavar="FILE[:RECIPE]", help="the same")
    parser.add_argument("--workdir", type=_folder, help="folder of the run, local or on cloud storage, for example "
                        "gs://bucket/run (default: runs/<track>/<recipe>, with the changed keys in its name)")
    parser.add_argument("--minutes", type=float, help="time for the training, with compiling, validations and "
                        "checkpoints: sets the number of steps, all stages in proportion to the recipe's. Each member "
                        "of an ensemble has this time")
    parser.add_argument("--member", type=int, metavar="N", help="number of the only member of an ensemble to train, "
                        "from 1, in a folder of its own; by default all, one after the other. The member that ends "
                        "last makes the ensemble's model file and report")
    parser.add_argument("--deterministic", action="store_true",
                        help="use only kernels that give the same bits every time, slower on GPUs")
    parser.add_argument("--accept_changes", action="store_true", help="continue a run although its steps, batch, rates "
                        "or data have changed; the run records the changes")
    parser.add_argument("--tell", metavar="TRACKER", default="", help="experiment tracker that gets the run's figures "
                        "as it trains: wandb, or a class of yours, mypkg.module:Name (jsr.training.trackers)")
    parser.add_argument("--profile", type=_steps, metavar="STEPS", default=0, help="number of steps to trace by "
                        "jax.profiler into the workdir's profile/, after compilation has ended")
    parser.add_argument("--hosts", type=_hosts, metavar="ADDRESS:PORT,PROCESSES,NUMBER", help="train in several "
                        "processes, of which this is one: the first one's address and a free port there, the number of "
                        "processes, this one's number from 0. SLURM, Open MPI, TPU pods and Kubernetes tell jsr these "
                        "themselves")
    parser.add_argument("--wait_hosts", type=_minutes, metavar="MINUTES", default=5.0,
                        help="longest wait of a job's processes for each other to start (default: %(default)g)")
    parser.add_argument("--config.KEY", dest="_", metavar="VALUE", help="override an entry of the recipe")


def _folder(text):
    """A path, or an address as it is; the empty text, as of a variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("names no folder; . is the current folder")
    return text if is_remote(text) else Path(text)


def _hosts(text):
    """The value of --hosts."""
    from jsr import distributed

    try:
        return distributed.parse_hosts(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be like host0:1234,4,0: address and port of the first "
                                         "process, the number of processes, this one's number from 0") from None


def _steps(text):
    """A number of steps."""
    if text.isdecimal() and 0 < int(text) < 1 << 20:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of steps, 1 or more")


def _minutes(text):
    """A positive number."""
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes above 0")


def main(argv=None):
    """Runs the command line `argv`; returns the exit status: 0, 1 after a mistake, 128 + n after signal n."""
    return command_line.in_lines("jsr", lambda: start(*parse(sys.argv[1:] if argv is None else argv)))


def start(args, overrides):
    """Sets this process up for a training, and `run`s it; returns the exit status.

    Raises:
      UserError: a mistake, or too little memory.
    """
    from jsr import distributed

    if args.deterministic:  # before JAX starts
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    with distributed.job(args.hosts, args.wait_hosts):
        console = Console(stderr=True, quiet=not distributed.is_first())  # one process speaks for all
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_LogLines(console)], force=True)
        log.setLevel(logging.INFO)
        # Orbax and Grain log with a traceback, through absl, what they then raise, which is reported in one line.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        try:
            return run(args, overrides, console)
        except Exception as e:
            if isinstance(e, UserError) or not is_out_of_memory(e):
                raise
            raise UserError("out of memory; use a smaller batch or crop (--config.stages[0].batch=..., "
                            "--config.stages[0].crop=...), or a network's field remat where it has one") from e


def run(args, overrides, console):
    """Prepares the data, trains, evaluates, reports; the arguments are those of the command line."""
    from jsr import device, distributed
    from jsr.training import check, run_folder, trackers

    started, spec = time.monotonic(), args.config or args.recipe
    if not spec or args.config and args.recipe:
        raise UserError("name one recipe, as in configs/aim22_t1.py:quick or --config=configs/aim22_t1.py:quick")
    if distributed.count() > 1:
        distributed.agree(run_folder.software(), "install the same everywhere")
    device.check_settings()
    if args.tell:
        trackers.find(args.tell)
    recipe = recipes.load(spec, _near(spec, overrides, console), check.look)
    track, _, name = recipe.recipe.partition(":")
    changes = _changes(recipe, spec, args.minutes, run_folder.free_keys(recipe))
    if args.minutes is not None:
        _check_minutes(args.minutes, overrides)
    _check_member(args.member, recipe)
    recipe = dataclasses.replace(recipe, title=recipe.title + _as_text(changes))
    workdir = args.workdir or Path("runs") / track / f"{name}{_as_suffix(changes)}"
    console.print(Text.assemble((recipe.recipe, "bold"), f": {recipe.title}"), soft_wrap=True)
    others = [other for other in _recipes_beside(spec) if other != name] if ":" not in spec else []
    if others:
        console.print(f"no recipe was named, so this is `{name}`; also here: "
                      + ", ".join(f"{spec}:{other}" for other in others), highlight=False, markup=False, soft_wrap=True)
    console.print(f"workdir: {workdir}", highlight=False, markup=False, soft_wrap=True)
    if distributed.count() > 1:
        told = {key: getattr(args, key) for key in ("minutes", "member", "accept_changes", "deterministic", "tell")}
        code = {f"code of {name}": digest for name, digest in guests.code().items()}
        keys = trees.flat(trees.plain(recipe))
        del keys["title"]  # which says of the others what is changed
        distributed.agree({**keys, **code, "--workdir": str(workdir), **told}, "give all processes the same command")
        console.print(f"{distributed.count()} processes, {distributed.devices()} devices", highlight=False)
    if not is_remote(workdir):
        return _run_at(workdir, recipe, args, console, started)
    if distributed.count() > 1:
        raise UserError(f"--workdir={workdir}: is on cloud storage, which several processes cannot share as a "
                        "folder; mount the bucket on all hosts, as by gcsfuse, and name the folder")
    with buckets.mirrored(workdir) as copy:
        console.print(f"meanwhile in {copy}", highlight=False, markup=False, soft_wrap=True)
        return _run_at(copy, recipe, args, console, started)


def _near(spec, overrides, console):
    """The overrides, with a copy on this machine for a folder of datasets on cloud storage."""
    own = recipes.template(spec).get("data", {}).get("data_dir", "")
    if not is_remote(dict([(_DATA_DIR, own), *overrides])[_DATA_DIR]):
        return overrides
    recipe = recipes.load(spec, overrides)
    copy = buckets.datasets(recipe.data.data_dir, _datasets(recipe),
                            announce=lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True))
    return [*overrides, (_DATA_DIR, str(copy))]


def _run_at(workdir, recipe, args, console, started):
    """Prepares the data, trains, evaluates and reports in a folder of this machine; returns the exit status."""
    from jsr import distributed
    from jsr.training import members

    def prepare():
        _refuse_foreign(workdir)
        members.check_kind(recipe, workdir)
        _prepare(recipe, console)

    distributed.first(prepare)
    if distributed.count() > 1:  # each host may have data of its own
        _prepare(recipe, console)
    if recipe.members:
        return _run_members(workdir, recipe, args, console, started)
    with _held(workdir):
        return _run_in(workdir, recipe, args, console, started)


@contextlib.contextmanager
def _held(folder):
    """Holds the folder of a run for this job while the block runs; UserError where another process is at work there."""
    from jsr import distributed

    with results.only_one(folder, "training") if distributed.is_first() else contextlib.nullcontext():
        if distributed.count() > 1:
            distributed.check_shared(folder / ".lock")
        yield


def _run_members(workdir, recipe, args, console, started):
    """Trains members of an ensemble, and evaluates it once all are trained; returns the exit status."""
    from jsr import distributed
    from jsr.training import members, pace

    def is_done(run, folder):
        return members.is_done(folder) and members.is_as_wanted(pace.as_begun(run, args.minutes, folder), folder)

    runs = members.of(recipe)
    wanted = runs if args.member is None else {args.member: runs[args.member]}
    distributed.first(lambda: [_refuse_foreign(members.folder(workdir, number)) for number in wanted])
    for number, run in wanted.items():
        folder = members.folder(workdir, number)
        with _held(folder):
            if args.member is None and distributed.first(functools.partial(is_done, run, folder)):
                log.info("member %d of %d was trained before: %s", number, len(runs), folder)
                continue
            log.info("member %d of %d: %s", number, len(runs), folder)
            if status := _run_in(folder, run, args, console, started, f", member {number} of {len(runs)}"):
                return status
        started = time.monotonic()
    left = distributed.first(
        lambda: [number for number in runs if not members.is_done(members.folder(workdir, number))])
    if left:
        if distributed.is_first():
            print(f"{len(runs) - len(left)} of {len(runs)} members are trained, {', '.join(map(str, left))} not yet: "
                  "the ensemble has no score; --member N trains one, the command without it all that are left")
        return 0
    with results.making(workdir / members.REPORT) if distributed.is_first() else contextlib.nullcontext():
        runs = {number: pace.as_begun(run, args.minutes, members.folder(workdir, number))
                for number, run in runs.items()}
        rows = distributed.first(lambda: members.join(recipe, runs, workdir))
        from jsr.inference import upscaler

        _report(workdir, recipe, upscaler.load(workdir / members.MODEL), console, members=rows,
                steps=sum(row["steps"] for row in rows))
    return 0


def _run_in(workdir, recipe, args, console, started, which=""):
    """Trains, evaluates and reports in a folder that no other process uses; returns the exit status."""
    from jsr import distributed
    from jsr.training import loop, pace, trackers

    recipe = pace.fit(recipe, args.minutes, workdir, console=console, started=started)
    told, status = trackers.Told(args.tell if distributed.is_first() else ""), "finished"
    try:
        upscaler, steps = loop.train(recipe, workdir, console=console, accept=args.accept_changes, told=told,
                              profile=args.profile)
        scores = _report(workdir, recipe, upscaler, console, steps=steps, which=which)
        told("scalars", steps, "report", scores)
    except loop.Interrupted as e:
        status = "interrupted"
        console.print(f"{e}", highlight=False)
        return 128 + e.signal
    except Exception:
        status = "failed"
        raise
    except BaseException:  # Ctrl+C a second time: nothing waits
        status = ""
        raise
    finally:
        if status:
            told.end(status)
    return 0


def _report(workdir, recipe, upscaler, console, *, steps, which="", members=()):
    """Evaluates a run's networks, writes its scores and its page, says where they are; the scores, {} but in the first
    process."""
    from jsr import challenges, distributed, metrics, report
    from jsr.data import mix, validation

    protocol = challenges.of(recipe.protocol, recipe.ranking)
    source = mix.validation_source(recipe)
    own, done = distributed.share(source), itertools.count(1)
    pairs = validation.pairs(recipe, lambda line: log.warning("%s; it is left out of the report", line), own)
    shares = f" in {distributed.count()} processes, {len(own)} here" if distributed.count() > 1 else ""
    console.print(f"evaluating {len(source)} {'clips' if protocol.video else 'images'}{shares}", highlight=False)
    with console.status("evaluating") as shown:
        made = report.make_report(
            upscaler, pairs, protocol=protocol, recipe=recipe.recipe + which, steps=steps, members=members,
            on_image=lambda: shown.update(f"evaluating: {next(done)} of {len(own)}"))
    if made:
        result, strips = made
        model = workdir / "last.safetensors"
        result["model_sha256"] = sha256(model)
        if steps < recipe.last_step and not members:
            result["stopped"] = (f"after step {steps} of {recipe.last_step}: {recipe.patience} validations in a row "
                                 f"had no better {metrics.label(protocol.ranking)}")
        page = report.write(workdir, result, strips, protocol=protocol)
        terminal.console().print(report.table(result, protocol))
        for what, path in (("report", page), ("scores", workdir / "report.json"), ("model", model)):
            print(f"{what}: {path}")
        if "stopped" in result:
            print(f"stopped: {result['stopped']}; the best model: {workdir / 'best.safetensors'}")
    distributed.meet()
    return result["mean"]["ours"] if made else {}


def _check_member(number, recipe):
    """Raises UserError where there is no member of that number, None asking for all."""
    if number is not None and not recipe.members:
        raise UserError(f"--member {number}: {recipe.recipe} is no ensemble; leave it out")
    if number is not None and not 1 <= number <= len(recipe.runs):
        raise UserError(f"--member {number}: {recipe.recipe} has members 1 to {len(recipe.runs)}")


def _refuse_foreign(workdir):
    """Raises UserError where a folder has files by the names of a run's, but no run has made them."""
    taken = [name for name in _WRITTEN if (workdir / name).exists()]
    if taken == ["config.json"] and '"stages"' in (workdir / "config.json").read_text(errors="replace"):
        taken = []  # of a run that was killed before it wrote its fingerprint
    if taken and not (workdir / "fingerprint.json").exists():
        raise UserError(f"{workdir}: holds {taken[0]}, but no run; choose another --workdir")


def _changes(recipe, spec, minutes, free):
    """{key: value}, flat, of what a command changes of the recipe `spec` and makes another run, `minutes` among it."""
    before, now = (trees.flat(trees.plain(c)) for c in (recipes.read(recipes.template(spec)), recipe))
    changes = {key: now.get(key) for key in trees.different(before, now) if not key.startswith(free)
               and (key in now or not any(other.startswith(f"{key}.") for other in now))}
    changes = {key: changes[key] for key in sorted(changes, key=lambda key: not key.startswith("networks."))}
    return changes | ({"minutes": minutes} if minutes is not None else {})


def _as_text(changes):
    """The changes in a run's title."""
    words = [f"{key}={textwrap.shorten(str(value), 40, placeholder='...')}" for key, value in changes.items()]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return f"; with {', '.join(words[:_SHOWN])}{more}" if words else ""


def _as_suffix(changes):
    """The changes in the name of a run's folder: some keys, and a hash of all; the same for the same command."""
    if not changes:
        return ""
    parts = (key.split(".") for key in changes)
    words = dict.fromkeys(next(part for part in reversed(names) if not part.isdigit()) for names in parts)
    digest = hashlib.sha256(json.dumps(changes, sort_keys=True).encode()).hexdigest()[:6]
    return "-" + "-".join([*list(words)[:_SHOWN], digest])


def _check_minutes(minutes, overrides):
    for key, text in overrides:
        if re.fullmatch(r"stages(\[\d+\]|\.\d+)?(\.steps)?", key):
            raise UserError(f"--minutes {minutes:g} and --config.{key}={text} both set the length of the training; "
                            "leave one out")


def _recipes_beside(file):
    return list(getattr(recipes.import_file(recipes.find(file)), "RECIPES", ()))


def _datasets(recipe):
    """The names of the datasets that a recipe trains on or is validated on."""
    names = {row.dataset for run in recipe.runs for stage in run.stages for row in run.rows(stage)}
    return sorted({*names, recipe.data.eval.dataset} - {""})


def _prepare(recipe, console):
    """Builds embedded datasets on first use; others are the user's to build, since they cost a download."""
    from jsr.datasets import build

    for name in (name for name in _datasets(recipe) if name.split("/")[0] in build.ON_FIRST_USE):
        build.build(name, data_dir=recipe.data.data_dir or None,
                    announce=lambda line: console.print(line, highlight=False))


if __name__ == "__main__":
    sys.exit(main())
