"""Pixel shuffle and the upsamplers made of it."""

import jax
from jax import export, lax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.shuffle import by_products, pixel_shuffle, pixel_unshuffle
from jsr.layers.upsample import PixelShuffleUpsample, TransposedConv


@pytest.mark.parametrize("factor", [2, 3])
def test_channels_are_ordered_as_in_torch(factor):
    """An index image: channel c * factor**2 + row * factor + column lands on (row, column) of colour c."""
    n, h, w, colours = 2, 3, 4, 3
    x = np.arange(n * h * w * colours * factor**2).reshape(n, h, w, -1)
    y = pixel_shuffle(x, factor)
    assert y.shape == (n, h * factor, w * factor, colours)
    for i in range(h * factor):
        for j in range(w * factor):
            for c in range(colours):
                channel = c * factor**2 + (i % factor) * factor + j % factor
                assert (y[:, i, j, c] == x[:, i // factor, j // factor, channel]).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_unshuffle_is_the_inverse(factor):
    x = jax.random.normal(jax.random.key(0), (2, 12, 24, 5))
    y = pixel_unshuffle(x, factor)
    assert y.shape == (2, 12 // factor, 24 // factor, 5 * factor**2)
    assert (pixel_shuffle(y, factor) == x).all()


@pytest.mark.parametrize("factor, width, channels", [(4, 40, 3), (3, 129, 1), (12, 33, 3)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_products_move_the_same_bits(factor, width, channels, dtype):
    x = jax.random.normal(jax.random.key(0), (2, 3, width, channels * factor**2)).astype(dtype)
    y = pixel_shuffle(x, factor)
    for moved, expected in ((by_products(x, factor, False), y), (by_products(y, factor, True), x)):
        assert moved.dtype == dtype and (moved == expected).all()


def test_images_move_by_products_on_tpus_alone_and_of_any_size():
    def products(platform, channels):
        x = jax.ShapeDtypeStruct(export.symbolic_shape(f"1, h, w, {channels}"), jnp.float32)
        exported = export.export(jax.jit(lambda x: pixel_unshuffle(pixel_shuffle(x, 2), 2)), platforms=[platform])(x)
        return exported.mlir_module().count("stablehlo.dot_general")

    assert [products(*case) for case in (("tpu", 12), ("cpu", 12), ("cuda", 12), ("tpu", 64))] == [2, 0, 0, 0]


def test_moving_is_linear_in_every_transformation():
    x = jax.random.normal(jax.random.key(0), (3, 2, 4, 6, 12))
    y = jax.vmap(lambda x: pixel_shuffle(x, 2), 1, 1)(x)
    assert (y == jnp.stack([pixel_shuffle(x[:, i], 2) for i in range(2)], 1)).all()
    value, pullback = jax.vjp(lambda x: pixel_shuffle(x, 2), x[0])
    assert (pullback(value)[0] == x[0]).all()
    assert (jax.jvp(lambda x: pixel_unshuffle(x, 2), (value,), (value,))[1] == x[0]).all()


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="6 channels are no multiple of factor[*][*]2 = 4"):
        pixel_shuffle(np.zeros((1, 2, 2, 6)), 2)
    with pytest.raises(ValueError, match="height 5 or width 4 is no multiple of factor = 2"):
        pixel_unshuffle(np.zeros((1, 5, 4, 3)), 2)


@pytest.mark.parametrize("scale, kernels", [(1, []), (2, [16]), (3, [36]), (4, [16, 16]), (8, [16, 16, 16])])
def test_upsampler_has_a_convolution_per_shuffle(scale, kernels):
    y, variables = jax.eval_shape(PixelShuffleUpsample(scale).init_with_output, jax.random.key(0),
                                  jnp.zeros((1, 5, 7, 4)))
    assert y.shape == (1, 5 * scale, 7 * scale, 4)
    found = {name: p["kernel"].shape[-1] for name, p in variables.get("params", {}).items()}
    assert found == {f"conv_{index}": features for index, features in enumerate(kernels)}


@pytest.mark.parametrize("scale", [0, 5, 6])
def test_upsampler_refuses_other_scales(scale):
    with pytest.raises(ValueError, match=f"scale = {scale} is neither 3 nor a power of two"):
        PixelShuffleUpsample(scale).init(jax.random.key(0), jnp.zeros((1, 4, 4, 4)))


@pytest.mark.parametrize("scale, use_bias, size, padding", [
    (2, True, None, 0), (3, False, None, 0), (2, False, 3, 1), (4, True, 6, 1), (1, True, 5, 2), (2, True, 7, 3),
    (3, True, 7, 3)])
def test_a_transposed_convolution_is_the_adjoint_of_a_strided_one(scale, use_bias, size, padding):
    rng, side = np.random.default_rng(0), size or scale
    kernel, bias = rng.normal(size=(side, side, 5, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    x = rng.normal(size=(2, 3, 7, 5)).astype(np.float32)

    def strided(y):
        return lax.conv_general_dilated(y, kernel.transpose(0, 1, 3, 2), (scale, scale), [(padding, padding)] * 2,
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"))

    (expected,) = jax.linear_transpose(strided, jax.ShapeDtypeStruct((2, 3 * scale, 7 * scale, 4), np.float32))(x)
    layer = TransposedConv(4, scale, use_bias, kernel_size=size, padding=padding)
    params = {"kernel": kernel, "bias": bias} if use_bias else {"kernel": kernel}
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, jax.eval_shape(
        layer.init, jax.random.key(0), x)["params"])
    np.testing.assert_allclose(layer.apply({"params": params}, x), expected + (bias if use_bias else 0), atol=1e-4)


def test_a_transposed_convolution_that_makes_another_size_is_refused():
    with pytest.raises(ValueError, match="kernel_size = 6 and padding = 0 do not make an image 4 times as large"):
        TransposedConv(4, 4, kernel_size=6).init(jax.random.key(0), jnp.zeros((1, 3, 3, 5)))


def test_a_transposed_convolution_starts_as_pytorch_s():
    """Uniform within one over the root of features * factor**2: what PyTorch takes for its fan-in."""
    params = TransposedConv(25).init(jax.random.key(0), jnp.zeros((1, 1, 1, 10)))["params"]
    assert 0.099 < np.abs(params["kernel"]).max() <= 0.1 and 0.08 < np.abs(params["bias"]).max() <= 0.1
