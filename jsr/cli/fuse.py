"""Fuse each block's training branches in a model file into one convolution.

    jsr fuse runs/ntire23_x3/repnet/best.safetensors repnet.safetensors

Every block is fused in float64 and compared with its branches on random input, borders included; the largest error is
printed, relative to the block's largest output. A file that is fused already is written unchanged. `jsr upscale` and
`jsr.load` fuse the networks that they load.
"""

from pathlib import Path

from jsr import model_file, terminal
from jsr.analysis import counts
from jsr.cli import _output
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("source", metavar="FROM", help="a model file, or its name")
    parser.add_argument("target", metavar="TO", help="a .safetensors")
    _output.add_arguments(parser)


def run(args):
    """Fuses a model file and prints the largest errors; returns the exit status."""
    target = Path(args.target)
    if target.suffix != ".safetensors":
        raise UserError(f"{target}: a model file ends in .safetensors")
    if args.dry_run:
        _output.settled(args, target)
        return 0
    meta, networks, variables = model_file.load(args.source)
    meta, networks, fused, report = model_file.fused(meta, networks, variables)
    model_file.save(target, fused, meta, replace=args.overwrite)
    console = terminal.console()
    for name in networks:
        before, after = counts.count_params(variables[name]), counts.count_params(fused[name])
        errors = {path: error for path, error in report.items() if path.startswith(f"{name}/")}
        console.print(f"{name}: {len(errors)} blocks, {before:,} parameters to {after:,}"
                      if errors else f"{name}: nothing to fuse, {after:,} parameters")
        if errors:
            worst = max(errors, key=errors.get)
            console.print(f"largest error, of {worst.rstrip('/')}: {errors[worst]:.1e} of its largest output")
    return _output.ended("jsr fuse", [], f"wrote {target}", console)
