"""AIM 2022 compressed super-resolution, track 1: x4 from JPEG quality 10.

    python -m jsr.main --config=configs/aim22_t1.py            # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/aim22_t1.py:srmui      # a team's; needs `jsr build div2k/aim22_t1` first

Report: Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCVW 2022.
"""

from jsr._configs.common import pick, recipe, source, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
# Swin2SR's paper: the clean LR image beside the SR image, and the detail once more.
L1_CLEAN_AND_DETAIL = [*L1, dict(fn="l1", pred="lr_clean", target="lr_clean", weight=1.0),  # inferred weights
                       dict(fn="high_frequency_l1", pred="sr", target="hr", weight=1.0)]
DIV2K = dict(train=[source("div2k/aim22_t1")], eval=dict(dataset="div2k/aim22_t1"))

RECIPES = {
    "quick": recipe(
        title="a small EDSR on the embedded photographs, minutes on two cores",
        protocol="aim22_t1",
        # img_range 1 lets so small a network learn at a rate so high
        networks={"sr": dict(model="edsr/baseline", scale=4, fields=dict(num_feat=16, num_block=4, img_range=1.0))},
        # Five photographs: LR made on the fly and colours exchanged, or it learns their palette by heart (measured:
        # 0.3 dB worse). Crop 128: an LR of 32, two whole blocks of 4:2:0.
        data=dict(train=[source("photos/aim22_t1", degrade="aim22_t1")], eval=dict(dataset="photos/aim22_t1"),
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
    "srmui": recipe(
        id="aim22_srmui_swin2sr",
        title="SRMUI: Swin2SR with a clean LR image on the way and a bicubic skip, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="swin2sr/compressed", scale=4)},
        data=DIV2K,
        stages=[stage(
            steps=500_000, batch=32, learning_rate=2e-4,  # inferred: SwinIR's
            crop=192,  # inferred: LR 48, as the name of the published weights says
            losses=L1_CLEAN_AND_DETAIL,  # inferred: the paper's, recalled; the report says "different loss functions"
            schedule=dict(name="multi_step", milestones=[250_000, 400_000, 450_000, 475_000], factor=0.5))],  # inferred
        ema_decay=0.999,  # inferred: SwinIR's
        ensemble=dict(self=True),
        inferred=["optimizer, learning rate, its steps, batch and EMA: SwinIR's classical training",
                  "LR patch of 48: from the name of the published weights",
                  "losses: L1, L1 of the LR-size output with the clean LR, L1 of the detail above a 5x5 Gaussian, each "
                  "with weight 1: after the method's own paper, its weights and sigma chosen",
                  "flips and rotations as augmentation",
                  "trains on DIV2K alone; the team also had Flickr2K and MIT 5K"],
        report=dict(psnr=23.4033, rank=9, runtime_s=9.39, hardware="Tesla A100", section="4.11",
                    extra_data="Flickr2K, MIT 5K")),
    "cvlab": recipe(
        id="aim22_cvlab_hat",
        title="cvlab: HAT with 6 groups of 6 blocks, 180 features, no ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="hat/base", scale=4)},
        data=DIV2K,
        stages=[stage(
            steps=1_000_000, batch=4, losses=L1, learning_rate=2e-4, optimizer=dict(name="adam", eps=1e-6),
            crop=256,  # inferred: the report's patches of 64 are of the LR image, as in HAT's training
            # 2e-4 linearly to 5e-5 at 200k, kept to 400k, then 2e-5 and 1e-5
            schedule=dict(name="piecewise_linear", points=[
                [0, 1.0], [200_000, 0.25], [400_000, 0.25], [400_000, 0.1],
                [700_000, 0.1], [700_000, 0.05], [1_000_000, 0.05]]))],  # inferred: the last step down at 700k
        ema_decay=0.999,  # inferred: HAT's
        inferred=["patches of 64x64 are of the LR image", "the last step of the learning rate, to 1e-5, at 700k",
                  "EMA of 0.999, as in HAT's training",
                  "trains on DIV2K's 800 images; the team had 4,600 and does not say which"],
        report=dict(psnr=23.2828, rank=12, runtime_s=6.0, hardware="GeForce 1080 Ti", section="4.14",
                    extra_data="4,600 images")),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim22_t1", RECIPES, name)
