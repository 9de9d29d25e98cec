"""AIM 2022 compressed super-resolution, track 1: x4 from JPEG quality 10.

    python -m jsr.main --config=configs/aim22_t1.py            # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/aim22_t1.py:edsr       # needs `jsr build div2k/aim22_t1` first

Report: Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCVW 2022.
"""

from jsr._configs.common import pick, recipe, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
DIV2K = dict(train=dict(dataset="div2k/aim22_t1"), eval=dict(dataset="div2k/aim22_t1"))

RECIPES = {
    "quick": recipe(
        title="a small EDSR on the embedded photographs, minutes on two cores",
        protocol="aim22_t1",
        # img_range 1 lets so small a network learn at a rate so high
        networks={"sr": dict(model="edsr/baseline", scale=4, fields=dict(num_feat=16, num_block=4, img_range=1.0))},
        # Five photographs: LR made on the fly and colours exchanged, or it learns their palette by heart (measured:
        # 0.3 dB worse). Crop 128: an LR of 32, two whole blocks of 4:2:0.
        data=dict(train=dict(dataset="photos/aim22_t1", degrade="aim22_t1"), eval=dict(dataset="photos/aim22_t1"),
                  num_workers=1),
        stages=[stage(steps=3000, crop=128, batch=8, losses=L1, learning_rate=2e-3, clip_norm=1.0,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
    "edsr": recipe(
        title="EDSR-baseline, the reference network of our own, not a challenge entry",
        protocol="aim22_t1",
        networks={"sr": dict(model="edsr/baseline", scale=4)},
        data=DIV2K,
        # batch, LR patch 48, Adam 1e-4 halved every 200k: the official training of EDSR
        stages=[stage(steps=600_000, crop=192, batch=16, losses=L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim22_t1", RECIPES, name)
