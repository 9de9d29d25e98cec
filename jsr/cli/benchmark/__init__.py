"""Measure input pipeline, training step, upscaling, JPEG and blocks beside the libraries one would use instead.

Figures come from repeated, synchronised runs; compiling is measured apart. They are reliable only on an idle machine:
the load averages are printed with them, and the best run beside the median. Other programs slow libraries unequally,
PyTorch most, since its threads wait for each other. `taskset -c 0 jsr benchmark ...` gives one core to all alike.

  jsr benchmark pipeline --config=configs/aim22_t1.py:edsr --workers 0,1,2,4
  jsr benchmark loaders photographs/ --rounds 9
  jsr benchmark degrade --protocol aim22_t1,ais24
  jsr benchmark jpeg --size 48x48,128x128
  jsr benchmark step --config=aim22_t1 --config.stages[0].batch=16 --peers auto
  jsr benchmark upscale edsr/baseline --scale 4 --size 180x320,360x640 --out edsr.json
  jsr benchmark blocks --block ecb --features 32
  jsr benchmark deform --features 64 --size 64x64
  jsr benchmark upscale runs/aim22_t1/quick/best.safetensors --peers none

--out writes JSON: {format, command, date, machine, versions, load_average_after, what, results}, with the figures of
the tables and more; names of times end in _s or _ms, sizes are [height, width].
"""

import argparse
import importlib

from jsr.cli import commands_in

COMMANDS = commands_in(__path__)


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser: a command of its own for each module in this folder."""
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name in COMMANDS:
        module = importlib.import_module(f"{__name__}.{name}")
        about = module.__doc__ or ""
        what = whats.add_parser(name, help=about.partition("\n")[0].rstrip("."), description=about,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(what)
        what.set_defaults(run=module.run)


def run(args):
    """Runs the module of `args.what`; returns the exit status."""
    return args.run(args)
