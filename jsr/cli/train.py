"""Train a recipe, evaluate it and say where it put things.

    jsr train --config=configs/aim22_t1.py                      # the recipe `quick`, on any machine
    jsr train --config=configs/aim22_t1.py:edsr --workdir=runs/mine
    jsr train --config=configs/aim22_t1.py --config.seed=1 '--config.stages[0].batch=32'
    jsr train --config=configs/aim22_t1.py --minutes=20         # as many steps as there is time for

The same command again resumes; --config.KEY=VALUE changes one entry of the recipe. `python -m jsr.main` is the same.
"""

from jsr import main

add_arguments = main.add_arguments


def run(args):
    """Trains and reports (jsr.main); returns the exit status."""
    return main.start(args, args.overrides)
