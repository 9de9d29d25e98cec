"""What every network of the zoo promises: id, shapes, dtypes, counts, names, gradients."""

import dataclasses
import functools
import importlib
import inspect
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.errors import UserError
from jsr.layers.padding import crop_to, pad_to_multiple

PARAMS = {  # id: {scale: trainable parameters}, the published counts less what is frozen
    "enlarge/nearest": dict.fromkeys(range(2, 9), 0),
    "enlarge/bilinear": dict.fromkeys(range(2, 9), 0),
    "enlarge/bicubic": dict.fromkeys(range(2, 9), 0),
    "abpn/base": {4: 2_396_671},
    "along/base": {2: 17_088_324, 3: 17_272_964, 4: 17_236_036},
    "cfn/base": {2: 889_795, 3: 1_074_435, 4: 1_777_798},
    "fan/base": {4: 6_817_507},
    "edsr/aiair": {2: 40_729_603},
    "edsr/baseline": {2: 1_369_859, 3: 1_554_499, 4: 1_517_571},
    "edsr/full": {2: 40_729_603, 3: 43_680_003, 4: 43_089_923},
    "basicvsrpp/c64n7": {4: 7_322_927},
    "basicvsrpp/c128n25": {1: 44_075_631, 4: 43_780_463},
    "basicvsrpp/c128n25r25": {4: 49_683_823},
    "basicvsrpp/c128n25r45": {4: 55_587_183},
    "basicvsrpp/taomc2": {4: 58_538_863},
    "basicvsrpp/tiny": {4: 364_223},
    "rcan/base": {2: 15_444_643, 3: 15_629_283, 4: 15_592_355, 8: 15_740_067},
    "rcan/c128": {2: 61_691_203, 3: 62_429_123, 4: 62_281_539},
    "rcan/multi_scale": {2: 10_764_803, 3: 10_949_443, 4: 43_591_171},
    "rcan/nadu": {3: 5_432_131, 4: 21_546_499},
    "rrdn/gans": {2: 4_165_696, 4: 4_176_100},
    "hat/base": {1: 20_477_083, 2: 20_624_795, 3: 20_809_435, 4: 20_772_507},
    "hat/small": {2: 9_473_471, 3: 9_658_111, 4: 9_621_183},
    "hat/large": {2: 40_698_863, 3: 40_883_503, 4: 40_846_575},
    "hat/hft": {1: 33_859_795},
    "hat/mphat": {4: 20_811_387},
    "hst/base": {4: 16_582_179},
    "grl/small": {1: 3_120_227},
    "grl/base": {1: 19_805_263},
    "grl/sr_tiny": {2: 885_420, 3: 894_075, 4: 906_192},
    "grl_cic/base": {1: 9_715_252},
    "srresdnet/base": {4: 380_356},
    "stopn/base": {4: 379_177},
    "swin2sr/classical": {2: 12_091_571, 3: 12_276_211, 4: 12_239_283},
    "swin2sr/compressed": {2: 12_096_886, 4: 12_244_598},
    "swin2sr/light": {2: 1_005_348, 3: 1_013_463, 4: 1_024_824},
    "swin2sr/real": {4: 12_054_643},
    "swin2sr/car": {1: 11_843_247},
    "swinir/classical": {2: 11_752_487, 3: 11_937_127, 4: 11_900_199, 8: 12_047_911},
    "swinir/light": {2: 910_152, 3: 918_267, 4: 929_628},
    "swinir/real": {2: 11_678_631, 4: 11_715_559},
    "swinir/real_large": {4: 28_013_059},
    "swinir/denoise": {1: 11_504_163},
    "swinir/car": {1: 11_492_067},
    "unifyformer/base": {1: 28_500_431},
    "scunet/base": {1: 17_946_072},
    "scunet/enhanced": {1: 69_086_604},
    "cidbnet/base": {4: 24_288_303},
    "cidbnet/nf": {4: 19_150_671},
    "cidbnet/nfe": {4: 25_301_415},
    "drln/base": {2: 34_430_131, 3: 34_614_771, 4: 34_577_843, 8: 34_725_555},
    "drln/scan": {2: 20_016_299, 3: 20_202_079, 4: 20_166_747},
    "dual_domain/base": {4: 2_654_866},
    "imdeception/base": {2: 295_780, 3: 304_435, 4: 316_552},
    "mdsr/base": dict.fromkeys((2, 3, 4), 7_953_987),
    "mdsr/tv_attention": dict.fromkeys((2, 3, 4), 8_058_907),
    "msdrsr/b23": {4: 20_088_291},
    "msdrsr/b33": {4: 27_282_531},
    "tcir/base": {1: 25_578_143},
    "swinfir/base": {2: 14_350_211, 3: 14_534_851, 4: 14_497_923},
    "swinfir/aim22": {4: 14_432_259},
    "autoencoder/base": {1: 1_453_003},
    "autoencoder/small": {1: 145_427},
    "art/base": {1: 16_149_783, 2: 16_398_107, 3: 16_582_747, 4: 16_545_819},
    "art/small": {2: 11_719_547, 3: 11_904_187, 4: 11_867_259},
    "adcsr/base": {2: 58_799_942, 3: 59_116_097, 4: 59_556_866, 8: 62_581_790},
    "adcsr/spatial": {2: 58_801_510},
    "asconvsr/base": {2: 2_309_120, 3: 17_885_964},
    "drcnn/base": {2: 54_132, 3: 65_547},
    "elis/base": {2: 39_196},
    "pcrtsr/base": {2: 162_288, 3: 166_188},
    "fbcnn/batch_norm": {1: 71_941_252},
    "fbcnn/color": {1: 71_921_796},
    "mirnet/base": {1: 31_787_419},
    "nafnet/width32": {1: 17_111_907},
    "nafnet/width64": {1: 115_982_915},
    "retinexformer/base": {1: 1_605_701},
    "a3net/base": {4: 13_772_208},
    "unicorns/base": {1: 24_714_299},
    "fftformer/base": {1: 16_560_474},
    "fftformer/qfem": {1: 11_667_691},
    "imdn/imdn": {2: 694_404, 3: 703_059, 4: 715_176},
    "noahburst/base": {1: 2_721_379},
    "noahburst/small": {1: 147_187},
    "resnet/resnet34": {1: 21_335_972},
    "resnet/small": {1: 322_356},
    "oaddet/base": {2: 16_377_903},
    "oaddet/deep": {2: 21_742_871},
    "promptcir/base": {1: 34_754_927},
    "rdn/b8": {4: 11_321_987},
    "rdn/base": {2: 22_123_395, 3: 22_308_035, 4: 22_271_107},
    "restormer/base": {1: 26_126_644},
    "restormer/bias_free": {1: 26_111_668},
    "restormer_qf/fvlt1": {1: 27_298_741},
    "rfdn/dilated": {4: 704_560},
    "rfdn/fadn": {2: 20_300, 3: 122_387},
    "rfdn/rfdn": {2: 417_212, 3: 423_977, 4: 433_448},
    "safmn/base": {2: 227_820, 3: 232_695, 4: 239_520},
    "safmn/large": {2: 5_559_308, 3: 5_576_603, 4: 5_600_816},
    "safmn/light_pp": {4: 66_176},
    "safmn_bcie/base": {1: 18_414_083},
    "uestc/base": {4: 26_836_231},
    "dense_residual/base": {2: 15_754_947, 3: 16_492_867, 4: 16_345_283},
    "discriminator/srrescgan": {1: 14_499_401},
    "discriminator/vgg128": {1: 14_499_401},
    "downsample/dual": dict.fromkeys((2, 3, 4), 335_875),
    "tempest/hnle": {1: 31_932_295},
    "prfdn/base": {2: 29_851, 3: 62_905},
    "vcbp/base": {2: 4_326_065},
    "vcbp/original": {2: 6_163_755},
    "alexnet/base": {1: 2_469_696},
    "vgg/vgg16": {1: 14_714_688},
    "vgg/vgg19": {1: 20_024_384},
    "ynot/base": {2: 464_764},
    "compact/base": {4: 621_424},
    "compact/general": {4: 1_213_296},
    "compact/ultra": {2: 304_716},
    "compact/super_ultra": {2: 45_156},
    "rrdbnet/b23": {1: 16_723_907, 2: 16_703_171, 4: 16_697_987},
    "rrdbnet/b33": {4: 23_892_227},
    "rrdbnet/b6": {4: 4_467_779},
    "rrdbnet/direct": {1: 16_624_131, 2: 16_661_059, 3: 16_661_059},
    "rrdbnet/plus": {4: 16_839_299},
    "rrdbnet/attention": {4: 16_911_688},
    "rrdbnet/relu": {2: 16_661_059},
    "rrdbnet/squeeze": {2: 16_674_399, 3: 16_674_399, 4: 16_711_327},
    "dat/base": {2: 14_654_339, 3: 14_838_979, 4: 14_802_051},
    "dat/dat2": {2: 11_064_419, 3: 11_249_059, 4: 11_212_131},
    "dat/light": {2: 553_290, 3: 561_405, 4: 572_766},
    "dat/small": {2: 11_064_419, 3: 11_249_059, 4: 11_212_131},
    "atd/base": {2: 20_113_217, 3: 20_297_857, 4: 20_260_929},
    "atd/light": {2: 753_204, 3: 759_699, 4: 768_792},
    "dncnn/color": {1: 668_227},
    "dncnn/gray": {1: 555_137},
    "dncnn/gray_blind": {1: 665_921},
    "dncnn/ircnn": {1: 188_163},
    "dncnn/norm": {1: 670_531},
    "drct/base": {2: 13_991_867, 3: 14_176_507, 4: 14_139_579},
    "drct/large": {2: 27_433_007, 3: 27_617_647, 4: 27_580_719},
    "imdn/kair": {4: 893_936},
    "mosr/base": {2: 4_266_828, 4: 4_287_600},
    "mosr/dysample": {4: 4_276_611},
    "mosr/geoensemble": {2: 4_315_296},
    "mosr/tiny": {4: 609_888},
    "omnisr/base": {2: 784_604, 3: 793_259, 4: 805_376},
    "realcugan/base": {2: 1_284_598, 3: 1_286_326, 4: 1_406_812},
    "realcugan/pro": {2: 1_284_598, 3: 1_286_326},
    "realplksr/base": {4: 7_389_680},
    "realplksr/dysample": {4: 7_402_243},
    "realplksr/large": {4: 16_594_896},
    "realplksr/layer_norm": {4: 7_389_680},
    "realplksr/small": {4: 2_372_080},
    "rgt/base": {2: 13_217_831, 3: 13_402_471, 4: 13_365_543},
    "rgt/small": {2: 10_051_055, 3: 10_235_695, 4: 10_198_767},
    "srformer/base": {2: 10_395_791, 3: 10_580_431, 4: 10_543_503},
    "srformer/light": {2: 853_272, 3: 861_387, 4: 872_748},
    "srformer/real": {4: 10_358_863},
}
# Networks of other files' blocks, and those that take seconds to compile: the long tests alone take their gradients
LONG = {"a3net", "abpn", "adcsr", "along", "art", "atd", "basicvsrpp", "cfn", "cidbnet", "dat", "drct", "drln",
        "dual_domain", "fan", "fbcnn", "fftformer", "grl", "grl_cic", "hat", "hst", "imdeception", "mirnet",
        "mosr", "msdrsr", "noahburst", "oaddet", "omnisr", "pixelbe", "prfdn", "promptcir", "realplksr",
        "restormer", "restormer_qf", "rgt", "rrdn", "scunet", "srformer", "swin2sr", "swinfir", "tcir",
        "tempest", "uestc", "unicorns", "unifyformer", "ynot"}
