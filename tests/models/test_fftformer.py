"""FFTformer: its spectra, and the quality that QFEM estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.models.fftformer import HALF, PATCH, double, from_spectra, halve, multiply, spectra

RNG = np.random.default_rng(0)


def patches(x):
    """(N, H, W, C) to (N, H / 8, W / 8, C, 8, 8)."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 8, 8, width // 8, 8, channels).transpose(0, 1, 3, 5, 2, 4)


def test_spectra_are_those_of_numpy():
    x = RNG.normal(size=(2, 16, 24, 3)).astype(np.float32)
    found = np.asarray(spectra(x)).reshape(2, 2, 3, 2, PATCH, HALF, 3).transpose(3, 0, 1, 2, 6, 4, 5)
    expected = np.fft.rfft2(patches(x))
    np.testing.assert_allclose(found[0] + 1j * found[1], expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(from_spectra(spectra(x), 16, 24), x, rtol=0, atol=1e-6)


def test_spectra_of_bfloat16_are_float32():
    assert jax.eval_shape(spectra, jax.ShapeDtypeStruct((1, 8, 8, 2), jnp.bfloat16)).dtype == jnp.float32


def test_weights_that_are_no_spectrum_of_a_real_filter_count_as_irfft2_takes_them():
    """The original's weights of a column's frequencies u and -u differ, where those of a real filter are the same."""
    x, weights = RNG.normal(size=(1, 8, 16, 2)).astype(np.float32), RNG.normal(size=(PATCH, HALF)).astype(np.float32)
    found = from_spectra(spectra(x) * np.tile(weights.reshape(-1, 1), (2, 1)), 8, 16)
    expected = np.fft.irfft2(np.fft.rfft2(patches(x)) * weights, s=(8, 8))
    np.testing.assert_allclose(patches(np.asarray(found)), expected, rtol=0, atol=1e-5)


def test_products_of_spectra_are_circular_convolutions():
    a, b = RNG.normal(size=(2, 1, 8, 8, 1)).astype(np.float32)
    found = from_spectra(multiply(spectra(a), spectra(b)), 8, 8)[0, :, :, 0]
    row, column = np.indices((8, 8))
    expected = sum(a[0, i, j, 0] * b[0, (row - i) % 8, (column - j) % 8, 0] for i in range(8) for j in range(8))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_halving_and_doubling_are_bilinear():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(halve(x)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_allclose(double(x[:, :1, :2])[0, :, :, 0], [[0, 0.25, 0.75, 1]] * 2)


def test_the_quality_is_estimated_for_each_image(run, drawn):
    model = models.create("fftformer/qfem", scale=1, dim=2, num_blocks=(0, 0, 0), num_refinement_blocks=0)
    lr = RNG.random((2, 32, 32, 3))
    qf = run(model, drawn(model), lr)["qf"]
    assert qf.shape == (2, 1) and ((0 < qf) & (qf < 1)).all() and qf[0] != qf[1]


def test_the_quality_is_float32_whatever_the_rest_is_computed_in():
    model = models.create("fftformer/qfem", scale=1, dtype=jnp.bfloat16)
    lr = jax.ShapeDtypeStruct((2, 32, 64, 3), jnp.float32)
    result, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), lr)
    assert {name: (leaf.shape, leaf.dtype.name) for name, leaf in result.items()} == {
        "sr": ((2, 32, 64, 3), "float32"), "qf": ((2, 1), "float32")}


def test_a_size_that_is_no_multiple_of_32_is_refused():
    with pytest.raises(ValueError, match="height 20 or width 16 is no multiple of window_size = 8"):
        jax.eval_shape(models.create("fftformer", scale=1).init, jax.random.key(0), jnp.zeros((1, 40, 32, 3)))
