"""Trains a recipe, evaluates it and says where it put things.

    python -m jsr.main --config=configs/aim22_t1.py                      # the recipe `quick`, on any machine
    python -m jsr.main --config=configs/aim22_t1.py:edsr --workdir=runs/mine
    python -m jsr.main --config=configs/aim22_t1.py --config.seed=1 --config.stages[0].batch=32

The same command again resumes; --config.KEY=VALUE changes one entry of the recipe.
"""

import argparse
import logging
import os
from pathlib import Path
import signal
import sys

from rich.console import Console
from rich.logging import RichHandler

from jsr import allocator
from jsr import config as configs
from jsr.errors import UserError, is_out_of_memory, no_permission

log = logging.getLogger("jsr")


def parse(argv):
    """(args, overrides) of a command line; overrides are (key, text) pairs."""
    parser = argparse.ArgumentParser(prog="python -m jsr.main", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, metavar="FILE[:RECIPE]", help="a track file and one of its recipes")
    parser.add_argument("--workdir", type=Path, help="where the run lies (default: runs/<track>/<recipe>)")
    parser.add_argument("--deterministic", action="store_true",
                        help="only kernels that give the same bits every time, slower on GPUs")
    parser.add_argument("--config.KEY", dest="_", metavar="VALUE", help="overrides an entry of the recipe")
    args, rest = parser.parse_known_args(argv)
    return args, take_overrides(parser, rest)


def take_overrides(parser, words):
    """The (key, text) pairs of words `--config.KEY=VALUE` or `--config.KEY VALUE`; any other is the parser's error."""
    overrides, words = [], list(words)
    while words:
        word = words.pop(0)
        if not word.startswith("--config."):
            parser.error(f"unknown argument {word!r}")
        key, equals, text = word.removeprefix("--config.").partition("=")
        if not equals:
            if not words:
                parser.error(f"{word} needs a value")
            text = words.pop(0)
        overrides.append((key, text))
    return overrides


def main(argv=None):
    """Runs the command line `argv`; returns the exit status: 0, 1 after a mistake, 128 + n after signal n."""
    if argv is None:  # the process is ours
        allocator.keep_pages()
    args, overrides = parse(sys.argv[1:] if argv is None else argv)
    console = Console(stderr=True)
    logging.basicConfig(level=logging.WARNING, format="%(message)s",
                        handlers=[RichHandler(console=console, show_time=False, show_path=False, show_level=False)])
    log.setLevel(logging.INFO)
    # Orbax and Grain log with a traceback, through absl, what they then raise, which is reported here in one line.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    if args.deterministic:  # before JAX starts
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    try:
        return run(args, overrides, console)
    except UserError as e:
        print(f"jsr: {e}", file=sys.stderr)
        return 1
    except PermissionError as e:
        print(f"jsr: {no_permission(e)}", file=sys.stderr)
        return 1
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        print("jsr: out of memory; use a smaller batch or crop (--config.stages[0].batch=..., --config.stages[0].crop=...), "
              "or a network's field remat where it has one", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("jsr: stopped", file=sys.stderr)
        return 128 + signal.SIGINT


def run(args, overrides, console):
    """Prepares the data, trains, evaluates, reports; the arguments are those of the command line."""
    from jsr import challenges, report
    from jsr.data import mix
    from jsr.training import loop

    config = configs.load(args.config, overrides)
    track, _, name = config.recipe.partition(":")
    workdir = args.workdir or Path("runs") / track / name
    console.print(f"[bold]{config.recipe}[/bold]: {config.title}", highlight=False)
    if ":" not in args.config:
        others = [n for n in _recipes_beside(args.config) if n != name]
        console.print(f"no recipe was named, so this is `{name}`; also here: "
                      + ", ".join(f"{args.config}:{n}" for n in others), highlight=False)
    console.print(f"workdir: {workdir}", highlight=False)
    _prepare(config, console)
    try:
        upscaler = loop.train(config, workdir, console=console)
    except loop.Interrupted as e:
        console.print(f"{e}", highlight=False)
        return 128 + e.signal

    protocol = challenges.protocol(config.protocol)
    pairs = mix.validation_pairs(config)
    with console.status("evaluating"):
        result, strips = report.make_report(upscaler, pairs, protocol=protocol, recipe=config.recipe,
                                            steps=sum(stage.steps for stage in config.stages))
    page = report.write(workdir, result, strips, protocol=protocol)
    Console().print(report.table(result, protocol))
    for what, path in (("report", page), ("scores", workdir / "report.json"), ("model", workdir / "last.safetensors")):
        print(f"{what}: {path}")
    return 0


def _recipes_beside(file):
    return list(getattr(configs.import_file(configs.find(file)), "RECIPES", ()))


def _prepare(config, console):
    """Builds the embedded dataset on first use; others are the user's to build, since they cost a download."""
    from jsr.data import mix
    from jsr.datasets import build

    names = {row["dataset"] for row in [*mix.described(config), config.data.eval]}
    for name in sorted(n for n in names if n.split("/")[0] == "photos"):
        build.build(name, data_dir=config.data.data_dir or None, announce=lambda line: console.print(line, highlight=False))


if __name__ == "__main__":
    sys.exit(main())
