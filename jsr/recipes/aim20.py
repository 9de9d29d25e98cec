"""Shared parts of AIM 2020's three tracks of real image super-resolution, which differ only by scale.

Report: Wei, Lu, Timofte et al., AIM 2020 challenge on real image super-resolution: methods and results, ECCV Workshops
2020. What holds for all entries:
- LR and HR are photographs of DRealSR, in `drealsr/aim20_x2` and so on, which the user has to bring; LR are not made.
  An epoch is their 19,000 pairs once.
- Patches are square, and of the LR image unless a recipe says otherwise; Adam as PyTorch's, flips and rotations.
- No average of the parameters, and no gradient clipping.
- `inferred` says of each choice whether it is likely, that is, something speaks for it, or a guess. What is chosen of a
  network stands in the head of its file.
- A trained network that training starts from, or whose features a loss compares, is a model file of the user's, as
  `jsr convert` makes of public ones: --config.networks.sr.start_from=FILE, --config.networks.vgg.start_from=FILE.
"""

from jsr.recipes.writing import player, recipe, stage

EPOCH = 19_000  # pairs

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
L1_SSIM = [*L1, dict(fn="ssim", pred="sr", target="hr", weight=1.0)]
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


def pairs(scale, split="train", kind="aim20"):
    """A row of the challenge's pairs.

    Of kind "aim20_washed" it has those that AiAiR list as clean, of "aim20_psnr29" those of a PSNR of 29 dB or more.
    """
    return dict(dataset=f"drealsr/{kind}_x{scale}", split=split)


def div2k(scale):
    """A row of DIV2K, whose LR are MATLAB's bicubic reductions."""
    return dict(dataset="div2k", degrade=f"bicubic_x{scale}")


def ms_ssim(crop, weight):
    """A row of MS-SSIM, of all five scales where crops are large enough."""
    return dict(fn="ms_ssim", pred="sr", target="hr", weight=weight, scales=5 if crop > 160 else 4)


def entry(name, *, scale, train=None, held_out=None, **fields):
    """A team's recipe, with what all of them have in common.

    Args:
      name: name of the method, as in the published table without the track.
      scale: scale of the track.
      train: rows of data instead of the challenge's pairs.
      held_out: split that is evaluated on instead of the challenge's 20 photographs.
      **fields: fields of a recipe.
    """
    evaluated = dict(dataset=f"drealsr/aim20_x{scale}", split=held_out or "validation")
    return recipe(entry=f"aim20_{name}_x{scale}", protocol=f"aim20_x{scale}",
                  data=dict(train=train or pairs(scale), eval=evaluated), ema_decay=0.0, **fields)


def along_rcanv2(scale):
    """ALONG's entry."""
    l2 = dict(fn="mse", pred="sr", target="hr", weight=1.0)
    return entry(
        "along_rcanv2", scale=scale,
        title="ALONG: RCAN behind a module against blur, beside a branch for details, CutBlur and others, x8 ensemble",
        # All of CutBlur's augmentations need LR of HR's size
        networks={"enlarge": dict(model="enlarge/nearest", scale=scale), "sr": dict(model="along/base", scale=1)},
        stages=[stage(steps=600_000, crop=192, batch=16, losses=[*L1, l2], learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5),
                      augment=["flip_rotate", CUTBLUR])],
        ensemble=dict(self=True),
        inferred=["likely: the LR image is enlarged first, as in CutBlur's code for real images, without which CutBlur "
                  "is not defined; the module against blur then brings it to a quarter, and the report's upsampling "
                  "layer back, so that the trunk of x4 works at the size of the LR image, that of x2 at half of it. By "
                  "the other reading, along/base at the track's scale, it is a quarter of it in all tracks",
                  "likely: one augmentation a batch, drawn as CutBlur's code does for real images, and enlargement by "
                  "repetition as there; that the seven are these is stated",
                  "likely: L1 and L2 weigh the same",
                  "guess: all else of the training: crops of 192 px of the HR image, batch 16, 600,000 steps, 1e-4 "
                  "halved at each third"])


