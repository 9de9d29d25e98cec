"""What every command that writes files says of those that are in the way."""

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
      parser: of a command that writes.
      whats: the subject of "in the way" in the help.
    """
    parser.add_argument("--overwrite", action="store_true",
                        help=f"replace {whats} in the way; the old one stays until the new one is whole")
    parser.add_argument("--dry_run", action="store_true",
                        help="say what would be written, replaced and passed over, and do nothing")


def settled(args, *paths):
    """Whether there is nothing to do but what was said, as --dry_run wants.

    Args:
      args: of the command line.
      paths: files that the command writes; None is one that it does not.

    Raises:
      UserError: one of them is there, and --overwrite is not given.
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
    """The open file of a path that a command writes, of a mode of atomic_write; STDOUT is standard output."""
    if path == STDOUT:
        yield sys.stdout.buffer if "b" in mode else sys.stdout
    else:
        with atomic_write(path, mode, replace=args.overwrite) as file:
            yield file


def write_json(path, data, args):
    """Writes data that JSON can hold, numbers that are not finite not among them, as `opened` does."""
    with opened(path, args) as file:
        json.dump(data, file, indent=1, allow_nan=False)
        file.write("\n")


def foretell(found):
    """Prints what would be done.

    Args:
      found: {path: results.WRITE, REPLACE or PASS_OVER}.
    """
    console = terminal.console()
    for path, may in found.items():
        console.print(f"{_DOING[may]}: {path}")
    if not found:
        console.print("nothing would be written")


def ended(command, errors, done, console, passed=""):
    """Says what was passed over, what failed and, in the last line, whether all is done; returns the exit status.

    Args:
      command: as "jsr upscale".
      errors: UserErrors or texts, one for each file or folder that failed.
      done: what was done, in a few words; "" of nothing.
      console: rich Console of what was done; failures go to stderr.
      passed: jsr.listing.PassedOver, or its text.
    """
    errors, stderr = list(errors), terminal.console(stderr=True)
    if str(passed):
        console.print(str(passed))
    if done:
        console.print(done if errors else f"{done}; all done")
    for text in grouped(errors):
        stderr.print(f"{command}: {text}")
    if errors:
        stderr.print(f"{command}: {len(errors):,} failed, {'the rest is done' if done else 'nothing was done'}")
    return 1 if errors else 0
