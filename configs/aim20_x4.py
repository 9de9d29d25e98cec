"""AIM 2020 real image super-resolution, track 3: x4, LR and HR of the same cameras.

    python -m jsr.main --config=configs/aim20_x4.py                      # `quick`: minutes on two cores
    python -m jsr.main --config=configs/aim20_x4.py:noah_rrdb_robust     # a team's; needs `jsr build drealsr/aim20_x4`

`jsr/recipes/aim20.py` has the methods of teams in several tracks, and what holds for all. Entries are in the order of
the report's table 2.
"""

from jsr.recipes import aim20, pick, player, stage

FLIPS = ["identity", "hflip", "vflip", "rot180"]
FEATURES = dict(fn="l1", pred="vgg(sr)@features_34", target="vgg(hr)@features_34", weight=1.0)


def against_critic(losses, **keys):
    """The players of a relativistic GAN: the network by these losses and the critic, then the critic; keys of both."""
    both = dict(pred="critic(sr)", target="critic(hr)")
    return [player(losses=[*losses, dict(fn="relativistic_generator", **both, weight=keys.pop("weight"))],
                   nets=keys.pop("nets"), **keys),
            player(losses=[dict(fn="relativistic_critic", **both, weight=1.0)], nets=["critic"], **keys)]


RECIPES = {
    "quick": aim20.quick(4),
    "baidu_drn_gpnas": aim20.baidu_drn_gpnas(4),
    "along_rcanv2": aim20.along_rcanv2(4),
    "cetc_cskt_adcsr": aim20.cetc_cskt_adcsr(4),
    "sr_im_fan": aim20.entry(
        "sr_im_fan", scale=4,
        title="SR-IM: FAN, frequencies of features in branches that a gate weighs, x8 ensemble",
        networks={"sr": dict(model="fan/base", scale=4)},
        stages=[stage(steps=300 * aim20.EPOCH // 8, crop=160, batch=8, losses=aim20.L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", factor=0.5, milestones=[
                          epoch * aim20.EPOCH // 8 for epoch in range(30, 300, 30)]))],
        ensemble=dict(self=True),
        inferred=["what is likely and what a guess in the network: jsr.models.fan",
                  "likely: L1", "guess: patches of 160 are of the HR image, as EDSR's code, by which most train, means "
                  "them; of the LR image they would be 640, and 16 times as dear",
                  "guess: 300 epochs; the report has 48 hours"]),
    "deepblueai_rcan128": aim20.deepblueai_rcan128(4),
    "jnsr_edsr_drln": aim20.entry(
        "jnsr_edsr_drln", scale=4,
        title="JNSR: EDSR and DRLN, averaged, x8 ensemble",
        networks={"sr": dict(model="edsr/full", scale=4)},
        members=[dict(), dict(networks={"sr": dict(model="drln/base")})],
        stages=[stage(steps=300_000, crop=192, batch=16, losses=aim20.L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[200_000], factor=0.5))],
        ensemble=dict(self=True),
        inferred=["likely: EDSR's large form; both weigh the same",
                  "likely: both networks' own training, LR patches of 48, batch 16, L1, 1e-4 halved at 200,000; "
                  "guess: 300,000 steps"],
        left_out=["extra data, which the report's table says there were and nothing names; public weights as a start "
                  "would be that: members[0].networks.sr.start_from, members[1].networks.sr.start_from"]),
    "oppo_camera_scan": aim20.oppo_camera_scan(4),
    "kailos_rrdb_att_wavelet": aim20.kailos_rrdb_att_wavelet(4),
    "sr_dl_abpnpp": aim20.entry(
        "sr_dl_abpnpp", scale=4,
        title="SR_DL: ABPN, back projection with attention from one feature map to the next, x8 ensemble",
        networks={"sr": dict(model="abpn/base", scale=4)},
        stages=[stage(steps=steps, crop=192, batch=batch, losses=aim20.L1, learning_rate=1e-4)
                for steps, batch in ((200_000, 16), (100_000, 32))],
        ensemble=dict(self=True, tiles=[64]),
        inferred=["likely: ABPN++ is ABPN_v5 of the team's code, whose numbers the report's are",
                  "likely: L1, and tiles of 64, that code's; they overlap by an eighth here and not at all there"]),
    "noah_rrdb_robust": aim20.noah_rrdb_robust(
        4, model="rrdbnet/attention",
        inferred=["guess: where attention stands: ECA in every RRDB, before its residual connection; EDVR's spatial "
                  "attention once, before the upsampling"]),
    "webbzhou_rrdb_ft": aim20.entry(
        "webbzhou_rrdb_ft", scale=4,
        title="Webbzhou: RRDBNet, trained further on the challenge's pairs, four flips averaged",
        networks={"sr": dict(model="rrdbnet/b23", scale=4)},
        stages=[stage(steps=100_000, crop=128, batch=16, losses=aim20.L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[50_000, 75_000], factor=0.5))],
        ensemble=dict(self=True, transforms=FLIPS),
        inferred=["guess: the whole training, which neither the report nor the team's code has: L1, batch 16 and crops "
                  "of 128 as ESRGAN's for PSNR, a tenth of its steps at half its rate",
                  "likely: four flips as in the team's code; the report's table has no ensemble"],
        left_out=["ESRGAN's parameters, with which training starts, are the user's file: networks.sr.start_from",
                  "images in four pieces that overlap by 5 px, mirrored outside: ours go through whole, or in the "
                  "tiles of `jsr upscale --tile`"]),
    "teaminception_mirnet": aim20.teaminception_mirnet(4),
    "lyl_cfn": aim20.lyl_cfn(4),
    "mcml_yonsei_mdsr_tvam": aim20.mcml_yonsei_mdsr_tvam(4, ensemble=True),
    "mooncloud_rcan_x6": aim20.entry(
        "mooncloud_rcan_x6", scale=4,
        title="MoonCloud: six RCANs, three of them trained at x3 before, x8 ensemble",
        networks={"sr": dict(model="rcan/base", scale=4)},
        members=[dict(copies=3), *(dict(seed=3 + number, networks={"sr": dict(model="rcan/base")})
                                   for number in range(3))],
        stages=[stage(steps=500_000, crop=192, batch=16, losses=aim20.L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))],
        ensemble=dict(self=True),
        inferred=["likely: RCAN as published; guess: its training, LR patches of 48, batch 16, L1, 1e-4 halved every "
                  "200,000, for 500,000 steps, and as long where it starts from x3",
                  "likely: the extra data of the report's table are the pairs of x3"],
        left_out=["the three that start from x3 are the user's files, as of runs of aim20_x3:deepblueai_rcan128 with "
                  "networks.sr.model=rcan/base: members[1].networks.sr.start_from and carry=match, members[2]..., "
                  "members[3]..."]),
    "qwq_msrcan": aim20.qwq_msrcan(4),
    "srdance_rrdb": aim20.entry(
        "srdance_rrdb", scale=4,
        title="SrDance: RRDBNet, by patches of few images, against a critic",
        networks={"sr": dict(model="rrdbnet/b23", scale=4), "critic": dict(model="discriminator/vgg128", scale=1),
                  "vgg": dict(model="vgg/vgg19", scale=1)},
        chain=["sr"],
        stages=[stage(steps=500_000, crop=160, batch=16, losses=aim20.L1, learning_rate=2e-4, data=[aim20.div2k(4)],
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5)),
                *(stage(steps=100_000, crop=160, batch=batch, players=against_critic(
                    [aim20.L1[0] | dict(weight=0.01), FEATURES], weight=0.005, nets=["sr"], learning_rate=1e-4))
                  for batch in (4, 10))],
        inferred=["likely: patches of 40x40 are of the LR image; of the HR image they would be 10",
                  "likely: ESRGAN's critic, features and weights of MAE, VGG and GAN, 0.01, 1 and 0.005",
                  "likely: DIV2K by L1 alone, as ESRGAN's training begins",
                  "guess: \"a few\" patches are 4; steps and rates of all three stages, and no ensemble"],
        left_out=["in the second stage the patches of a step are all of one image; here each is of another",
                  "VGG-19 is the user's file: networks.vgg.start_from"]),
    "mlp_sr_srrescycgan": aim20.entry(
        "mlp_sr_srrescycgan", scale=4,
        title="MLP_SR: SRResCycGAN, a residual denoiser against a critic, with a cycle back to LR, x8 ensemble",
        networks={"sr": dict(model="srresdnet/base", scale=4), "back": dict(model="srresdnet/base", scale=1),
                  "critic": dict(model="discriminator/srrescgan", scale=1)},
        chain=["sr"],
        stages=[stage(steps=51_000, crop=128, batch=16, augment=["flip_rotate", dict(name="mixup", per="batch")],
                      players=against_critic(
                          [dict(fn="l1", pred="sr", target="hr", weight=10.0),
                           dict(fn="total_variation", pred="sr", target="hr", weight=1.0),
                           dict(fn="ssim", pred="sr", target="hr", weight=1.0), aim20.ms_ssim(128, 1.0),
                           dict(fn="cycle_l1", pred="back(sr)", target="lr", weight=10.0)],
                          weight=1.0, nets=["sr", "back"], learning_rate=1e-4,
                          schedule=dict(name="multi_step", milestones=[5000, 10_000, 20_000, 30_000], factor=0.5)))],
        ensemble=dict(self=True),
        inferred=["likely: all of the training of the sibling SRResCGAN, whose code the team's own points to: weights "
                  "of L1, TV and GAN, critic, rate, batch, crop, mixup; TV is of the difference as there",
                  "guess: SSIM and MS-SSIM, of four scales, weigh 1, the cycle 10",
                  "guess: the network from HR to LR is the same denoiser, at HR size, and a bicubic reduction"],
        left_out=["the critic of LR images, and the cycle that begins with one of HR",
                  "extra data, which the report's table says there were and nothing names"]),
    "edsr_star": aim20.edsr_star(4),
    "rrdn_iitkgp_rrdn_gan": aim20.rrdn_iitkgp_rrdn_gan(4),
    "congxiaofeng_rdbp": aim20.entry(
        "congxiaofeng_rdbp", scale=4,
        title="congxiaofeng: RDN with half the blocks",
        networks={"sr": dict(model="rdn/b8", scale=4)},
        stages=[stage(steps=500_000, crop=128, batch=16, losses=aim20.L1, learning_rate=1e-4,
                      schedule=dict(name="multi_step", milestones=[200_000, 400_000], factor=0.5))],
        inferred=["guess: 8 blocks; the report says \"several\" residual dense blocks, inspired by RDN",
                  "guess: RDN's LR patches of 32, batch 16 and 1e-4, halved at 200,000 and 400,000 of 500,000 steps; "
                  "its PSNR, 1.8 dB below EDSR*'s, is not that of a network so trained"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("aim20_x4", RECIPES, name)
