"""Images/s of one core that each degradation makes.

CPU time of all threads, for made-up images and for clips of 8 frames, of which frames count: LR files made from arrays,
and decoded to arrays. Reading the HR files is not counted in.
"""

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("--protocol", type=_arguments.words, metavar="NAME[,NAME...]",
                        help="degradations, as of `jsr degrade` (default: all)")
    parser.add_argument("--size", type=_arguments.sizes, default=[(512, 512)], metavar="HxW[,HxW...]",
                        help="height x width of the HR images (default: 512x512)")
    parser.add_argument("--rounds", type=_arguments.number(int), default=9, help="timed calls of each (default: 9)")
    _arguments.add_out(parser)


def run(args):
    """Measures, prints a table, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr import degradations
    from jsr.timing import degrading, tables

    names = args.protocol or list(degradations.PROTOCOLS)
    for name in names:
        degradations.protocol(name)
    results = []
    for size in args.size:
        for name in names:
            session.announce(f"{name}: HR of {size[0]}x{size[1]}")
            results.append(degrading.measure(name, size, rounds=args.rounds))
    session.console.print(table("HR images to LR files: CPU time of one core", tables.DEGRADE,
                                map(tables.of_degradation, results)))
    return results
