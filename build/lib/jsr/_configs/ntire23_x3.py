"""NTIRE 2023 real-time 4K super-resolution, track 2: x3 from 720p, JPEG quality 90.

    python -m jsr.main --config=configs/ntire23_x3.py              # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ntire23_x3.py:bicubicpp    # a team's; needs `jsr build div2k/ntire23_x3`

Report: Conde et al., Efficient deep models for real-time 4K image super-resolution: NTIRE 2023 benchmark and report,
CVPRW 2023. The entries are in the order of its table 1, whose figures `table1` names. What holds for all of them:
- An epoch is one crop of each image: epochs * images / batch steps. Images: DIV2K 800, Flickr2K 2650, DIV8K 1500,
  GTAV 361, LSDIR 84,991. GTAV is the training frames of VIPER that the user lists in `gtav.txt`: z6's number of them,
  for others say none.
- HR patches whose size the report gives for both tracks are the nearest size that 3, and what the network asks for,
  divide: 255 or 258 for 256.
- Sets that have no builder here (LIU4K-v2, OST, FFHQ, SCUT-CTW1500) are left out.
- Float32 where a team used FP16, no average of the parameters, and no gradient clipping unless it is named.
- A teacher is a model file of the user's: --config.networks.teacher.start_from=FILE, as `jsr convert` makes of HAT's.
"""

from jsr._configs.common import pick, recipe, stage

DIV2K, FLICKR2K, DIV8K, GTAV, LSDIR, WED = (
    dict(dataset=f"{name}/ntire23_x3") for name in ("div2k", "flickr2k", "div8k", "gtav", "lsdir", "wed"))
DF2K = [DIV2K, FLICKR2K]

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
MSE = [dict(fn="mse", pred="sr", target="hr", weight=1.0)]
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0, eps=1e-3)]  # inferred: LapSRN's eps
FFT = [dict(fn="fft_l1", pred="sr", target="hr", weight=0.1)]  # inferred weight: ShuffleMixer's, which NJUST-RTSR cites
FROM_TEACHER = [dict(fn="mse", pred="sr", target="teacher(lr)", weight=1.0)]  # inferred weight


def entry(*, train, **fields):
    """A team's recipe, with what all of them have in common."""
    return recipe(protocol="ntire23_x3", input_hw=[720, 1280], data=dict(train=train, eval=DIV2K), ema_decay=0.0,
                  **fields)


def table1(section, rank, *figures):
    """What the report says of an entry: where, and its row of table 1, whose FLOPs are multiply-accumulates."""
    columns = "score", "params_M", "macs_G", "psnr_rgb", "psnr_y", "ssim_rgb", "runtime_ms"
    return dict(section=section, rank=rank, **dict(zip(columns, figures, strict=True)))


