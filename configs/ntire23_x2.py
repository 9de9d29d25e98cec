"""NTIRE 2023 real-time 4K super-resolution, track 1: x2 from 1080p, JPEG quality 90.

    python -m jsr.main --config=configs/ntire23_x2.py            # `quick`: minutes on two cores, embedded photographs
    python -m jsr.main --config=configs/ntire23_x2.py:dfcdn      # a team's; needs `jsr build div2k/ntire23_x2` first

`jsr/recipes/ntire23.py` says what holds for all entries, and has the methods of teams that entered both tracks. Entries
are in the order of the report's table 1.
"""

from jsr.recipes import ntire23, pick, stage
from jsr.recipes.ntire23 import CHARBONNIER, DF2K, L1, MSE

RECIPES = {
    "quick": ntire23.quick(2, title="a small LRSRN",
                           network=dict(model="plain/lrsrn", fields=dict(num_feat=16, num_block=2))),
    "asconvsr": ntire23.asconvsr(2, misfit="2 % below"),
    "runet": ntire23.runet(2, blocks="three re-parameterised blocks at a third"),
    "repnet": ntire23.repnet(2, number="three"),
    "team_ov": ntire23.team_ov(2, forced="no biases,"),
    "dfcdn": ntire23.dfcdn(2, title="one block of deep feature complement and distillation", crops=(256, 640),
                           misfit="10 % above"),
    "qqcoin": ntire23.entry(
        "qqcoin", 2,
        title="DoYouChargeQQCoin: two convolutions and a ReLU, beside a bicubic enlargement",
        networks={"sr": dict(model="plain/qqcoin", scale=2)},
        train=["div2k"],
        # inferred: epochs, batch, L1
        stages=[stage(steps=1000 * 800 // 16, crop=256, batch=16, losses=L1, learning_rate=1e-3,
                      schedule=dict(name="multi_step", milestones=[n * 200 * 800 // 16 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["1000 epochs, batch of 16, L1", "patches of 256, as in table 2, are of the HR image"]),
    "njust_rtsr": ntire23.njust_rtsr(2, crops=(128, 256)),
    "scsyenet": ntire23.scsyenet(2, crop=128, table="512x512"),
    "pixelbe": ntire23.entry(
        "pixelbe", 2,
        title="PixelBE: first a clean LR image, then the HR image, two ECBs each",
        networks={"sr": dict(model="pixelbe/base", scale=2)},
        train=[dict(dataset="lsdir/hr", degrade="ntire23_x2")],  # online, says the report
        stages=[
            stage(steps=100_000, crop=256, batch=96, learning_rate=1e-3, fused=True,  # inferred: batch, weight
                  losses=[*L1, dict(fn="l1", pred="lr_clean", target="lr_clean", weight=1.0)]),
            stage(steps=150_000, crop=256, batch=96, losses=L1, learning_rate=5e-4, fused=True)],
        inferred=["batch of 96: the author's of AIS 2024", "the JPEG loss is an L1 with weight 1",
                  "the widths: one of about thirty solutions of the published counts"]),
    "lrsrn": ntire23.lrsrn(2, wide="four of them 256 wide"),
    "oelsr": ntire23.entry(
        "oelsr", 2,
        title="AGSR: OELSR, four convolutions of 16 features and one PReLU",
        networks={"sr": dict(model="plain/oelsr", scale=2)},
        train=DF2K,
        stages=[stage(steps=steps, crop=512, batch=64, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="cosine", end=1e-6))  # inferred: steps, rates, schedule
                for steps, losses, rate in ((200_000, CHARBONNIER, 5e-4), (100_000, MSE, 1e-4))],
        inferred=["steps, learning rates and schedules", "Charbonnier's eps of 1e-3",
                  "patches of 512 are of the HR image", "the PReLU's place and its single slope", ntire23.ANCHOR]),
    "erlfn": ntire23.erlfn(2, title="of 12 features without attention, FMEN's blocks in training", crop=256),
    "pcrtsr": ntire23.pcrtsr(2, crop=256),
    "r2cnet": ntire23.r2cnet(2, crop=512),
    "dhisp": ntire23.entry(
        "dhisp", 2,
        title="dh_isp: four re-parameterised blocks beside a 1x1 convolution, attention to the output",
        networks={"sr": dict(model="dhisp/base", scale=2)},
        train=DF2K,
        stages=[stage(steps=epochs * 3450 // 16, crop=512, batch=16, losses=losses, learning_rate=rate, fused=True,
                      schedule=dict(name="multi_step", milestones=[n * epochs // 4 * 3450 // 16 for n in (1, 2, 3)],
                                    factor=0.5))
                for epochs, losses, rate in ((800, L1, 1e-3), (200, MSE, 1e-4))],
        inferred=["patches of 256 are of the LR image", "the attention of the output, without parameters",
                  "the branches of RepBlock: RepRFN's"]),
    "fadn": ntire23.fadn(2, crop=256, source="as in table 2"),
    "lfdn_ntubl6": ntire23.entry(
        "lfdn_ntubl6", 2,
        title="NTU BL6: RLFN of 52 features, of which 32 are kept",
        networks={"sr": dict(model="rlfn/lfdn_ntubl6", scale=2, fields=dict(num_feat=52))},
        train=[*DF2K, "folders/ots", "gtav"],
        # The first stage stands for the published network that the team took: networks.sr.start_from=FILE would be it.
        stages=[stage(steps=300_000, crop=256, batch=64, data=ntire23.rows(2, *sets), losses=L1, learning_rate=5e-4,
                      begin=begin,
                      schedule=dict(name="multi_step", milestones=[100_000, 200_000], factor=0.5))  # inferred
                for sets, begin in (
                    (["div2k"], []),
                    ([], [dict(net="sr", carry="select_channels", fields=dict(num_feat=32))]))],
        inferred=["steps, schedule and batch of 64", "patches of 256, as in table 2, are of the HR image",
                  "which channels stay: those with the largest kernels"],
        left_out=["mixed precision when fine-tuning: float32 (--config.dtype=float16 has it in both stages)",
                  "the quantisation that table 2 ticks, of which the text says nothing"]),
    "drcnn": ntire23.drcnn(2, misfit="8 % above"),
    "touchfish": ntire23.touchfish(2, crops=(256, 512)),
    "prfdn": ntire23.prfdn(2, crop=(1356, 2040), branches="four"),
    "elis": ntire23.entry(
        "elis", 2,
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
                  "what is not said of XLSR's blocks is as in XLSR; the form of the attention"]),
    "npu_sr": ntire23.entry(
        "npu_sr", 2,
        title="NPU SR: ECBSR with one branch, a wavelet transform for the edge filters",
        networks={"sr": dict(model="plain/npu_sr", scale=2)},
        train=[*DF2K, "folders/manga109"],
        stages=[stage(steps=300_000, crop=256, batch=32, losses=L1, learning_rate=5e-4, fused=True,
                      schedule=dict(name="cosine", end=1e-6))],  # inferred, but the rate
        inferred=["L1, batch of 32, patches of 256, steps, cosine",
                  "the one branch: a 1x1 convolution, Haar's four bands beside each other, a 1x1 convolution; the "
                  "bands are not decimated, so that a block becomes one 3x3 convolution, whose outermost row and "
                  "column are zeros",
                  "depth and width, which the report does not give: ECBSR's, 3 % below the published parameters",
                  "the published FLOPs, marked by the report itself, are of something else",
                  "anchor: nearest, likely: ECBSR's, of which the report makes the network"],
        left_out=["pictures obtained on the internet", "inputs of 1080x1920, as in table 2: larger than the images of "
                  "DIV2K and Flickr2K", "the quantisation that table 2 ticks, of which the text says nothing"]),
    "ynot": ntire23.entry(
        "ynot", 2,
        title="YNOT: IMDN between spectral transforms, with a skip of wavelet bands",
        networks={"sr": dict(model="ynot/base", scale=2)},
        train=["div2k"],
        # inferred: batch, milestones
        stages=[stage(steps=500 * 800 // 16, crop=256, batch=16, losses=L1, learning_rate=2e-4,
                      schedule=dict(name="multi_step", milestones=[n * 100 * 800 // 16 for n in (1, 2, 3, 4)],
                                    factor=0.5))],
        inferred=["batch of 16, halved every 100 epochs", "patches of 256, as in table 2, are of the HR image",
                  "the published FLOPs, 422.7, are nearest to those of an image of 1280x720, which are 413.5"]),
    "rt4ksr": ntire23.rt4ksr(2, crop=256),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("ntire23_x2", RECIPES, name)
