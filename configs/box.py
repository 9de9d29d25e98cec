"""The networks that come with jsr: photographs as people have them, enlarged or restored, trained on free pictures.

    python benchmarks/box/prepare.py data/box --strict --photographs ... --fonts ...      # see benchmarks/box/README.md
    python benchmarks/box/prepare.py data/box_test --test --photographs ... --fonts ... --seed 1 --drawn 6
    jsr build image_folder/ais24 --manual_dir data/box/photographs --data_dir data/box --each qp    # for avif_x4 alone
    python -m jsr.main --config=configs/box.py:photo_x2        # hours; --config.networks.sr.start_from=FILE
    python benchmarks/box/score.py runs/box/photo_x2/last.safetensors Set14=... BSD100=...

Every network is a few re-parameterised convolutions (plain/ecbsr of jsr.models) beside the image itself, whose
enlargement they begin as, and trains in fused form. Leaky ReLU, because ReLU died at these learning rates; blocks that
add their input, because without it six of them in a row passed no gradient for 500 steps. The restorer, whose best
linear part is nothing, learns from step 100 on with a first convolution that sees detail alone, and had learnt nothing
after 300 without. photo_x2 and restore are told the JPEG quality of each picture: untold, an x2 of this size gained
0.2 dB less at quality 90 than one that was trained on such files alone. Data are photographs, and drawn pages (text,
screens, charts) for a sixth of the samples. JPEG is Pillow's, a fresh one for each sample, of any quality that people
save with; a share stays uncompressed. The long stages have a constant rate, so that the averaged parameters of any
step are a network to use; the last two let the rate fall.
"""

from jsr.recipes import pick, recipe, stage

PHOTOGRAPHS, DRAWN, HELDOUT = "data/box/photographs", "data/box/drawn", "data/box_test"
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0, eps=1e-3)]
MSE = [dict(fn="mse", pred="sr", target="hr", weight=1.0)]


def rows(*kinds):
    """Rows of data of (share, degradation, its settings): the same for photographs and for drawn pages."""
    return [dict(dataset=dataset, degrade=degrade, set=dict(settings), weight=share * part)
            for dataset, part in ((PHOTOGRAPHS, 5), (DRAWN, 1)) for share, degrade, settings in kinds]


def entry(*, title, protocol, scale, fields, train, shown, crop, steps, **more):
    """A recipe with what all of them have in common: `shown` are settings of the pictures of validation."""
    network = dict(block="ecb_idt", end_block="ecb", act="lrelu", anchor="nearest", zero_start=True) | fields
    # Crops of 96 px at LR's size, 16 of them: 7,000 (steps) * 16 crops see all pixels of 20 Mpx about a hundred times
    common = dict(crop=crop, batch=16, fused=True)
    return recipe(
        title=title, protocol=protocol, networks={"sr": dict(model="plain/ecbsr_m4c16", scale=scale, fields=network)},
        data=dict(train=train, eval=dict(dataset=HELDOUT, **shown), data_dir="data/box", num_workers=1),
        stages=[
            stage(steps=steps, losses=CHARBONNIER, learning_rate=8e-4, clip_norm=1.0,
                  schedule=dict(name="constant", warmup_steps=200), **common),
            stage(steps=2 * steps, losses=CHARBONNIER, learning_rate=8e-4, clip_norm=1.0,
                  schedule=dict(name="cosine", end=1e-5), **common),
            stage(steps=steps // 4, losses=MSE, learning_rate=1e-4, clip_norm=1.0,
                  schedule=dict(name="cosine", end=1e-7), **common)],
        ema_decay=0.999, log_every=100, eval_every=500, checkpoint_every=250, **more)


def photo(scale):
    """Rows for enlarging: three in ten uncompressed, the others JPEG files, good ones more often than bad ones."""
    name = f"photo_x{scale}"
    return rows((0.30, f"{name}_clean", {}), (0.40, name, dict(quality="60-96")), (0.15, name, dict(quality="30-60")),
                (0.05, name, dict(quality="10-30")), (0.10, name, dict(quality="75-96", subsampling="4:4:4")))


RECIPES = {
    "photo_x2": entry(
        title="photographs, JPEG or not, enlarged by 2",
        protocol="ntire23_x2", scale=2, fields=dict(num_feat=40, num_block=5, quality_feat=16),
        train=photo(2), shown=dict(degrade="photo_x2", set=dict(quality=85)), crop=96, steps=12_000),
    "photo_x4": entry(
        title="photographs, JPEG or not, enlarged by 4",
        protocol="aim22_t1", scale=4, fields=dict(num_feat=40, num_block=6),
        train=photo(4), shown=dict(degrade="photo_x4", set=dict(quality=85)), crop=192, steps=12_000),
    # LR images are stored, each at all five QPs: SVT-AV1 would take 40 % of a step. Those of drawn pages are made as
    # they are needed. Goes on from photo_x4's file.
    "avif_x4": entry(
        title="AVIF files enlarged by 4",
        protocol="ais24", scale=4, fields=dict(num_feat=40, num_block=6),
        train=[dict(dataset="image_folder/ais24", weight=5), dict(dataset=DRAWN, degrade="ais24", weight=1)],
        shown=dict(degrade="ais24", set=dict(qp=47)), crop=192, steps=8_000),
    "restore": entry(
        title="JPEG files restored at their own size",
        protocol="ntire24", scale=1,
        fields=dict(num_feat=40, num_block=6, unshuffle=2, end_block="plain", detail_start=True, quality_feat=16),
        train=rows((0.35, "photo_x1", dict(quality="10-40")), (0.35, "photo_x1", dict(quality="40-75")),
                   (0.20, "photo_x1", dict(quality="75-95")),
                   (0.05, "photo_x1", dict(quality="75-95", subsampling="4:4:4")),
                   (0.05, "photo_x1_clean", {})),
        shown=dict(degrade="photo_x1", set=dict(quality=40)), crop=96, steps=12_000),
}


def get_config(name="photo_x2"):
    """The recipe `name`."""
    return pick("box", RECIPES, name)
