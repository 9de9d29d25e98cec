"""Shared parts of all measurements: notes while they run, tables, facts about the machine, JSON."""

import json
from typing import Any, Callable, NamedTuple

from rich.console import Console
from rich.table import Table

from jsr import terminal
from jsr.cli import _output
from jsr.errors import UserError, is_out_of_memory
from jsr.files import atomic_write


class Session(NamedTuple):
    """The outputs of a measurement."""
    console: Console                       # tables, stdout
    announce: Callable[[str], None]        # progress, a line, stderr
    report: dict[str, Any]                 # --out but for its results


def measured(args, measure):
    """Measures, prints the machine's load, writes --out; returns the exit status.

    measure: function of (args, Session) that prints its tables and returns the results, JSON.
    """
    from jsr.timing import timing

    if args.what != "challenge" and _output.settled(args, args.out):  # which goes on with its own file
        return 0
    console = terminal.console()
    report = timing.head(["jsr", "benchmark", args.what, *args.words], args.what)
    machine = report["machine"]
    try:
        results = measure(args, Session(console, terminal.console(stderr=True).print, report))
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        raise UserError("out of memory; measure a smaller --size, or a smaller batch "
                        "(--config.stages[0].batch=...)") from e
    after = timing.surroundings()["machine"]["load_average"]
    console.print(f"{', '.join(machine['devices'])}; {machine['cores']} CPU core(s), {machine['cpu']}; "
                  f"load average {_load(machine['load_average'])} before, {_load(after)} after")
    if args.out:
        with atomic_write(args.out, "w") as file:
            json.dump({**report, "load_average_after": after, "results": results}, file, indent=1)
        console.print(f"wrote {args.out}")
    return 0


def table(title, columns, rows):
    """A table without lines; a heading's ">" aligns its column to the right."""
    drawn = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def times(row):
    """The cells of a row's median, best and p90, ms."""
    return tuple(f"{row[key]:,.2f}" for key in ("median_ms", "best_ms", "p90_ms"))


def _load(averages):
    return "unknown" if averages is None else f"{averages[0]:.1f}"