# Whole networks that take seconds to trace: the long tests alone count them, and all variants but the first of a file
DEEP = {"along/base", "art/base", "atd/base", "basicvsrpp/c64n7", "cidbnet/base", "dat/base", "drct/base",
        "dual_domain/base", "fftformer/base", "grl/small", "grl_cic/base", "hat/base", "hst/base",
        "mirnet/base", "mosr/base", "msdrsr/b23", "omnisr/base", "promptcir/base", "rcan/base",
        "realplksr/base", "restormer/base", "restormer_qf/fvlt1", "rgt/base", "scunet/base", "srformer/base",
        "swin2sr/classical", "swinfir/base", "tcir/base", "uestc/base", "unifyformer/base"}
DEPLOYED = {  # the same of networks that train in a wider form than they are used in: parameters once fused
    "dfcdn/base": {2: 7_020, 3: 8_115},
    "dhisp/base": {2: 11_516},
    "etds/m4c32": {2: 41_512, 3: 46_792, 4: 54_112},
    "etds/m5c16": {2: 13_944, 3: 16_920, 4: 21_360},
    "etds/m5c24": {4: 39_480},
    "etds/m6c32": {2: 60_008, 3: 65_288, 4: 72_608},
    "etds/m7c48": {2: 152_184, 3: 159_768, 4: 169_968},
    "etds/megastudy": {4: 40_128},
    "pixelbe/base": {2: 13_756},
    "plain/anunet": {4: 72_880},
    "plain/basicvision": {4: 12_048},
    "plain/bicubicpp": {3: 50_400},
    "plain/c3": {4: 24_016},
    "plain/casr": {4: 26_064},
    "plain/ecbsr_m4c16": {2: 11_548, 3: 13_723, 4: 16_768},
    "plain/ecbsr_m4c32": {2: 41_516, 3: 45_851, 4: 51_920},
    "plain/ecbsr_m6c40": {2: 92_372, 3: 97_787, 4: 105_368},
    "plain/kren": {4: 10_044},
    "plain/lanczospp": {4: 21_600},
    "plain/lrsrn": {2: 41_356, 3: 45_691},
    "plain/lrsrn_teacher": {4: 398_768},
    "plain/njust_rtsr": {2: 11_376, 3: 13_536},
    "plain/npu_sr": {2: 193_740},
    "plain/oelsr": {2: 6_829},
    "plain/pixelartai": {4: 74_880},
    "plain/qqcoin": {2: 828},
    "plain/rden": {4: 11_822},
    "plain/repnet": {2: 26_608, 3: 53_196},
    "plain/reptcn": {4: 9_648},
    "plain/resr": {4: 43_984},
    "plain/runet": {2: 66_764, 3: 240_432},
    "plain/runet_text": {3: 461_616},
    "plain/team_ov": {2: 4_212, 3: 5_832},
    "plain/urpnet": {4: 9_832},
    "plain/ustc_noah": {4: 45_312},
    "plain/vpeg_r": {4: 12_204},
    "r2cnet/base": {2: 398_636, 3: 407_291},
    "rlfn/erlfn": {2: 11_112, 3: 12_747},
    "rlfn/erlfn_text": {3: 66_610},
    "rlfn/lfdn_ntubl6": {2: 222_316},
    "rlfn/light": {4: 265_988},
    "rlfn/rlfn": {2: 526_856, 4: 543_740},
    "rlfn/rlfn_ntire": {4: 317_218},
    "rlfn/rlfn_s": {2: 454_620, 4: 470_208},
    "rt4ksr/base": {2: 44_521, 3: 57_541},
    "rvsr/base": {4: 32_960},
    "syenet/scsyenet": {2: 9_968, 3: 12_548},
    "touchfish/base": {2: 64_092, 3: 146_491},
    "ynot/base": {2: 464_444},
    "span/c48": {2: 410_700, 4: 426_288},
    "span/c52": {2: 481_324, 4: 498_208},
    "span/plain_range": {4: 426_288},
    "span/spanr": {4: 25_952},
}
# Parameters of a branch that is computed and thrown away, one that the original has without a use, other scales' parts
UNUSED = {"rt4ksr": ("gamma", "high"), "fftformer": ("reduce_chan_level2",),
          "drln": ("compress_1",), "mdsr": ("pre_process_x2", "pre_process_x3", "upsample_x2", "upsample_x3")}
