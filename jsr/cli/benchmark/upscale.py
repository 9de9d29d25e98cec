"""Time of a network for an image, beside other libraries."""

from pathlib import Path

from rich.filesize import decimal

from jsr.cli.benchmark import _arguments
from jsr.cli.benchmark._figures import measured, table, times
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("model", help="network with fresh weights, such as edsr/baseline; or a model file or its name")
    parser.add_argument("--scale", type=int, help="scale of a network named by its id (default: 4)")
    parser.add_argument("--size", type=_arguments.sizes, default=[(180, 320)], metavar="HxW[,HxW...]",
                        help="height x width of the LR image (default: 180x320)")
    _arguments.add_repeats(parser)
    _arguments.add_compared(parser)
    _arguments.add_out(parser)


def run(args):
    """Measures, prints tables, writes --out; returns the exit status."""
    return measured(args, _measure)


def _measure(args, session):
    from jsr.timing import upscaling

    name, networks, variables = _network(args.model, args.scale)
    results = []
    for height, width in args.size:
        label = f"{name} at {height}x{width}"
        row = upscaling.measure(networks, variables, (height, width), wanted=args.peers, rounds=args.repeats,
                                dtype=args.dtype or "float32",
                                announce=lambda line, label=label: session.announce(f"{label}: {line}"))
        padded = "" if row["size"] == row["padded_size"] else " (padded to {}x{})".format(*row["padded_size"])
        session.console.print(table(
            f"{label}{padded}: {row['params']:,} parameters, {row['gmacs']:,.2f} GMACs",
            ["", ">median ms", ">best", ">p90", ">GMAC/s", ">ours / its", ">largest error", "note"],
            [_cells(library) for library in row["rows"]]))
        session.console.print(
            f"jsr (jax): traced in {row['trace_s']:.1f} s, compiled in {row['compile_s']:.1f} s; memory "
            f"{decimal(row['memory']['peak_bytes'])}; image to the device and back "
            f"{row['transfer']['median_ms']:.2f} ms, not counted above", "", sep="\n")
        results.append({"model": name, **row})
    return results


def _cells(row):
    error = "" if row["max_abs_error"] is None else f"{row['max_abs_error']:.1e}"
    if row["median_ms"] is None:
        return row["name"], "", "", "", "", "", error, row["note"]
    ratio = "" if row["name"] == "jsr (jax)" else f"{row['ratio']:.2f}"
    return row["name"], *times(row), f"{row['gmacs_per_s']:.1f}", ratio, error, row["note"]


def _network(model, scale):
    """(name for titles, {name: module}, {name: variables}) of an id or a model file, in deployed form."""
    import jax

    from jsr import model_file, models, reparam

    if model_file.is_named(model) or Path(model).is_file():
        if scale:
            raise UserError(f"--scale is for networks named by their ids; {model} has its own")
        return model, *model_file.fused(*model_file.load(model))[1:3]
    scale = scale or 4
    network = reparam.deployed(models.create(model, scale=scale))
    return f"{models.resolve(model)} x{scale}", {"sr": network}, {"sr": models.init(network, jax.random.key(0))}
