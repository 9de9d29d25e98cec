"""AIM 2020 real image super-resolution, track 1: x2, LR and HR of the same cameras.

    python -m jsr.main --config=configs/aim20_x2.py                      # `quick`: minutes on two cores
    python -m jsr.main --config=configs/aim20_x2.py:noah_rrdb_robust     # a team's; needs `jsr build drealsr/aim20_x2`

`_aim20.py` beside this file has the methods. Entries are in the order of the report's table 2: rank, PSNR, SSIM, score.
"""

from jsr._configs import _aim20
from jsr._configs.common import pick

RECIPES = {
    "quick": _aim20.quick(2),
    "noah_rrdb_robust": _aim20.noah_rrdb_robust(
        2, (6, 33.289, 0.923, 0.7686),
        inferred=["one nearest-neighbour step and convolution for all of x2, as in ESRGAN's code"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim20_x2", RECIPES, name)
