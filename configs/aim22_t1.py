"""AIM 2022 compressed super-resolution, track 1: x4 from JPEG quality 10.

    python -m jsr.main --config=configs/aim22_t1.py            # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/aim22_t1.py:srmui      # a team's; needs `jsr build div2k/aim22_t1` and others

`jsr zoo aim22_t1:srmui` lists the datasets of a recipe, and the folders that stand for sets without a builder: a recipe
trains without those that are not there.

Report: Yang, Timofte et al., AIM 2022 challenge on super-resolution of compressed image and video, ECCVW 2022.
"""

from jsr.recipes import pick, player, recipe, source, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
# Swin2SR's paper: the clean LR image beside the SR image, and the detail once more.
L1_CLEAN_AND_DETAIL = [*L1, dict(fn="l1", pred="lr_clean", target="lr_clean", weight=1.0),  # inferred weights
                       dict(fn="high_frequency_l1", pred="sr", target="hr", weight=1.0)]
DEBLOCKED = [dict(fn="l1", pred="deblock/sr", target="lr_clean", weight=1.0)]  # inferred: L1


def rows(*names):
    """Rows of datasets with stored LR images, and of folders that the user fills, whose LR images are made on the fly.

    Each image counts once.
    """
    return [source(name, degrade="aim22_t1") if name.startswith("folders/") else source(f"{name}/aim22_t1")
            for name in names]


def on(*names):
    """The data of a recipe that trains on these and is evaluated on DIV2K."""
    return dict(train=rows(*names), eval=dict(dataset="div2k/aim22_t1"))


