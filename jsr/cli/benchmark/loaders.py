"""Patches/s of one core for AIM 2022, Track 1, beside loaders of PNG files.

One core, without workers, for AIM 2022 compressed SR, Track 1 (HR crops of 256 px): ours, and loaders of whole PNG
files and of sub-images of 480 px.
"""

from pathlib import Path
import tempfile

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("folder", nargs="?", type=Path,
                        help="folder of photographs, 480 px and more; by default three made-up pictures of 2040x1356")
    parser.add_argument("--rounds", type=_arguments.number(int), default=5,
                        help="timed batches of 16 per loader (default: 5)")
    _arguments.add_out(parser)


def run(args):
    """Measures, prints a table, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr import images
    from jsr.timing import loaders, tables

    session.announce("preparing the photographs in each form")
    photographs = ({str(path): images.read_rgb(path) for path in images.list_images(args.folder)} if args.folder else
                   {f"made-up picture {seed + 1}": loaders.made_up(seed) for seed in range(3)})
    with tempfile.TemporaryDirectory() as folder:
        rows = loaders.measure(photographs, folder, rounds=args.rounds)
    height, width = next(iter(photographs.values())).shape[:2]
    session.console.print(table(
        f"{len(photographs)} photographs, e.g. {width}x{height}: "
        "CPU time of one thread", tables.LOADERS, map(tables.of_loader, rows)))
    return rows