RECIPES = {
    "quick": recipe(
        title="a small ECBSR on the embedded photographs, minutes on two cores",
        protocol="ntire23_x3",
        networks={"sr": dict(model="plain/ecbsr_m4c16", scale=3)},
        # Five photographs: LR made on the fly and colours exchanged, or it learns their palette by heart
        data=dict(train=dict(dataset="photos/ntire23_x3", degrade="ntire23_x3"), eval=dict(dataset="photos/ntire23_x3"),
                  num_workers=1),
        stages=[stage(steps=3000, crop=192, batch=8, losses=L1, learning_rate=2e-3, clip_norm=1.0, fused=True,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
    "bicubicpp": entry(
        id="bicubicpp_x3",
        title="Aselsan Research: Bicubic++, trained wide, pruned, freed of its biases",
        networks={"sr": dict(model="plain/bicubicpp", scale=3, fields=dict(num_feat=40, use_bias=True))},
        train=[DIV2K],
        # three times 1000 epochs of 800 patches in batches of 8; MSE as in the official trainer
        stages=[stage(steps=100_000, crop=324, batch=8, losses=MSE, learning_rate=rate, begin=begin,
                      optimizer=dict(name="adam", b1=0.99), schedule=dict(name="plateau_linear", hold=50_000, end=1e-8))
                for rate, begin in (
                    (5e-4, []),
                    (5e-4, [dict(net="sr", carry="prune", fields=dict(num_feat=32))]),
                    (1e-4, [dict(net="sr", carry="match", fields=dict(use_bias=False))]))],
        inferred=["40 features before pruning: the report says slightly larger",
                  "every layer keeps as many channels, where the team ranked those of all layers together"],
        report=table1("3.2", 1, 31.26, 0.0504, 11.6343, 32.06, 34.56, 0.8344, 1.170)),
    "team_ov": entry(
        id="team_ov_x3",
        title="Team OV: four convolutions of 12 features",
        networks={"sr": dict(model="plain/team_ov", scale=3)},
        train=DF2K,
        stages=[stage(steps=300_000, crop=384, batch=64, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine", end=1e-7))
                for losses, rate in (([*L1, *FFT], 1e-3), ([*L1, *FFT], 1e-3), ([*MSE, *FFT], 5e-4))],
        inferred=["weight 0.1 of the FFT loss", "the branches of the training block, which only a figure shows: FMEN's",
                  "12 features, where the text has 16, and no biases: forced by the counts; no skip"],
        report=table1("3.4", 2, 29.63, 0.0058, 5.3748, 32.17, 34.72, 0.8376, 1.510)),
    "runet": entry(
        id="runet_x3",
        title="ALONG: RUNet, re-parameterised blocks at a quarter of the LR size, taught by HAT-L",
        networks={"sr": dict(model="plain/runet", scale=3), "teacher": dict(model="hat/large", scale=3)},
        chain=["sr"],
        train=DF2K,  # inferred
        stages=[  # inferred, but the crop and the losses
            stage(steps=300_000, crop=576, batch=16, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="cosine", end=1e-7)),
            stage(steps=100_000, crop=576, batch=16, losses=[*MSE, *FROM_TEACHER], learning_rate=1e-4, fused=True,
                  schedule=dict(name="cosine", end=1e-7))],
        inferred=["data, optimizer, learning rates, schedules, batch and steps",
                  "patches of 192, as in table 2, are of the LR image", "MSE with the teacher's image weighs 1",
                  "the branches of RepBlock: FMEN's; the skip: the nearest enlargement",
                  "32 features and 11 convolutions, where the text has 64 and 5 blocks: forced by the counts"],
        report=table1("3.3", 3, 28.57, 0.2404, 13.8019, 32.18, 34.66, 0.8367, 1.660)),
    "repnet": entry(
        id="repnet_x3",
        title="RTVSR: Repnet, four convolutions at half the LR size, trained as 3x3, BatchNorm, 1x1",
        networks={"sr": dict(model="plain/repnet", scale=3)},
        train=[*DF2K, DIV8K, GTAV],
        stages=[
            stage(steps=150 * 5311 // 32, crop=768, batch=32, losses=L1, learning_rate=2e-4),  # inferred: L1
            stage(steps=50 * 5311 // 16, crop=768, batch=16, losses=MSE, learning_rate=1e-5)],
        inferred=["L1 in the first stage", "patches of 256 are of the LR image: both tracks have them",
                  "the training block's width between its convolutions: twice the features", "ReLU, no skip"],
        report=table1("3.5", 4, 26.89, 0.0532, 12.2315, 32.22, 34.77, 0.8372, 1.960)),
    "asconvsr": entry(
        id="asconvsr_x3",
        title="Noah_TerminalVision: AsConvSR, kernels assembled for each image from a shared basis",
        networks={"sr": dict(model="asconvsr/base", scale=3)},
        train=[*DF2K, DIV8K, GTAV],
        stages=[stage(steps=3_000_000, crop=240, batch=16, losses=CHARBONNIER, learning_rate=5e-4,  # inferred: batch
                      schedule=dict(name="multi_step", milestones=[*range(200_000, 3_000_000, 200_000)], factor=0.5))],
        inferred=["batch of 16, Charbonnier's eps of 1e-3",
                  "candidates, and the control module with its width: 0.5 % above the published parameters",
                  "ReLU behind the assembled convolutions"],
        report=table1("3.1", 5, 26.68, 17.797, 16.1252, 32.65, 35.10, 0.8455, 3.640)),
    "njust_rtsr": entry(
        id="njust_rtsr_x3",
        title="NJUST-RTSR: four re-parameterised residual blocks of 16 features, growing patches",
        networks={"sr": dict(model="plain/njust_rtsr", scale=3)},
        train=DF2K,
        stages=[stage(steps=150_000, crop=crop, batch=64, losses=[*L1, *FFT], learning_rate=1e-3, fused=True,
                      schedule=dict(name="cosine", end=1e-6)) for crop in (129, 255)],
        inferred=["the 300k steps in halves, one for each size of patches, each with a cosine of its own",
                  "weight 0.1 of the FFT loss, as in ShuffleMixer", "the branches of RepRB, GELU after each block"],
        report=table1("3.7", 6, 23.51, 0.0135, 12.4748, 32.25, 34.90, 0.8384, 2.680)),
    "erlfn": entry(
        id="erlfn_x3",
        title="Antins_cv: ERLFN, two RLFN blocks trained with FMEN's, as table 1 counts it",
        networks={"sr": dict(model="rlfn/erlfn", scale=3)},
        train=[*DF2K, DIV8K, WED],
        # about 23,000 images of the team's, 9,694 of which are here
        stages=[
            stage(steps=1000 * 23_000 // 64, crop=192, batch=64, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="multi_step", milestones=[n * 200 * 23_000 // 64 for n in (1, 2, 3, 4)],
                                factor=0.5)),
            stage(steps=500 * 23_000 // 64, crop=192, batch=64, losses=MSE, learning_rate=1e-4, fused=True,
                  schedule=dict(name="cosine"))],
        inferred=["12 features without attention, as counted in table 1; text and table 2 have 27 with it, which is "
                  "--config.networks.sr.model=rlfn/erlfn_text",
                  "23,000 images in an epoch, with OST, FFHQ and SCUT-CTW1500",
                  "patches and batch of the second stage are the first's; its cosine ends at 0"],
        report=table1("3.10", 7, 23.44, 0.0127, 11.6785, 32.63, 35.21, 0.8457, 4.600)),
    "dfcdn": entry(
        id="dfcdn_x3",
        title="DFCDN Team: the x2 network's successor, fused at every step (OREPA)",
        # The team began with its x2 network: networks.sr.start_from=FILE, of a run of ntire23_x2:dfcdn.
        networks={"sr": dict(model="dfcdn/base", scale=3, carry="match")},
        train=[DIV2K],
        stages=[
            stage(steps=1000 * 800 // 64, crop=660, batch=64, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="cosine")),
            stage(steps=100 * 800 // 64, crop=660, batch=64, losses=MSE, learning_rate=1e-5, fused=True)],
        inferred=["the block's convolutions and its attention: 8 % above the published parameters",
                  "the cosine ends at 0, the last rate is constant"],
        report=table1("3.6", 8, 22.64, 0.0075, 3.7011, 32.07, 34.63, 0.8371, 2.250)),
    "scsyenet": entry(
        id="scsyenet_x3",
        title="Multimedia: SCSYENet, products of asymmetric branches, and the input once more before the end",
        networks={"sr": dict(model="syenet/scsyenet", scale=3)},
        train=DF2K,
        stages=[stage(steps=1000 * 3450 // batch, crop=crop, batch=batch, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine_restarts", period=200 * 3450 // batch))
                for crop, batch, losses, rate in ((129, 32, L1, 1e-4), (129, 32, L1, 1e-4), (639, 4, MSE, 1e-5))],
        inferred=["the cosine starts anew every 200 epochs, at the same height, and ends at 0",
                  "squares of 639 for patches of 2040x1080",
                  "both branches of the second product are 3x3, by the counts",
                  "the factor 0.1 of the products and the input's range: SYENet's"],
        report=table1("3.9", 9, 21.55, 0.0125, 11.4361, 32.33, 34.83, 0.8398, 3.560)),
    "lrsrn": entry(
        id="lrsrn_x3",
        title="z6: LRSRN, six convolutions of 32 features, 256 wide in training",
        networks={"sr": dict(model="plain/lrsrn", scale=3)},
        train=[*DF2K, GTAV, LSDIR | dict(split="train[:1000]")],
        # 20 crops of an image in an epoch, restarts and clipping: the official code; 4811 images in the second stage
        stages=[stage(steps=epochs * 20 * images // 8, crop=384, batch=8, data=data, losses=losses, learning_rate=rate,
                      clip_norm=0.1, fused=True,
                      schedule=dict(name="cosine_restarts", period=epochs * 20 * images // 40, factor=0.5, end=1e-6))
                for epochs, images, data, losses, rate in ((800, 800, [DIV2K], L1, 5e-4), (200, 4811, [], MSE, 1e-4))],
        inferred=["crops of whole images; the team cut these to 2040x1080 first"],
        report=table1("3.8", 10, 20.90, 0.0457, 41.9365, 32.59, 35.05, 0.8446, 5.470)),
    "r2cnet": entry(
        id="r2cnet_x3",
        title="R.I.P. ShopeeVideo: R2CNet, narrow stacks inside wide blocks at half the LR size",
        networks={"sr": dict(model="r2cnet/base", scale=3)},
        train=[*DF2K, LSDIR | dict(split="train[:50%]")],
        stages=[stage(steps=100_000, crop=576, batch=96, learning_rate=rate,
                      losses=[dict(fn="psnr", pred="sr", target="hr", weight=1.0)],
                      schedule=dict(name="cosine", warmup_steps=warmup))
                for rate, warmup in ((5e-4, 5000), (5e-4, 5000), (2e-4, 0))],
        inferred=["the half of LSDIR: the first one", "the cosines end at 0",
                  "the layout of the blocks' 1x1 convolutions and skips, which the counts leave open"],
        report=table1("3.12", 11, 15.67, 0.4073, 129.2038, 32.84, 35.30, 0.8469, 13.79)),
    "pcrtsr": entry(
        id="pcrtsr_x3",
        title="ECNU_SR: PCRTSR, partial convolutions at half the LR size",
        networks={"sr": dict(model="pcrtsr/base", scale=3)},
        # first DF2K, then the others; the report's 8e6 and 1.4e7 iterations are samples here, in batches of 16
        train=[*(row | dict(steps=[0, 875_000]) for row in DF2K),
               *(row | dict(steps=[875_000, 1_000_000]) for row in (DIV8K, LSDIR, GTAV))],
        stages=[stage(steps=1_000_000, crop=258, batch=16, losses=L1, learning_rate=5e-4,
                      schedule=dict(name="multi_step", milestones=[500_000, 875_000], factor=0.5))],
        inferred=["batch of 16", "iterations are counted in samples: 1.4e7 steps do not fit into table 2's 30 hours",
                  "the data change at the second milestone; the end", "patches of 256 are of the HR image",
                  "the last convolution is 1x1, where the text has 3x3: by the counts"],
        report=table1("3.11", 12, 15.39, 0.1662, 37.8667, 32.64, 35.17, 0.8458, 10.75)),
    "touchfish": entry(
        id="touchfish_x3",
        title="Touch Fish: blocks whose later features mask the earlier ones",
        networks={"sr": dict(model="touchfish/base", scale=3)},
        train=[DIV2K, LSDIR],
        stages=[
            stage(steps=1_000_000, crop=255, batch=64, losses=L1, learning_rate=5e-4,
                  schedule=dict(name="multi_step", milestones=[200_000, 400_000, 600_000, 800_000], factor=0.5)),
            stage(steps=500_000, crop=513, batch=64, losses=[*L1, *MSE], learning_rate=1e-5)],
        inferred=["patches of 256, as in table 2, are of the HR image", "fine-tuning takes the sum of L1 and MSE",
                  "RepVGG's block for every 3x3 convolution; the places of two of them, and the sums"],
        report=table1("3.17", 13, 11.55, 0.1465, 134.7748, 32.67, 35.31, 0.8468, 19.86)),
    "fadn": entry(
        id="fadn_x3",
        title="P.AI.R: FADN, RFDN with simple gates and simplified channel attention",
        networks={"sr": dict(model="rfdn/fadn", scale=3)},
        train=[LSDIR],
        # inferred: epochs, batch, L1
        stages=[stage(steps=500 * 84_991 // 64, crop=255, batch=64, losses=L1, learning_rate=2e-4,
                      schedule=dict(name="multi_step", milestones=[n * 100 * 84_991 // 64 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["L1, 500 epochs, batch of 64", "patches of 256, as in table 2 for x2, are of the HR image",
                  "the block, the only one found that needs what is published of operations"],
        report=table1("3.13", 14, 8.66, 0.1280, 104.362, 32.55, 35.04, 0.8441, 30.03)),
    "prfdn": entry(
        id="prfdn_x3",
        title="SEU CNII: PRFDN, RFDN's blocks side by side, pruned",
        networks={"sr": dict(model="rfdn/prfdn", scale=3)},
        train=[DIV2K, LSDIR],
        stages=[stage(steps=steps, crop=513, batch=16, losses=L1, learning_rate=rate)  # inferred, but the rates
                for steps, rate in ((200_000, 1e-5), (100_000, 1e-6))],
        inferred=["L1, batch of 16, patches, steps", "starts from fresh parameters, the team from RFDN's",
                  "the pruned widths, which are not published: one for all, 8 % above the published parameters"],
        report=table1("3.19", 15, 6.68, 0.0629, 55.0807, 31.85, 34.52, 0.8326, 19.05)),
    "drcnn": entry(
        id="drcnn_x3",
        title="diSRupt: DRCNN, SCSRN on the nearest enlargement",
        networks={"sr": dict(model="drcnn/base", scale=3)},
        train=[DIV2K],
        stages=[stage(steps=70 * 800 // 16, crop=384, batch=16, losses=MSE, learning_rate=3e-4)],
        inferred=["patches of 128 are of the LR image: both tracks have them",
                  "number and width of the convolutions: 1 % above the published parameters",
                  "the published FLOPs are twice the multiply-accumulates"],
        report=table1("3.21", 16, 6.34, 0.0649, 120.0, 31.64, 34.25, 0.8292, 16.00)),
    "rt4ksr": entry(
        id="rt4ksr_x3",
        title="the organisers' baseline: RT4KSR",
        networks={"sr": dict(model="rt4ksr/base", scale=3)},
        train=[*DF2K, GTAV, LSDIR | dict(split="train[:1000]")],  # inferred
        stages=[stage(steps=500_000, crop=258, batch=64, losses=L1, learning_rate=5e-4, fused=True,  # inferred
                      schedule=dict(name="cosine", end=1e-6))],
        inferred=["all of the training: the report says nothing of it",
                  "the published FLOPs are those of a larger image"],
        report=table1("2.2", None, 14.01, 0.0575, 219.77, 31.74, 34.37, 0.8299, 3.740)),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ntire23_x3", RECIPES, name)
