"""Train a recipe, evaluate it and name the files of the run.

    jsr train configs/aim22_t1.py                      # the recipe `quick`, on any machine
    jsr train aim22_t1:edsr --workdir=runs/mine
    jsr train my/recipe.py:name --config.seed=1 '--config.stages[0].batch=32'
    jsr train aim22_t1 --minutes=20                    # the number of steps that fit into 20 minutes
    jsr train aim22_t1:bsr --member=2                  # one network of an ensemble, for example in a queue

The same command again resumes. --config.KEY=VALUE changes one entry of the recipe, and `jsr config` explains its keys.
`python -m jsr.main` is the same command.
"""

from jsr import main

add_arguments = main.add_arguments


def run(args):
    """Trains and reports (jsr.main); returns the exit status."""
    return main.start(args, args.overrides)
