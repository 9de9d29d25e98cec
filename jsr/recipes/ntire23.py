"""Shared parts of NTIRE 2023's two tracks of real-time 4K super-resolution: x2 from 1080p, x3 from 720p.

Report: Conde et al., Efficient deep models for real-time 4K image super-resolution: NTIRE 2023 benchmark and report,
CVPRW 2023. Sixteen teams entered both tracks: their methods are functions of the scale here, each with what the report
says of one track alone as arguments. What holds for all entries:
- An epoch is one crop of each image: epochs * images / batch steps. Images: DIV2K 800, Flickr2K 2650, DIV8K 1500,
  GTAV 361, LSDIR 84,991. GTAV is the training frames of VIPER that the user lists in `gtav.txt`: z6's number of them,
  for others say none.
- At x3, square patches whose size the report gives for both tracks are the nearest size that 3, and what the network
  asks for, divide: 255 or 258 for 256.
- Sets that have no builder here are folders that the user fills (`jsr zoo ntire23_x2:erlfn` lists them).
- No average of the parameters, and no gradient clipping unless it is named.
- A teacher is a model file of the user's: --config.networks.teacher.start_from=FILE, as `jsr convert` makes of HAT's.
"""

from jsr.recipes.writing import recipe, stage

DF2K = "div2k", "flickr2k"
LSDIR_1000 = dict(dataset="lsdir", split="train[:1000]")
INPUT_HW = {2: [1080, 1920], 3: [720, 1280]}

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
MSE = [dict(fn="mse", pred="sr", target="hr", weight=1.0)]
CHARBONNIER = [dict(fn="charbonnier", pred="sr", target="hr", weight=1.0, eps=1e-3)]  # inferred: LapSRN's eps
FFT = [dict(fn="fft_l1", pred="sr", target="hr", weight=0.1)]  # inferred weight: ShuffleMixer's, which NJUST-RTSR cites
# An enlarged image that is added to the output shows in no count.
ANCHOR = ("anchor: bilinear; that there is one is likely, as in all small networks whose code turned up, which one is "
          "a guess, Repnet's")
FROM_TEACHER = [dict(fn="mse", pred="sr", target="teacher(lr)", weight=1.0)]  # inferred weight


def rows(scale, *sets):
    """Rows of data of a track.

    Args:
      scale: scale of the track.
      *sets: names of datasets, or rows; a name without a configuration, "div2k", gets the track's, and LR images of a
        folder that the user fills, "folders/ost", are made on the fly.
    """
    track = f"ntire23_x{scale}"
    found = [dict(dataset=each) if isinstance(each, str) else each for each in sets]
    return [row | dict(degrade=track) if row["dataset"].startswith("folders/") else
            row if "/" in row["dataset"] else row | dict(dataset=f"{row['dataset']}/{track}") for row in found]


def entry(name, scale, *, train, **fields):
    """A team's recipe, with what all of them have in common; `train` is as for `rows`."""
    evaluated, = rows(scale, "div2k")
    return recipe(entry=f"{name}_x{scale}", protocol=f"ntire23_x{scale}", input_hw=INPUT_HW[scale],
                  data=dict(train=rows(scale, *train), eval=evaluated), ema_decay=0.0, **fields)


