"""Deformable convolution and its gradient, beside PyTorch's and ONNX Runtime's."""

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table, times


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    number = _arguments.number(int)
    parser.add_argument("--features", type=number, default=64, help="channels out, half of those in (default: 64)")
    parser.add_argument("--groups", type=number, default=16, help="groups of offsets (default: 16)")
    parser.add_argument("--size", type=_arguments.sizes, default=[(64, 64)], metavar="HxW[,HxW...]",
                        help="height x width of the input (default: 64x64)")
    parser.add_argument("--reach", type=_arguments.number(float), default=10.0,
                        help="largest offset of a tap, px (default: 10)")
    _arguments.add_repeats(parser)
    _arguments.add_out(parser)


def run(args):
    """Measures, prints tables, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr.timing import deform

    results = []
    for size in args.size:
        what = f"3x3 deformable convolution to {args.features} features on {size[0]}x{size[1]}"
        session.announce(what)
        row = deform.measure_deform(features=args.features, groups=args.groups, size=size, reach=args.reach,
                                    rounds=args.repeats)
        ours = {form["what"]: form["median_ms"] for form in row["rows"] if form["name"] == "jsr"}
        session.console.print(table(
            what, ["", "", ">median ms", ">best", ">p90", ">jsr / it", ">largest difference"],
            [(form["what"], form["name"], *times(form), f"{ours[form['what']] / form['median_ms']:.2f}",
              f"{form['error']:.1e}") for form in row["rows"]]))
        results.append(row)
    return results
