"""ONNX graphs: they give what JAX gives at every size, and nothing in them is superfluous."""

import importlib
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models, reparam
from jsr.errors import UserError
from jsr.layers.conv import convolve
from jsr.layers.deform import deform_convolve
from jsr.layers.resize import bilinear
from jsr.layers.shuffle import pixel_unshuffle
from jsr.onnx_graph.write import chain_to_onnx, to_onnx

ort = pytest.importorskip("onnxruntime", reason="the extra [export]")
pytest.importorskip("onnx", reason="the extra [export]")

IMAGE = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
SIZES = [(32, 40), (48, 33), (35, 49)]  # rounded up to what a network takes
NETWORKS = {  # file stem or id: scale; the reduced network of the file
    "asconvsr": 2, "atd": 2, "dfcdn": 2, "dhisp": 2, "drcnn": 3, "edsr": 4, "elis": 2, "etds": 3, "hat": 2, "pcrtsr": 2,
    "pixelbe": 2, "plain/anunet": 4, "plain/casr": 4, "plain/ecbsr_m4c16": 3, "plain/oelsr": 2, "plain/runet": 3,
    "plain/ustc_noah": 4, "r2cnet": 2, "rfdn": 2, "rlfn": 2, "rrdbnet": 4, "rt4ksr": 2, "rvsr": 4, "span": 2,
    "srresdnet": 4, "swin2sr": 2, "swinir": 2, "syenet": 2, "touchfish": 2,
}


def small(model_id, scale, **fields):
    """(networks, variables) of one reduced network in its deployed form."""
    reduced = importlib.import_module(f"jsr.models.{model_id.partition('/')[0]}").SMALL
    model = reparam.deployed(models.create(model_id, scale=scale, **reduced | fields))
    multiple = models.card(model).padding.multiple
    lr = jax.ShapeDtypeStruct(models.card(model).lr_shape(8 * multiple, 8 * multiple), jnp.float32)
    draw = np.random.default_rng(1)
    return {"sr": model}, {"sr": jax.tree.map(lambda leaf: draw.uniform(-0.2, 0.2, leaf.shape).astype(np.float32),
                                              jax.eval_shape(model.init, jax.random.key(0), lr))}


def run(graph, image, name="lr"):
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {name: np.asarray(image)})[0]


def apply(networks, variables, image):
    with jax.default_matmul_precision("highest"):
        call = jax.jit(networks["sr"].apply, compiler_options={"xla_backend_optimization_level": 0})
        return np.asarray(call(variables["sr"], image))


def random(shape):
    return np.random.default_rng(0).random(shape, np.float32)


def ops(graph):
    return [node.op_type for node in graph.graph.node]


def constants(graph):
    return {constant.name: tuple(constant.dims) for constant in graph.graph.initializer}