TRAINING = {  # (images, height, width) that reach every parameter, where one of 12x14 px does not
    "dat": (2, 12, 14),  # a batch norm of the image's mean: of one image it is zero
    "rgt": (1, 12, 16),  # the coarse map, which smaller images have none of in training
}
IDS = models.list_models()
LATER = {model_id for model_id in IDS if model_id != models.resolve(model_id.partition("/")[0])}  # not a file's first
IDS_AND_SCALES = [(model_id, scale) for model_id in IDS for scale in models.card(model_id).scales]


def rows(scales_of, is_quick, long=()):
    """Cases (id, scale); of a network of many scales, those that trace it once more are left to the long tests."""
    def marks(model_id, scale):
        return [] if is_quick(models.card(model_id), scale) and model_id not in long else [pytest.mark.slow]

    return [pytest.param(model_id, scale, marks=marks(model_id, scale))
            for model_id in IDS for scale in scales_of(models.card(model_id))]


def is_last(card, scale):
    return scale == card.scales[-1]


def is_last_or_first_other(card, scale):
    return scale in (card.scales[-1], *[other for other in card.allowed_scales if other not in card.scales][:1])


def small(model_id, scale=None, **fields):
    """The reduced network of a file or variant, by default at its largest published scale: whole ones take seconds."""
    reduced = importlib.import_module(f"jsr.models.{model_id.partition('/')[0]}").SMALL
    return models.create(model_id, scale=scale or models.card(model_id).scales[-1], **reduced | fields)


