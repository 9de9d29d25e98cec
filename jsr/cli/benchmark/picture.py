"""Draws gain against latency, and writes tables.

The picture is of files of `jsr benchmark challenge`; --table also takes those of `loaders` and `degrade`.
"""

from pathlib import Path

from jsr import terminal
from jsr.cli import _output
from jsr.files import atomic_write


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE",
                        help="JSON that --out of `challenge`, `loaders` or `degrade` wrote")
    parser.add_argument("--table", type=Path, metavar="FILE",
                        help="also write the tables, as markdown, behind the text that FILE begins with")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.svg", help="the picture")
    _output.add_arguments(parser, "files that are")


def run(args):
    """Writes the picture, and --table; returns the exit status."""
    from jsr.timing import gain_plot, rows

    if _output.settled(args, args.out, args.table):  # both, before one is written
        return 0
    files = [rows.read(path) for path in args.files]
    written = {args.out: gain_plot.svg(files)}
    if args.table:
        before = args.table.read_text(encoding="utf-8") if args.table.is_file() else ""
        written[args.table] = gain_plot.markdown(files, before)
    for path, text in written.items():
        with atomic_write(path, "w", replace=args.overwrite) as file:
            file.write(text)
        terminal.console().print(f"wrote {path}")
    return 0
