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
import signal
import sys

import jsr
from jsr import allocator, guests
from jsr.cli._parser import Parser
from jsr.errors import UserError, nearest, no_permission


def commands_in(folder):
    """The names of the modules and packages in a package's `__path__`, but for private ones, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_")))


COMMANDS = commands_in(__path__)


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
    parser.add_argument("--import", dest="guests", metavar="MODULE", action="append", default=[],
                        help="lets in a guest: imports a module of another package, whose networks files may name")
    args = parser.parse_args(argv[1:])
    try:
        guests.bring(*args.guests)
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
        lines.append(f"  {name:<12}{_first_line(name)}")
    return "\n".join([*lines, "", "`jsr COMMAND --help` explains one."])


def _first_line(command):
    """The first line of a command's docstring, without importing it."""
    spec = importlib.util.find_spec(f"{__name__}.{command}")
    text = Path(spec.origin).read_text() if spec and spec.origin else ""
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