def shapes_of(model):
    """The variables of a network as jax.ShapeDtypeStruct."""
    side = models.card(model).padding.target(16)
    lr = jax.ShapeDtypeStruct(models.card(model).lr_shape(side, side), jnp.float32)
    return {"params": {}} | jax.eval_shape(model.init, jax.random.key(0), lr)


def padded(model, lr):
    """An image of any size, as inference gives it to the network."""
    return pad_to_multiple(lr, models.card(model).padding)


def cropped(model, result, lr):
    """The SR image of an image `lr`, as inference takes it from what the network returned for the padded one."""
    sr, (height, width) = models.outputs(result)["sr"], lr.shape[-3:-1]
    return sr if models.card(model).auxiliary else crop_to(sr, height * model.scale, width * model.scale)


def equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.extend.core.jaxprs_in_params(eqn.params):
            yield from equations(inner)


def has_deployed_form(model_id):
    return hasattr(models.create(model_id, scale=models.card(model_id).scales[0]), "deploy")


def expected_count(model_id, scale):
    """The parameters that a network is to have; fails, saying which line to add, where this file has no count."""
    found = (PARAMS | DEPLOYED).get(model_id, {}).get(scale)
    if found is None:
        table = "DEPLOYED" if has_deployed_form(model_id) else "PARAMS"
        pytest.fail(f"{model_id} x{scale} has no count: add its published one to {table} in "
                    f"tests/models/test_contract.py, as \"{model_id}\": {{{scale}: ...}}, for each scale of its CARD",
                    pytrace=False)
    return found


