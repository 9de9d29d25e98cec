"""AIM 2022 compressed super-resolution, track 2: x4 from clips in HEVC at QP 37.

    python -m jsr.main --config=configs/aim22_t2.py:ivl        # a team's; needs `jsr build ldv3/aim22_t2`

`jsr zoo aim22_t2:ivl` lists the datasets of a recipe.

Report: Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCVW 2022.
"""

from jsr.recipes import pick, recipe, stage

LDV = dict(train=dict(dataset="ldv3/aim22_t2"), eval=dict(dataset="ldv3/aim22_t2"))

RECIPES = {
    "ivl": recipe(
        entry="aim22_ivl_stopn",
        title="IVL: STOPN, five frames aligned by one deformable convolution, luma alone",
        protocol="aim22_t2",
        networks={"sr": dict(model="stopn/base", scale=4)},
        data=LDV,
        stages=[stage(
            steps=250_000, frames=5, batch=32, learning_rate=1e-3, augment=["flip"],
            crop=384,  # 96 px of the LR frames
            losses=[dict(fn="luma_mse", pred="sr", target="hr", weight=1.0)],
            schedule=dict(name="multi_step", milestones=[200_000], factor=0.1))],
        ema_decay=0.0,
        inferred=["patches of 96x96 are of the LR frames, as the code's input_patch_size is",
                  "MSE of the luma alone, which is all that the network restores; no EMA",
                  "windows begin anywhere in a clip, but none is repeated beyond its ends, as the code's are"]),
}


def get_config(name="ivl"):
    """The recipe `name`."""
    return pick("aim22_t2", RECIPES, name)
