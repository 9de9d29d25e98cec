"""NTIRE 2023 real-time 4K super-resolution, track 2: x3 from 720p, JPEG quality 90.

    python -m jsr.main --config=configs/ntire23_x3.py              # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ntire23_x3.py:bicubicpp    # a team's; needs `jsr build div2k/ntire23_x3`

`jsr/recipes/ntire23.py` says what holds for all entries, and has the methods of teams that entered both tracks. Entries
are in the order of the report's table 1.
"""

from jsr.recipes import ntire23, pick, stage
from jsr.recipes.ntire23 import MSE

RECIPES = {
    "quick": ntire23.quick(3, title="a small ECBSR", network=dict(model="plain/ecbsr_m4c16")),
    "bicubicpp": ntire23.entry(
        "bicubicpp", 3,
        title="Aselsan Research: Bicubic++, trained wide, pruned, freed of its biases",
        networks={"sr": dict(model="plain/bicubicpp", scale=3, fields=dict(num_feat=40, use_bias=True))},
        train=["div2k"],
        # three times 1000 epochs of 800 patches in batches of 8; MSE as in the official trainer
        stages=[stage(steps=100_000, crop=324, batch=8, losses=MSE, learning_rate=rate, begin=begin,
                      optimizer=dict(name="adam", b1=0.99), schedule=dict(name="plateau_linear", hold=50_000, end=1e-8))
                for rate, begin in (
                    (5e-4, []),
                    (5e-4, [dict(net="sr", carry="prune", fields=dict(num_feat=32))]),
                    (1e-4, [dict(net="sr", carry="match", fields=dict(use_bias=False))]))],
        inferred=["40 features before pruning: the report says slightly larger",
                  "every layer keeps as many channels, where the team ranked those of all layers together"],
        left_out=["mixed precision: float32 (--config.dtype=float16 has it)"]),
    "team_ov": ntire23.team_ov(3, forced="12 features, where the text has 16, and no biases:"),
    "runet": ntire23.runet(
        3, blocks="re-parameterised blocks at a quarter",
        inferred=["32 features and 11 convolutions, where the text has 64 and 5 blocks: forced by the counts; the "
                  "text's is --config.networks.sr.model=plain/runet_text"]),
    "repnet": ntire23.repnet(3, number="four"),
    "asconvsr": ntire23.asconvsr(3, misfit="0.5 % above"),
    "njust_rtsr": ntire23.njust_rtsr(3, crops=(129, 255)),
    "erlfn": ntire23.erlfn(
        3, title="trained with FMEN's, as table 1 counts it", crop=192,
        inferred=["12 features without attention, as counted in table 1; text and table 2 have 27 with it, which is "
                  "--config.networks.sr.model=rlfn/erlfn_text"]),
    # The team began with its x2 network: networks.sr.start_from=FILE, of a run of ntire23_x2:dfcdn.
    "dfcdn": ntire23.dfcdn(3, title="the x2 network's successor", crops=(660,), misfit="8 % above", carry="match"),
    "scsyenet": ntire23.scsyenet(3, crop=129, table="540x540"),
    "lrsrn": ntire23.lrsrn(3, wide="256 wide"),
    "r2cnet": ntire23.r2cnet(3, crop=576),
    "pcrtsr": ntire23.pcrtsr(3, crop=258),
    "touchfish": ntire23.touchfish(3, crops=(255, 513), inferred=["table 1's parameters; table 2 has 0.183 M"]),
    "fadn": ntire23.fadn(3, crop=255, source="as in table 2 for x2"),
    "prfdn": ntire23.prfdn(3, crop=(1536, 2040), branches="two"),
    "drcnn": ntire23.drcnn(3, misfit="1 % above"),
    "rt4ksr": ntire23.rt4ksr(3, crop=258),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ntire23_x3", RECIPES, name)