def baidu_drn_gpnas(scale):
    """Baidu's entry."""
    crop = 120 * scale
    return entry(
        "baidu_drn_gpnas", scale=scale,
        title="Baidu: a dense residual network whose sizes were searched for, two of them, x8 ensemble over tiles",
        networks={"sr": dict(model="dense_residual/base", scale=scale, search=dict(
            num_feat=[64, 96, 128, 160], num_block=[12, 18, 24, 30], num_stage=[2, 3, 4]))},
        members=[dict(copies=2)],
        stages=[stage(steps=500_000, crop=crop, batch=16, learning_rate=2e-4, schedule=dict(name="cosine"),
                      losses=[L1[0] | dict(weight=0.16), ms_ssim(crop, 0.84)])],
        ensemble=dict(self=True, tiles=[120, 160]),
        inferred=["guess: 128 features, 24 blocks, 2 stages, and the values around these that `jsr search "
                  "--strategy gp` tries; of the team's search (GP-NAS) neither ranges nor result are stated",
                  "likely: MS-SSIM, as the report's text has it, where its table has SSIM",
                  "likely: patches of 120 are of the LR image; flips and transposition are all eight flips and turns",
                  "guess: weights 0.16 and 0.84, which TeamInception states, after Zhao et al.",
                  "guess: 500,000 steps of batch 16, half a cosine from 2e-4",
                  "guess: two networks of other seeds are the ensemble of models, tiles of 120 and 160 that of "
                  "patches; neither number is stated"])


def cetc_cskt_adcsr(scale, *, model="adcsr/base", title="ADCSR", inferred=()):
    """CETC-CSKT's entry."""
    eighth = 100_000  # of the steps
    return entry(
        "cetc_cskt_adcsr", scale=scale, train=pairs(scale, "train[:18900]"), held_out="train[18900:]",
        title=f"CETC-CSKT: {title}, whose skip connection is trained first, x8 ensemble over tiles, two of them",
        networks={"sr": dict(model=model, scale=scale, fields=dict(num_group=0))},
        members=[dict(copies=2)],
        stages=[stage(steps=10_000, crop=80 * scale, batch=16, losses=L1, learning_rate=1e-4),
                stage(steps=8 * eighth, crop=80 * scale, batch=16, losses=L1, learning_rate=1e-4,
                      begin=[dict(net="sr", carry="match", fields=dict(num_group=4))],
                      schedule=dict(name="multi_step", milestones=[*range(eighth, 8 * eighth, eighth)], factor=0.5))],
        ensemble=dict(self=True, tiles=[80], overlap=10),
        inferred=["likely: blocks of 80x80 are of the LR image",
                  "guess: batch 16; 10,000 steps for the skip connection alone, then 800,000, the rate halved after "
                  "each eighth of them, so that it comes to 7.8e-7; the team stops at 5e-7",
                  "guess: two networks of other seeds, since the report's table says \"model\" and its text no number",
                  *inferred],
        left_out=["tiles of 80 of which the inner 60 are shown: they are cut every 60 px here too, and faded over 20"])


def deepblueai_rcan128(scale):
    """DeepBlueAI's entry."""
    return entry(
        "deepblueai_rcan128", scale=scale,
        title="DeepBlueAI: RCAN with twice the features, x8 ensemble",
        networks={"sr": dict(model="rcan/c128", scale=scale)},
        stages=[stage(steps=100_000, crop=64 * scale, batch=16, losses=L1, learning_rate=2e-4,
                      schedule=dict(name="cosine"))],
        ensemble=dict(self=True),
        inferred=["likely: L1; a squeeze factor of 16, RCAN's; the cosine ends at 0", "guess: batch 16"])


