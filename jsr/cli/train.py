"""Train a recipe, evaluate it and say where it put things.

    jsr train configs/aim22_t1.py                      # the recipe `quick`, on any machine
    jsr train aim22_t1:edsr --workdir=runs/mine
    jsr train my/recipe.py:name --config.seed=1 '--config.stages[0].batch=32'
    jsr train aim22_t1 --minutes=20                    # as many steps as there is time for
    jsr train aim22_t1:bsr --member=2                  # one network of an ensemble, as for a queue

The same command again resumes; --config.KEY=VALUE changes one entry of the recipe, whose
keys `jsr config` explains. `python -m jsr.main` is the same.
"""

from jsr import main

add_arguments = main.add_arguments


def run(args):
    """Trains and reports (jsr.main); returns the exit status."""
    return main.start(args, args.overrides)
