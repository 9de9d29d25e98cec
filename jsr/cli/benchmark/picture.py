"""Draws gain against latency, from files of `jsr benchmark challenge`."""

from pathlib import Path

from jsr import terminal
from jsr.files import atomic_write


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON that --out of `challenge` wrote")
    parser.add_argument("--table", type=Path, metavar="FILE", help="also write the tables, as markdown")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.svg", help="the picture")


def run(args):
    """Writes the picture, and --table; returns the exit status."""
    from jsr.timing import gain_plot, rows

    files = [rows.read(path) for path in args.files]
    written = {args.out: gain_plot.svg(files)}
    if args.table:
        written[args.table] = gain_plot.markdown(files)
    for path, text in written.items():
        with atomic_write(path, "w") as file:
            file.write(text)
        terminal.console().print(f"wrote {path}")
    return 0