def test_every_variant_has_its_count_here():
    for model_id, scale in IDS_AND_SCALES:
        expected_count(model_id, scale)
    gone = {(i, scale) for i, by_scale in (PARAMS | DEPLOYED).items() for scale in by_scale} - {*IDS_AND_SCALES}
    assert not gone, f"PARAMS or DEPLOYED count what there is no longer: {sorted(gone)}"
    assert set(DEPLOYED) == set(filter(has_deployed_form, IDS))


@pytest.mark.parametrize("model_id, scale", rows(lambda card: card.scales, is_last, DEEP | LATER))
def test_parameters_are_as_many_as_published_in_float32_and_named(model_id, scale):
    variables = models.abstract(model_id, scale=scale)
    used = models.abstract(model_id, scale=scale, deploy=True) if model_id in DEPLOYED else variables
    assert counts.count_params(used) == expected_count(model_id, scale)
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"]):
        assert leaf.dtype == jnp.float32, path
        unnamed = [key.key for key in path if re.fullmatch(r"[A-Z]\w*_\d+", key.key)]
        assert not unnamed, f"{jax.tree_util.keystr(path)}: give {unnamed} a name"


@functools.cache  # many variants are one network once they are small
def first_output(model, lr):
    """The abstract SR image of an abstract image: one trace draws the variables and applies the network."""

    def run(lr):
        result, _ = model.init_with_output(jax.random.key(0), padded(model, lr))
        assert ("qf" in models.outputs(result)) == bool(getattr(model, "estimates_quality", False))
        return cropped(model, result, lr)

    return jax.eval_shape(run, lr)


