"""NTIRE 2023 real-time 4K super-resolution, track 1: x2 from 1080p, JPEG quality 90.

    python -m jsr.main --config=configs/ntire23_x2.py            # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ntire23_x2.py:dfcdn      # a team's; needs `jsr build div2k/ntire23_x2` first

Report: Conde et al., Efficient deep models for real-time 4K image super-resolution: NTIRE 2023 benchmark and report,
CVPRW 2023. The entries are in the order of its table 1, whose figures `table1` names. What holds for all of them:
- An epoch is one crop of each image: epochs * images / batch steps. Images: DIV2K 800, Flickr2K 2650, DIV8K 1500,
  GTAV 361, LSDIR 84,991. GTAV is the training frames of VIPER that the user lists in `gtav.txt`: z6's number of them,
  for others say none.
- HR patches are square. Sets that have no builder here (LIU4K-v2, OST, OTS, FFHQ, SCUT-CTW1500, Manga109, web images)
  are left out.
- Float32 where a team used FP16, no average of the parameters, and no gradient clipping unless it is named.
- A teacher is a model file of the user's: --config.networks.teacher.start_from=FILE, as `jsr convert` makes of HAT's.
"""

from jsr._configs.common import pick, recipe, stage

DIV2K, FLICKR2K, DIV8K, GTAV, LSDIR, WED = (
    dict(dataset=f"{name}/ntire23_x2") for name in ("div2k", "flickr2k", "div8k", "gtav", "lsdir", "wed"))
DF2K = [DIV2K, FLICKR2K]

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
MSE = [dict(fn="mse", pred="sr", target="hr", weight=1.0)]
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0, eps=1e-3)]  # inferred: LapSRN's eps
FFT = [dict(fn="fft_l1", pred="sr", target="hr", weight=0.1)]  # inferred weight: ShuffleMixer's, which NJUST-RTSR cites
FROM_TEACHER = [dict(fn="mse", pred="sr", target="teacher(lr)", weight=1.0)]  # inferred weight


def entry(*, train, **fields):
    """A team's recipe, with what all of them have in common."""
    return recipe(protocol="ntire23_x2", input_hw=[1080, 1920], data=dict(train=train, eval=DIV2K), ema_decay=0.0,
                  **fields)


def table1(section, rank, *figures):
    """What the report says of an entry: where, and its row of table 1, whose FLOPs are multiply-accumulates."""
    columns = "score", "params_M", "macs_G", "psnr_rgb", "psnr_y", "ssim_rgb", "runtime_ms"
    return dict(section=section, rank=rank, **dict(zip(columns, figures, strict=True)))


