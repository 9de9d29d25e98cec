"""Plan memory and time of a training step, or a deployed network, for accelerators that you need not have.

    jsr plan aim22_t1:edsr --on v5e:2x4                     # a slice of TPUs
    jsr plan aim22_t1:edsr --on h100:4x8 '--config.stages[0].batch=512'     # 4 hosts of 8 GPUs
    jsr plan ais24:casr --deployed 540x960 --config.dtype=bfloat16 --on h200:1
    jsr plan aim22_t1:cvlab --deployed 128x128 --on h200:1 --kernels attention

The command compiles the very step for them. It needs no device and no driver, only the compiler: the extra "tpu" or
"cuda". It prints the memory per chip and the number of samples that would fit, the collectives with their bytes, the
time by kind of instruction, the ten slowest instructions with the modules that wrote them, and the rate that the loader
must reach. Times are estimates: the compiler's on TPUs, a lower bound by peak rates on GPUs; benchmarks/ compares them
with measured times.
"""

import argparse
import json
import re

from jsr import recipes, terminal
from jsr.errors import UserError


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("config", metavar="FILE[:RECIPE]", help="track file and one of its recipes")
    parser.add_argument("--on", metavar="CHIP:SHAPE", required=True,
                        help="v4, v5e, v5p, v6e with the slice's shape (v5e:16x16), h100 or h200 with hosts x GPUs "
                             "(h100:4x8), or a number of chips (h200:1)")
    parser.add_argument("--stage", metavar="N", type=int, default=0, help="number of the stage, from 0 (default: 0)")
    parser.add_argument("--deployed", metavar="HxW", type=_size,
                        help="size of an LR image: plan the recipe's deployed networks on it instead of the step")
    parser.add_argument("--kernels", metavar="NAME", default="xla", choices=("xla", "pallas", "attention"),
                        help='of --deployed: "pallas" is one kernel for all of the network, of casr and bicubicpp, '
                             '"attention" one for attention within windows; no device has timed either (default: xla)')
    parser.add_argument("--quick", action="store_true",
                        help="compile with little effort, in a fraction of the time: memory and collectives are right, "
                             "times too long")
    parser.add_argument("--config.KEY", dest="_", metavar="VALUE", help="override an entry of the recipe")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(args):
    """Compiles the program and prints the plan; returns the exit status: 0, or 1 if memory does not suffice."""
    import jax
    from jax._src import xla_bridge

    from jsr import planning

    if not xla_bridge.backends_are_initialized():
        jax.config.update("jax_platforms", "cpu")  # whatever is here is not what it is for
    recipe = recipes.load(args.config, args.overrides)
    if not 0 <= args.stage < len(recipe.stages):
        raise UserError(f"--stage {args.stage}: {args.config} has the stages 0 to {len(recipe.stages) - 1}")
    if args.kernels != "xla" and not args.deployed:
        raise UserError(f"--kernels {args.kernels}: is for deployed networks; add --deployed HxW")
    on, effort = planning.target(args.on), "quick" if args.quick else "full"
    made = (planning.of_deployed(recipe, args.deployed, on, effort=effort, kernels=args.kernels)
            if args.deployed
            else planning.of_step(recipe, args.stage, on, effort=effort))
    made = {"config": args.config, "overrides": dict(args.overrides), **made}
    if args.json:
        print(json.dumps(made, indent=1))
    else:
        console = terminal.console()
        for line in planning.lines(made):
            console.print(line)
    return 0 if made["fits"] else 1


def _size(text):
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a height and width such as 540x960")
    height, width = map(int, text.split("x"))
    return height, width