def edsr_star(scale):
    """The organisers' reference, no entry."""
    return entry(
        "edsr_star", scale=scale, train=div2k(scale),
        title="EDSR*: the organisers' reference",
        networks={"sr": dict(model="edsr/full", scale=scale)},
        stages=[stage(steps=300_000, crop=48 * scale, batch=16, losses=L1, learning_rate=1e-4,
                      optimizer=dict(name="adam", b2=0.99),
                      schedule=dict(name="multi_step", milestones=[200_000], factor=0.5))],
        inferred=["likely: EDSR's large form, which the organisers' own code (CDC) trains",
                  "likely: trained on DIV2K's bicubic reductions, not on the challenge's pairs: on DRealSR's own test "
                  "set the organisers print 0.887, 0.835 and 0.820 of SSIM for bicubic and 0.908, 0.876 and 0.855 for "
                  "EDSR trained on it; the 0.889, 0.821 and 0.824 here are near bicubic's",
                  "guess: the training of BasicSR's EDSR, with the LR patch of 48 of its x4 at all scales"],
        left_out=["public weights, which are most likely what it was: networks.sr.start_from, or "
                  "`jsr models` for those that jsr knows"])


def kailos_rrdb_att_wavelet(scale):
    """Kailos's entry."""
    return entry(
        "kailos_rrdb_att_wavelet", scale=scale,
        title="Kailos: RRDBNet with channel attention, by L1 and a loss of wavelets, x8 ensemble",
        networks={"sr": dict(model="rrdbnet/squeeze", scale=scale)},
        stages=[stage(steps=500_000, batch=16, learning_rate=2e-4,
                      crop={2: 190, 3: 136, 4: 96}[scale] * scale,  # half the sides of the challenge's LR images
                      losses=[*L1, dict(fn="haar_wavelet", pred="sr", target="hr", weight=1.0)],
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))],
        ensemble=dict(self=True),
        inferred=["guess: RCAN's attention in every RRDB; the report says \"attention mechanism\" and no more",
                  "likely: a quarter of the size of training data is half of each side",
                  "likely: orthonormal transform, means over bands, as in the team's code of NTIRE 2020; there the low "
                  "band has no part, here it has by the report's text",
                  "guess: batch 16, 500,000 steps, 2e-4 halved at 200,000 and 400,000: ESRGAN's, shorter"])


def lyl_cfn(scale):
    """lyl's entry."""
    level = [dict(fn="l1", pred="sr_x2", target="hr_x2", weight=1.0)] if scale == 4 else []
    return entry(
        "lyl_cfn", scale=scale,
        title="lyl: CFN, an image enlarged in steps by Laplacian levels, each held to an HR image of its size",
        networks={"sr": dict(model="cfn/base", scale=scale)},
        stages=[stage(steps=500_000, crop=48 * scale, batch=16, losses=[*L1, *level], learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))],
        inferred=["guess: 10 residual blocks of 64 features a level; at x3 one level of factor 3, since the report's "
                  "number of levels, log2 of the scale, is no whole number there",
                  "likely: levels weigh the same; the smaller HR image is Pillow's bicubic reduction",
                  "guess: LR patches of 48, batch 16, 500,000 steps, 1e-4 halved at 200,000 and 400,000",
                  "guess: no ensemble; the report's table is silent"])


def mcml_yonsei_mdsr_tvam(scale, *, ensemble):
    """MCML-Yonsei's entry."""
    return entry(
        "mcml_yonsei_mdsr_tvam", scale=scale,
        title="MCML-Yonsei: MDSR with attention by total variation" + (", x8 ensemble" if ensemble else ""),
        networks={"sr": dict(model="mdsr/tv_attention", scale=scale)},
        stages=[stage(steps=20_000, crop=48 * scale, batch=16, losses=L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[15_000], factor=0.5))],
        ensemble=dict(self=ensemble),
        inferred=["likely: patches of 48 are of the LR image, the rate is halved: MDSR's code",
                  "likely: 20,000 steps as the report says; the team's files are named after step 200,000, its code's "
                  "rate falls there"],
        left_out=["public weights of MDSR, with which all but the attention begins, are the user's file: "
                  "networks.sr.start_from, and networks.sr.carry=match",
                  "one network is trained on all three scales at once, a batch of one of them; here on its own alone",
                  "the mean of the challenge's images, which is subtracted instead of DIV2K's",
                  "images in 64 parts, by halving thrice, that overlap by 20 px: ours go through whole, or in the "
                  "tiles of `jsr upscale --tile`"])


