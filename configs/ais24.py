"""AIS 2024 real-time super-resolution of compressed images: x4 from 540p, AVIF at QP 31 to 63.

    python -m jsr.main --config=configs/ais24.py           # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ais24.py:casr      # a team's; needs `jsr build div2k/hr div2k/ais24` and others

Report: Conde et al., Real-time 4K super-resolution of compressed AVIF images: AIS 2024 challenge survey, CVPRW 2024.
The entries are in the order of its table 1. What holds for all of them:
- LR crops are of whole images, each at a QP of its own. An image is compressed when it is first drawn at a QP, 2 s
  of CPU a megapixel of LR, and kept (jsr.data.kept); quicker at first, and with one QP an image, are the stored LR
  images of `div2k/ais24` and so on, with degrade="".
- An epoch is one crop of each image: epochs * images / batch steps. Images: DIV2K 800, Flickr2K 2650, DIV8K 1500,
  LSDIR 84,991. GTAV is the training frames of VIPER that the user lists in `gtav.txt`.
- No average of the parameters, and no gradient clipping, unless it is named.
- A teacher that no stage trains is a model file of the user's, --config.networks.teacher.start_from=FILE: `jsr convert`
  makes it of the published HAT, and of CASR's published teacher.
"""

from jsr.recipes import pick, recipe, stage

# The five QPs of the challenge; RANDOM_QP and others are for teams that say so.
DIV2K, FLICKR2K, DIV8K, GTAV, LSDIR = (
    dict(dataset=f"{name}/hr", degrade="ais24") for name in ("div2k", "flickr2k", "div8k", "gtav", "lsdir"))
DF2K = [DIV2K, FLICKR2K]
RANDOM_QP = dict(set=dict(qp=[*range(31, 64)]))
RANDOM_DF2K = [row | RANDOM_QP for row in DF2K]

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
MSE = [dict(fn="mse", pred="sr", target="hr", weight=1.0)]
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0, eps=1e-3)]  # inferred: LapSRN's eps
PSNR = [dict(fn="psnr", pred="sr", target="hr", weight=1.0)]
FFT = [dict(fn="fft_l1", pred="sr", target="hr", weight=0.1)]  # inferred weight: ShuffleMixer's
GRADIENT = [dict(fn="gradient_l1", pred="sr", target="hr", weight=0.1)]  # inferred weight
# An enlarged image that is added to the output shows in no count.
ANCHOR = ("anchor: bilinear; that there is one is likely, as in all small networks whose code turned up, which one is "
          "a guess, Repnet's and RVSR's")
ECBSR_ANCHOR = ("anchor: nearest; that there is one is likely, as in all small networks whose code turned up, which "
                "one is a guess, that of ECBSR, whose blocks these are like")
INTERNET = "videos from the Internet, of the team's own choice: DIV2K and Flickr2K stand for them"
MOBILE = [*MSE, *GRADIENT, *FFT]  # China Mobile's three teams


def from_teacher(fn, weight=0.1):
    """Rows for the teacher's image; the weight is CASR's, no other team names one."""
    return [dict(fn=fn, pred="sr", target="teacher(lr)", weight=weight)]


def entry(*, train, **fields):
    """A team's recipe, with what all of them have in common."""
    return recipe(protocol="ais24", input_hw=[540, 960], data=dict(train=train, eval=dict(dataset="div2k/ais24")),
                  **dict(ema_decay=0.0) | fields)


