"""The commands: one module or package each in this folder, with `add_arguments(parser)` and `run(args) -> exit status`.

Only the module of the command that was asked for is imported.
"""

import argparse
import ast
import importlib
import importlib.util
import logging
import os
from pathlib import Path
import pkgutil
import sys

import jsr
from jsr import command_line, guests
from jsr.errors import nearest


def commands_in(folder):
    """The names of the modules and packages in a package's `__path__`, but for private ones, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_")))


COMMANDS = commands_in(__path__)
GROUPS = {  # what a person wants, and the commands for it
    "better pictures and clips": ("upscale", "serve", "models"),
    "training": ("train", "config", "search", "average", "replay", "plan"),
    "data and scores": ("build", "degrade", "evaluate", "index"),
    "handing networks on": ("convert", "export", "fuse"),
    "looking around": ("zoo", "benchmark", "doctor"),
}


def main(argv=None):
    """Runs a command line; returns the exit status: 0, 1 after a mistake, 2 for bad arguments, 128 + n by signal n."""
    if argv is None:
        if "_ARGCOMPLETE" in os.environ:
            from jsr.cli import _completion

            _completion.complete(COMMANDS, _first_line)
        command_line.own_process()
        argv = sys.argv[1:]
    command, *words = argv or ["--help"]
    if command == "help" and words:
        command, words = words[0], ["--help"]
    if command not in COMMANDS:
        return command_line.in_lines("jsr", lambda: _about(command))
    return command_line.in_lines(f"jsr {command}", lambda: _run(command, words))


def _about(word):
    """Answers a word that is no command; returns the exit status."""
    if word in ("-h", "--help", "help"):
        print(_overview())
    elif word in ("-v", "-V", "--version", "version"):
        print(f"jsr {jsr.__version__}")
    else:
        print(f"jsr: no command {word!r}; {nearest(word, COMMANDS)}", file=sys.stderr)
        return 2
    return 0


def _run(command, words):
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    module = importlib.import_module(f"jsr.cli.{command}")
    parser = command_line.Parser(prog=f"jsr {command}", description=module.__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    parser.add_argument("--import", dest="guests", metavar="MODULE", action="append", default=[],
                        help="import a module of another package, so that files may name its networks")
    args = parser.parse_args(words)
    guests.bring(*args.guests)
    return module.run(args)


def _overview():
    lines = ["usage: jsr COMMAND ..."]
    for purpose, commands in GROUPS.items():
        lines += ["", f"{purpose}:", *(f"  {name:<12}{_first_line(name)}" for name in commands)]
    return "\n".join([*lines, "", "`jsr COMMAND --help` explains one."])


def _first_line(command):
    """The first line of a command's docstring, without importing it."""
    spec = importlib.util.find_spec(f"{__name__}.{command}")
    text = Path(spec.origin).read_text() if spec and spec.origin else ""
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
