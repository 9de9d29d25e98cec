"""Blocks of linear branches in training form: what each computes, its names and counts, and what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.analysis import counts
from jsr.layers import rep, rep_blocks
from jsr.layers.rep import (
    HAAR,
    Bands,
    BatchNorm,
    Difference,
    Edge,
    Identity,
    In,
    Kernel,
    Out,
    RepConv,
    Series,
    Sum,
    WhenSame,
)

KEY = jax.random.key(0)


def abstract(block, shape):
    return jax.eval_shape(block.init, KEY, jax.ShapeDtypeStruct(shape, jnp.float32))


def init(block, shape):
    """Variables with every value random, of a size that shows when a part is left out."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), abstract(block, shape))


def apply(block, variables, x, **options):
    """Compiled in little time."""
    call = jax.jit(lambda v, x: block.apply(v, x, **options), compiler_options={"xla_backend_optimization_level": 0})
    return call(variables, x)


def image(shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def convolve(x, kernel):
    """The definition, with VALID borders, in float64: (H, W, C) by (kh, kw, C, O)."""
    kh, kw = kernel.shape[:2]
    height, width = x.shape[0] - kh + 1, x.shape[1] - kw + 1
    return sum(x[i:i + height, j:j + width].astype(np.float64) @ kernel[i, j] for i in range(kh) for j in range(kw))


def ring(x, value):
    """A border of one pixel that has a value for each feature, as the official code pads between two convolutions."""
    padded = np.broadcast_to(np.asarray(value, np.float64), (x.shape[0] + 2, x.shape[1] + 2, x.shape[2])).copy()
    padded[1:-1, 1:-1] = x
    return padded


def test_ecb_is_the_official_one_with_its_ring_of_biases():
    block = RepConv(5, rep_blocks.ecb(identity=True))
    x = image((6, 7, 5))
    variables = init(block, (1, 6, 7, 5))
    p = variables["params"]
    expected = convolve(ring(x, 0), p["conv_0"]["kernel"]) + p["conv_0"]["bias"] + x
    middle = convolve(x, p["conv_1_0"]["kernel"]) + p["conv_1_0"]["bias"]
    expected += convolve(ring(middle, p["conv_1_0"]["bias"]), p["conv_1_1"]["kernel"]) + p["conv_1_1"]["bias"]
    assert middle.shape[-1] == 10
    masks = {"sobel_x": [[1, 0, -1], [2, 0, -2], [1, 0, -1]], "sobel_y": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
             "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]]}
    for index, mask in enumerate(masks.values(), 2):
        middle = convolve(x, p[f"conv_{index}_0"]["kernel"]) + p[f"conv_{index}_0"]["bias"]
        edge = p[f"edge_{index}_1"]
        kernel = np.array(mask)[:, :, None, None] * np.diag(edge["scale"][0, 0, 0])
        expected += convolve(ring(middle, p[f"conv_{index}_0"]["bias"]), kernel) + edge["bias"]
    np.testing.assert_allclose(apply(block, variables, x[None])[0], expected, atol=1e-4)


def test_rrrb_is_the_official_one_with_its_ring_of_biases():
    block = RepConv(4, rep_blocks.rrrb())
    x = image((5, 6, 4))
    variables = init(block, (1, 5, 6, 4))
    expand, inner, reduce = (variables["params"][name] for name in ("conv_0_0", "conv_0_1_0", "conv_0_2"))
    wide = convolve(x, expand["kernel"]) + expand["bias"]
    wide = convolve(ring(wide, expand["bias"]), inner["kernel"]) + inner["bias"] + wide
    expected = convolve(wide, reduce["kernel"]) + reduce["bias"] + x
    np.testing.assert_allclose(apply(block, variables, x[None])[0], expected, atol=1e-4)


@pytest.mark.parametrize("name, options, features, params", [  # 16 features in and out, or `features` from 3
    ("plain", {}, 16, 2320),
    ("residual", {}, 16, 2320),
    ("ecb", {}, 16, 2320 + 544 + 4624 + 3 * (272 + 32)),
    ("haar", {}, 16, 272 + 4 * 256 + 16),
    ("rrrb", {}, 24, 1200 + 20784 + 1176),  # 6 of them are in RT4KSR's 152233 training values
    ("nrb", {}, 16, 544 + 9248 + (32 * 64 + 64) + (9 * 64 * 32 + 32) + 3 * (1056 + 64) + 528),
    ("reprfn", {}, 16, 2320 + 2 * 784 + 272 + 512 + 4608 + 3 * (272 + 32)),
    ("lrsrn", {}, 16, 37120 + 4112),
    ("lrsrn_v2", {}, (3, 16), 7168 + 4112 + 64),
    ("casr", {}, (3, 48), 29472),  # what is left in training form in the released "scratch_22.78"
    ("conv3xc", {}, 16, 544 + 9248 + 528 + 272),
    ("conv3xc", {"ratio": 4}, 16, 1088 + 36928 + 1040 + 272),
    ("repvgg", {}, 16, 2304 + 256 + 3 * 32),
    ("conv_norm_conv", {}, 16, 4640 + 64 + 528),
    ("asymmetric", {}, 16, 2320 + 2 * 784),
    ("reprb", {}, 16, 2320 + 544 + 4624 + 272),
    ("resr", {}, 16, 2320 + 544 + 9248 + 528 + 3 * (272 + 32)),
    ("lanczospp", {}, (3, 16), 48 + 1308 + 208 + 64),
    ("decouple", {}, 16, 2320 + (2 * 6 + 2 * 9) * 256 + 4 * 17),
])
def test_parameters_of_the_blocks(name, options, features, params):
    channels, features = features if isinstance(features, tuple) else (features, features)
    block = RepConv(features, rep_blocks.block(name, **options))
    shape = (1, 8, 8, channels)
    assert counts.count(block, shape)[0] == params
    deployed = 9 * channels * features
    assert counts.count(block.clone(deploy=True), shape) == (deployed + features, 64 * deployed)


def test_repvit_is_depthwise():
    block = RepConv(16, rep_blocks.repvit(), groups=16)
    assert counts.count(block, (1, 8, 8, 16))[0] == 9 * 16 + 16 + 2 * 32
    assert counts.count(block.clone(deploy=True), (1, 8, 8, 16)) == (160, 64 * 144)


def test_every_block_has_a_name_that_recipes_give():
    for name, make in rep_blocks.BLOCKS.items():
        assert rep_blocks.block(name) == make() and rep.reach(make()) in ((0, 0), (2, 2))
        hash(make())
    assert rep_blocks.block("ecb", identity=True) != rep_blocks.ecb()
    with pytest.raises(ValueError, match="no block 'rrbr'; did you mean 'rrrb'"):
        rep_blocks.block("rrbr")


@pytest.mark.parametrize("branches", [
    rep_blocks.ecb(identity=True), rep_blocks.casr(6, 4), rep_blocks.repvgg(), rep_blocks.conv3xc(),
    rep_blocks.decouple()])
def test_a_stride_takes_every_second_pixel(branches):
    # From 3 to 4 features nothing depends on the stride but where it is applied.
    block, x = RepConv(4, branches), image((1, 7, 8, 3))
    variables = init(block, (1, 7, 8, 3))
    variables = jax.tree.map(np.abs, variables)  # a variance is positive
    whole = apply(block, variables, x)
    assert whole.shape == (1, 7, 8, 4)
    np.testing.assert_allclose(apply(block.clone(strides=2), variables, x), whole[:, ::2, ::2], rtol=1e-4, atol=1e-4)


def test_what_is_there_only_where_features_and_size_stay():
    def names(block):
        return set(abstract(block, (1, 6, 6, 4))["params"])

    branches = Sum(Kernel(3), WhenSame(BatchNorm(), Kernel(1)))
    assert names(RepConv(4, branches)) == {"conv_0", "norm_1"}
    assert names(RepConv(5, branches)) == names(RepConv(4, branches, strides=2)) == {"conv_0", "conv_1"}


def test_widths():
    widths = Series(Kernel(1, In(2)), Sum(Kernel(1, Out(2)), features=In(0.5)), Kernel(3, Out(2)), Kernel(1))
    block = RepConv(6, Sum(widths, Kernel(1, 6)))
    params = abstract(block, (1, 5, 5, 4))["params"]
    assert {name: p["kernel"].shape[2:] for name, p in params.items()} == {
        "conv_0_0": (4, 8), "conv_0_1_0": (8, 8), "conv_0_2": (8, 12), "conv_0_3": (12, 6), "conv_1": (4, 6)}


def test_no_biases():
    for name in ("ecb", "rrrb", "reprfn", "casr", "conv3xc", "decouple"):
        block = RepConv(4, rep_blocks.block(name), use_bias=False)
        for form in (block, block.clone(deploy=True)):
            paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(
                abstract(form, (1, 6, 6, 4)))]
            assert paths and not any("bias" in path for path in paths)


def test_batch_statistics_leave_out_the_zeros_around_the_image():
    block = RepConv(3, Series(Kernel(1, use_bias=False), BatchNorm(), Kernel(3)))
    x = image((2, 6, 5, 3))
    variables = init(block, x.shape)
    variables["batch_stats"]["norm_1"] = {"mean": np.zeros(3, np.float32), "var": np.ones(3, np.float32)}
    _, renewed = apply(block, variables, x, train=True, mutable=["batch_stats"])
    pixels = x.reshape(-1, 3) @ np.asarray(variables["params"]["conv_0"]["kernel"][0, 0])
    stats = renewed["batch_stats"]["norm_1"]
    np.testing.assert_allclose(stats["mean"], 0.1 * pixels.mean(0), atol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * pixels.var(0), rtol=1e-4)


def test_deployed_it_has_the_parameters_of_a_convolution():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return RepConv(4, rep_blocks.ecb(), deploy=True, name="body_0")(x)

    params = abstract(Net(), (1, 6, 6, 3))["params"]
    assert {name: leaf.shape for name, leaf in params["body_0"].items()} == {"kernel": (3, 3, 3, 4), "bias": (4,)}


@pytest.mark.parametrize("deploy", [False, True])
def test_dtype_is_of_the_computation(deploy):
    block = RepConv(3, rep_blocks.ecb(identity=True), deploy=deploy, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(block.init_with_output, KEY, jax.ShapeDtypeStruct((1, 6, 6, 3), jnp.float32))
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("kind, size, count", [("horizontal", 3, 6), ("vertical", 4, 12), ("center", 4, 16),
                                               ("sum", 4, 16)])
def test_of_a_constant_image_only_the_sum_is_left(kind, size, count):
    block = RepConv(2, Difference(kind, size), kernel_size=size, padding=0)
    variables = init(block, (1, 6, 6, 3))
    assert variables["params"]["difference"]["kernel"].shape == (count, 3, 2)
    kernel, bias, gate = (variables["params"]["difference"][name] for name in ("kernel", "bias", "gate"))
    y = apply(block, variables, np.ones((1, 6, 6, 3), np.float32)) * (1 + np.exp(-gate)) - bias
    expected = 2 * kernel.sum((0, 1)) if kind == "sum" else np.zeros(2)
    np.testing.assert_allclose(y, np.broadcast_to(expected, y.shape), rtol=1e-5, atol=1e-5)


def test_bands_of_each_feature_are_beside_each_other():
    x = image((4, 5, 2))
    bands = apply(RepConv(8, Bands(HAAR)), {"params": {}}, x[None])[0]
    a, b, c, d = (x[row:row + 3, column:column + 4] for row in range(2) for column in range(2))
    expected = [(a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]
    np.testing.assert_allclose(bands[:3, :4].reshape(3, 4, 2, 4), np.stack(expected, -1), atol=1e-6)


def test_differences_are_along_the_axis_of_their_name():
    def response(kind, x):
        block = RepConv(1, Difference(kind, use_bias=False))
        kernel = np.zeros({"horizontal": 6, "vertical": 6, "center": 9}[kind], np.float32)
        kernel[0] = 1
        variables = {"params": {"difference": {"kernel": kernel[:, None, None], "gate": np.full(1, 50.0)}}}
        return float(apply(block, variables, x[None, :, :, None])[0, 1, 1, 0])

    rows, columns = np.mgrid[:3, :3].astype(np.float32)
    assert [response("horizontal", x) for x in (rows, columns)] == [0, -1]  # (0, 0) minus (0, 1)
    assert [response("vertical", x) for x in (rows, columns)] == [-1, 0]    # (0, 0) minus (1, 0)
    assert [response("center", x) for x in (rows, columns)] == [-1, -1]     # (0, 0) minus (1, 1)


@pytest.mark.parametrize("block, message", [
    (RepConv(4, Series(Kernel(3), Kernel(3))), "sees 5x5 pixels has no middle place in 3x3"),
    (RepConv(4, Sum(Kernel(2), Kernel(3))), "sees 2x2 pixels has no middle place in 3x3"),
    (RepConv(4, Kernel(4), kernel_size=4), "kernel_size = 4 is even: say which padding it takes"),
    (RepConv(4, Sum(Kernel(3), Identity())), r"the parts of sum give \[4, 3\] features: they must agree"),
    (RepConv(4, Sum(Kernel(3), Series(Kernel(1), Sum(Kernel(1, 5), Kernel(1))))),
     r"the parts of sum_1_1 give \[5, 4\]"),
    (RepConv(4, Identity()), "the branches give 3 features, not 4"),
    (RepConv(4, WhenSame(Identity())), "the branches give 0 features, not 4"),
    (RepConv(4, Series(WhenSame(Identity()), Kernel(3))), "part_0 of a Series is absent: WhenSame belongs into a Sum"),
    (RepConv(4, rep_blocks.repvgg(), use_bias=False),
     "norm_0_1: BatchNorm adds a bias, which use_bias = False forbids"),
    (RepConv(4, Edge("sobelx")), "no filter 'sobelx'; did you mean 'sobel_x'"),
    (RepConv(12, Bands(("haar_ll", "haar"))), "no filter 'haar'; did you mean 'haar_ll'"),
    (RepConv(12, Bands(HAAR), zero_start=True), "bands: has nothing to learn, so it cannot start at zero"),
    (RepConv(4, Difference("horizontl")), "no difference 'horizontl'; did you mean 'horizontal'"),
    (RepConv(4, Sum(Kernel(3), nn.relu)), "is no part of a block; parts are Kernel, Edge"),
])
def test_blocks_that_cannot_be_are_refused(block, message):
    with pytest.raises(ValueError, match=message):
        abstract(block, (1, 8, 8, 3))
