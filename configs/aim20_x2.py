"""AIM 2020 real image super-resolution, track 1: x2, LR and HR of the same cameras.

    python -m jsr.main --config=configs/aim20_x2.py                      # `quick`: minutes on two cores
    python -m jsr.main --config=configs/aim20_x2.py:noah_rrdb_robust     # a team's; needs `jsr build drealsr/aim20_x2`

`jsr/recipes/aim20.py` has the methods. Entries are in the order of the report's table 2.
"""

from jsr.recipes import aim20, pick

RECIPES = {
    "quick": aim20.quick(2),
    "noah_rrdb_robust": aim20.noah_rrdb_robust(
        2, inferred=["one nearest-neighbour step and convolution for all of x2, as in ESRGAN's code"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim20_x2", RECIPES, name)