@pytest.mark.parametrize("model_id, scale", rows(lambda card: () if card.auxiliary else card.allowed_scales,
                                                 is_last_or_first_other, LATER))
def test_sr_is_scale_times_lr_of_any_size(model_id, scale):
    size = 37, 51
    card = models.card(model_id)
    lr = jax.ShapeDtypeStruct(card.lr_shape(*size), jnp.float32)
    sr = first_output(small(model_id, scale), lr)
    assert sr.shape == card.sr_shape(lr.shape, scale)
    assert sr.dtype == jnp.float32


@pytest.mark.parametrize("model_id", [pytest.param(model_id, marks=[pytest.mark.slow] if model_id in LATER else [])
                                      for model_id in IDS])
def test_bfloat16_is_for_the_inside_only(model_id):
    card = models.card(model_id)
    model = small(model_id, dtype=jnp.bfloat16)
    variables = shapes_of(model)
    lr = jax.ShapeDtypeStruct(card.lr_shape(64, 64), jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables["params"])} <= {jnp.dtype("float32")}
    closed, result = jax.make_jaxpr(lambda v, lr: cropped(model, model.apply(v, padded(model, lr)), lr),
                                    return_shape=True)(variables, lr)
    assert result.dtype == jnp.float32
    convolutions = [e for e in equations(closed.jaxpr) if str(e.primitive) == "conv_general_dilated"]
    assert {e.invars[0].aval.dtype for e in convolutions} <= {jnp.dtype("bfloat16")}


@pytest.mark.parametrize("stem", [pytest.param(stem, marks=[pytest.mark.slow] if stem in LONG else [])
                                  for stem in models.STEMS])
def test_gradient_is_finite_and_reaches_every_parameter(stem):
    model = small(stem)
    card, rng = models.card(model), np.random.default_rng(0)
    images, *size = TRAINING.get(stem, (1, 12, 14))
    lr = rng.random((images, *card.lr_shape(*map(card.padding.target, size))[1:]), np.float32)

    def draw(path, leaf):  # not models.init, whose kernels would be compiled for each shape
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 2, leaf.shape).astype(leaf.dtype)
        fan_in = np.prod(leaf.shape[:-1]) if path[-1].key == "kernel" else 10
        return (rng.normal(size=leaf.shape) / np.sqrt(fan_in)).astype(leaf.dtype)

    shapes = {"params": {}} | jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct(lr.shape, jnp.float32))
    variables = jax.tree_util.tree_map_with_path(draw, shapes)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    @jax.value_and_grad
    def loss(params, lr):  # as an argument: what a network makes of the image alone would be computed in compiling
        result, _ = model.apply({**variables, "params": params}, lr, train=True, rngs={"dropout": jax.random.key(2)},
                                mutable=[name for name in variables if name != "params"])
        return sum(jnp.abs(output - 0.3).mean() for output in models.outputs(result).values())

    value, gradient = jax.device_get(loss(variables["params"], lr))
    assert np.isfinite(value)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        path = jax.tree_util.keystr(path, simple=True, separator="/")
        assert np.isfinite(leaf).all(), path
        assert (leaf != 0).any() or path.startswith(UNUSED.get(stem, ())) or cancels(path, variables["params"]), path


