"""AIM 2020 real image super-resolution, track 3: x4, LR and HR of the same cameras.

    python -m jsr.main --config=configs/aim20_x4.py                      # `quick`: minutes on two cores
    python -m jsr.main --config=configs/aim20_x4.py:noah_rrdb_robust     # a team's; needs `jsr build drealsr/aim20_x4`

`jsr/recipes/aim20.py` has the methods. Entries are in the order of the report's table 2.
"""

from jsr.recipes import aim20, pick

RECIPES = {
    "quick": aim20.quick(4),
    "noah_rrdb_robust": aim20.noah_rrdb_robust(
        4, model="rrdbnet/attention",
        inferred=["where attention stands: ECA in every RRDB, before its residual connection; EDVR's spatial attention "
                  "once, before the upsampling"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim20_x4", RECIPES, name)
