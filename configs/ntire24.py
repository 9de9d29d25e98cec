"""NTIRE 2024 blind enhancement of compressed images: JPEG of an unknown quality, 10 to 71, at its own size.

    python -m jsr.main --config=configs/ntire24.py           # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ntire24.py:fbcnn     # a team's; needs `jsr build div2k` and others
    jsr evaluate --protocol ntire24 --sr out --hr LIVE1      # the challenge's second test set, never to be trained on

Report: Yang, Timofte et al., NTIRE 2024 challenge on blind enhancement of compressed image, CVPRW 2024.

All recipes make their JPEG images of HR crops as they train, `degrade="ntire24"`: a quality each, from the whole range,
10 to 71, or from the team's. `jsr zoo ntire24:imcl` lists the datasets of a recipe, and the folders that stand for sets
without a builder: a recipe trains without those that are not there.
"""

import math

from jsr.recipes import pick, recipe, source, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)]
QUALITY = [dict(fn="quality_factor", pred="qf", target="quality", weight=0.001)]  # FBCNN's weight
EVAL = dict(dataset="div2k", degrade="ntire24")


def rows(*names, **options):
    """Rows of datasets and of folders that the user fills; each image counts once."""
    return [source(name, degrade="ntire24", **options) for name in names]


def on(*names, **options):
    """The data of a recipe that trains on these and is evaluated on DIV2K."""
    return dict(train=rows(*names, **options), eval=EVAL)


DIV2K = on("div2k")
TO_70 = dict(quality="10-70")  # where a team says so; the organisers' script can draw 71
FLIPS = ["identity", "hflip", "vflip", "rot180"]  # upside down, left to right, both, neither

