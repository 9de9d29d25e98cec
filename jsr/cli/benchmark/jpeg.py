"""Images/s compressed and decoded in JAX on this device, beside Pillow."""

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table, times


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("--size", type=_arguments.sizes, default=[(48, 48), (128, 128)], metavar="HxW[,HxW...]",
                        help="height x width of the images (default: 48x48,128x128)")
    parser.add_argument("--batch", type=_arguments.number(int), default=16, help="images at a time (default: 16)")
    _arguments.add_repeats(parser)
    _arguments.add_out(parser)


def run(args):
    """Measures, prints tables, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr.timing import codecs

    results = []
    for size in args.size:
        session.announce(f"JPEG of {args.batch} images of {size[0]}x{size[1]}")
        row = codecs.measure_jpeg(args.batch, size, rounds=args.repeats)
        session.console.print(table(
            f"JPEG quality {row['quality']}, {row['subsampling']}, there and back: {args.batch} images of "
            f"{size[0]}x{size[1]}; {row['differing']} values differ; compiled in {row['compile_s']:.1f} s",
            ["", ">images/s", ">median ms", ">best", ">p90"],
            [(codec["name"], f"{codec['images_per_s']:,.0f}", *times(codec)) for codec in row["rows"]]))
        results.append(row)
    return results
