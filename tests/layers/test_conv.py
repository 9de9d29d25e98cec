"""The convolution, against its definition in numpy and PyTorch's conventions."""

import functools
import math
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers import conv
from jsr.layers.conv import Conv, convolve, torch_uniform


def reference(x, kernel, stride, dilation, groups, padding):
    """The definition, in float64: x (H, W, C), kernel (kh, kw, C / groups, O), pairs for the rest."""
    x = np.pad(x.astype(np.float64), [(padding[0],) * 2, (padding[1],) * 2, (0, 0)])
    kh, kw, channels, features = kernel.shape
    rows = (x.shape[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (x.shape[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((rows, columns, features))
    for i in range(rows):
        for j in range(columns):
            window = x[i * stride[0]:, j * stride[1]:][:dilation[0] * (kh - 1) + 1:dilation[0],
                                                       :dilation[1] * (kw - 1) + 1:dilation[1]]
            for o in range(features):
                group = o // (features // groups)
                y[i, j, o] = (window[..., group * channels:(group + 1) * channels] * kernel[..., o]).sum()
    return y


@pytest.mark.parametrize("fields, padding", [
    (dict(), (1, 1)),
    (dict(strides=2), (1, 1)),
    (dict(kernel_size=5, strides=2, padding=1), (1, 1)),
    (dict(kernel_size=(1, 3), strides=(1, 2)), (0, 1)),
    (dict(dilation=2), (2, 2)),
    (dict(dilation=(1, 3), padding=0), (0, 0)),
    (dict(groups=2), (1, 1)),
    (dict(groups=4, features=8, strides=2), (1, 1)),
    (dict(kernel_size=2, padding=(1, 0), strides=2), (1, 0)),
])
def test_convolution_is_the_one_of_its_definition(fields, padding):
    fields = dict(features=6, kernel_size=3, strides=1, dilation=1, groups=1) | fields
    x = np.random.default_rng(0).normal(size=(9, 10, 4)).astype(np.float32)
    conv = Conv(**fields)
    variables = conv.init(jax.random.key(0), x[None])
    pair = {key: value if isinstance(value, tuple) else (value, value) for key, value in fields.items()}
    expected = reference(x, np.asarray(variables["params"]["kernel"]), pair["strides"], pair["dilation"],
                         fields["groups"], padding) + np.asarray(variables["params"]["bias"])
    with jax.default_matmul_precision("highest"):
        np.testing.assert_allclose(conv.apply(variables, x[None])[0], expected, atol=1e-5)


def test_stride_two_pads_like_torch_not_like_same():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    conv = Conv(1, strides=2, use_bias=False)
    variables = {"params": {"kernel": jnp.ones((3, 3, 1, 1))}}
    # padding=1 puts the first window on rows and columns -1 to 1; SAME would put it on 0 to 2
    assert conv.apply(variables, x)[0, :, :, 0].tolist() == [[10, 24], [51, 90]]
    same = jax.lax.conv_general_dilated(x, variables["params"]["kernel"], (2, 2), "SAME",
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"))
    assert same[0, 0, 0, 0] == 45


@pytest.mark.parametrize("groups", [1, 8])
def test_default_initialisation_is_that_of_torch(groups):
    variables = Conv(256, groups=groups).init(jax.random.key(0), jnp.zeros((1, 4, 4, 64)))
    bound = 1 / math.sqrt(9 * 64 / groups)
    for leaf in jax.tree.leaves(variables):
        assert 0.97 * bound < jnp.abs(leaf).max() <= bound
        assert abs(leaf.mean()) < 0.1 * bound
        assert leaf.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_initialisers_can_be_given():
    variables = Conv(2, kernel_init=jax.nn.initializers.ones, bias_init=torch_uniform(1e6)).init(
        jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    assert (variables["params"]["kernel"] == 1).all()
    assert jnp.abs(variables["params"]["bias"]).max() <= 1e-3


@pytest.mark.parametrize("dtype, input_dtype, expected", [
    (None, jnp.float32, jnp.float32),
    (jnp.bfloat16, jnp.float32, jnp.bfloat16),
    (jnp.float32, jnp.bfloat16, jnp.float32),
])
def test_dtype_is_of_the_computation_not_of_the_parameters(dtype, input_dtype, expected):
    x = jnp.zeros((1, 4, 4, 3), input_dtype)
    y, variables = Conv(2, dtype=dtype).init_with_output(jax.random.key(0), x)
    assert y.dtype == expected
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("conv, message", [
    (Conv(4, groups=2), "groups = 2 does not divide 3 input channels and features = 4"),
    (Conv(4, kernel_size=2), "kernel_size = 2 is even: say which padding it takes"),
])
def test_impossible_convolutions_are_refused(conv, message):
    with pytest.raises(ValueError, match=message):
        conv.init(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))


def own(x, kernel, *, strides=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """What XLA makes of a convolution and its gradients."""
    return jax.lax.conv_general_dilated(x, kernel, strides, [(p, p) for p in padding], rhs_dilation=dilation,
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)


def pair(shape, kernel_shape, dtype="float32"):
    """An input and a kernel for outputs near 1: the sine of large ones would enlarge their errors."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=kernel_shape) / np.sqrt(np.prod(kernel_shape[:3]))
    return rng.normal(size=shape).astype(dtype), kernel.astype(dtype)


def assert_close(ours, theirs, tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max(), rtol=0)


EXCHANGED, PRODUCT = ((2, 7, 6, 32), (3, 3, 32, 20), dict(padding=(1, 1))), ((2, 4, 5, 6), (1, 1, 6, 8), {})
DEPTHWISE = (2, 7, 6, 8), (3, 3, 1, 8), dict(padding=(1, 1), groups=8)
GROUPS = (2, 7, 6, 8), (3, 3, 4, 6), dict(padding=(1, 1), groups=2)
NEIGHBOURS = (2, 6, 7, 3), (3, 3, 3, 12), dict(padding=(1, 1))
WHOLES = (2, 7, 6, 18), (3, 3, 18, 30), dict(padding=(1, 1))
A_ROW_MORE = (2, 9, 8, 20), (4, 3, 20, 32), dict(strides=(3, 2))


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch):
    """Convolutions of small images are made as those of large ones are."""
    for least in "_LEAST_MACS", "_LEAST_MACS_OF_ONE":
        monkeypatch.setattr(conv, least, 0)


@pytest.mark.parametrize("shape, kernel_shape, fields", [
    EXCHANGED,
    PRODUCT,
    ((2, 7, 6, 64), (3, 3, 64, 80), {}),
    ((1, 7, 6, 32), (3, 1, 32, 17), dict(padding=(0, 2))),  # more zeros than the window is wide
    ((1, 7, 6, 32), (2, 4, 32, 17), dict(padding=(1, 1))),
    ((2, 7, 6, 5), (2, 2, 5, 6), dict(padding=(1, 1))),  # larger than its input
    ((2, 7, 6, 32), (3, 3, 32, 4), dict(padding=(2, 1))),
    ((1, 7, 6, 64), (3, 3, 64, 3), dict(padding=(1, 1))),
    ((1, 7, 6, 3), (3, 3, 3, 32), dict(padding=(1, 1))),
    ((1, 7, 6, 6), (1, 1, 6, 8), dict(padding=(1, 1))),
    ((1, 7, 6, 64), (3, 3, 64, 20), {}),
    ((1, 7, 6, 32), (3, 3, 32, 20), dict(strides=(2, 2), padding=(1, 1))),
    ((1, 7, 6, 32), (3, 3, 32, 20), dict(dilation=(2, 1))),
    ((1, 7, 6, 64), (1, 1, 32, 4), dict(groups=2)),
    ((1, 7, 6, 8), (3, 3, 1, 8), dict(groups=8)),
    DEPTHWISE,
    ((1, 7, 6, 8), (3, 5, 1, 8), dict(dilation=(2, 1), padding=(3, 0), groups=8)),
    ((1, 7, 6, 8), (3, 3, 1, 8), dict(padding=(3, 3), groups=8)),  # more zeros than the window is wide
    ((1, 7, 6, 8), (3, 3, 1, 8), dict(strides=(2, 2), groups=8)),
    ((1, 9, 9, 8), (9, 9, 1, 8), dict(padding=(4, 4), groups=8)),
    ((1, 7, 6, 4), (3, 3, 1, 8), dict(padding=(1, 1), groups=4)),
    GROUPS,
    ((1, 9, 8, 80), (3, 2, 20, 8), dict(padding=(1, 0), groups=4)),  # one by one
    ((1, 9, 8, 96), (3, 3, 8, 36), dict(strides=(2, 2), padding=(1, 1), groups=12)),  # four and four together
    ((1, 9, 8, 6), (3, 3, 3, 4), dict(dilation=(2, 1), padding=(2, 1), groups=2)),
    NEIGHBOURS,
    ((1, 7, 6, 2), (3, 3, 2, 30), dict(padding=(1, 1))),
    ((1, 6, 7, 6), (3, 3, 6, 14), dict(padding=(1, 1))),  # neighbours that fill no vectors
    WHOLES,
    ((1, 5, 6, 20), (3, 3, 20, 50), dict(padding=(1, 1))),
    ((1, 5, 6, 18), (3, 3, 18, 40), {}),  # channels filled, and a row more
    A_ROW_MORE,
    ((1, 7, 8, 6), (3, 3, 6, 9), dict(strides=(2, 2), padding=(1, 1))),
    ((1, 7, 6, 20), (3, 3, 20, 28), dict(dilation=(2, 1))),
    ((2, 4, 5, 18), (1, 1, 18, 5), {}),
    ((1, 4, 5, 18), (1, 1, 18, 5), dict(strides=(2, 1))),
    *(((1, 4, width, 4), (rows, columns, 4, 5), dict(padding=(up, left)))
      for width, rows, columns, up, left in [(6, 3, 3, 0, 0), (7, 1, 2, 0, 1), (8, 5, 5, 2, 2), (9, 3, 7, 1, 3),
                                             (6, 2, 4, 1, 1), (7, 3, 6, 2, 4), (3, 3, 3, 2, 2)]),
])
def test_gradients_are_those_of_xla(shape, kernel_shape, fields):
    check_gradients(shape, kernel_shape, fields, "float32", 2e-6)


@pytest.mark.parametrize("channels, groups", [(20, 1), (8, 1), (16, 16)])
def test_a_kernel_larger_than_the_image_gives_nothing(channels, groups):
    x, kernel = pair((1, 1, 8, channels), (3, 3, channels // groups, 16))
    y, pull = jax.vjp(functools.partial(convolve, groups=groups), x, kernel)
    assert y.shape == (1, 0, 6, 16)
    assert [np.any(gradient) for gradient in pull(y)] == [False, False]


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("shape, kernel_shape, fields", [
    EXCHANGED, PRODUCT, DEPTHWISE, GROUPS, NEIGHBOURS, WHOLES, A_ROW_MORE])
def test_gradients_of_other_dtypes(shape, kernel_shape, fields, dtype, tolerance):
    check_gradients(shape, kernel_shape, fields, dtype, tolerance)


def check_gradients(shape, kernel_shape, fields, dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        arguments = tuple(jnp.asarray(a, dtype) for a in pair(shape, kernel_shape))
        found = [jax.jit(lambda *arguments, f=f: (f(*arguments, **fields), jax.grad(
            lambda *arguments: jnp.sin(f(*arguments, **fields)).sum(), (0, 1))(*arguments)))(*arguments)
                 for f in (convolve, own)]
    assert_close(*found, tolerance)


@pytest.mark.parametrize("shape, kernel_shape, fields", [
    PRODUCT, *(pytest.param(*case, marks=pytest.mark.slow)
               for case in (EXCHANGED, DEPTHWISE, GROUPS, NEIGHBOURS, WHOLES))])
def test_every_derivative_is_that_of_xla(shape, kernel_shape, fields):
    x, kernel = pair(shape, kernel_shape)
    images, kernels = np.stack([x, 2 * x]), np.stack([kernel, 3 * kernel])

    def derivatives(f):
        def loss(x, kernel):
            return jnp.sin(f(x, kernel, **fields)).sum()

        def of_gradients(x, kernel):
            return sum((gradient**2).sum() for gradient in jax.grad(loss, (0, 1))(x, kernel))

        by_kernel = jax.grad(jax.remat(loss), 1)
        return {"jvp": jax.jvp(loss, (x, kernel), (2 * x, kernel - 1)),
                "vmap": [jax.vmap(by_kernel, axes)(*arguments) for axes, arguments in [
                    ((0, None), (images, kernel)), ((None, 0), (x, kernels)), ((0, 0), (images, kernels))]],
                "second": jax.grad(of_gradients, (0, 1))(x, kernel)}

    assert_close(derivatives(convolve), derivatives(own), 2e-6)


@pytest.mark.parametrize("case, of_the_cpu", [
    (EXCHANGED, "stablehlo.reverse"), (PRODUCT, "stablehlo.dot_general"), (DEPTHWISE, "stablehlo.slice")])
def test_the_kernels_gradient_is_made_otherwise_on_the_cpu_alone(case, of_the_cpu):
    shape, kernel_shape, fields = case
    gradient = jax.jit(jax.grad(lambda kernel, x: convolve(x, kernel, **fields).sum()))
    traced = gradient.trace(*pair(shape, kernel_shape)[::-1])
    assert of_the_cpu in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert of_the_cpu not in traced.lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize("shape, kernel_shape, fields", [
    EXCHANGED, PRODUCT, DEPTHWISE, GROUPS, NEIGHBOURS, WHOLES, A_ROW_MORE])
def test_a_trace_holds_one_convolution(shape, kernel_shape, fields):
    text = str(jax.make_jaxpr(lambda *arguments: convolve(*arguments, **fields))(*pair(shape, kernel_shape)))
    assert text.count("conv_general_dilated[") == 1 and "dot_general" not in text


@pytest.mark.parametrize("channels, features, whole", [
    (20, 12, 16), (20, 24, 24), (20, 27, 32), (20, 36, 36), (20, 46, 48), (20, 49, 64), (20, 72, 72), (14, 14, 32),
    (8, 6, 24)])
def test_features_fill_vectors_on_the_cpu_alone(channels, features, whole):
    traced = jax.jit(lambda *arguments: convolve(*arguments, padding=(1, 1))).trace(
        *pair((1, 6, 8, channels), (3, 3, channels, features)))
    kernels = {platform: re.search(r"stablehlo.convolution.*-> tensor<1x6x\d+x(\d+)x", traced.lower(
        lowering_platforms=(platform,)).as_text()) for platform in ("cpu", "cuda")}
    assert {platform: int(found[1]) for platform, found in kernels.items()} == {"cpu": whole, "cuda": features}


@pytest.mark.parametrize("height, moved", [(60, False), (130, True)])
def test_a_small_depthwise_convolution_is_not_worth_a_sum(height, moved, monkeypatch):
    monkeypatch.undo()
    images, kernel = (jax.ShapeDtypeStruct(shape, np.float32) for shape in ((1, height, 64, 16), (3, 3, 1, 16)))
    traced = jax.jit(functools.partial(convolve, padding=(1, 1), groups=16)).trace(images, kernel)
    assert ("stablehlo.convolution" in traced.lower(lowering_platforms=("cpu",)).as_text()) != moved


def test_the_gradient_keeps_the_precision_of_the_call():
    shape, kernel_shape, fields = EXCHANGED

    def loss(kernel, x):
        with jax.default_matmul_precision("highest"):
            return convolve(x, kernel, **fields).sum()

    traced = jax.jit(jax.grad(loss)).trace(*pair(shape, kernel_shape)[::-1])
    for platform in "cpu", "cuda":
        assert "DEFAULT" not in traced.lower(lowering_platforms=(platform,)).as_text()


SHARDED = """
import jax, numpy as np
from jsr.layers.conv import convolve
mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
over_devices, everywhere = (jax.sharding.NamedSharding(mesh, jax.P(*axes)) for axes in (("data",), ()))
for shape, kernel_shape, padding in [((8, 7, 6, 32), (3, 3, 32, 20), (1, 1)), ((8, 4, 5, 6), (1, 1, 6, 8), (0, 0))]:
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=s).astype("float32") for s in (shape, kernel_shape))
    gradient = jax.jit(jax.grad(lambda kernel, x: jax.numpy.sin(convolve(x, kernel, padding=padding)).sum()))
    sharded = gradient(jax.device_put(kernel, everywhere), jax.device_put(x, over_devices))
    assert len(sharded.devices()) == 4
    np.testing.assert_allclose(sharded, gradient(kernel, x), atol=1e-3)
"""


def test_a_batch_over_devices_has_the_gradient_of_one_device():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags}
    done = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_weight_normalisation_is_torchs():
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 3)).astype(np.float32)
    conv = Conv(4, 5, weight_norm=True)
    params = conv.init(jax.random.key(0), x)["params"]
    kernel = np.asarray(params["kernel"])  # as it is before any training
    np.testing.assert_allclose(conv.apply({"params": params}, x),
                               Conv(4, 5).apply({"params": {"kernel": kernel, "bias": params["bias"]}}, x), atol=1e-6)
    params["magnitude"] = params["magnitude"] * np.float32([1, -2, 0.5, 3])
    direction, gain, bias = (torch.tensor(np.asarray(params[leaf])) for leaf in ("kernel", "magnitude", "bias"))
    kernel = torch._weight_norm(direction.permute(3, 2, 0, 1), gain.permute(3, 2, 0, 1), 0)
    expected = torch.nn.functional.conv2d(torch.tensor(x).permute(0, 3, 1, 2), kernel, bias, padding=2)
    np.testing.assert_allclose(conv.apply({"params": params}, x), expected.permute(0, 2, 3, 1), atol=1e-5)