def error(found, expected):
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("model_id, scale", NETWORKS.items())
def test_one_graph_gives_what_jax_gives_at_every_size(model_id, scale):
    networks, variables = small(model_id, scale)
    graph = chain_to_onnx(networks, variables)
    multiple = models.card(networks["sr"]).padding.multiple
    for size in SIZES if "/" in model_id else SIZES[2:]:
        lr = random((1, *(-(-side // multiple) * multiple for side in size), 3))
        assert error(run(graph, lr), apply(networks, variables, lr)) < 1e-5


@pytest.mark.parametrize("model_id, options, size", [
    ("safmn/base", dict(size=(33, 40)), (33, 40)), ("safmn/light_pp", dict(), (40, 64)),
    ("rrdbnet", dict(size=(32, 40)), (32, 40))])
def test_graphs_of_one_size_or_of_a_multiple(model_id, options, size):
    networks, variables = small(model_id, 4)
    graph, lr = chain_to_onnx(networks, variables, **options), random((1, *size, 3))
    assert error(run(graph, lr), apply(networks, variables, lr)) < 1e-5


def test_plain_network_is_its_convolutions_activations_and_shuffle():
    networks, variables = small("plain/bicubicpp", 3)
    graph = chain_to_onnx(networks, variables, nchw=True)
    assert ops(graph) == ["Conv", "LeakyRelu", "Conv", "LeakyRelu", "Add", "Conv", "DepthToSpace"]
    assert list(constants(graph)) == ["sr/head/kernel", "sr/body_0/kernel", "sr/tail/kernel"]
    lr = random((1, 32, 40, 3))
    sr = run(graph, lr.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert error(sr, apply(networks, variables, lr)) < 1e-5


def test_biases_and_the_order_of_unshuffled_pixels_are_in_the_convolutions():
    networks, variables = small("plain/urpnet", 4, anchor="none")
    graph = chain_to_onnx(networks, variables)
    assert ops(graph) == ["Transpose", "SpaceToDepth", "Conv", "Relu", "Conv", "Relu", "Conv", "DepthToSpace",
                          "Transpose"]
    assert constants(graph)["sr/head/bias"] == (4,) and constants(graph)["sr/head/kernel"] == (4, 12, 3, 3)


def test_declared_sizes_follow_the_input():
    networks, variables = small("plain/urpnet", 4)
    graph = chain_to_onnx(networks, variables, nchw=True).graph

    def shape(value):
        return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]

    assert (shape(graph.input[0]), shape(graph.output[0])) == (
        [1, 3, "height", "width"], [1, 3, "4*height", "4*width"])


def test_unshuffled_pixels_are_in_order_without_a_convolution_too():
    graph, x = to_onnx(lambda x: pixel_unshuffle(x, 2), IMAGE, multiple=2), random((1, 32, 34, 3))
    np.testing.assert_array_equal(run(graph, x), pixel_unshuffle(x, 2))


def test_what_follows_from_parameters_alone_is_computed_beforehand():
    weights = jnp.arange(3.0)

    def function(x):
        return x * jnp.exp(weights[::-1]).reshape(3) + jnp.sqrt(weights).sum()

    graph, x = to_onnx(function, IMAGE, input_name="image", output_name="out", nchw=True), random((1, 3, 32, 32))
    assert ops(graph) == ["Mul", "Add"] and graph.graph.output[0].name == "out"
    expected = function(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(run(graph, x, "image"), expected, rtol=1e-6)


FUNCTIONS = {
    "repeat": lambda x: x.repeat(3, 1).repeat(2, 3),
    "mean": lambda x: x - x.mean((1, 2), keepdims=True) * x.mean(),
    "positions": lambda x: x * jnp.arange(x.shape[1])[:, None, None] + jnp.arange(x.shape[2])[:, None] % 5,
    "flip and pad": lambda x: jnp.pad(x[:, ::-1][:, :, 3:-2], [(0, 0), (2, 2), (1, 3), (0, 0)], mode="reflect"),
    "tile": lambda x: jnp.tile(x, (1, 2, 1, 2)) + jnp.broadcast_to(x[:, None], (1, 2, *x.shape[1:])).reshape(
        1, -1, x.shape[2], 3).mean(),
    "roll": lambda x: jnp.roll(x, (-4, 3), (1, 2)),
    "pool": lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 2, 1), (1, 2, 2, 1), "VALID"),
    "resize": lambda x: bilinear(x, 2 * x.shape[1], x.shape[2] + 7),
    "contract": lambda x: jnp.einsum("nhwc,nhvc->nwvh", x, x) / x.shape[2],
    "stack": lambda x: jnp.stack([x, 2 * x], 3).reshape(1, x.shape[1], -1, 3),
    "select": lambda x: jnp.where((x > 0.5) & (x != 0.75), x**2, jax.nn.softmax(x) + jax.nn.silu(x)),
    "depthwise": lambda x: convolve(jnp.tile(x, 50), jnp.ones((5, 3, 1, 150)), padding=(2, 1), groups=150),
    "rounded lengths": lambda x: x[:, :32 * (x.shape[1] // 32)] * (-(-x.shape[1] // 32) + (5 - x.shape[2]) // -4),
    "lengths of an axis": lambda x: x * jnp.stack([jnp.float32(side) / -(-side // 32) for side in x.shape[:0:-1]]),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dynamic", [(), (1, 2)])
def test_operations_at_open_and_fixed_sizes(name, dynamic):
    function, x = FUNCTIONS[name], random((1, 33, 38, 3))
    graph = to_onnx(function, jax.ShapeDtypeStruct(x.shape, x.dtype), dynamic=dynamic)
    assert error(run(graph, x), np.asarray(function(jnp.asarray(x)))) < 2e-6


def test_pixels_in_and_out():
    def function(pixels):
        return jnp.round(jnp.clip(pixels.astype(jnp.float32) * 1.5, 0, 255)).astype(jnp.uint8)

    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 35, 3), np.uint8)
    graph = to_onnx(function, jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.uint8), dynamic=(0, 1, 2))
    np.testing.assert_array_equal(run(graph, pixels), function(pixels))


def test_half_precision_and_what_is_refused():
    networks, variables = small("plain/ecbsr_m4c16", 3)
    graph, lr = chain_to_onnx(networks, variables, dtype=jnp.float16), random((1, 32, 40, 3))
    assert {constant.data_type for constant in graph.graph.initializer if constant.name.startswith("sr/")} == {10}
    assert 0 < error(run(graph, lr), apply(networks, variables, lr)) < 5e-3
    with pytest.raises(UserError, match="dtype = bfloat16: few runtimes"):
        chain_to_onnx(networks, variables, dtype=jnp.bfloat16)


PAD = [(0, 0, 0), (0, 0, 1), (0, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize("function, message", [
    (lambda x: jnp.sort(x), "no ONNX operator is known for JAX's 'sort'"),
    (lambda x: jax.lax.round(x), "JAX's 'round' away from zero"),
    (lambda x: jax.lax.select_n((x > 0).astype(jnp.int32), x, x, x), "'select_n' among 3 cases"),
    (lambda x: jax.lax.pad(x, 0.0, PAD), "JAX's 'pad' between pixels"),
    (lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 1, 3), (1,) * 4, "VALID"),
     "over height and width"),
    (lambda x: jax.lax.conv_transpose(x, jnp.ones((2, 2, 3, 3)), (2, 2), "VALID"), "with lhs_dilation"),
    (lambda x: x[:, (x[0, 0, :2, 0] > 0).astype(int), (x[0, 0, :2, 0] > 0).astype(int)], "'gather' but along one axis"),
    (lambda x: (x, x), "the function returns 2 arrays, not one"),
])
def test_what_has_no_counterpart_is_refused_by_name(function, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(function, IMAGE)


def test_other_axes_cannot_be_open():
    with pytest.raises(ValueError, match="axis 3 is none of 0, 1, 2"):
        to_onnx(lambda x: x, IMAGE, dynamic=(1, 3))


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install .*\[export\]'):
        to_onnx(lambda x: x, IMAGE)


def test_a_deformable_convolution_is_one_operator():
    rng = np.random.default_rng(0)
    kernel, of_offsets = (rng.normal(size=shape).astype(np.float32) / 5 for shape in ((3, 3, 4, 6), (3, 3, 8, 54)))

    def function(x):
        moved = convolve(x, of_offsets, padding=(1, 1))
        return deform_convolve(x, moved[..., :36], kernel, jax.nn.sigmoid(moved[..., 36:]))

    graph = to_onnx(function, jax.ShapeDtypeStruct((1, 8, 8, 8), jnp.float32))
    assert ops(graph).count("DeformConv") == 1 and "Gather" not in ops(graph)
    for size in SIZES[:2]:
        x = random((1, *size, 8))
        assert error(run(graph, x), np.asarray(function(x))) < 1e-5


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_over_time_is_a_scan(reverse):
    kernel = random((3, 3, 4, 2)) / 10

    def function(clip):
        def step(carry, frame):
            (passed, before, rounds), (frame, other, number) = carry, frame
            x = convolve(jnp.concatenate([passed, frame], -1), kernel, padding=(1, 1)) + kernel[0, 0, 0]
            x = jnp.where((number % 3 == 1)[:, None, None, None], x, before - other) * brightest
            return (x, passed, rounds + number), (2 * x, rounds + number // 2)

        brightest, frames = clip.max(), jnp.swapaxes(clip, 0, 1)
        none = jnp.zeros_like(clip[:, 0])
        last, (every, counts) = jax.lax.scan(step, (none, none, jnp.zeros(1, int)), (
            frames, 1 - frames, jnp.cumsum(frames.max((2, 3, 4)) > 0, 0)), reverse=reverse)
        return jnp.swapaxes(every + counts[..., None, None, None], 0, 1) + last[0][:, None] - 3 * last[1][:, None]

    graph = to_onnx(function, jax.ShapeDtypeStruct((1, 2, 8, 8, 2), jnp.float32), dynamic=(2, 3))
    assert ops(graph).count("Scan") == 1
    clip = random((1, 2, 33, 40, 2))
    assert error(run(graph, clip), np.asarray(function(clip))) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, dict(peak_period=2, skip_repeats=True)])
def test_a_recurrent_network_takes_clips_of_any_length(fields):
    networks, variables = small("basicvsrpp", 4, **fields)
    graph = chain_to_onnx(networks, variables)
    clip = random((1, 3, 33, 40, 3))
    clip[:, 2] = clip[:, 1]
    assert error(run(graph, clip), apply(networks, variables, clip)) < 1e-5