def noah_rrdb_robust(scale, *, model="rrdbnet/direct", inferred=()):
    """Noah_TerminalVision's entry."""
    return entry(
        "noah_rrdb_robust", scale=scale, train=pairs(scale, kind="aim20_psnr29"),
        title="Noah_TerminalVision: RRDBNet by the adaptive robust loss, which bears pairs that are not aligned",
        networks={"sr": dict(model=model, scale=scale)},
        stages=[stage(steps=1_000_000, crop=80 * scale, batch=4, losses=ROBUST, learning_rate=2e-4,
                      optimizer=dict(name="adam", b2=0.99),
                      schedule=dict(name="cosine_restarts", period=250_000, end=1e-7))],
        ensemble=dict(self=True, tiles=[120], overlap=5),
        inferred=["likely: four periods of 250,000 steps to 1e-7, Adam with 0.99: the template of BasicSR, whose "
                  "numbers the report's are",
                  "likely: tiles of 120 every 110 px are faded into each other over the 10 that they share",
                  "likely: the robust loss is of pixels in [0, 1], its limits those of its own code, a shape and a "
                  "scale a colour",
                  "likely: the PSNR of 29 dB, below which pairs are left out, is of RGB, between HR and the "
                  "bicubically enlarged LR, over each whole crop of the challenge's",
                  *inferred])


def oppo_camera_scan(scale):
    """OPPO_CAMERA's entry."""
    crop = 48 * scale
    return entry(
        "oppo_camera_scan", scale=scale, train=pairs(scale, "train[:18500]"), held_out="train[18500:]",
        title="OPPO_CAMERA: SCAN, DRLN's structure with self-calibrated convolutions, x8 ensemble",
        networks={"sr": dict(model="drln/scan", scale=scale)},
        stages=[stage(steps=500_000, crop=crop, batch=16, learning_rate=1e-4,
                      losses=[*L1, ms_ssim(crop, 0.2), dict(fn="ssim", pred="sr", target="hr", weight=0.2)],
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))],
        ensemble=dict(self=True), average_at=[0.98, 0.99],
        inferred=["the network's widths and number of large blocks: jsr.models.drln",
                  "guess: LR patches of 48, batch 16, 500,000 steps, 1e-4 halved at 200,000 and 400,000: after DRLN's",
                  "guess: the last three models, whose parameters are averaged, are 5,000 steps apart",
                  "guess: 500 pairs for validation are the last ones, the team's a random draw"],
        left_out=["CutBlur, which pastes HR into LR of the same size, where this network's is smaller; the report does "
                  "not say how the team's was made larger"])


def qwq_msrcan(scale):
    """qwq's entry."""
    dual = [dict(fn="l1", pred="down(sr)", target="lr", weight=1e-3)]
    return entry(
        "qwq_msrcan", scale=scale,
        title="qwq: RCAN of several sizes in its blocks, by MixCorrupt" + (" and a dual loss" if scale < 4 else ""),
        networks={"sr": dict(model="rcan/multi_scale", scale=scale)} | (
            {"down": dict(model="downsample/dual", scale=scale)} if scale < 4 else {}),
        chain=["sr"],
        stages=[stage(steps=51_000, crop=64 * scale, batch=32,
                      augment=["flip_rotate", dict(name="mixcorrupt", per="batch")], players=[player(
                          nets=["sr"] if scale == 4 else ["sr", "down"], learning_rate=5e-5,
                          losses=L1_SSIM if scale == 4 else [*L1_SSIM, *dual],
                          schedule=dict(name="multi_step", milestones=[5000, 10_000, 20_000, 30_000], factor=0.5))])],
        inferred=["guess: all of the block's sizes: jsr.models.rcan; features, groups and blocks are likely, those of "
                  "the code of one of the team's members, of weeks before the challenge's end",
                  "likely: batch, crop, rate and steps of that code; its loss is MSE, the report's L1 and SSIM, which "
                  "weigh the same",
                  {2: "likely: the weight of the dual loss, 1e-3, is that code's for x3",
                   3: "likely: the weight of the dual loss, 1e-3, is that code's",
                   4: "likely: no dual loss, since that code weighs it by 0 at x4"}[scale]])


