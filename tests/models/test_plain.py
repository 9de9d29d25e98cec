"""The plain networks: published counts, fusing, and what their state dicts tell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models, reparam
from jsr.analysis import counts
from jsr.convert.identify import identify
from jsr.errors import UserError
from jsr.layers import resize
from jsr.models import plain

LR_HW = {2: (1080, 1920), 3: (720, 1280), 4: (540, 960)}  # that the challenges count at
GMACS = [  # variant, scale, those of the convolutions, those with one for each ReLU, LeakyReLU or PReLU of a value
    ("bicubicpp", 3, 11.6122, 11.6343),
    ("lrsrn", 2, 85.3991, 85.7309),
    ("lrsrn", 3, 41.9365, 41.9365),
    ("runet", 2, 15.3281, 15.3281),
    ("runet", 3, 13.8019, 13.8019),
    ("repnet", 2, 13.7355, 13.7687),
    ("repnet", 3, 12.2094, 12.2315),
    ("team_ov", 2, 8.7340, 8.7340),
    ("team_ov", 3, 5.3748, 5.3748),
    ("njust_rtsr", 2, 23.5893, 23.5893),
    ("njust_rtsr", 3, 12.4748, 12.4748),
    ("qqcoin", 2, 1.6796, 1.6921),
    ("oelsr", 2, 14.0341, 14.0673),
    ("anunet", 4, 9.4058, 9.4058),
    ("basicvision", 4, 6.1959, 6.1959),
    ("c3", 4, 12.3918, 12.3918),
    ("casr", 4, 2.0985, 2.0985),
    ("kren", 4, 5.1602, 5.1602),
    ("lanczospp", 4, 1.2442, 1.2460),
    ("pixelartai", 4, 9.6671, 9.6796),
    ("rden", 4, 6.0746, 6.0746),
    ("reptcn", 4, 5.0015, 5.0181),
    ("resr", 4, 7.0171, 7.0171),
    ("urpnet", 4, 1.2442, 1.2493),  # the text has 1.2483
    ("ustc_noah", 4, 8.5598, 8.5598),
    ("vpeg_r", 4, 1.5536, 1.5560),
]
QUICK = ("rden", "repnet")  # with a part for training alone, with BatchNorm
VARIANTS = [(f"plain/{name}", models.card(f"plain/{name}").scales[-1]) for name in plain.VARIANTS]


def quick(function):
    """Jitted; compiled in little time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def randomised(tree):
    """Abstract variables filled so that every branch, bias and statistic shows."""
    rng = np.random.default_rng(0)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.float32(rng.uniform(0.5, 2, leaf.shape) if path[-1].key == "var"
                                      else rng.normal(size=leaf.shape) * max(np.prod(leaf.shape[:-1]), 4)**-0.5), tree)


def zeros(tree):
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@pytest.mark.parametrize("case, variant, assumed", [
    ("ecbsr", "ecbsr_m4c16", ()), ("ecbsr_deployed", "ecbsr_m4c16", ()), ("lrsrn_x2", "lrsrn", ("act relu",)),
    ("lrsrn_x3", "lrsrn", ("act gelu",)), ("lrsrn_deployed", "lrsrn_teacher", ("act gelu",)),
    ("casr", "casr", ("act gelu",)), ("casr_biased", "casr", ("act gelu",)), ("casr_deployed", "casr", ("act gelu",)),
    ("anunet", "anunet", ("act gelu",)), ("bicubicpp", "bicubicpp", ("act lrelu",)),
    ("repnet_x2", "repnet", ("act lrelu",)), ("qqcoin", "qqcoin", ("act relu", "bgr False")),
])
def test_the_activation_is_assumed_to_be_the_variants_where_it_has_no_weights(golden, case, variant, assumed):
    found = identify(golden("plain", case).state_dict)
    assert (found.model, found.assumed) == (f"plain/{variant}", assumed)


