"""Replay a training step whose loss or gradient was not finite, and name the module that failed first.

    jsr replay runs/aim22_t1/quick/blackbox/step1234

A run skips such a step and keeps its inputs. This command runs the step again, by the same program, in its own
precision and in float64, checks the output of every module, and names the first that is not finite, then the loss, then
the gradient. The exit status is 0 if the step failed again, 1 if it did not, which may happen on another machine.
"""

from pathlib import Path

from rich.table import Table

from jsr import terminal


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("box", type=Path, metavar="FOLDER", help="folder of a step in a run's blackbox/")


def run(args):
    """Replays a step, prints the finding and a table of the numbers around it; returns the exit status."""
    from jsr.training import blackbox

    box = blackbox.read(args.box)
    found = blackbox.replay(box)
    console = terminal.console()
    for line in blackbox.statement(box, *found):
        console.print(line)
    reproduced, own, exact = found
    console.print(_table(blackbox.neighbourhood(own, exact), box.plan.recipe.dtype))
    return 0 if reproduced else 1


def _table(rows, dtype):
    table = Table(box=None)
    for heading in ("", "place", f"max|x| {dtype}", "not finite", "max|x| float64", "not finite"):
        table.add_column(heading, justify="left" if heading in ("", "place") else "right", no_wrap=heading == "place")
    for own, exact in rows:
        table.add_row(own.kind, own.path, *_numbers(own), *_numbers(exact))
    return table


def _numbers(place):
    return f"{place.largest:.4g}" if place.bad < place.size else "-", f"{place.bad:,}" if place.bad else ""
