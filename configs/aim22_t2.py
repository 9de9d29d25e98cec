"""AIM 2022 compressed super-resolution, track 2: x4 from clips in HEVC at QP 37.

    python -m jsr.main --config=configs/aim22_t2.py:ivl          # a team's; needs `jsr build ldv3/aim22_t2`
    python -m jsr.main --config=configs/aim22_t2.py:noah_engine  # the engine of `jsr index`

`jsr zoo aim22_t2:ivl` lists the datasets of a recipe.

Report: Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCVW 2022.
"""

from jsr.recipes import pick, player, recipe, source, stage

LDV = dict(train=dict(dataset="ldv3/aim22_t2"), eval=dict(dataset="ldv3/aim22_t2"))
OWN = [source("video_folder/aim22_t2")]
# The flow is trained after 5,000 steps, and by a quarter of the rate: the official training of BasicVSR++
SPYNET = [dict(pattern="sr/spynet/*", steps=5000), dict(pattern="sr/spynet/*", factor=0.25)]


def on_sr(fn, learning_rate, schedule, freeze=SPYNET[1:], **options):
    """A stage that trains the first network of TaoMC2's chain."""
    return stage(frames=30, crop=256, batch=8, players=[player(
        nets=["sr"], learning_rate=learning_rate, schedule=schedule, freeze=freeze,
        optimizer=dict(name="adam", b2=0.99), losses=[dict(fn=fn, pred="sr/sr", target="hr", weight=1.0)])], **options)


def blocks(number):
    """What begins a stage with so many residual blocks of reconstruction, the new ones behind the old."""
    return [dict(net="sr", carry="match", fields=dict(num_reconstruct=number))]