def test_other_state_dicts_are_not_recognised(golden):
    ecbsr, lrsrn = (golden("plain", case).state_dict for case in ("ecbsr_deployed", "lrsrn_deployed"))
    one_colour = ecbsr | {"backbone.2.0.weight": np.zeros((4, 5, 3, 3))}
    without_activation = {key: value for key, value in ecbsr.items() if ".1.weight" not in key}
    another_scale = lrsrn | {"transition.0.conv3x3.weight": np.zeros((75, 4, 3, 3))}
    repnet = golden("plain", "repnet_x2").state_dict
    without_unshuffle = repnet | {"body.0.weight": np.zeros((32, 3, 3, 3))}
    assert identify(without_unshuffle).model == "compact/base"  # of plain convolutions in turn
    with_more = repnet | {"body.1.weight": np.zeros(32)}
    for state_dict in (one_colour, without_activation, another_scale, {"conv0.weight": np.zeros((4, 3, 3, 3))},
                       with_more):
        assert identify(state_dict) is None


@pytest.mark.parametrize("variant, fields, message", [
    ("runet", {}, "no public code has networks of the block 'rrrb'"),
    ("anunet", {}, "ANUNet's code is public in its deployed form alone; convert with deploy=True"),
    ("repnet", {}, "Repnet's code is public in its deployed form alone; convert with deploy=True"),
])
def test_networks_without_public_names_are_refused(variant, fields, message):
    with pytest.raises(UserError, match=message):
        convert.formats(models.create(f"plain/{variant}", scale=models.card(f"plain/{variant}").scales[-1], **fields))


@pytest.mark.parametrize("variant, scale, convolutions, counted", GMACS)
def test_multiply_accumulates_are_the_published_ones(variant, scale, convolutions, counted):
    model = models.create(f"plain/{variant}", scale=scale, deploy=True)
    lr_shape = models.card(model).lr_shape(*LR_HW[scale])
    macs = counts.count(model, lr_shape)[1]
    lr = jax.ShapeDtypeStruct(lr_shape, jnp.float32)
    closed = jax.make_jaxpr(model.apply)(models.abstract(f"plain/{variant}", scale=scale, deploy=True), lr)
    assert round(macs / 1e9, 4) == convolutions
    assert round((macs + activations(closed.jaxpr)) / 1e9, 4) == pytest.approx(counted, abs=1.01e-4)


def activations(jaxpr):
    """Values that a ReLU, LeakyReLU or PReLU gives."""
    inner = sum(activations(sub) for eqn in jaxpr.eqns for sub in jax.extend.core.jaxprs_in_params(eqn.params))
    return inner + sum(eqn.outvars[0].aval.size for eqn in jaxpr.eqns if str(eqn.primitive) in ("max", "select_n"))


def test_npu_sr_is_within_a_tenth_of_the_published_size():
    assert counts.count_params(models.abstract("plain/npu_sr", scale=2, deploy=True)) == pytest.approx(200_100, rel=0.1)


@pytest.mark.parametrize("model_id, scale", [
    pytest.param(*row, marks=() if row[0].partition("/")[2] in QUICK else pytest.mark.slow) for row in VARIANTS])
def test_fused_is_the_trained_network(model_id, scale):
    """In float64, at the borders too."""
    small = dict(num_feat=3, num_block=min(1, models.create(model_id, scale=scale).num_block))
    model = models.create(model_id, scale=scale, **small)
    variables = randomised(models.abstract(model_id, scale=scale, **small))
    deployed, fused, report = reparam.fuse(model, variables)
    assert all(error < 1e-12 for error in report.values())
    assert bool(report) == ({model.block, model.end_block} != {"plain"})
    assert kinds(fused["params"]) == kinds(models.abstract(model_id, scale=scale, deploy=True, **small)["params"])
    side = models.card(model).padding.target(6)
    lr = np.random.default_rng(1).random((1, side, side + model.size_multiple, 3))
    with jax.enable_x64(True):
        expected, got = (np.asarray(quick(net.apply)(jax.tree.map(np.float64, weights), lr))
                         for net, weights in ((model, variables), (deployed, fused)))
    assert np.abs(got - expected).max() < 5e-6 * np.abs(expected).max()  # the fused parameters are float32