DIV2K, DF2K = on("div2k"), on("div2k", "flickr2k")
WITH_DIV8K = rows("div2k", "flickr2k", "div8k")

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
    "vue": recipe(
        entry="aim22_vue_tcir",
        title="VUE: TCIR, Swin V2 layers and dense blocks against JPEG artefacts, then an RRDBNet, x8 ensemble",
        protocol="aim22_t1",
        # The team enlarges by a finetuned RRDBNet: networks.sr.start_from=FILE, which `jsr convert` makes of ESRGAN's.
        networks={"deblock": dict(model="tcir/base", scale=1), "sr": dict(model="rrdbnet/b23", scale=4)},
        data=on("div2k", "flickr2k", "folders/imagenet"),
        stages=[
            stage(steps=500_000, crop=256, batch=32, players=[player(
                nets=["deblock"], learning_rate=2e-4, schedule=dict(name="multi_step", factor=0.5, milestones=[
                    250_000, 400_000, 450_000, 475_000]),
                losses=DEBLOCKED)]),
            stage(steps=200_000, crop=256, batch=16, players=[player(
                nets=["sr"], learning_rate=1e-4, schedule=dict(name="cosine"), losses=L1)])],
        ema_decay=0.999,
        ensemble=dict(self=True),
        inferred=["what the report does not say of TCIR: jsr.models.tcir",
                  "the whole training, which the report leaves out: TCIR as SwinIR was trained, on patches of 64x64 of "
                  "the LR image, towards the LR image without compression; then the RRDBNet on what TCIR gives, by L1",
                  "each image of the three sets counts once"],
        left_out=["the finetuned RRDBNet's start, which is the user's file: networks.sr.start_from"]),
    "bsr": recipe(
        entry="aim22_bsr_mphat",
        title="BSR: MPHAT, HAT that sees a patch and the eight around it, three models and x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="hat/mphat", scale=4)},
        members=[dict(copies=3)],
        data=on("div2k", "flickr2k", "folders/flickr2k_l"),
        stages=[stage(
            steps=800_000, batch=32, learning_rate=1e-4, optimizer=dict(name="adam", b2=0.99),
            crop=768,  # 3x3 patches of 64 LR px, of which the one in the middle is compared: 64 * 3 * 4
            losses=[dict(fn="mse", pred="sr", target="hr_centre", weight=1.0)],
            schedule=dict(name="multi_step", milestones=[300_000, 500_000, 650_000, 700_000, 750_000], factor=0.5))],
        ema_decay=0.999,  # inferred: HAT's
        ensemble=dict(self=True),
        inferred=["HAT's base form, 6 groups of 6 blocks; patches of 64x64 are of the LR image",
                  "the patches' order on the 27 channels, and no mean to subtract: jsr.models.hat",
                  "an image is restored as a whole, its neighbouring patches being itself moved by 64 px, mirrored at "
                  "its borders; patches at the borders of training images are no examples, but of those that are "
                  "smaller than 768 px, which are mirrored too",
                  "the three models that vote are of other seeds, and are averaged",
                  "flips and rotations as augmentation; EMA of 0.999, as in HAT's training"]),
    "casia": recipe(
        entry="aim22_casia_cidbnet",
        title="CASIA LCVG: CIDBNet, a branch of convolutions and one of attention, three networks, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="cidbnet/base", scale=4)},
        members=[dict(), dict(networks={"sr": dict(model="cidbnet/nf")}),
                 dict(networks={"sr": dict(model="cidbnet/nfe")})],
        data=on("folders/imagenet"),
        # 2e-4 for 270k steps, then half a cosine to 1e-6; Adam's beta2 is as printed
        stages=[stage(steps=steps, crop=256, batch=32, losses=L1, learning_rate=2e-4,
                      optimizer=dict(name="adam", b2=0.9), schedule=schedule)
                for steps, schedule in ((270_000, dict(name="constant")), (530_000, dict(name="cosine", end=1e-6)))],
        ema_decay=0.999,  # inferred: HAT's
        ensemble=dict(self=True),
        inferred=["what the report does not say of the network, and what NF and NFE are: jsr.models.cidbnet",
                  "800k steps in all, as it says; its 270k and 560k would be 830k",
                  "beta2 of 0.9 as printed, where 0.99 is likelier; the optimizer starts anew after 270k steps",
                  "loss L1, and EMA of 0.999, as in HAT's training",
                  "patches of 64x64 are of the LR image, as it says, \"input patch\"; vertical flips too",
                  "photographs smaller than the 256 px of a crop are mirrored at their borders"]),
    "srcb": recipe(
        entry="aim22_srcb_swinfir",
        title="SRC-B: SwinFIR, groups that end in a residual and a Fourier convolution, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="swinfir/aim22", scale=4)},
        data=DF2K,
        stages=[stage(
            steps=500_000, batch=32, learning_rate=2e-4, schedule=dict(name="cosine"),
            crop=256,  # inferred: the report's patches of 64 are of the LR image
            losses=[dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)],
            # the code's: RGB is permuted in half of the samples; half of the batches are mixed up, with a share each
            augment=["flip_rotate", dict(name="permute_rgb", p=0.5), dict(name="mixup", p=0.5, per="batch")])],
        ema_decay=0.999,  # the code's
        ensemble=dict(self=True),
        inferred=["patches of 64x64 are of the LR image, and windows of 8 divide them; the code has 60 and 12",
                  "Charbonnier with eps 1e-3, the code's; there it is of the mean square over RGB",
                  "the cosine ends at 0; \"about 500,000\" iterations are 500k",
                  "how often RGB is permuted and batches are mixed up, and EMA of 0.999: the code's"]),
    "ustcir": recipe(
        entry="aim22_ustcir_hst",
        title="USTC-IR: HST, Swin transformer groups at three sizes, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="hst/base", scale=4)},
        data=on("div2k", "flickr2k", "folders/clic"),
        # Patches of 64 are of the LR image, as in the code (srdata.py). 2e-4 is halved at 200k and 300k of all steps.
        stages=[stage(steps=50_000, crop=256, batch=16, learning_rate=2e-4,
                      losses=[dict(fn="charbonnier", pred="sr", target="hr", weight=1.0)]),
                stage(steps=350_000, crop=256, batch=16, learning_rate=2e-4,
                      losses=[dict(fn="mse", pred="sr", target="hr", weight=1.0)],
                      schedule=dict(name="multi_step", milestones=[150_000, 250_000], factor=0.5))],
        ema_decay=0.999,  # the code's
        ensemble=dict(self=True),
        inferred=["\"until convergence\" is 400k steps in all, as in the code; Charbonnier for \"about\" 50k of them",
                  "batch 16, 4 on each of four GPUs, and EMA of 0.999: the code's",
                  "Charbonnier with eps 1e-3; losses and rates are the report's; the code has L1, and 1e-4 halved at "
                  "100k and 250k",
                  "which year's CLIC: any, in folders/clic"],
        left_out=["the method's paper, not the report, starts from a network trained on SR without compression: "
                  "networks.sr.start_from takes one"]),
    "msdrsr": recipe(
        entry="aim22_msdrsr",
        title="MSDRSR: artefacts removed at several sizes, an RRDBNet that grows from 23 to 33 blocks, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="msdrsr/b33", scale=4, fields=dict(num_block=23))},
        data=DF2K,
        # The Laplacian pyramid on small patches, MSE on large ones; and both again with ten more blocks and DIV8K.
        stages=[stage(losses=[dict(fn=fn, pred="sr", target="hr", weight=1.0)], **options)
                for fn, options in (
                    ("laplacian_pyramid", dict(steps=100_000, crop=256, batch=64, learning_rate=5e-4,
                                               schedule=dict(name="cosine", end=5e-5))),
                    ("mse", dict(steps=20_000, crop=640, batch=8, learning_rate=1e-5)),  # inferred batch
                    ("laplacian_pyramid", dict(steps=100_000, crop=256, batch=64, learning_rate=5e-4,
                                               schedule=dict(name="cosine", end=5e-5), data=WITH_DIV8K,
                                               begin=[dict(net="sr", carry="match", fields=dict(num_block=33))])),
                    ("mse", dict(steps=20_000, crop=640, batch=8, learning_rate=1e-5, data=WITH_DIV8K)))],
        ema_decay=0.999,  # inferred: ESRGAN's in BasicSR
        ensemble=dict(self=True),
        inferred=["what the report does not say of the network: jsr.models.msdrsr",
                  "high-frequency attention stands in every residual block, as it says, \"at the end of the residual "
                  "block\"; once a group is another reading",
                  "patches are of the HR image; the Laplacian pyramid has five bands and L1",
                  "batch 8 on patches of 640, at a constant rate",
                  "EMA of 0.999, as ESRGAN's in BasicSR"]),
    "giantpandacv": recipe(
        entry="aim22_giantpandacv_a3net",
        title="Giantpandacv: A3Net, a NAF U-net steered by the artifacts it finds, x8 ensemble and TLC",
        protocol="aim22_t1",
        networks={"sr": dict(model="a3net/base", scale=4)},
        data=DF2K,
        stages=[stage(
            steps=1_000_000, learning_rate=2e-4, optimizer=dict(name="adamw", weight_decay=1e-4),
            schedule=dict(name="cosine"),
            crop=512,  # inferred: the report's 512x512 are of the HR image
            batch=32,  # inferred: NAFNet's
            losses=[dict(fn="psnr", pred="sr", target="hr", weight=1.0)])],  # inferred: NAFNet's
        ema_decay=0.0,  # inferred: NAFNet's
        ensemble=dict(self=True, tlc=192),  # 1.5 times the LR crop of 128
        inferred=["what the report does not say of the network: jsr.models.a3net",
                  "crops of 512x512 are of the HR image, TLC's windows 1.5 times the LR crops, as TLC's paper has them",
                  "loss (PSNR), batch and no EMA: NAFNet's training; Adam's betas 0.9 and 0.999, PyTorch's",
                  "the cosine ends at 0"]),
    "aselsan": recipe(
        entry="aim22_aselsan_dualdomain",
        title="Aselsan Research: IMDeception on pixels and on wavelets, x8 ensemble inside the network",
        protocol="aim22_t1",
        networks={"sr": dict(model="dual_domain/base", scale=4)},
        data=DF2K,
        stages=[stage(
            steps=2000 * 800, crop=512, batch=8, learning_rate=5e-4,
            schedule=dict(name="multi_step", milestones=[n * 200 * 800 for n in range(1, 10)], factor=0.75),
            losses=[dict(fn="mse", pred="sr", target="hr", weight=0.5),
                    dict(fn="mse", pred="lr_clean", target="lr_clean", weight=0.5)])],
        ema_decay=0.0,  # inferred
        inferred=["what the report does not say of the network: jsr.models.dual_domain",
                  "the rate, printed as \"5^-4\", is 5e-4; crops of 512x512 are of the HR image",
                  "flips and rotations as augmentation; no EMA"]),
    "srmui": recipe(
        entry="aim22_srmui_swin2sr",
        title="SRMUI: Swin2SR with a clean LR image on the way and a bicubic skip, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="swin2sr/compressed", scale=4)},
        data=on("div2k", "flickr2k", "folders/mit5k"),
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
                  "flips and rotations as augmentation"]),
    "mvideo": recipe(
        entry="aim22_mvideo_two_stage",
        title="MVideo: an RRDBNet against JPEG artefacts and ESRGAN's RRDBNet behind it, x8 ensemble",
        protocol="aim22_t1",
        # The team's SR-Net begins as ESRGAN's: networks.sr.start_from=FILE, which `jsr convert` makes of that.
        networks={"deblock": dict(model="rrdbnet/direct", scale=1), "sr": dict(model="rrdbnet/b23", scale=4)},
        data=DIV2K,
        stages=[
            stage(steps=50_000, crop=128, batch=32, players=[player(
                nets=["deblock"], losses=DEBLOCKED, learning_rate=5e-4,
                schedule=dict(name="multi_step", milestones=[30_000, 40_000], factor=0.5))]),
            stage(steps=200_000, crop=128, batch=32, learning_rate=5e-4, losses=[*L1, DEBLOCKED[0] | dict(weight=0.01)],
                  schedule=dict(name="cosine_restarts", period=50_000)),
            *(stage(steps=50_000, crop=crop, batch=8, learning_rate=rate,
                    losses=[dict(fn="mse", pred="sr", target="hr", weight=1.0)],
                    schedule=dict(name="multi_step", milestones=[20_000, 30_000, 40_000], factor=0.5))
              for crop, rate in ((512, 2e-5), (256, 5e-6)))],
        ema_decay=0.999,  # inferred: ESRGAN's in BasicSR
        ensemble=dict(self=True),
        inferred=["Deblock-Net has ESRGAN's 23 blocks too, and does not add to its input",
                  "losses: L1 before the finetuning, which is \"to improve the PSNR\", and MSE in it",
                  "patches are of the HR image, flipped and rotated",
                  "the cosine falls to 0 in each period; the factor that the report leaves out is 0.5 in stage III",
                  "EMA of 0.999, as ESRGAN's in BasicSR"],
        left_out=["ESRGAN's parameters, with which SR-Net begins, are the user's file: networks.sr.start_from"]),
    "uestc": recipe(
        entry="aim22_uestc_restormer_rdcb",
        title="UESTC+XJU CV: Restormer, deconvolutions and dense blocks with channel attention, x8 ensemble",
        protocol="aim22_t1",
        networks={"sr": dict(model="uestc/base", scale=4)},
        data=DIV2K,
        stages=[stage(steps=300_000, crop=256, batch=8, learning_rate=3e-4, schedule=dict(name="cosine"),
                      losses=[dict(fn="mse", pred="sr", target="hr", weight=1.0)])],
        ema_decay=0.0,  # inferred: Restormer's training has none
        ensemble=dict(self=True),
        inferred=["Restormer's published sizes, and all widths and activations behind it: jsr.models.uestc",
                  "the image that is added is enlarged by bicubic interpolation",
                  "patches of 256x256 are of the raw image, the HR one",
                  "the cosine ends at 0; no EMA, as in Restormer's training"]),
    "cvlab": recipe(
        entry="aim22_cvlab_hat",
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
                  "EMA of 0.999, as in HAT's training"],
        left_out=["the team's 4,600 training images, which it does not name: DIV2K's 800 are trained on"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim22_t1", RECIPES, name)