RECIPES = {
    "quick": recipe(
        title="a small ECBSR on the embedded photographs, minutes on two cores",
        protocol="ais24",
        networks={"sr": dict(model="plain/ecbsr_m4c16", scale=4)},
        # Five photographs: LR made on the fly and colours exchanged, or it learns their palette by heart
        data=dict(train=dict(dataset="photos/ais24", degrade="ais24"), eval=dict(dataset="photos/ais24")),
        stages=[stage(steps=2000, crop=256, batch=8, losses=MSE, learning_rate=2e-3, clip_norm=1.0, fused=True,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
    "basicvision": entry(
        entry="basicvision_x4",
        title="BasicVision: four convolutions of 16 features, growing patches",
        networks={"sr": dict(model="plain/basicvision", scale=4)},
        train=[*DF2K, GTAV],
        stages=[stage(steps=500 * 3811 // 64, crop=crop, batch=64, losses=MOBILE, learning_rate=5e-4, fused=True,
                      schedule=dict(name="cosine", end=5e-5)) for crop in (256, 384, 512, 640)],
        inferred=["one stage for each size of patches", "weights 1, 0.1 and 0.1 of MSE, gradient and FFT losses",
                  "361 frames of GTAV in an epoch", "the re-parameterised blocks are ECBs, GELU between",
                  ECBSR_ANCHOR]),
    "cmvg_kren": entry(
        entry="cmvg_kren_x4",
        title="CMVG: KREN, four convolutions of 14 features, taught features by HAT",
        networks={"sr": dict(model="plain/kren", scale=4, fields=dict(x2=True)),
                  "teacher": dict(model="hat/base", scale=4)},
        chain=["sr"],
        train=[*DF2K, GTAV],
        stages=[
            # "Stage1. Training teacher network"; as HAT's own, inferred
            stage(steps=500_000, crop=256, batch=32, nets=["teacher"], learning_rate=2e-4,
                  losses=[dict(fn="l1", pred="teacher(lr)", target="hr", weight=1.0)],
                  schedule=dict(name="multi_step", milestones=[250_000, 400_000, 450_000, 475_000], factor=0.5)),
            *[stage(steps=500 * 3811 // 64, crop=crop, batch=64, losses=losses, learning_rate=5e-4, begin=begin,
                    fused=fused, schedule=dict(name="multi_step", factor=0.5,
                                               milestones=[n * 50 * 3811 // 64 for n in range(1, 10)]))
              for crop, losses, begin, fused in (
                  # "pre-train a 2x network to initialize student network"; not fused: it is there in training alone
                  (256, [dict(fn="l1", pred="sr_x2", target="hr_x2", weight=1.0)], [], False),
                  (256, [*L1, *GRADIENT, dict(fn="focal_frequency", pred="sr", target="hr", weight=1.0),
                         *(dict(fn="attention_transfer", pred=feature, target=f"teacher(lr)@{group}", weight=1000.0)
                           for feature, group in (("feature_1", "layers_0"), ("feature_2", "layers_2")))],
                   [dict(net="sr", carry="match", fields=dict(x2=False))], True),
                  (256, MSE, [], True),
                  (512, MSE, [], True))]],
        inferred=["the losses' weights", "features are compared as attention maps, which need no projection",
                  "the teacher's first and third groups are its blocks", "361 frames of GTAV in an epoch",
                  "the teacher's training: HAT's own; a start from the published HAT "
                  "(networks.teacher.start_from=FILE) may take its place, with stages[0].steps=1",
                  "the x2 network is the student with another tail, on the HR image made smaller by 2; L1, and what "
                  "the report says of the student's training", "GELU", ECBSR_ANCHOR]),
    "ivp_rden": entry(
        entry="ivp_rden_x4",
        title="IVP: RDEN, five convolutions of 14 features with an x2 head in training",
        networks={"sr": dict(model="plain/rden", scale=4)},
        train=[*DF2K, GTAV],
        # not fused: the x2 head is there in training alone
        stages=[stage(steps=500 * 3811 // 64, crop=crop, batch=64, learning_rate=5e-4,
                      losses=[*MOBILE, dict(fn="mse", pred="sr_x2", target="hr_x2", weight=0.1)],
                      schedule=dict(name="cosine", end=5e-5)) for crop in (256, 384, 512, 640)],
        inferred=["one stage for each size of patches",
                  "weights 1, 0.1 and 0.1 of MSE, gradient and FFT losses, and 0.1 of the x2 head's",
                  "the x2 HR image is shrunk by bicubic", "361 frames of GTAV in an epoch",
                  "14 features, by the counts; GELU",
                  "anchor: none, a guess; the efficient track's RDEN of 2024, perhaps another team's, has none"]),
    "rvsr": entry(
        entry="rvsr_x4",
        title="XJTU-AIR: RVSR, eight RepViT blocks of 16 features",
        networks={"sr": dict(model="rvsr/base", scale=4)},
        train=[*RANDOM_DF2K, LSDIR | RANDOM_QP | dict(split="train[:1000]")],
        # patches: the official code, configs/conf.yaml
        stages=[stage(steps=5000 * 4450 // 32, crop=512, batch=32, losses=MSE, learning_rate=5e-4, fused=True,
                      optimizer=dict(name="adam", b1=0.99),
                      schedule=dict(name="plateau_linear", hold=1000 * 4450 // 32, end=1e-6))],
        inferred=["Adam's 0.99, the report's; the official code has PyTorch's 0.9"]),
    "vpeg_r": entry(
        entry="vpeg_r_x4",
        title="VPEG-R: three re-parameterised residual blocks of 6 features at half the LR size",
        networks={"sr": dict(model="plain/vpeg_r", scale=4)},
        train=[DIV2K],
        stages=[stage(steps=300_000, crop=640, batch=64, losses=[*L1, *FFT], learning_rate=1e-3, fused=True,
                      schedule=dict(name="cosine", end=1e-6))],  # inferred: all but crop and batch
        inferred=["steps, losses, learning rate and schedule: NJUST-RTSR's of NTIRE 2023, by the same group",
                  "patches are the whole sub-images of 640", "the branches of RepRB",
                  "anchor: none, a guess: the report lists every part and has none"]),
    "vpeg_s": entry(
        entry="vpeg_s_x4",
        title="VPEG-S: SAFMN++, features modulated by coarser ones",
        networks={"sr": dict(model="safmn/light_pp", scale=4)},
        train=[DIV2K],
        ema_decay=0.999,  # inferred
        stages=[stage(steps=500_000, crop=640, batch=64, learning_rate=3e-3, schedule=dict(name="cosine", end=1e-7),
                      losses=[dict(fn="uncertainty_mse", pred="sr", target="hr", weight=1.0),
                              dict(fn="fft_l1", pred="sr", target="hr", weight=0.05)])],  # inferred: weights, SAFMN's
        inferred=["patches of 640, of the LR image in the text, are of the HR image: those of DIV2K are smaller",
                  "the uncertainty is one number, at its optimum", "weight 0.05 of the FFT loss, as SAFMN's",
                  "averaged parameters, which the official file has, with BasicSR's decay of 0.999"]),
    "anunet": entry(
        entry="anunet_x4",
        title="LeRTSR: ANUNet, nested re-parameterised blocks at half the LR size over repeated pixels",
        networks={"sr": dict(model="plain/anunet", scale=4)},
        train=RANDOM_DF2K,
        stages=[stage(steps=1_000_000, crop=480, batch=64, losses=losses, learning_rate=rate, schedule=schedule,
                      fused=True)
                for losses, rate, schedule in (
                    ([*CHARBONNIER, *FFT], 1e-3, dict(name="cosine", end=1e-6)),
                    ([*CHARBONNIER, *FFT, dict(fn="lanczos_l1", pred="sr", target="hr", weight=1.0),
                      dict(fn="high_frequency_l1", pred="sr", target="hr", weight=1.0)],
                     5e-4, dict(name="multi_step", milestones=[200_000, 400_000, 800_000], factor=0.5)),
                    ([*MSE, *FFT], 5e-4, dict(name="multi_step", milestones=[200_000, 400_000, 800_000], factor=0.5)))],
        inferred=["5e-4, where the report prints 5x10^4", "the losses' weights, Charbonnier's eps of 1e-3",
                  "auxiliary and high-frequency loss as in Swin2SR, the one on images shrunk by Lanczos",
                  "the inner branches of the nested block: ECB's"]),
    "resr": entry(
        entry="resr_x4",
        title="FZUQXT: RESR, re-parameterised edge extraction at half the LR size",
        networks={"sr": dict(model="plain/resr", scale=4)},
        train=DF2K,
        # 3450 images, each cut into about six of 600x600
        stages=[stage(steps=epochs * 6 * 3450 // 64, crop=512, batch=64, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine", warmup_steps=epochs * 6 * 3450 // 640))
                for epochs, losses, rate in ((800, L1, 5e-4), (200, MSE, 1e-4))],  # inferred: losses
        inferred=["L1, then MSE, as LRSRN, whose training this follows", "six patches of an image in an epoch",
                  "warm-up over a tenth of the steps, where the report prints 0.1 percentage; the cosine ends at 0",
                  "GELU, none before a shuffle; the block's width between its convolutions", ANCHOR],
        left_out=["the team cuts HR images into pieces of 600x600 before it takes crops of them"]),
    "megastudy": entry(
        entry="megastudy_x4",
        title="MegastudyEdu Vision AI: ETDS with gradients at its input and ECBs in its backbone",
        networks={"sr": dict(model="etds/megastudy", scale=4)},
        train=RANDOM_DF2K,
        # 110,400 images: 3450, each at 32 quality factors
        stages=[stage(steps=100 * 110_400 // 32, crop=256, batch=32, learning_rate=1e-4,  # inferred: batch, losses
                      losses=[*L1, dict(fn="l1", pred="residual", target="hr", weight=0.5)],
                      freeze=[dict(pattern="sr/residual_*", steps=100_000)],  # as the official ETDS
                      schedule=dict(name="multi_step", milestones=[50 * 110_400 // 32], factor=0.5))],
        inferred=["batch of 32", "the losses, and the residual stream that waits for 100k steps: ETDS's",
                  "patches of 64 are of the LR image", "where the gradients enter, and ECBs at both ends too",
                  "33 QPs, 31 to 63: the 110,400 images that the report has in an epoch are 3450 at 32"]),
    "casr": entry(
        entry="casr_x4",
        title="Z6: CASR, three convolutions at a third of the LR size and one more, taught by a larger LRSRN",
        networks={"sr": dict(model="plain/casr", scale=4, fields=dict(use_bias=True)),
                  "teacher": dict(model="plain/lrsrn_teacher", scale=4)},
        chain=["sr"],
        train=[DIV2K, FLICKR2K | dict(split="train[:1000]"), GTAV, LSDIR | dict(split="train[:1000]")],
        # The official code: 20 crops of an image in an epoch, of 2921 images at five QPs; restarts; clipping; patches
        # of 96, where the report has 98.
        stages=[stage(steps=800 * 20 * images // 8, crop=384, batch=8, data=data, losses=losses, learning_rate=rate,
                      clip_norm=0.1, fused=True, begin=begin, optimizer=optimizer,
                      schedule=dict(name="cosine_restarts", period=160 * 20 * images // 8, factor=0.5, end=end))
                for images, data, losses, rate, begin, optimizer, end in (
                    (800, [DIV2K | dict(set=dict(qp=31))], L1, 5e-4, [], dict(name="adam"), 1e-6),
                    (5 * 2921, [], [*MSE, *from_teacher("mse")], 5e-5, [], dict(name="adam"), 1e-6),
                    (5 * 2921, [], [*MSE, *from_teacher("mse")], 5e-5,
                     [dict(net="sr", carry="match", fields=dict(use_bias=False))],
                     dict(name="adamw", weight_decay=0.0), 1e-8))],
        inferred=["patches of 96 of the LR image, the official code's, where the report has 98",
                  "the first stage sees QP 31 alone, as in the official code",
                  "biases go in the third stage, as in the official code; the report says so of the second stage too"],
        left_out=["automatic mixed precision, which the official code has: float32 (--config.dtype=float16 has it)"]),
    "spanr": entry(
        entry="spanr_x4",
        title="XiaomiMM: SPANR, two swift parameter-free attention blocks, taught by HAT-L",
        networks={"sr": dict(model="span/spanr", scale=4), "teacher": dict(model="hat/large", scale=4)},
        chain=["sr"],
        train=RANDOM_DF2K,  # inferred: for videos of the team's own
        stages=[stage(steps=steps, crop=256, batch=64, losses=[*losses, *GRADIENT], learning_rate=1e-4, fused=True)
                for steps, losses in ((500_000, [*L1, *from_teacher("l1")]), (250_000, [*MSE, *from_teacher("mse")]))],
        inferred=["patches of 64 of the LR image, batch of 64",
                  "the weights of teacher and gradients", "16 features and how the last maps are joined: one of "
                  "three readings of the published counts"],
        left_out=[INTERNET]),
    "c3": entry(
        entry="c3_x4",
        title="Team C3: three convolutions of 32 features, taught by HAT-L",
        networks={"sr": dict(model="plain/c3", scale=4), "teacher": dict(model="hat/large", scale=4)},
        chain=["sr"],
        train=RANDOM_DF2K,  # inferred: for videos of the team's own
        stages=[stage(steps=steps, crop=256, batch=64, losses=[*losses, *GRADIENT], learning_rate=1e-4, fused=True)
                for steps, losses in ((500_000, [*L1, *from_teacher("l1")]), (250_000, [*MSE, *from_teacher("mse")]))],
        inferred=["patches of 64 of the LR image, batch of 64",
                  "the weights of teacher and gradients", "SiLU, SPAN's training block", ANCHOR],
        left_out=[INTERNET]),
    "ustc_noah": entry(
        entry="ustc_noah_x4",
        title="USTC Noah: decoupled convolutions of differences and sums, at half the LR size and at it",
        networks={"sr": dict(model="plain/ustc_noah", scale=4)},
        train=[DIV2K],
        # inferred: crop, L1
        stages=[stage(steps=10_000_000, crop=256, batch=256, losses=L1, learning_rate=5e-4, fused=True,
                      schedule=dict(name="multi_step", milestones=[n * 2_000_000 for n in (1, 2, 3, 4)], factor=0.5))],
        inferred=["patches of 64 of the LR image, L1", "GELU",
                  "the branches: a plain kernel, and gated ones of differences and sums, as the unit of Decoupling and "
                  "Aggregating for Image Exposure Correction, by some of the same people, has them",
                  "anchor: none, a guess: the report has none"]),
    "lanczospp": entry(
        entry="lanczospp_x4",
        title="ZXVIP: Lanczos++, two convolutions at a third of the LR size",
        networks={"sr": dict(model="plain/lanczospp", scale=4, fields=dict(use_bias=True))},
        train=[*DF2K, GTAV],
        # 4450 images, 1000 of them of GTAV; inferred: crop, batch, 1000 epochs of which the first 500 are at the peak
        stages=[stage(steps=1000 * 4450 // 16, crop=432, batch=16, losses=losses, learning_rate=rate, fused=True,
                      begin=begin, schedule=dict(name="plateau_linear", hold=500 * 4450 // 16, end=1e-8))
                for losses, rate, begin in (
                    (L1, 5e-4, []),
                    (L1, 5e-4, [dict(net="sr", carry="match", fields=dict(use_bias=False))]),
                    (MSE, 2e-4, []))],
        inferred=["1000 epochs a stage and patches of 108, as Bicubic++; batch of 16",
                  "\"the first 500 epochs are preheated\": the rate is held in them",
                  "1000 frames of GTAV in an epoch: 4450 images less DIV2K's and Flickr2K's; gtav.txt may list fewer",
                  "the widths that the search found, from the published counts: 32, and no convolution between",
                  "anchor: none, likely: Bicubic++, which it is made of, has none"]),
    "pixelartai": entry(
        entry="pixelartai_x4",
        title="PixelArtAI: a strided convolution, two ECBs and one shuffle of eight",
        networks={"sr": dict(model="plain/pixelartai", scale=4)},
        train=[LSDIR | RANDOM_QP],  # inferred: LSDIR
        stages=[
            stage(steps=60_000, crop=480, batch=96, losses=L1, learning_rate=1e-3, fused=True),
            stage(steps=60_000, crop=480, batch=96, losses=PSNR, learning_rate=2e-4, fused=True,  # inferred: steps
                  schedule=dict(name="multi_step", milestones=[20_000, 40_000], factor=0.5))],
        inferred=["LSDIR, the author's of NTIRE 2023; random QP is 31 to 63", "60k steps in the second stage",
                  "ReLU", ECBSR_ANCHOR]),
    "reptcn": entry(
        entry="reptcn_x4",
        title="CameraAI: RepTCN, three convolutions of 16 features: merged, then freed of their biases",
        networks={"sr": dict(model="plain/reptcn", scale=4, fields=dict(use_bias=True))},
        train=[row | dict(split=f"train[:{count}]") for row, count in ((DIV2K, 600), (FLICKR2K, 600), (GTAV, 800))],
        stages=[
            stage(steps=1_000_000, crop=128, batch=32, losses=L1, learning_rate=1e-3, fused=True,
                  schedule=dict(name="cosine", end=1e-7)),
            *[stage(steps=steps, crop=512, batch=16, losses=MSE, learning_rate=5e-4,
                    schedule=dict(name="cosine", end=5e-7), begin=[dict(net="sr", carry=carry, fields=fields)])
              for steps, carry, fields in ((500_000, "fuse", dict(deploy=True)),
                                           (2_000_000, "match", dict(use_bias=False)))]],
        inferred=["patches of 32 and 128 are of the LR image", "the five QPs, each as likely",
                  "anchor: none, likely: the report describes three convolutions and a shuffle as all there is"],
        left_out=["the team cuts images to 512x512 before it takes crops of them",
                  "800 frames of GTAV, where gtav.txt lists fewer: z6's list has 361"]),
    "urpnet": entry(
        entry="urpnet_x4",
        title="402Lab: URPNet, three convolutions at half the LR size, from low QPs to high ones, with a teacher",
        networks={"sr": dict(model="plain/urpnet", scale=4), "teacher": dict(model="plain/lrsrn_teacher", scale=4)},
        chain=["sr"],
        train=[*DF2K, DIV8K | dict(split="train[:200]"), LSDIR | dict(split="train[:1000]")],
        # inferred: 20 crops of an image in an epoch, restarts, as the same institute's LRSRN; the curriculum's thirds
        stages=[
            stage(steps=500 * 20 * 800 // 8, crop=384, batch=8, losses=L1, learning_rate=5e-4, fused=True,
                  data=[DIV2K | dict(set=dict(qp=qp), steps=[first, 1_000_000])
                        for qp, first in ((31, 0), ([39, 47], 333_000), ([55, 63], 667_000))],
                  schedule=dict(name="cosine_restarts", period=100 * 20 * 800 // 8, factor=0.5, end=1e-6)),
            stage(steps=50 * 20 * 4650 // 8, crop=384, batch=8, losses=[*MSE, *from_teacher("mse", 1.0)],
                  learning_rate=1e-4, fused=True,
                  schedule=dict(name="cosine_restarts", period=10 * 20 * 4650 // 8, factor=0.5, end=1e-6))],
        inferred=["20 crops of an image in an epoch and restarts, as LRSRN by the same institute",
                  "medium and hard QPs join the easy one after a third and two thirds of the first stage",
                  "the teacher, which the report does not describe: CASR's; its loss weighs 1",
                  "20 features and one convolution in the body, by the counts; ReLU", ANCHOR],
        left_out=["the team cuts images to 2040x1080 in their middle before it takes crops of them"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ais24", RECIPES, name)
