"""A recipe that trains on pairs of your own: HR images in pairs/hr, LR images of the same names in pairs/lr.

    jsr config examples/own_pairs.py                      # every key, with its meaning
    jsr train examples/own_pairs.py --minutes=20          # the same command resumes
    jsr upscale PICTURES --out better --model runs/own_pairs/small

The last tenth of what you have should be kept apart, in pairs/validation_hr and pairs/validation_lr.
"""

from jsr.recipes import pick, recipe, stage

RECIPES = {
    "small": recipe(
        title="a small EDSR on pairs of one's own", protocol="bicubic_x2",
        networks={"sr": dict(model="edsr/baseline", scale=2, fields=dict(num_feat=32, num_block=8))},
        data=dict(train=dict(hr="pairs/hr", lr="pairs/lr"),
                  eval=dict(hr="pairs/validation_hr", lr="pairs/validation_lr")),
        stages=[stage(steps=20000, crop=96, batch=16, learning_rate=4e-4, augment=["flip_rotate"],
                      schedule=dict(name="cosine", warmup_steps=200),
                      losses=[dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)])],
        ema_decay=0.999, eval_every=1000),
}


def get_config(name="small"):
    """The recipe `name`."""
    return pick("own_pairs", RECIPES, name)
