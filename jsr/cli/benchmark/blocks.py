"""Time of a gradient step through re-parameterised blocks: as branches, fused, and in PyTorch."""

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table, times
from jsr.errors import UserError, nearest


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    number = _arguments.number(int)
    parser.add_argument("--block", default="ecb", help="name in jsr/layers/rep_blocks.py (default: ecb)")
    parser.add_argument("--features", type=number, default=32, help="channels in and out (default: 32)")
    parser.add_argument("--depth", type=number, default=3, help="number of blocks (default: 3)")
    parser.add_argument("--size", type=_arguments.sizes, default=[(64, 64)], metavar="HxW[,HxW...]",
                        help="height x width of the input (default: 64x64)")
    parser.add_argument("--batch", type=number, default=16, help="number of inputs (default: 16)")
    _arguments.add_repeats(parser)
    _arguments.add_out(parser)


def run(args):
    """Measures, prints tables, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr.layers import rep_blocks
    from jsr.timing import blocks

    if args.block not in rep_blocks.BLOCKS:
        raise UserError(f"no block {args.block!r}; {nearest(args.block, rep_blocks.BLOCKS)}")
    results = []
    for size in args.size:
        what = f"{args.depth} {args.block} of {args.features} features on {args.batch}x{size[0]}x{size[1]}"
        session.announce(what)
        try:
            row = blocks.measure_blocks(args.block, features=args.features, depth=args.depth, batch=args.batch,
                                        size=size, rounds=args.repeats)
        except ValueError as e:
            raise UserError(f"{args.block}: cannot be measured here: {e}") from e
        fused = next(form for form in row["rows"] if form["name"] == "jsr, fused")
        session.console.print(table(
            f"gradient of {what}, {row['params']:,} parameters",
            ["", ">median ms", ">best", ">p90", ">fused / it", ">largest difference"],
            [(form["name"], *times(form), f"{fused['median_ms'] / form['median_ms']:.3f}", f"{form['error']:.1e}")
             for form in row["rows"]]))
        results.append(row)
    return results