L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
INITIAL = [dict(fn="l1", pred="sr/sr", target="hr", weight=1.0)]

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
    "noah": recipe(
        entry="aim22_noah_rbfr",
        title="NoahTerminalCV: a wide BasicVSR++, and a refinement by references from a database, x8 ensemble",
        protocol="aim22_t2",
        # SPyNet's parameters are the user's: --config.networks.sr.start_from=FILE, as `jsr convert` makes of BasicSR's
        networks={"sr": dict(model="basicvsrpp/c128n25r45", scale=4),
                  "refine": dict(model="noahburst/base", scale=1, fields=dict(zero_start=True))},
        data=LDV,
        stages=[
            stage(steps=300_000, frames=30, crop=[512, 960], batch=8, augment=["flip"], players=[player(
                nets=["sr"], learning_rate=1e-4, schedule=dict(name="cosine", end=1e-7), losses=INITIAL,
                optimizer=dict(name="adam", b2=0.99),
                freeze=SPYNET)]),
            stage(steps=50_000, frames=30, crop=[512, 960], batch=8, augment=["flip"], players=[player(
                nets=["sr"], learning_rate=1e-5, optimizer=dict(name="adam", b2=0.99), losses=[
                    *INITIAL, dict(fn="mse", pred="sr/sr", target="hr", weight=1.0)])]),
            stage(steps=100_000, frames=7, crop=256, batch=16, players=[player(
                nets=["refine"], learning_rate=1e-4, schedule=dict(name="cosine"), losses=L1)])],
        ema_decay=0.0,
        ensemble=dict(self=True),
        inferred=["25 blocks in each pass, as in NTIRE 2021, and the report's 45 in the reconstruction, as NTIRE "
                  "2022's winner has them; 45 in each pass is the other reading (67.4 M)",
                  "the refinement network, of which nothing is public but its name: jsr.models.noahburst",
                  "steps, frames, batch 8 on as many GPUs, rates, their schedules and Adam's beta2: as BasicVSR++ is "
                  "trained; equal weights of L1 and L2; no EMA",
                  "SPyNet is frozen for 5,000 steps and learns at a quarter of the rate, as there",
                  "full frames are 960x512, LDV's size in multiples of 64",
                  "what the report does not say of the engine and the database: aim22_t2:noah_engine, jsr.retrieval"],
        left_out=["SPyNet's trained parameters, with which it begins, are the user's file: networks.sr.start_from",
                  "90,000 videos, whose list is public: LDV's are trained on",
                  "the data of the last stage bring no references, so that there the image is its own: a database, "
                  "and the refinement by it, are jsr.retrieval's, from Python"]),
    "noah_engine": recipe(
        title="the engine of NoahTerminalCV's retrieval: features by contrastive learning, and an autoencoder",
        protocol="aim22_t2",
        # Both are outside the chain and have files of their own in the run's folder, which `jsr index` takes. The small
        # network in the chain is there to be validated.
        networks={"sr": dict(model="edsr/baseline", scale=4, fields=dict(num_feat=16, num_block=4, img_range=1.0)),
                  "features": dict(model="resnet/resnet34", scale=1),
                  "autoencoder": dict(model="autoencoder/base", scale=1)},
        chain=["sr"],
        data=LDV,
        stages=[stage(steps=100_000, frames=16, crop=256, batch=64, players=[
            player(nets=["sr"], learning_rate=1e-3, losses=L1),
            player(nets=["features"], learning_rate=1e-3, schedule=dict(name="cosine", warmup_steps=1000), losses=[
                dict(fn="contrastive", pred="features(lr)", target="features(lr)", weight=1.0)]),
            player(nets=["autoencoder"], learning_rate=1e-3, schedule=dict(name="cosine", warmup_steps=1000), losses=[
                dict(fn="l1", pred="autoencoder(hr)", target="hr", weight=1.0)])])],
        ema_decay=0.0,
        inferred=["all but ResNet-34, its 100 features, and that frames of one video are alike: the first and the last "
                  "of 16 that follow each other, on one crop, with a temperature of 0.1",
                  "what the report does not say of the autoencoder: jsr.models.autoencoder"]),
    "taomc2": recipe(
        entry="aim22_ntire22_winner",
        title="NTIRE'22 winner (TaoMC2): BasicVSR++ led by quality peaks, grown to 55 blocks, then SwinIR, x8 ensemble",
        protocol="aim22_t2",
        networks={"sr": dict(model="basicvsrpp/taomc2", scale=4, fields=dict(num_reconstruct=5)),
                  "restore": dict(model="swinir/denoise", scale=1)},
        data=dict(train=OWN, eval=LDV["eval"]),
        stages=[
            on_sr("charbonnier", 1e-4, dict(name="cosine", end=1e-7), SPYNET, steps=300_000),
            *(on_sr("charbonnier", 1e-4, dict(name="cosine", end=1e-7), begin=blocks(number), steps=100_000)
              for number in (15, 25, 35, 45, 55)),
            on_sr("mse", 1e-5, dict(name="constant"), steps=50_000),
            on_sr("mse", 1e-6, dict(name="constant"), steps=8_000, data=[source("ldv3/aim22_t2")]),
            stage(frames=2, crop=256, batch=8, steps=15_000, data=[source("ldv3/aim22_t2")], players=[player(
                nets=["restore"], learning_rate=1e-5,
                losses=[dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)])])],
        ema_decay=0.999,
        ensemble=dict(self=True),
        inferred=["what its pages do not say of the network: jsr.models.basicvsrpp",
                  "own data: the user's videos, video_folder/aim22_t2, for the team's 870 of YouTube",
                  "steps and rates of the six growths and of MSE on own data; windows of 30 frames of 64x64 LR px, "
                  "batch 8, Adam's betas, and SPyNet's rate, as in the official training of BasicVSR++",
                  "windows begin anywhere, and their first frame counts as a quality peak",
                  "8,000 steps of MSE on LDV at a rate of 1e-6, and 15,000 of SwinIR: the iterations of its "
                  "checkpoints, and the names of its configurations",
                  "SwinIR learns, by Charbonnier, on what the finished first network gives; EMA of 0.999"],
        left_out=["the other first network, plain BasicVSR++ with 25 blocks of reconstruction, "
                  "basicvsrpp/c128n25r25, with whose output this one's is averaged before SwinIR, and the exchange of "
                  "clips that fail",
                  "the weights that it starts from: SPyNet's and, by networks.restore.start_from, SwinIR's for noise "
                  "of 50"]),
    "basicvsrpp": recipe(
        title="BasicVSR++ as published, the reference network of our own for clips, not a challenge entry",
        protocol="aim22_t2",
        networks={"sr": dict(model="basicvsrpp/c64n7", scale=4)},
        data=LDV,
        # the official training: windows of 30 frames, LR patch 64, cosine
        stages=[stage(steps=600_000, frames=30, crop=256, batch=8, players=[player(
            learning_rate=1e-4, schedule=dict(name="cosine", end=1e-7), freeze=SPYNET,
            optimizer=dict(name="adam", b2=0.99),
            losses=[dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)])])]),
}


def get_config(name="ivl"):
    """The recipe `name`."""
    return pick("aim22_t2", RECIPES, name)
