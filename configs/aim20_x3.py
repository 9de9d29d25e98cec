"""AIM 2020 real image super-resolution, track 2: x3, LR and HR of the same cameras.

    python -m jsr.main --config=configs/aim20_x3.py                      # `quick`: minutes on two cores
    python -m jsr.main --config=configs/aim20_x3.py:noah_rrdb_robust     # a team's; needs `jsr build drealsr/aim20_x3`

`jsr/recipes/aim20.py` has the methods. Entries are in the order of the report's table 2, whose last one, "anonymous",
the report does not describe: there is nothing to train.
"""

from jsr.recipes import aim20, pick

RECIPES = {
    "quick": aim20.quick(3),
    "baidu_drn_gpnas": aim20.baidu_drn_gpnas(3),
    "cetc_cskt_adcsr": aim20.cetc_cskt_adcsr(3),
    "oppo_camera_scan": aim20.oppo_camera_scan(3),
    "noah_rrdb_robust": aim20.noah_rrdb_robust(
        3, inferred=["likely: one nearest-neighbour step and convolution for all of x3, as in ESRGAN's code"]),
    "mcml_yonsei_mdsr_tvam": aim20.mcml_yonsei_mdsr_tvam(3, ensemble=True),
    "teaminception_mirnet": aim20.teaminception_mirnet(3),
    "along_rcanv2": aim20.along_rcanv2(3),
    "deepblueai_rcan128": aim20.deepblueai_rcan128(3),
    "lyl_cfn": aim20.lyl_cfn(3),
    "kailos_rrdb_att_wavelet": aim20.kailos_rrdb_att_wavelet(3),
    "qwq_msrcan": aim20.qwq_msrcan(3),
    "edsr_star": aim20.edsr_star(3),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim20_x3", RECIPES, name)
