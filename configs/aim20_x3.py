"""AIM 2020 real image super-resolution, track 2: x3, LR and HR of the same cameras.

    python -m jsr.main --config=configs/aim20_x3.py                      # `quick`: minutes on two cores
    python -m jsr.main --config=configs/aim20_x3.py:noah_rrdb_robust     # a team's; needs `jsr build drealsr/aim20_x3`

`jsr/recipes/aim20.py` has the methods. Entries are in the order of the report's table 2.
"""

from jsr.recipes import aim20, pick

RECIPES = {
    "quick": aim20.quick(3),
    "noah_rrdb_robust": aim20.noah_rrdb_robust(
        3, inferred=["one nearest-neighbour step and convolution for all of x3, as in ESRGAN's code"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim20_x3", RECIPES, name)