@pytest.mark.parametrize("variant", ["runet", "ecbsr_m4c16", "anunet"])
def test_with_nothing_learned_an_anchor_is_the_nearest_upscaling(variant):
    fields = dict(scale=models.card(f"plain/{variant}").scales[0], num_feat=3, num_block=1, deploy=True, img_range=7.0)
    model = models.create(f"plain/{variant}", **fields)
    lr = np.random.default_rng(0).random((1, 2 * model.size_multiple, model.size_multiple, 3), np.float32)
    sr = quick(model.apply)(zeros(models.abstract(f"plain/{variant}", **fields)), lr)
    np.testing.assert_allclose(sr, lr.repeat(model.scale, 1).repeat(model.scale, 2), rtol=1e-6)


@pytest.mark.parametrize("variant", ["c3", "resr"])  # resr has another convolution behind the first shuffle
@pytest.mark.parametrize("anchor, enlarged", [
    ("bilinear", lambda lr: resize.bilinear(lr, 16, 24)), ("bicubic", lambda lr: resize.bicubic_upsample(lr, 4))])
def test_with_nothing_learned_other_anchors_are_torchs_interpolation(variant, anchor, enlarged):
    fields = dict(scale=4, num_feat=2, num_block=1, deploy=True, anchor=anchor)
    lr = np.random.default_rng(0).random((1, 4, 6, 3), np.float32)
    sr = models.create(f"plain/{variant}", **fields).apply(zeros(models.abstract(f"plain/{variant}", **fields)), lr)
    np.testing.assert_allclose(sr, enlarged(lr), atol=1e-6)


def test_an_unknown_anchor_is_named():
    with pytest.raises(ValueError, match="no anchor 'bicubik'; did you mean 'bicubic'"):
        models.abstract("plain/c3", scale=4, anchor="bicubik")


def test_what_training_asks_for_beside_sr_is_there_in_training_alone():
    lr = jax.ShapeDtypeStruct((1, 6, 5, 3), jnp.float32)

    def shapes(variant, **call):
        model, variables = (make(variant, scale=4) for make in (models.create, models.abstract))
        outputs = models.outputs(jax.eval_shape(lambda v, x: model.apply(v, x, **call), variables, lr))
        return {key: value.shape for key, value in outputs.items()}

    sr = {"sr": (1, 24, 20, 3)}
    assert shapes("plain/kren", train=True) == sr | {"feature_1": (1, 6, 5, 14), "feature_2": (1, 6, 5, 14)}
    assert shapes("plain/rden", train=True) == sr | {"sr_x2": (1, 12, 10, 3)}
    with_x2 = models.create("plain/kren", scale=4, x2=True)
    zeroed = zeros(models.abstract("plain/kren", scale=4, x2=True))
    image = np.random.default_rng(0).random((1, 4, 6, 3), np.float32)
    np.testing.assert_allclose(with_x2.apply(zeroed, image, train=True)["sr_x2"], image.repeat(2, 1).repeat(2, 2))
    assert shapes("plain/kren") == shapes("plain/rden") == shapes("plain/c3", train=True) == sr


def test_prelu_has_a_slope_a_feature_or_one():
    x = np.float32([[-2.0, -2.0], [3.0, 0.0]])
    own = plain.PReLU().apply({"params": {"slope": np.float32([0.5, 0.1])}}, x)
    np.testing.assert_allclose(own, [[-1.0, -0.2], [3.0, 0.0]], rtol=1e-6)
    assert kinds(jax.eval_shape(plain.PReLU(shared=True).init, jax.random.key(0), x)) == {
        "params": {"slope": ((1,), jnp.float32)}}


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="no activation 'geluu'; did you mean 'gelu'"):
        models.abstract("plain/c3", scale=4, act="geluu")
