"""The commands: one module each in this folder, with `add_arguments(parser)` and `run(args) -> exit status`.

Only the module of the command that was asked for is imported.
"""

import argparse
import ast
import importlib
import logging
import os
from pathlib import Path
import signal
import sys

import jsr
from jsr import allocator
from jsr.cli._parser import Parser
from jsr.config import nearest
from jsr.errors import UserError, no_permission

COMMANDS = tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


def main(argv=None):
    """Runs a command line; returns the exit status: 0, 1 after a mistake, 2 for unusable arguments, 128 + n."""
    if argv is None:  # the process is ours
        allocator.keep_pages()
        if sys.stdout is not None:  # not closed; it shows names of files that its encoding lacks, as stderr does
            sys.stdout.reconfigure(errors="backslashreplace")
        argv = sys.argv[1:]
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if argv[0] == "--version":
        print(f"jsr {jsr.__version__}")
        return 0
    command = argv[0]
    if command not in COMMANDS:
        print(f"jsr: no command {command!r}; {nearest(command, COMMANDS)}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    module = importlib.import_module(f"jsr.cli.{command}")
    parser = Parser(prog=f"jsr {command}", description=module.__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    args = parser.parse_args(argv[1:])
    try:
        return module.run(args)
    except UserError as e:
        print(f"jsr {command}: {e}", file=sys.stderr)
        return 1
    except PermissionError as e:
        print(f"jsr {command}: {no_permission(e)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"jsr {command}: stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `jsr zoo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _overview():
    lines = ["usage: jsr COMMAND ...", "", "commands:"]
    for name in COMMANDS:
        lines.append(f"  {name:<12}{_first_line(Path(__file__).parent / f'{name}.py')}")
    return "\n".join([*lines, "", "`jsr COMMAND --help` explains one; `python -m jsr.main --config=...` trains."])


def _first_line(path):
    """The first line of a module's docstring, without importing it."""
    return ast.get_docstring(ast.parse(path.read_text())).splitlines()[0].rstrip(".")
