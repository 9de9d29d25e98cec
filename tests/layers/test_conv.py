"""The convolution, against its definition in numpy and PyTorch's conventions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.conv import Conv, torch_uniform


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
