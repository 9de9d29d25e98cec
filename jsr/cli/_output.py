"""Options and messages that all commands share that write files: --overwrite, --dry_run, the last line."""

import contextlib
import json
from pathlib import Path
import sys

from jsr import results, terminal
from jsr.errors import grouped
from jsr.files import atomic_write, is_stream, refuse_existing

STDOUT = Path("-")

_DOING = {results.WRITE: "would write", results.REPLACE: "would replace",
          results.PASS_OVER: "would pass over, finished"}


def add_arguments(parser, whats="a file that is"):
    """Adds --overwrite and --dry_run to an argparse parser.

    Args:
      parser: parser of a command that writes.
      whats: the subject of "in the way" in the help.
    """
    parser.add_argument("--overwrite", action="store_true",
                        help=f"replace {whats} in the way; the old one stays until the new one is whole")
    parser.add_argument("--dry_run", action="store_true",
                        help="list the files that would be written, replaced and passed over, and do nothing")


def settled(args, *paths):
    """Refuses files in the way, prints the plan of a --dry_run, and returns whether it is one.

    Args:
      args: arguments of the command line.
      paths: files that the command writes; None stands for a file that it does not write.

    Raises:
      UserError: a file exists, and --overwrite is not given.
    """
    paths = [path for path in paths if path not in (None, STDOUT)]
    for path in paths:
        if not args.overwrite:
            refuse_existing(path)
    if args.dry_run:
        foretell({path: results.REPLACE if path.exists() and not is_stream(path) else results.WRITE for path in paths})
    return args.dry_run


@contextlib.contextmanager
def opened(path, args, mode="w"):
    """Opens a path that a command writes, in a mode of atomic_write; STDOUT is standard output."""
    if path == STDOUT:
        yield sys.stdout.buffer if "b" in mode else sys.stdout
    else:
        with atomic_write(path, mode, replace=args.overwrite) as file:
            yield file


def write_json(path, data, args):
    """Writes data as JSON to a path that `opened` takes; numbers must be finite."""
    with opened(path, args) as file:
        json.dump(data, file, indent=1, allow_nan=False)
        file.write("\n")


def foretell(found):
    """Prints the plan of a --dry_run.

    Args:
      found: {path: results.WRITE, REPLACE or PASS_OVER}.
    """
    console = terminal.console()
    for path, may in found.items():
        console.print(f"{_DOING[may]}: {path}")
    if not found:
        console.print("nothing would be written")


def ended(command, errors, done, console, passed=""):
    """Prints the files passed over, the failures and, in the last line, whether all is done; returns the exit status.

    Args:
      command: the command's name, for example "jsr upscale".
      errors: UserErrors or texts, one for each file or folder that failed.
      done: the work done, in a few words; "" if there was none.
      console: rich Console for the work done; failures go to stderr.
      passed: jsr.listing.PassedOver, or its text.
    """
    errors, stderr = [str(e).replace("\n", r"\n") for e in errors], terminal.console(stderr=True)
    if str(passed):
        console.print(str(passed))
    if done:
        console.print(done if errors else f"{done}; all done")
    for text in grouped(errors):
        stderr.print(f"{command}: {text}")
    if errors:
        stderr.print(f"{command}: {len(errors):,} failed, {'the rest is done' if done else 'nothing was done'}")
    return 1 if errors else 0