@pytest.mark.parametrize("stem", [pytest.param(stem, marks=[pytest.mark.slow] if stem in LONG else [])
                                  for stem in models.STEMS if hasattr(small(stem), "zero_start")])
def test_an_anchored_network_may_begin_as_the_image(stem):
    model = small(stem, 1, zero_start=True)
    lr = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    run = jax.jit(model.apply, compiler_options={"xla_backend_optimization_level": 0})
    sr = models.outputs(run(models.init(model, jax.random.key(0)), lr))["sr"]
    np.testing.assert_allclose(sr, lr, atol=1e-6)


def cancels(path, params):
    """Whether a parameter is the bias of a 1x1 convolution before a fixed filter, whose weights add up to nothing."""
    *block, layer, leaf = ["", *path.split("/")]
    siblings = functools.reduce(lambda tree, key: tree[key], block[1:], params)
    return leaf == "bias" and layer.endswith("_0") and layer.replace("conv", "edge")[:-1] + "1" in siblings


@pytest.mark.parametrize("stem", models.STEMS)
def test_file_keeps_the_order_of_its_parts(stem):
    module = importlib.import_module(f"jsr.models.{stem}")
    source = inspect.getsource(module)
    places = [source.index(f"\n{part}") for part in ("VARIANTS", "SMALL = ", "def Model(", "CARD = ")]
    assert places == sorted(places)
    assert inspect.getdoc(module) and module.CARD.title and module.CARD.paper
    fields = {f.name for f in dataclasses.fields(small(stem))}
    assert {"scale", "dtype"} <= fields and set(module.SMALL) <= fields


def test_a_network_file_is_imported_only_when_asked_for():
    code = ("import sys, jsr.models\n"
            "assert not any(f'jsr.models.{s}' in sys.modules for s in jsr.models.STEMS)\n"
            "jsr.models.card('edsr')\n"
            "assert [s for s in jsr.models.STEMS if f'jsr.models.{s}' in sys.modules] == ['edsr']")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_stem_alone_means_the_first_variant():
    assert models.create("edsr", scale=2) == models.create("edsr/baseline", scale=2)
    assert models.resolve("edsr") == "edsr/baseline" and models.resolve("edsr/full") == "edsr/full"
    assert models.list_models("edsr/f*") == ["edsr/full"]


def test_fields_override_the_variant_and_lists_are_taken():
    model = models.create("edsr/full", scale=2, num_block=3, mean=[0.5, 0.5, 0.5])
    assert (model.num_feat, model.num_block, model.mean) == (256, 3, (0.5, 0.5, 0.5))
    hash(model)
    assert models.create("rlfn/rlfn_ntire", scale=4, mid_feat=None).mid_feat is None


@pytest.mark.parametrize("model_id, scale, fields, message", [
    ("esdr", 4, {}, "esdr: no network 'esdr'; did you mean 'edsr'?"),
    ("edsr/ful", 4, {}, "edsr/ful: no variant 'ful'; did you mean 'full'?"),
    ("edsr", 5, {}, "edsr: no scale 5; it has 1, 2, 3, 4, 8"),
    ("swinir/car", 4, {}, "swinir/car: no scale 4; it has 1"),
    ("edsr", 4, {"num_feats": 8}, "edsr: no field 'num_feats'; did you mean 'num_feat'?"),
    ("edsr", 4, {"name": "x"}, "edsr: no field 'name'"),
    ("edsr", 4, {"num_feat": None}, "edsr: field num_feat: None must be of type int"),
])
def test_mistakes_are_named_with_the_nearest(model_id, scale, fields, message):
    with pytest.raises(UserError, match=re.escape(message)):
        models.create(model_id, scale=scale, **fields)


def test_outputs_makes_a_dict_of_an_array():
    array = jnp.zeros(3)
    assert models.outputs(array)["sr"] is array
    assert models.outputs({"sr": array, "quality": 1}) == {"sr": array, "quality": 1}
    with pytest.raises(ValueError, match="holds 'hr', but no 'sr'"):
        models.outputs({"hr": array})