RECIPES = {
    "quick": recipe(
        title="a small LRSRN on the embedded photographs, minutes on two cores",
        protocol="ntire23_x2",
        networks={"sr": dict(model="plain/lrsrn", scale=2, fields=dict(num_feat=16, num_block=2))},
        # Five photographs: LR made on the fly and colours exchanged, or it learns their palette by heart
        data=dict(train=dict(dataset="photos/ntire23_x2", degrade="ntire23_x2"), eval=dict(dataset="photos/ntire23_x2"),
                  num_workers=1),
        stages=[stage(steps=3000, crop=128, batch=8, losses=L1, learning_rate=2e-3, clip_norm=1.0, fused=True,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
    "asconvsr": entry(
        id="asconvsr_x2",
        title="Noah_TerminalVision: AsConvSR, kernels assembled for each image from a shared basis",
        networks={"sr": dict(model="asconvsr/base", scale=2)},
        train=[*DF2K, DIV8K, GTAV],
        stages=[stage(steps=3_000_000, crop=240, batch=16, losses=CHARBONNIER, learning_rate=5e-4,  # inferred: batch
                      schedule=dict(name="multi_step", milestones=[*range(200_000, 3_000_000, 200_000)], factor=0.5))],
        inferred=["batch of 16, Charbonnier's eps of 1e-3",
                  "candidates, and the control module with its width: 2 % below the published parameters",
                  "ReLU behind the assembled convolutions"],
        report=table1("3.1", 1, 24.13, 2.3523, 9.062, 35.02, 37.74, 0.8957, 3.190)),
    "runet": entry(
        id="runet_x2",
        title="ALONG: RUNet, three re-parameterised blocks at a third of the LR size, taught by HAT-L",
        networks={"sr": dict(model="plain/runet", scale=2), "teacher": dict(model="hat/large", scale=2)},
        chain=["sr"],
        train=DF2K,  # inferred
        stages=[  # inferred, but the crop and the losses
            stage(steps=300_000, crop=384, batch=16, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="cosine", end=1e-7)),
            stage(steps=100_000, crop=384, batch=16, losses=[*MSE, *FROM_TEACHER], learning_rate=1e-4, fused=True,
                  schedule=dict(name="cosine", end=1e-7))],
        inferred=["data, optimizer, learning rates, schedules, batch and steps",
                  "patches of 192, as in table 2, are of the LR image", "MSE with the teacher's image weighs 1",
                  "the branches of RepBlock: FMEN's; the skip: the nearest enlargement"],
        report=table1("3.3", 2, 23.81, 0.0668, 15.3281, 34.63, 37.38, 0.8906, 1.910)),
    "repnet": entry(
        id="repnet_x2",
        title="RTVSR: Repnet, three convolutions at half the LR size, trained as 3x3, BatchNorm, 1x1",
        networks={"sr": dict(model="plain/repnet", scale=2)},
        train=[*DF2K, DIV8K, GTAV],
        stages=[
            stage(steps=150 * 5311 // 32, crop=512, batch=32, losses=L1, learning_rate=2e-4),  # inferred: L1
            stage(steps=50 * 5311 // 16, crop=512, batch=16, losses=MSE, learning_rate=1e-5)],
        inferred=["L1 in the first stage", "patches of 256 are of the LR image: both tracks have them",
                  "the training block's width between its convolutions: twice the features", "ReLU, no skip"],
        report=table1("3.5", 3, 23.13, 0.0266, 13.7687, 34.71, 37.50, 0.8910, 2.240)),
    "team_ov": entry(
        id="team_ov_x2",
        title="Team OV: four convolutions of 12 features",
        networks={"sr": dict(model="plain/team_ov", scale=2)},
        train=DF2K,
        stages=[stage(steps=300_000, crop=256, batch=64, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine", end=1e-7))
                for losses, rate in (([*L1, *FFT], 1e-3), ([*L1, *FFT], 1e-3), ([*MSE, *FFT], 5e-4))],
        inferred=["weight 0.1 of the FFT loss", "the branches of the training block, which only a figure shows: FMEN's",
                  "no biases, forced by the counts; no skip"],
        report=table1("3.4", 4, 19.06, 0.0042, 8.734, 34.62, 37.45, 0.8899, 2.910)),
    "dfcdn": entry(
        id="dfcdn_x2",
        title="DFCDN Team: one block of deep feature complement and distillation, fused at every step (OREPA)",
        networks={"sr": dict(model="dfcdn/base", scale=2)},
        train=[DIV2K],
        stages=[
            *[stage(steps=1000 * 800 // 64, crop=crop, batch=64, losses=L1, learning_rate=5e-4, fused=True,
                    schedule=dict(name="cosine")) for crop in (256, 640)],
            stage(steps=100 * 800 // 64, crop=640, batch=64, losses=MSE, learning_rate=1e-5, fused=True)],
        inferred=["the block's convolutions and its attention: 10 % above the published parameters",
                  "the cosines end at 0, the last rate is constant"],
        report=table1("3.6", 5, 15.17, 0.0064, 6.0881, 34.63, 37.46, 0.8916, 4.670)),
    "qqcoin": entry(
        id="qqcoin_x2",
        title="DoYouChargeQQCoin: two convolutions and a ReLU",
        networks={"sr": dict(model="plain/qqcoin", scale=2)},
        train=[DIV2K],
        # inferred: epochs, batch, L1
        stages=[stage(steps=1000 * 800 // 16, crop=256, batch=16, losses=L1, learning_rate=1e-3,
                      schedule=dict(name="multi_step", milestones=[n * 200 * 800 // 16 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["1000 epochs, batch of 16, L1", "patches of 256, as in table 2, are of the HR image"],
        report=table1("3.16", 6, 15.07, 0.0008, 1.6921, 34.14, 36.97, 0.8855, 2.380)),
    "njust_rtsr": entry(
        id="njust_rtsr_x2",
        title="NJUST-RTSR: four re-parameterised residual blocks of 16 features, growing patches",
        networks={"sr": dict(model="plain/njust_rtsr", scale=2)},
        train=DF2K,
        stages=[stage(steps=150_000, crop=crop, batch=64, losses=[*L1, *FFT], learning_rate=1e-3, fused=True,
                      schedule=dict(name="cosine", end=1e-6)) for crop in (128, 256)],
        inferred=["the 300k steps in halves, one for each size of patches, each with a cosine of its own",
                  "weight 0.1 of the FFT loss, as in ShuffleMixer", "the branches of RepRB, GELU after each block"],
        report=table1("3.7", 7, 14.96, 0.0114, 23.5893, 34.74, 37.64, 0.8901, 5.560)),
    "scsyenet": entry(
        id="scsyenet_x2",
        title="Multimedia: SCSYENet, products of asymmetric branches, and the input once more before the end",
        networks={"sr": dict(model="syenet/scsyenet", scale=2)},
        train=DF2K,
        stages=[stage(steps=1000 * 3450 // batch, crop=crop, batch=batch, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine_restarts", period=200 * 3450 // batch))
                for crop, batch, losses, rate in ((128, 32, L1, 1e-4), (128, 32, L1, 1e-4), (640, 4, MSE, 1e-5))],
        inferred=["the cosine starts anew every 200 epochs, at the same height, and ends at 0",
                  "squares of 640 for patches of 2040x1080",
                  "both branches of the second product are 3x3, by the counts",
                  "the factor 0.1 of the products and the input's range: SYENet's"],
        report=table1("3.9", 8, 14.09, 0.0100, 20.4125, 34.85, 37.61, 0.8926, 7.300)),
    "pixelbe": entry(
        id="pixelbe_x2",
        title="PixelBE: first a clean LR image, then the HR image, two ECBs each",
        networks={"sr": dict(model="pixelbe/base", scale=2)},
        train=[dict(dataset="lsdir/hr", degrade="ntire23_x2")],  # online, says the report
        stages=[
            stage(steps=100_000, crop=256, batch=96, learning_rate=1e-3, fused=True,  # inferred: batch, weight
                  losses=[*L1, dict(fn="l1", pred="lr_clean", target="lr_clean", weight=1.0)]),
            stage(steps=150_000, crop=256, batch=96, losses=L1, learning_rate=5e-4, fused=True)],
        inferred=["batch of 96: the author's of AIS 2024", "the JPEG loss is an L1 with weight 1",
                  "the widths: one of about thirty solutions of the published counts"],
        report=table1("3.14", 9, 13.12, 0.0137, 14.7226, 34.70, 37.52, 0.8908, 6.840)),
    "lrsrn": entry(
        id="lrsrn_x2",
        title="z6: LRSRN, six convolutions of 32 features, four of them 256 wide in training",
        networks={"sr": dict(model="plain/lrsrn", scale=2)},
        train=[*DF2K, GTAV, LSDIR | dict(split="train[:1000]")],
        # 20 crops of an image in an epoch, restarts and clipping: the official code; 4811 images in the second stage
        stages=[stage(steps=epochs * 20 * images // 8, crop=384, batch=8, data=data, losses=losses, learning_rate=rate,
                      clip_norm=0.1, fused=True,
                      schedule=dict(name="cosine_restarts", period=epochs * 20 * images // 40, factor=0.5, end=1e-6))
                for epochs, images, data, losses, rate in ((800, 800, [DIV2K], L1, 5e-4), (200, 4811, [], MSE, 1e-4))],
        inferred=["crops of whole images; the team cut these to 2040x1080 first"],
        report=table1("3.8", 10, 12.87, 0.0414, 85.7309, 35.02, 37.76, 0.8948, 11.19)),
    "oelsr": entry(
        id="oelsr_x2",
        title="AGSR: OELSR, four convolutions of 16 features and one PReLU",
        networks={"sr": dict(model="plain/oelsr", scale=2)},
        train=DF2K,
        stages=[stage(steps=steps, crop=512, batch=64, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine", end=1e-6))  # inferred: steps, rates, schedule
                for steps, losses, rate in ((200_000, CHARBONNIER, 5e-4), (100_000, MSE, 1e-4))],
        inferred=["steps, learning rates and schedules", "Charbonnier's eps of 1e-3",
                  "patches of 512 are of the HR image", "the PReLU's place and its single slope; no skip"],
        report=table1("3.15", 11, 12.77, 0.0068, 14.0673, 34.31, 37.00, 0.8888, 4.220)),
    "erlfn": entry(
        id="erlfn_x2",
        title="Antins_cv: ERLFN, two RLFN blocks of 12 features without attention, FMEN's blocks in training",
        networks={"sr": dict(model="rlfn/erlfn", scale=2)},
        train=[*DF2K, DIV8K, WED],
        # about 23,000 images of the team's, 9,694 of which are here
        stages=[
            stage(steps=1000 * 23_000 // 64, crop=256, batch=64, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="multi_step", milestones=[n * 200 * 23_000 // 64 for n in (1, 2, 3, 4)],
                                factor=0.5)),
            stage(steps=500 * 23_000 // 64, crop=256, batch=64, losses=MSE, learning_rate=1e-4, fused=True,
                  schedule=dict(name="cosine"))],
        inferred=["23,000 images in an epoch, with OST, FFHQ and SCUT-CTW1500",
                  "patches and batch of the second stage are the first's; its cosine ends at 0"],
        report=table1("3.10", 12, 11.25, 0.0111, 22.9174, 34.71, 37.56, 0.8921, 9.470)),
    "pcrtsr": entry(
        id="pcrtsr_x2",
        title="ECNU_SR: PCRTSR, partial convolutions at half the LR size",
        networks={"sr": dict(model="pcrtsr/base", scale=2)},
        # first DF2K, then the others; the report's 8e6 and 1.4e7 iterations are samples here, in batches of 16
        train=[*(row | dict(steps=[0, 875_000]) for row in DF2K),
               *(row | dict(steps=[875_000, 1_000_000]) for row in (DIV8K, LSDIR, GTAV))],
        stages=[stage(steps=1_000_000, crop=256, batch=16, losses=L1, learning_rate=5e-4,
                      schedule=dict(name="multi_step", milestones=[500_000, 875_000], factor=0.5))],
        inferred=["batch of 16",
                  "iterations are counted in samples: 1.4e7 steps do not fit into table 2's 30 hours",
                  "the data change at the second milestone; the end", "patches of 256 are of the HR image",
                  "the last convolution is 1x1, where the text has 3x3: by the counts"],
        report=table1("3.11", 13, 10.37, 0.1623, 83.2094, 35.30, 37.95, 0.8971, 25.23)),
    "r2cnet": entry(
        id="r2cnet_x2",
        title="R.I.P. ShopeeVideo: R2CNet, narrow stacks inside wide blocks at half the LR size",
        networks={"sr": dict(model="r2cnet/base", scale=2)},
        train=[*DF2K, LSDIR | dict(split="train[:50%]")],
        stages=[stage(steps=100_000, crop=512, batch=96, learning_rate=rate,
                      losses=[dict(fn="psnr", pred="sr", target="hr", weight=1.0)],
                      schedule=dict(name="cosine", warmup_steps=warmup))
                for rate, warmup in ((5e-4, 5000), (5e-4, 5000), (2e-4, 0))],
        inferred=["the half of LSDIR: the first one", "the cosines end at 0",
                  "the layout of the blocks' 1x1 convolutions and skips, which the counts leave open"],
        report=table1("3.12", 14, 9.68, 0.3987, 272.7942, 35.32, 38.01, 0.8971, 29.73)),
    "dhisp": entry(
        id="dhisp_x2",
        title="dh_isp: four re-parameterised blocks beside a 1x1 convolution, attention to the output",
        networks={"sr": dict(model="dhisp/base", scale=2)},
        train=DF2K,
        stages=[stage(steps=epochs * 3450 // 16, crop=512, batch=16, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="multi_step", milestones=[n * epochs // 4 * 3450 // 16 for n in (1, 2, 3)],
                                    factor=0.5))
                for epochs, losses, rate in ((800, L1, 1e-3), (200, MSE, 1e-4))],
        inferred=["patches of 256 are of the LR image", "the attention of the output, without parameters",
                  "the branches of RepBlock: RepRFN's"],
        report=table1("3.18", 15, 7.63, 0.0113, 23.4234, 33.99, 36.89, 0.8809, 7.600)),
    "fadn": entry(
        id="fadn_x2",
        title="P.AI.R: FADN, RFDN with simple gates and simplified channel attention",
        networks={"sr": dict(model="rfdn/fadn", scale=2)},
        train=[LSDIR],
        # inferred: epochs, batch, L1
        stages=[stage(steps=500 * 84_991 // 64, crop=256, batch=64, losses=L1, learning_rate=2e-4,
                      schedule=dict(name="multi_step", milestones=[n * 100 * 84_991 // 64 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["L1, 500 epochs, batch of 64", "patches of 256, as in table 2, are of the HR image",
                  "the block, the only one found that needs what is published of operations"],
        report=table1("3.13", 16, 6.27, 0.0212, 38.486, 34.65, 37.47, 0.8905, 28.31)),
    "lfdn_ntubl6": entry(
        id="lfdn_ntubl6_x2",
        title="NTU BL6: RLFN of 52 features, of which 32 are kept",
        networks={"sr": dict(model="rlfn/lfdn_ntubl6", scale=2, fields=dict(num_feat=52))},
        train=[*DF2K, GTAV],
        # The first stage stands for the published network that the team took: networks.sr.start_from=FILE would be it.
        stages=[stage(steps=300_000, crop=256, batch=64, data=data, losses=L1, learning_rate=5e-4, begin=begin,
                      schedule=dict(name="multi_step", milestones=[100_000, 200_000], factor=0.5))  # inferred
                for data, begin in (
                    ([DIV2K], []),
                    ([], [dict(net="sr", carry="select_channels", fields=dict(num_feat=32))]))],
        inferred=["steps, schedule and batch of 64", "patches of 256, as in table 2, are of the HR image",
                  "which channels stay: those with the largest kernels"],
        report=table1("3.20", 17, 6.07, 0.2223, 409.8416, 35.26, 38.04, 0.8977, 69.37)),
    "drcnn": entry(
        id="drcnn_x2",
        title="diSRupt: DRCNN, SCSRN on the nearest enlargement",
        networks={"sr": dict(model="drcnn/base", scale=2)},
        train=[DIV2K],
        stages=[stage(steps=70 * 800 // 16, crop=256, batch=16, losses=MSE, learning_rate=3e-4)],
        inferred=["patches of 128 are of the LR image: both tracks have them",
                  "number and width of the convolutions: 8 % above the published parameters",
                  "the published FLOPs are twice the multiply-accumulates"],
        report=table1("3.21", 18, 5.54, 0.0500, 207.0, 34.07, 36.86, 0.8830, 16.00)),
    "touchfish": entry(
        id="touchfish_x2",
        title="Touch Fish: blocks whose later features mask the earlier ones",
        networks={"sr": dict(model="touchfish/base", scale=2)},
        train=[DIV2K, LSDIR],
        stages=[
            stage(steps=1_000_000, crop=256, batch=64, losses=L1, learning_rate=5e-4,
                  schedule=dict(name="multi_step", milestones=[200_000, 400_000, 600_000, 800_000], factor=0.5)),
            stage(steps=500_000, crop=512, batch=64, losses=[*L1, *MSE], learning_rate=1e-5)],
        inferred=["patches of 256, as in table 2, are of the HR image", "fine-tuning takes the sum of L1 and MSE",
                  "RepVGG's block for every 3x3 convolution; the places of two of them, and the sums"],
        report=table1("3.17", 19, 5.03, 0.0641, 132.5777, 34.28, 37.14, 0.8862, 26.31)),
    "prfdn": entry(
        id="prfdn_x2",
        title="SEU CNII: PRFDN, RFDN's blocks side by side, pruned",
        networks={"sr": dict(model="rfdn/prfdn", scale=2)},
        train=[DIV2K, LSDIR],
        stages=[stage(steps=steps, crop=512, batch=16, losses=L1, learning_rate=rate)  # inferred, but the rates
                for steps, rate in ((200_000, 1e-5), (100_000, 1e-6))],
        inferred=["L1, batch of 16, patches, steps", "starts from fresh parameters, the team from RFDN's",
                  "the pruned widths, which are not published: one for all, 2 % above the published parameters"],
        report=table1("3.19", 20, 4.84, 0.0299, 58.5454, 34.24, 37.10, 0.8858, 26.89)),
    "elis": entry(
        id="elis_x2",
        title="KCML2: ELIS, split channels in parallel with spatial attention, after XLSR",
        networks={"sr": dict(model="elis/base", scale=2)},
        train=DF2K,
        stages=[stage(steps=100_000, crop=512, batch=64, learning_rate=2.5e-3,
                      losses=[dict(fn="charbonnier", pred="sr", target="hr", weight=1.0, eps=0.1)],
                      augment=["flip_rotate", "scale_intensity"],
                      schedule=dict(name="cyclic", start=5e-5, up=50_000))
                for _ in range(3)],
        inferred=["three stages of 100k steps, each one triangle between XLSR's learning rates, 5e-5 and 2.5e-3",
                  "intensities of 1, 0.7 and 0.5, which are XLSR's", "rotations too",
                  "what is not said of XLSR's blocks is as in XLSR; the form of the attention"],
        report=table1("3.22", 21, 3.99, 0.0392, 57.2567, 34.24, 37.10, 0.8851, 39.17)),
    "npu_sr": entry(
        id="npu_sr_x2",
        title="NPU SR: ECBSR with a wavelet transform for the edge filters",
        networks={"sr": dict(model="plain/npu_sr", scale=2)},
        train=DF2K,
        stages=[stage(steps=300_000, crop=256, batch=32, losses=L1, learning_rate=5e-4, fused=True,
                      schedule=dict(name="cosine", end=1e-6))],  # inferred, but the rate
        inferred=["L1, batch of 32, patches of 256, steps, cosine",
                  "depth and width, which the report does not give: ECBSR's, 3 % below the published parameters",
                  "the published FLOPs, marked by the report itself, are of something else"],
        report=table1("3.23", 22, 3.45, 0.2001, 0.165, 34.49, 37.42, 0.8895, 74.00)),
    "ynot": entry(
        id="ynot_x2",
        title="YNOT: IMDN with fast Fourier convolutions and wavelets",
        networks={"sr": dict(model="imdn/ynot", scale=2)},
        train=[DIV2K],
        # inferred: batch, milestones
        stages=[stage(steps=500 * 800 // 16, crop=256, batch=16, losses=L1, learning_rate=2e-4,
                      schedule=dict(name="multi_step", milestones=[n * 100 * 800 // 16 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["batch of 16, halved every 100 epochs", "patches of 256, as in table 2, are of the HR image",
                  "where Fourier convolutions and wavelets stand in IMDN: 2 % above the published parameters"],
        report=table1("3.24", 23, 2.25, 0.4734, 422.6991, 34.03, 36.99, 0.8844, 92.79)),
    "rt4ksr": entry(
        id="rt4ksr_x2",
        title="the organisers' baseline: RT4KSR",
        networks={"sr": dict(model="rt4ksr/base", scale=2)},
        train=[*DF2K, GTAV, LSDIR | dict(split="train[:1000]")],  # inferred
        stages=[stage(steps=500_000, crop=256, batch=64, losses=L1, learning_rate=5e-4, fused=True,  # inferred
                      schedule=dict(name="cosine", end=1e-6))],
        inferred=["all of the training: the report says nothing of it",
                  "the published FLOPs are those of a larger image"],
        report=table1("2.2", None, 9.27, 0.0445, 171.99, 34.22, 37.01, 0.8854, 7.090)),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ntire23_x2", RECIPES, name)
