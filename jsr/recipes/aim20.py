"""What the three tracks of AIM 2020's real image super-resolution share: a method differs between them by its scale.

Report: Wei, Lu, Timofte et al., AIM 2020 challenge on real image super-resolution: methods and results, ECCV Workshops
2020. What holds for all entries:
- LR and HR are photographs of DRealSR, in `drealsr/aim20_x2` and so on, which the user has to bring; LR are not made.
- Patches are square; no average of the parameters.
"""

from jsr.recipes.writing import recipe, stage

L1_MS_SSIM = [dict(fn="l1", pred="sr", target="hr", weight=0.16),
              dict(fn="ms_ssim", pred="sr", target="hr", weight=0.84, scales=3)]  # crops of 72 are too small for more
ROBUST = [dict(fn="robust", pred="sr", target="hr", weight=1.0)]  # a shape and a scale for each colour, learnt
# clovaai/cutblur, its draw for real images: one for the whole batch
CUTBLUR = dict(name="one_of", per="batch", of=[
    dict(name="cutblur", p=0.4),
    *(dict(name=name, p=0.1) for name in ("blend", "permute_rgb", "mixup", "cutout", "cutmix", "cutmixup"))])
# Of `quick`, for want of free pairs of photographs: HR made smaller, and lightly compressed
STAND_IN = {2: dict(degrade="ntire23_x2"), 3: dict(degrade="ntire23_x3"),
            4: dict(degrade="aim22_t1", set=dict(quality=90))}


def quick(scale):
    """A recipe of our own for any machine, with what teams used: enlarged input, CutBlur, MS-SSIM and robust losses."""
    photos = dict(dataset="photos/hr", **STAND_IN[scale])
    return recipe(
        title="a small NAFNet behind bicubic enlargement on the embedded photographs, whose LR are made; minutes",
        protocol=f"aim20_x{scale}",
        # CutBlur wants LR of HR's size. The network adds to that: one that has to make the image anew, as an RRDBNet,
        # is still worse than bicubic after so few steps (measured: 0.4 dB)
        networks={"enlarge": dict(model="enlarge/bicubic", scale=scale),
                  "sr": dict(model="nafnet", scale=1, fields=dict(width=16, enc_blk_nums=(1, 1), middle_blk_num=1,
                                                                  dec_blk_nums=(1, 1)))},
        data=dict(train=photos, eval=photos, num_workers=1),
        stages=[stage(steps=2500, crop=72, batch=8, losses=L1_MS_SSIM, learning_rate=2e-3, clip_norm=1.0,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-4), augment=["flip_rotate", CUTBLUR]),
                stage(steps=1000, crop=72, batch=8, losses=ROBUST, learning_rate=5e-4, clip_norm=1.0,
                      schedule=dict(name="cosine", end=1e-5))],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250)


def entry(name, *, scale, **fields):
    """A team's recipe, with what all of them have in common."""
    pairs = dict(dataset=f"drealsr/aim20_x{scale}")
    return recipe(entry=f"aim20_{name}_x{scale}", protocol=f"aim20_x{scale}", data=dict(train=pairs, eval=pairs),
                  ema_decay=0.0, **fields)


def noah_rrdb_robust(scale, *, model="rrdbnet/direct", inferred=()):
    """Noah_TerminalVision's entry."""
    return entry(
        "noah_rrdb_robust", scale=scale,
        title="Noah_TerminalVision: RRDBNet by the adaptive robust loss, which bears pairs that are not aligned",
        networks={"sr": dict(model=model, scale=scale)},
        stages=[stage(steps=500_000, crop=80 * scale, batch=4, losses=ROBUST, learning_rate=2e-4,
                      schedule=dict(name="cosine_restarts", period=250_000))],
        ensemble=dict(self=True, tiles=[120]),
        inferred=["all pairs; the team's, of a PSNR above 29 dB, presumably of HR and the enlarged LR, are for the "
                  "user to list: --config.data.train[0].files=FILE",
                  "two periods of 250,000 steps, down to a learning rate of 0; Adam; flips and rotations",
                  "the robust loss is of pixels in [0, 1], its limits those of its own code",
                  "tiles of 120 overlap as ours do, the team's by 10 px", *inferred])