def quick(scale, *, title, network):
    """A recipe of our own for any machine, of a small network."""
    photos = dict(dataset=f"photos/ntire23_x{scale}")
    return recipe(
        title=f"{title} on the embedded photographs, minutes on two cores",
        protocol=f"ntire23_x{scale}",
        networks={"sr": network | dict(scale=scale)},
        # Five photographs: LR made on the fly and colours exchanged, or it learns their palette by heart
        data=dict(train=photos | dict(degrade=f"ntire23_x{scale}"), eval=photos, num_workers=1),
        stages=[stage(steps=3000, crop=64 * scale, batch=8, losses=L1, learning_rate=2e-3, clip_norm=1.0, fused=True,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate", "permute_rgb"])],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250)


def asconvsr(scale, *, misfit):
    """Noah_TerminalVision's entry."""
    return entry(
        "asconvsr", scale,
        title="Noah_TerminalVision: AsConvSR, kernels assembled for each image from a shared basis",
        networks={"sr": dict(model="asconvsr/base", scale=scale)},
        train=[*DF2K, "div8k", "gtav", "folders/liu4k"],
        stages=[stage(steps=3_000_000, crop=240, batch=16, losses=CHARBONNIER, learning_rate=5e-4,  # inferred: batch
                      schedule=dict(name="multi_step", milestones=[*range(200_000, 3_000_000, 200_000)], factor=0.5))],
        inferred=["batch of 16, Charbonnier's eps of 1e-3",
                  f"candidates, and the control module with its width: {misfit} the published parameters",
                  "ReLU behind the assembled convolutions"])


def runet(scale, *, blocks, inferred=()):
    """ALONG's entry."""
    return entry(
        "runet", scale,
        title=f"ALONG: RUNet, {blocks} of the LR size, taught by HAT-L",
        networks={"sr": dict(model="plain/runet", scale=scale), "teacher": dict(model="hat/large", scale=scale)},
        chain=["sr"],
        train=DF2K,  # inferred
        stages=[  # inferred, but the crop and the losses
            stage(steps=300_000, crop=192 * scale, batch=16, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="cosine", end=1e-7)),
            stage(steps=100_000, crop=192 * scale, batch=16, losses=[*MSE, *FROM_TEACHER], learning_rate=1e-4,
                  fused=True, schedule=dict(name="cosine", end=1e-7))],
        inferred=["data, optimizer, learning rates, schedules, batch and steps",
                  "patches of 192, as in table 2, are of the LR image", "MSE with the teacher's image weighs 1",
                  "the branches of RepBlock: FMEN's",
                  "anchor: nearest; that there is a skip is stated, that it is this one is a guess", *inferred])


def repnet(scale, *, number):
    """RTVSR's entry."""
    return entry(
        "repnet", scale,
        title=f"RTVSR: Repnet, {number} convolutions at half the LR size beside a bilinear enlargement, trained as "
              "3x3, BatchNorm, 1x1",
        networks={"sr": dict(model="plain/repnet", scale=scale)},
        train=[*DF2K, "div8k", "gtav"],
        stages=[
            stage(steps=150 * 5311 // 32, crop=256 * scale, batch=32, losses=L1, learning_rate=2e-4),  # inferred: L1
            stage(steps=50 * 5311 // 16, crop=256 * scale, batch=16, losses=MSE, learning_rate=1e-5)],
        inferred=["L1 in the first stage", "patches of 256 are of the LR image: both tracks have them",
                  "the training block's width between its convolutions: twice the features; the official code has the "
                  "deployed network alone"])


def team_ov(scale, *, forced):
    """Team OV's entry."""
    return entry(
        "team_ov", scale,
        title="Team OV: four convolutions of 12 features",
        networks={"sr": dict(model="plain/team_ov", scale=scale)},
        train=DF2K,
        stages=[stage(steps=300_000, crop=128 * scale, batch=64, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine", end=1e-7))
                for losses, rate in (([*L1, *FFT], 1e-3), ([*L1, *FFT], 1e-3), ([*MSE, *FFT], 5e-4))],
        inferred=["weight 0.1 of the FFT loss", "the branches of the training block, which only a figure shows: FMEN's",
                  f"{forced} forced by the counts", ANCHOR])


def dfcdn(scale, *, title, crops, misfit, carry=""):
    """DFCDN Team's entry."""
    return entry(
        "dfcdn", scale,
        title=f"DFCDN Team: {title}, fused at every step (OREPA)",
        networks={"sr": dict(model="dfcdn/base", scale=scale, carry=carry)},
        train=["div2k"],
        stages=[
            *[stage(steps=1000 * 800 // 64, crop=crop, batch=64, losses=L1, learning_rate=5e-4, fused=True,
                    schedule=dict(name="cosine")) for crop in crops],
            stage(steps=100 * 800 // 64, crop=crops[-1], batch=64, losses=MSE, learning_rate=1e-5, fused=True)],
        inferred=[f"the block's convolutions: {misfit} the published parameters",
                  "the attention: RLFN's ESA, with the 16 channels that the report gives, for the efficient spatial "
                  "attention of its reference 63",
                  f"the {'cosines end' if len(crops) > 1 else 'cosine ends'} at 0, the last rate is constant"])


def njust_rtsr(scale, *, crops):
    """NJUST-RTSR's entry."""
    return entry(
        "njust_rtsr", scale,
        title="NJUST-RTSR: four re-parameterised residual blocks of 16 features, growing patches",
        networks={"sr": dict(model="plain/njust_rtsr", scale=scale)},
        train=DF2K,
        stages=[stage(steps=150_000, crop=crop, batch=64, losses=[*L1, *FFT], learning_rate=1e-3, fused=True,
                      schedule=dict(name="cosine", end=1e-6)) for crop in crops],
        inferred=["the 300k steps in halves, one for each size of patches, each with a cosine of its own",
                  "weight 0.1 of the FFT loss, as in ShuffleMixer", "the branches of RepRB, GELU after each block",
                  ANCHOR],
        left_out=[f"the team cuts images into pieces of {320 * scale}x{320 * scale} before it takes crops of them"])


def scsyenet(scale, *, crop, table):
    """Multimedia's entry; `crop` is of the first two stages."""
    return entry(
        "scsyenet", scale,
        title="Multimedia: SCSYENet, products of asymmetric branches, and the input once more before the end",
        networks={"sr": dict(model="syenet/scsyenet", scale=scale)},
        train=DF2K,
        # five restarts, each of 200 epochs of 3450 images
        stages=[stage(steps=5 * (200 * 3450 // batch), crop=size, batch=batch, losses=losses, learning_rate=rate,
                      fused=True, augment=augment,
                      schedule=dict(name="cosine_restarts", period=200 * 3450 // batch))
                for size, batch, losses, rate, augment in (
                    (crop, 32, L1, 1e-4, ["flip_rotate"]), (crop, 32, L1, 1e-4, ["flip_rotate"]),
                    ((1080, 2040), 4, MSE, 1e-5, ["flip"]))],
        inferred=["the cosine starts anew every 200 epochs, at the same height, and ends at 0",
                  "\"this process repeats once\": the second stage is the first one once more",
                  f"patches of 128 of the HR image, as in the text; table 2 has inputs of {table}",
                  "patches of 2040x1080 are not turned, and images that are less high or wide are mirrored",
                  "both branches of the second product are 3x3, by the counts",
                  "the factor 0.1 of the products and the input's range: SYENet's"])


def lrsrn(scale, *, wide):
    """z6's entry."""
    return entry(
        "lrsrn", scale,
        title=f"z6: LRSRN, six convolutions of 32 features, {wide} in training",
        networks={"sr": dict(model="plain/lrsrn", scale=scale)},
        train=[*DF2K, "gtav", LSDIR_1000],
        # 20 crops of an image in an epoch, restarts and clipping: the official code; 4811 images in the second stage
        stages=[stage(steps=epochs * 20 * images // 8, crop=384, batch=8, data=rows(scale, *sets), losses=losses,
                      learning_rate=rate, clip_norm=0.1, fused=True,
                      schedule=dict(name="cosine_restarts", period=epochs * 20 * images // 40, factor=0.5, end=1e-6))
                for epochs, images, sets, losses, rate in (
                    (800, 800, ["div2k"], L1, 5e-4), (200, 4811, [], MSE, 1e-4))],
        left_out=["the team cuts images to 2040x1080 in their middle before it takes crops of them"])


def erlfn(scale, *, title, crop, inferred=()):
    """Antins_cv's entry."""
    return entry(
        "erlfn", scale,
        title=f"Antins_cv: ERLFN, two RLFN blocks {title}",
        networks={"sr": dict(model="rlfn/erlfn", scale=scale)},
        train=[*DF2K, "div8k", "wed", "folders/ost", "folders/ffhq", "folders/scut_ctw1500"],
        # about 23,000 images of the team's
        stages=[
            stage(steps=1000 * 23_000 // 64, crop=crop, batch=64, losses=L1, learning_rate=5e-4, fused=True,
                  schedule=dict(name="multi_step", milestones=[n * 200 * 23_000 // 64 for n in (1, 2, 3, 4)],
                                factor=0.5)),
            stage(steps=500 * 23_000 // 64, crop=crop, batch=64, losses=MSE, learning_rate=1e-4, fused=True,
                  schedule=dict(name="cosine"))],
        inferred=[*inferred, "23,000 images in an epoch, with DIV8K's in pieces; folders/ffhq is to hold the first "
                  "2,000 images of FFHQ, folders/scut_ctw1500 the first 1,000 of SCUT-CTW1500",
                  "patches and batch of the second stage are the first's; its cosine ends at 0"])


def pcrtsr(scale, *, crop):
    """ECNU_SR's entry."""
    return entry(
        "pcrtsr", scale,
        title="ECNU_SR: PCRTSR, partial convolutions at half the LR size",
        networks={"sr": dict(model="pcrtsr/base", scale=scale)},
        # first DF2K, then the others; the report's 8e6 and 1.4e7 iterations are samples here, in batches of 16
        train=[*(dict(dataset=name, steps=[0, 875_000]) for name in DF2K),
               *(dict(dataset=name, steps=[875_000, 1_000_000])
                 for name in ("div8k", "folders/ffhq", "lsdir", "gtav"))],
        stages=[stage(steps=1_000_000, crop=crop, batch=16, losses=L1, learning_rate=5e-4,
                      schedule=dict(name="multi_step", milestones=[500_000, 875_000], factor=0.5))],
        inferred=["batch of 16", "iterations are counted in samples: 1.4e7 steps do not fit into table 2's 30 hours",
                  "the data change at the second milestone; the end", "patches of 256 are of the HR image",
                  "the last convolution is 1x1, where the text has 3x3: by the counts"])


def r2cnet(scale, *, crop):
    """R.I.P. ShopeeVideo's entry."""
    return entry(
        "r2cnet", scale,
        title="R.I.P. ShopeeVideo: R2CNet, narrow stacks inside wide blocks at half the LR size",
        networks={"sr": dict(model="r2cnet/base", scale=scale)},
        train=[*DF2K, dict(dataset="lsdir", split="train[:50%]")],
        stages=[stage(steps=100_000, crop=crop, batch=96, learning_rate=rate,
                      losses=[dict(fn="psnr", pred="sr", target="hr", weight=1.0)],
                      schedule=dict(name="cosine", warmup_steps=warmup))
                for rate, warmup in ((5e-4, 5000), (5e-4, 5000), (2e-4, 0))],
        inferred=["the half of LSDIR: the first one", "the cosines end at 0",
                  "the layout of the blocks' 1x1 convolutions and skips, which the counts leave open"])


def fadn(scale, *, crop, source):
    """P.AI.R's entry; `source` says where the size of patches is from."""
    return entry(
        "fadn", scale,
        title="P.AI.R: FADN, RFDN with simple gates and simplified channel attention",
        networks={"sr": dict(model="rfdn/fadn", scale=scale)},
        train=["lsdir"],
        # inferred: epochs, batch, L1
        stages=[stage(steps=500 * 84_991 // 64, crop=crop, batch=64, losses=L1, learning_rate=2e-4,
                      schedule=dict(name="multi_step", milestones=[n * 100 * 84_991 // 64 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["L1, 500 epochs, batch of 64", f"patches of 256, {source}, are of the HR image",
                  "the block, the only one found that needs what is published of operations"])


def drcnn(scale, *, misfit):
    """diSRupt's entry."""
    return entry(
        "drcnn", scale,
        title="diSRupt: DRCNN, SCSRN on the nearest enlargement",
        networks={"sr": dict(model="drcnn/base", scale=scale)},
        train=["div2k"],
        stages=[stage(steps=70 * 800 // 16, crop=128 * scale, batch=16, losses=MSE, learning_rate=3e-4)],
        inferred=["patches of 128 are of the LR image: both tracks have them",
                  f"number and width of the convolutions: {misfit} the published parameters",
                  "the published FLOPs are twice the multiply-accumulates"])


def touchfish(scale, *, crops, inferred=()):
    """Touch Fish's entry."""
    first, last = crops
    return entry(
        "touchfish", scale,
        title="Touch Fish: blocks whose later features mask the earlier ones",
        networks={"sr": dict(model="touchfish/base", scale=scale)},
        train=["div2k", "lsdir"],
        stages=[
            stage(steps=1_000_000, crop=first, batch=64, losses=L1, learning_rate=5e-4,
                  schedule=dict(name="multi_step", milestones=[200_000, 400_000, 600_000, 800_000], factor=0.5)),
            stage(steps=500_000, crop=last, batch=64, losses=[*L1, *MSE], learning_rate=1e-5)],
        inferred=["patches of 256, as in table 2, are of the HR image", "fine-tuning takes the sum of L1 and MSE",
                  "RepVGG's block for every 3x3 convolution; the places of two of them, and the sums", *inferred])


def prfdn(scale, *, crop, branches):
    """SEU CNII's entry; `crop` is `scale` times the input of table 2, an LR image of DIV2K."""
    return entry(
        "prfdn", scale,
        title=f"SEU CNII: PRFDN, RFDN's blocks in {branches} branches, merged and pruned",
        networks={"sr": dict(model="prfdn/base", scale=scale)},
        train=["div2k", "lsdir"],
        stages=[stage(steps=steps, crop=crop, batch=1, losses=L1, learning_rate=rate, augment=["flip"])
                for steps, rate in ((200_000, 1e-5), (100_000, 1e-6))],  # inferred, but the rates
        inferred=["L1, steps", "batch of 1: the inputs of table 2 are as large as images, its GPU has 8 GB",
                  "patches are not turned, and images that are less high or wide are mirrored",
                  "values of 0 to 255 inside: on those of 0 to 1 the official file is below bicubic (Set14, x2: 24.29 "
                  "dB, against 28.04)"],
        left_out=["the branches, which begin as a trained RFDN and are trained at 1e-5 before they are merged, and the "
                  "pruning of the merged network, with fine-tuning between: here the network has the official file's "
                  "widths from its start, and fresh parameters, unless networks.sr.start_from is that file as jsr "
                  "convert gives it"])


def rt4ksr(scale, *, crop):
    """The organisers' baseline."""
    return entry(
        "rt4ksr", scale,
        title="the organisers' baseline: RT4KSR",
        networks={"sr": dict(model="rt4ksr/base", scale=scale)},
        train=DF2K,  # inferred
        stages=[stage(steps=500_000, crop=crop, batch=64, losses=L1, learning_rate=1e-3, fused=True,
                      schedule=dict(name="multi_step", milestones=[*range(100_000, 500_000, 100_000)], factor=0.5))],
        inferred=["the report says nothing of the training, and the network's own paper was out of reach: Adam, L1, "
                  "batch of 64 and 1e-3 that falls in steps are others' accounts of it",
                  "data, patches, 500k steps, halved every 100k",
                  "the published FLOPs are those of a larger image"])
