"""NTIRE 2024 blind enhancement of compressed images: JPEG of an unknown quality, 10 to 71, at its own size.

    python -m jsr.main --config=configs/ntire24.py           # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ntire24.py:fbcnn     # a team's; needs `jsr build div2k` first
    jsr evaluate --protocol ntire24 --sr out --hr LIVE1      # the challenge's second test set, never to be trained on

Report: Yang, Timofte et al., NTIRE 2024 challenge on blind enhancement of compressed image, CVPRW 2024.

All recipes make their JPEG images of HR crops as they train, `degrade="ntire24"`: a quality each, from the whole range.
"""

from jsr._configs.common import pick, recipe, source, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)]
QUALITY = [dict(fn="quality_factor", pred="qf", target="quality", weight=0.001)]  # FBCNN's weight
EVAL = dict(dataset="div2k", degrade="ntire24")

RECIPES = {
    "quick": recipe(
        title="a small FBCNN on the embedded photographs, minutes on two cores",
        protocol="ntire24",
        networks={"sr": dict(model="fbcnn/color", scale=1, fields=dict(num_feat=16, num_block=1))},
        data=dict(train=[source("photos", degrade="ntire24", phase=8)], eval=dict(dataset="photos", degrade="ntire24"),
                  num_workers=1),
        stages=[stage(steps=2000, crop=64, batch=8, losses=[*L1, *QUALITY], learning_rate=1e-3, clip_norm=1.0,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ntire24", RECIPES, name)
