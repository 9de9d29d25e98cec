"""Replay a training step whose loss or gradient was not finite, and name where that began.

    jsr replay runs/aim22_t1/quick/blackbox/step1234

A run skips such a step and keeps what it saw. This runs it again, by the same program, in its own precision and in
float64, looks at what every module gives, and names the first whose output is not finite, then the loss, then the
gradient. The exit status is 0 where the step went wrong again, 1 where it did not, as may be on another machine.
"""

from pathlib import Path

from rich.table import Table

from jsr import terminal


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("box", type=Path, metavar="FOLDER", help="a folder that a run left in its blackbox/")


def run(args):
    """Replays, prints the finding and a table of the numbers about it; returns the exit status."""
    from jsr.training import blackbox

    box = blackbox.read(args.box)
    found = blackbox.replay(box)
    console = terminal.console()
    for line in blackbox.statement(box, *found):
        console.print(line)
    reproduced, own, exact = found
    console.print(_table(blackbox.neighbourhood(own, exact), box.config.dtype))
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