RECIPES = {
    "quick": recipe(
        title="a small FBCNN on the embedded photographs, minutes on two cores",
        protocol="ntire24",
        networks={"sr": dict(model="fbcnn/color", scale=1, fields=dict(num_feat=16, num_block=1))},
        # Up to 100, and from 80 on more often, or pictures better than the challenge's come out worse than they were
        data=dict(train=[source("photos", degrade="ntire24",
                                set=dict(quality=[*range(10, 101), *range(80, 101), *range(80, 101)]))],
                  eval=dict(dataset="photos", degrade="ntire24"), num_workers=1),
        # Of smaller crops much is border, and the quality of whole pictures is taken for a lower one
        stages=[stage(steps=2000, crop=96, batch=8, learning_rate=1e-3, clip_norm=1.0,
                      losses=[*L1, QUALITY[0] | dict(weight=0.1)],
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
    "imcl": recipe(
        entry="ntire24_imcl_promptcir",
        title="IMCL-BVQE: PromptCIR, a Restormer with windows and prompts, two models",
        protocol="ntire24",
        networks={"sr": dict(model="promptcir/base", scale=1)},
        members=[dict(copies=2)],
        data=on("div2k", "flickr2k", "lsdir"),
        stages=[
            # seven fixed qualities, as many as a prompt has tasks; 10, 20 ... are inferred
            stage(data=rows("div2k", "flickr2k", "lsdir", set=dict(quality=[10, 20, 30, 40, 50, 60, 70])),
                  steps=300_000, crop=128, batch=32, losses=L1, optimizer=dict(name="adamw", weight_decay=1e-4),
                  learning_rate=3e-4, schedule=dict(name="cosine", end=1e-6)),  # inferred
            # then any quality, drawn on the fly
            stage(steps=100_000, crop=256, batch=8, losses=L1, optimizer=dict(name="adamw", weight_decay=1e-4),
                  learning_rate=1e-4, schedule=dict(name="cosine", end=1e-6))],  # inferred
        ema_decay=0.0,  # inferred: Restormer's training has none
        ensemble=dict(self=True, transforms=["identity", "transpose"], tiles=[384]),
        inferred=["the seven qualities of the first stage: 10 to 70 in steps of 10",
                  "steps, crops, batches, losses, optimizer, learning rates and EMA of both stages: after Restormer's "
                  "training; no source is at hand that states them",
                  "crops of the whole image's JPEG; flips and turns as augmentation",
                  "the two models are of other seeds; the team does not say how theirs differ",
                  "tiles of 384, as the team's, faded over an eighth of them; theirs overlap by 96 and are averaged"]),
    "pixelartai": recipe(
        entry="ntire24_pixelartai_scunet",
        title="PixelArtAI: SCUNet, wider and deeper, trained further on the PSNR itself, x4 ensemble",
        protocol="ntire24",
        networks={"sr": dict(model="scunet/enhanced", scale=1)},
        # JPEG of whole images: a crop lies anywhere on their grid. The team's loader asserts libjpeg 9, which writes
        # and reads it. The first 20 images are kept for validation.
        data=dict(train=[*rows("div2k", split="train[20:]", set=dict(decoder="9e")),
                         *rows("flickr2k", "lsdir", "folders/unsplash2k", "folders/nomos8k", "folders/nomos_uni",
                               set=dict(decoder="9e"))],
                  eval=EVAL | dict(set=dict(decoder="9e"))),
        stages=[
            stage(steps=900_000, crop=128, batch=64, losses=L1, optimizer=dict(name="adam", b2=0.99),
                  learning_rate=1e-4, schedule=dict(name="multi_step", milestones=[300_000, 600_000], factor=0.5)),
            stage(steps=600_000, crop=256, batch=32, losses=[dict(fn="psnr", pred="sr", target="hr", weight=1.0)],
                  optimizer=dict(name="adam", b2=0.99), learning_rate=2e-5,
                  schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))],
        ema_decay=0.999,
        ensemble=dict(self=True, transforms=FLIPS),
        inferred=["all of the training is that of the team's code, since section 4.2 of the report is not at hand; the "
                  "file that it submitted is named after step 68,000 of the second stage"],
        left_out=["the second stage starts from the parameters as they are, the team's from its best averaged ones"]),
    "titans": recipe(
        entry="ntire24_titans_unifyformer",
        title="Titans: UnifyFormer, Restormer with linear attention between pixels, x8 ensemble over tiles",
        protocol="ntire24",
        networks={"sr": dict(model="unifyformer/base", scale=1)},
        data=on("div2k", "flickr2k", "lsdir"),
        # One cosine over all 300k steps, 3e-4 to 1e-6, as straight lines of 10k; crops grow on the way.
        stages=[stage(
            steps=end - begin, crop=crop, batch=batch, losses=L1, augment=["flip"],
            optimizer=dict(name="adamw", weight_decay=1e-4), learning_rate=3e-4,
            schedule=dict(name="piecewise_linear", points=[
                [step - begin, 1 / 300 + (1 - 1 / 300) * (1 + math.cos(math.pi * step / 300_000)) / 2]
                for step in range(begin, end + 1, 10_000)]))
            for begin, end, crop, batch in ((0, 100_000, 128, 64), (100_000, 170_000, 128, 48),
                                            (170_000, 220_000, 160, 32), (220_000, 260_000, 192, 16),
                                            (260_000, 300_000, 224, 16))],
        ema_decay=0.0,  # inferred: Restormer's training has none
        ensemble=dict(self=True, tiles=[400]),
        inferred=["50 features and 2 refinement blocks, as in the team's code, where the report has 48 and 4",
                  "no EMA, as in Restormer's training",
                  "all eight flips and turns, as in the team's code, where the report's table has two",
                  "tiles of 400, as the team's, faded over an eighth of them; theirs overlap by 32 and are averaged",
                  "crops of the whole image's JPEG; \"80,000 images\" of LSDIR are all its 84,991"],
        left_out=["one AdamW for all sizes of crops: it starts anew with each, at the rate of the one cosine"]),
    "binycn": recipe(
        entry="ntire24_binycn_grl_cic",
        title="BinYCn: GRL-CIC, GRL with gates made of the quality that it estimates, x4 ensemble over tiles",
        protocol="ntire24",
        networks={"sr": dict(model="grl_cic/base", scale=1)},
        data=on("div2k", set=TO_70),
        stages=[stage(
            crop=288, losses=[*L1, *QUALITY], learning_rate=1e-4, optimizer=dict(name="adamw", weight_decay=1e-8),
            steps=175_000, batch=8,  # inferred, with the milestones: GRL's training against JPEG's artefacts
            schedule=dict(name="multi_step", milestones=[50_000, 100_000, 125_000, 150_000], factor=0.5))],
        ema_decay=0,  # inferred: GRL's training has none
        ensemble=dict(self=True, tiles=[576], transforms=FLIPS),  # inferred: GRL's
        inferred=["widths, depths and windows of GRL, and all of the controller: jsr.models.grl_cic",
                  "175k steps, batch 8 and the learning rate's steps: those of GRL's code against JPEG's artefacts",
                  "weight of the quality's loss: FBCNN's, on 1 - quality / 100; the report does not give its factor",
                  "the four flips: the report has four of the eight flips and turns, and does not say which",
                  "tiles of 576, which overlap by an eighth: those of GRL's test against JPEG's artefacts",
                  "flips and rotations as augmentation; no EMA, as in GRL's code"],
        left_out=["each crop by itself goes through JPEG in the team's training; here crops are of the whole image's "
                  "JPEG"]),
    "oldfe666": recipe(
        entry="ntire24_oldfe666_art",
        title="OldFe666: ART, first on any quality, then on the challenge's; x8 ensemble over three sizes of tiles",
        protocol="ntire24",
        # The team began with the official weights of super-resolution: networks.sr.start_from, and carry="match"
        networks={"sr": dict(model="art/base", scale=1)},
        data=on("div2k", "bsds500", "flickr2k", "wed", "folders/hq50k", set=TO_70),
        stages=[
            stage(data=rows("div2k", "bsds500", "flickr2k", "wed", set=dict(quality="5-95")),
                  steps=300_000, crop=126, batch=2, learning_rate=2e-4,
                  losses=CHARBONNIER, optimizer=dict(name="adam", b2=0.99),  # inferred: ART's
                  schedule=dict(name="multi_step", milestones=[150_000, 225_000, 262_500, 281_250], factor=0.5)),
            stage(steps=100_000, crop=256, batch=1, learning_rate=8e-5,
                  losses=CHARBONNIER, optimizer=dict(name="adam", b2=0.99),  # inferred: ART's
                  schedule=dict(name="multi_step", milestones=[50_000, 75_000, 87_500, 93_750], factor=0.5))],
        ema_decay=0.0,  # inferred: ART's training has none
        ensemble=dict(self=True, tiles=[288, 320, 352]),
        inferred=["ART of super-resolution without its head, 16.15 M parameters, which make the 63 MB: windows of 8, "
                  "interval 4; crops of 126 are those of ART against JPEG's artefacts, which has windows of 7 and "
                  "intervals of 18, 13 and 7, with the same parameters, but the tiles' sides are no multiples of 7",
                  "loss, optimizer and the steps of the learning rate within a stage: ART's training against JPEG's "
                  "artefacts, Charbonnier with eps 1e-3, halved after 1/2, 3/4, 7/8 and 15/16",
                  "crops of the whole image's JPEG",
                  "which 4,000 images of HQ-50K the second stage has: all that are in folders/hq50k"],
        left_out=["the official weights of super-resolution, with which the team begins, are the user's file: "
                  "networks.sr.start_from, and networks.sr.carry=match"]),
    "fvlt1": recipe(
        entry="ntire24_fvlt1_restormer_qf",
        title="FVL-TI: Restormer steered by a predictor of the quality that is trained first, x8 ensemble",
        protocol="ntire24",
        networks={"sr": dict(model="restormer_qf/fvlt1", scale=1)},
        data=DIV2K,
        stages=[
            stage(steps=100_000, crop=128, batch=32, learning_rate=1e-4,  # inferred
                  losses=[row | dict(weight=1.0) for row in QUALITY],  # nothing but the predictor has a gradient of it
                  schedule=dict(name="cosine", end=1e-6)),  # inferred
            stage(steps=300_000, crop=128, batch=64, losses=L1, learning_rate=3e-4, clip_norm=0.01,  # inferred
                  optimizer=dict(name="adamw", weight_decay=1e-4), freeze=["sr/predictor/*"],  # inferred but the freeze
                  schedule=dict(name="cosine", end=1e-6))],  # inferred
        ema_decay=0.0,  # inferred: Restormer's
        ensemble=dict(self=True),
        inferred=["predictor, attention blocks and where they stand: jsr.models.restormer_qf",
                  "all figures of the predictor's training, and L1 as its loss",
                  "optimizer, learning rate, clipping, loss, steps, batch and crop: those that Restormer's training "
                  "begins with; its patches grow and its rate rests at first, here are one size and one cosine"]),
    "ucas": recipe(
        entry="ntire24_ucas_hft",
        title="UCAS_SCST: HFT, HAT at its own size with losses of high frequencies, x8 ensemble",
        protocol="ntire24",
        networks={"sr": dict(model="hat/hft", scale=1)},
        data=on("div2k", "flickr2k", "lsdir"),
        stages=[stage(
            steps=350_000,  # inferred: the report says "350 iterations"
            crop=64, batch=8, optimizer=dict(name="adam", b2=0.99),
            learning_rate=2e-4,  # inferred, with its steps: HAT's, at the same parts of the training
            schedule=dict(name="multi_step", milestones=[175_000, 280_000, 315_000, 332_500], factor=0.5),
            losses=[*L1, dict(fn="high_frequency_l1", pred="sr", target="hr", weight=0.1),  # inferred weights
                    dict(fn="block_dct_l1", pred="sr", target="hr", weight=0.1)])],
        ema_decay=0.999,  # inferred: HAT's
        ensemble=dict(self=True, tiles=[256]),  # inferred: HAT's
        inferred=["10 groups of HAT, whose parameters are the published 33.86 M",
                  "\"350 iterations\" are 350k; the batch of 8 is that of all eight GPUs",
                  "learning rate, its steps and EMA of 0.999: HAT's",
                  "losses: L1, and with weights of 0.1 those of what a 5x5 Gaussian takes away and of 8x8 DCTs; the "
                  "report names a blur and the DCT, without kernel, size or weight",
                  "\"rotating and flipping\" is one of the eight flips and turns; crops of the whole image's JPEG",
                  "tiles of 256, which overlap by an eighth: HAT's; the report says \"tile model\" and no side"]),
    "syu": recipe(
        entry="ntire24_syu_fftformer_qfem",
        title="SYU-HnVLab: FFTformer with a branch that estimates the quality for a loss, x8 ensemble",
        protocol="ntire24",
        networks={"sr": dict(model="fftformer/qfem", scale=1)},
        data=DIV2K,
        stages=[stage(
            steps=300_000, crop=192, learning_rate=1e-3, schedule=dict(name="cosine", end=1e-7),
            batch=32,  # inferred
            losses=[*L1, dict(fn="fft_l1", pred="sr", target="hr", weight=0.1),
                    dict(fn="quality_factor", pred="qf", target="quality", weight=0.5)],
            optimizer=dict(name="adamw", b2=0.9, weight_decay=1e-3))],  # inferred but the name: FFTformer's
        ema_decay=0.0,  # inferred: FFTformer's training has none
        ensemble=dict(self=True),
        inferred=["QFEM beyond its place and its purpose: jsr.models.fftformer",
                  "L1 of the quality is of 1 - quality / 100",
                  "betas and weight decay of AdamW: FFTformer's; the batch: about as many pixels as its 64 crops of "
                  "128 have",
                  "flips and rotations are one of the eight, all alike; crops of the whole image's JPEG"],
        left_out=["the team cuts images into pieces of 480x480, 240 apart, before it takes crops of them"]),
    "vpeg": recipe(
        entry="ntire24_vpeg_safmn_bcie",
        title="VPEG: SAFMN_BCIE, SAFMN in residual groups at half the size, x8 ensemble",
        protocol="ntire24",
        networks={"sr": dict(model="safmn_bcie/base", scale=1)},
        data=on("lsdir"),
        stages=[stage(
            steps=500_000, crop=192, batch=16, learning_rate=3e-4, schedule=dict(name="cosine", end=1e-7),
            losses=[*L1, dict(fn="fft_l1", pred="sr", target="hr", weight=0.05)])],  # inferred weight: SAFMN's
        ema_decay=0.999,  # inferred: SAFMN's
        ensemble=dict(self=True),
        inferred=["weight 0.05 of the frequency loss and EMA of 0.999: SAFMN's training",
                  "flips and rotations are one of the eight, all alike; crops of the whole image's JPEG"]),
    "tempest": recipe(
        entry="ntire24_tempest_hnle",
        title="Tempest: hierarchical non-local enhancement, steered by the quality of the image and of its blocks",
        protocol="ntire24",
        networks={"sr": dict(model="tempest/hnle", scale=1)},
        data=on("div2k", set=TO_70),
        stages=[
            stage(steps=300_000, crop=96, batch=64, learning_rate=2e-4,  # inferred crop: FBCNN's; 16 on each of 4 GPUs
                  losses=[dict(fn="mse", pred="sr", target="hr", weight=1.0), *QUALITY]),
            stage(steps=500_000, crop=96, batch=64, learning_rate=2e-4, data=rows("lsdir", set=TO_70),
                  losses=[dict(fn="mse", pred="sr", target="hr", weight=1.0), *QUALITY],
                  # inferred: LSDIR's first 100k still at 2e-4
                  schedule=dict(name="multi_step", milestones=[100_000, 200_000, 300_000, 400_000], factor=0.2))],
        ema_decay=0.0,
        inferred=["the network beyond the report's sentences: jsr.models.tempest",
                  "crops of 96 px, as FBCNN's; flips and rotations as augmentation; no EMA",
                  "the learning rate falls to a fifth first after 100k steps of LSDIR",
                  "each crop is given a quality of 10 to 70 as it is taken; the team had ten an image, drawn before"]),
    "flyingbunny": recipe(
        entry="ntire24_flyingbunny_fbcnn_bn",
        title="FlyingBunny: FBCNN with batch normalisation and without the quality's loss, x8 ensemble",
        protocol="ntire24",
        networks={"sr": dict(model="fbcnn/batch_norm", scale=1)},
        data=on("div2k", "flickr2k", flip_rotate=True),  # inferred: FBCNN's
        stages=[stage(
            steps=2_000_000, crop=96, batch=128, learning_rate=2e-5, augment=[],  # inferred: FBCNN's
            losses=L1,  # FBCNN's without that of the quality
            schedule=dict(name="multi_step", milestones=[200_000, 400_000, 1_200_000, 1_600_000, 1_800_000],
                          factor=0.5))],  # inferred: FBCNN's
        ema_decay=0.0,  # inferred: FBCNN's
        ensemble=dict(self=True),
        inferred=["all of the training: FBCNN's, but with the challenge's qualities; xinyaoict/MUNet has the network "
                  "alone",
                  "the start is that of jsr.models.fbcnn, near the identity"]),
    "aiverse": recipe(
        entry="ntire24_aiverse_rdab",
        title="AIVerse: FBCNN under the name RDAB, on inputs that are saved once more at quality 90",
        protocol="ntire24",
        networks={"sr": dict(model="fbcnn/color", scale=1)},
        # RDAB_BC.py: imencode(".jpg", image, quality 90), imdecode, then the network. Saving again costs the restorer
        # that jsr ships 0.04 dB (30 images of BSD100); the entry is 0.09 dB below FBCNN's.
        data=dict(train=[source("div2k", degrade="ntire24")], eval=dict(dataset="div2k", degrade="ntire24_again")),
        stages=[stage(
            # 1,000 epochs of 800 / 8 steps
            steps=100_000, batch=8, learning_rate=1e-3, optimizer=dict(name="adam", eps=1e-9),
            crop=128, losses=[*L1, *QUALITY],  # inferred
            schedule=dict(name="multi_step", milestones=[*range(10_000, 100_000, 10_000)], factor=0.36))],  # inferred
        ema_decay=0,  # inferred
        inferred=["the network is the released one, sander-ali/JPEG_Compression_Enhancement_RDAB: FBCNN unchanged; "
                  "progressive residual dense attention, of which the report writes, is not in it",
                  "training sees what it is given, the test sees it saved once more at quality 90, as the released "
                  "test does by OpenCV; jsr degrade --protocol ntire24_again makes such files",
                  "L1, of the image losses that the code offers, and FBCNN's weight of the quality's",
                  "\"decaying rate of 1e-7 after every 100 epochs\": nine falls, to 1e-7 in the end",
                  "crop of 128; flips and rotations as augmentation; no EMA",
                  "an epoch is the 800 images of DIV2K, a crop each"]),
    "unicorns": recipe(
        entry="ntire24_unicorns_mhcb",
        title="Unicorns: Retinexformer, multi-head correlation block and a second U-net",
        protocol="ntire24",
        # networks.vgg.start_from=FILE: `jsr convert` makes it of torchvision's vgg16-397923af.pth
        networks={"sr": dict(model="unicorns/base", scale=1), "vgg": dict(model="vgg/vgg16", scale=1)},
        chain=["sr"],
        data=DIV2K,
        stages=[stage(
            steps=65_000, learning_rate=1e-4, optimizer=dict(name="adam", b2=0.99),
            crop=128, batch=8,  # inferred: Retinexformer's
            losses=[*L1, dict(fn="ycbcr_l1", pred="sr", target="hr", weight=1.0),  # inferred
                    dict(fn="l1", pred="vgg(sr)@features_8", target="vgg(hr)@features_8", weight=0.01)])],  # inferred
        ema_decay=0.0,
        inferred=["the network beyond the report's sentences, and its width: jsr.models.unicorns",
                  "losses: L1, the perceptual one, and for its \"luminance-chrominance guidance\" L1 in YCbCr; the "
                  "perceptual one is L1 of VGG-16's relu2_2, with weight 0.01, a guess: the report names no network, "
                  "layer or weight",
                  "crops of 128 px and a batch of 8: Retinexformer's training; flips and rotations; no EMA",
                  "torchvision's VGG-16 is the user's file, networks.vgg.start_from; without one the recipe trains "
                  "without the perceptual loss: --config.stages[0].losses[2].weight=0"]),
    "fbcnn": recipe(
        entry="ntire24_fbcnn_baseline",
        title="FBCNN for colour, the challenge's baseline, trained as its authors did",
        protocol="ntire24",
        networks={"sr": dict(model="fbcnn/color", scale=1)},
        # A quarter of the crops has any quality of 8 to 96, the others one of six. 800 and 2650 images. The authors
        # turn crops, then compress them by OpenCV, whose libjpeg-turbo is Pillow's.
        data=dict(train=[source(dataset, degrade="ntire24", set=dict(quality=qualities, encoder="pillow"),
                                flip_rotate=True, weight=images * share)
                         for dataset, images in (("div2k", 800), ("flickr2k", 2650))
                         for qualities, share in ((list(range(8, 97)), 0.25), ([10, 20, 30, 40, 50, 60], 0.75))],
                  eval=EVAL),
        stages=[stage(
            steps=2_000_000,  # inferred: the last milestone is at 1.8 million
            crop=96, batch=128, losses=[*L1, *QUALITY], learning_rate=2e-5, augment=[],
            schedule=dict(name="multi_step", milestones=[200_000, 400_000, 1_200_000, 1_600_000, 1_800_000],
                          factor=0.5))],
        ema_decay=0.0,
        inferred=["the challenge took the released weights; this is the training of options/train_fbcnn_color.json of "
                  "jiaxi-jiang/FBCNN, which asks for batch normalisation that the released weights do not have",
                  "2,000,000 steps"],
        left_out=["half of the authors' crops begin at JPEG's grid, half 0 to 8 px after it: here they begin anywhere",
                  "the file's start, orthogonal kernels with gain 0.2: the network starts near the identity "
                  "(jsr.models.fbcnn)"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ntire24", RECIPES, name)