def rrdn_iitkgp_rrdn_gan(scale, *, inferred=()):
    """RRDN_IITKGP's entry."""
    features = [dict(fn="mse", pred=f"vgg(sr)@features_{layer}", target=f"vgg(hr)@features_{layer}",
                     weight=0.0833 / 2) for layer in (8, 15)]
    epoch = 500  # steps
    halved = dict(name="multi_step", milestones=[*range(50 * epoch, 1000 * epoch, 50 * epoch)], factor=0.5)
    return entry(
        "rrdn_iitkgp_rrdn_gan", scale=scale, train=div2k(scale),
        title="RRDN_IITKGP: RRDN of the library ISR, trained against a critic on other data",
        networks={"sr": dict(model="rrdn/gans", scale=scale), "critic": dict(model="discriminator/vgg128", scale=1),
                  "vgg": dict(model="vgg/vgg19", scale=1)},
        chain=["sr"],
        stages=[stage(steps=1000 * epoch, crop=128, batch=8, players=[
            player(nets=["sr"], learning_rate=4e-4, schedule=halved, losses=[
                *L1, *features, dict(fn="gan_generator", pred="critic(sr)", target="critic(hr)", weight=0.01)]),
            player(nets=["critic"], learning_rate=4e-4, schedule=halved, losses=[
                dict(fn="gan_critic", pred="critic(sr)", target="critic(hr)", weight=1.0)])])],
        inferred=["likely: that it is the library ISR's, by the team's name, its preset \"gans\" and the one team with "
                  "TensorFlow; that it was trained on other data and a GAN is stated",
                  "likely: L1 + 0.0833 VGG-19 + 0.01 cross entropy, Adam 4e-4 halved every 50 of 1000 epochs, batch 8: "
                  "the library's for this network; the features are its own, of the second convolution of VGG's second "
                  "stage and the third of its third",
                  "guess: DIV2K's bicubic reductions; epochs of 500 steps, crops of 128 px of the HR image, ESRGAN's "
                  "critic in place of the library's", *inferred],
        left_out=["VGG-19 is the user's file: networks.vgg.start_from"])


def teaminception_mirnet(scale):
    """TeamInception's entry."""
    crop = {2: 128, 3: 132, 4: 128}[scale]
    similar = ms_ssim(crop, 0.84)
    features = dict(fn="l1", pred="vgg(sr)@features_8", target="vgg(hr)@features_8", weight=0.15)

    def by(*losses):
        return [stage(steps=700_000, crop=crop, batch=16, losses=losses, learning_rate=2e-4, augment=["flip"],
                      schedule=dict(name="cosine", end=1e-6))]

    return entry(
        "teaminception_mirnet", scale=scale,
        title="TeamInception: MIRNet behind enlargement, three networks of three losses, x8 ensemble",
        networks={"enlarge": dict(model="enlarge/bicubic", scale=scale), "sr": dict(model="mirnet/base", scale=1),
                  "vgg": dict(model="vgg/vgg16", scale=1)},
        chain=["enlarge", "sr"],
        members=[dict(), dict(stages=by(L1[0] | dict(weight=0.16), similar)),
                 dict(stages=by(L1[0] | dict(weight=0.01), similar, features))],
        stages=by(*L1),
        ensemble=dict(self=True),
        inferred=["likely: bicubic enlargement before the network, which keeps its input's size; the report's patches "
                  "of 128 are of what it sees" + (", here 132, which 12 divides" if scale == 3 else ""),
                  "likely: \"conv2\" of VGG-16 is the second convolution of its second stage, relu2_2; the distance "
                  "of features is L1, where L2 is possible",
                  "likely: MS-SSIM of four scales; five need crops of more than 160 px"],
        left_out=["extra data, which the report's table says there were and nothing names",
                  "VGG-16 is the user's file: networks.vgg.start_from, which the third network needs alone"])
