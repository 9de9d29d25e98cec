"""Enlargement and reduction inside networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.resize import bicubic_aligned, bicubic_downsample, bicubic_upsample, bilinear


def test_weights_are_those_of_torch():
    """torch.nn.functional.interpolate([0, 0, 0, 1, 0, 0, 0], scale_factor=4, mode="bicubic"), from torch 2.13."""
    x = np.zeros((1, 1, 7, 1), np.float32)
    x[0, 0, 3] = 1
    y = bicubic_upsample(x, 4)[0, 0, :, 0]
    right = [0.967285156, 0.749511719, 0.426269531, 0.114746094, -0.071777344, -0.109863281, -0.065917969, -0.010253906]
    np.testing.assert_allclose(y[14:], [*right, *[0] * (14 - len(right))], atol=1e-7)
    np.testing.assert_allclose(y, y[::-1], atol=1e-7)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_constants_stay_and_lines_stay_lines_inside(factor):
    line = np.broadcast_to(np.arange(9, dtype=np.float32)[None, :, None, None], (1, 9, 5, 2))
    y = bicubic_upsample(line, factor)
    assert y.shape == (1, 9 * factor, 5 * factor, 2) and y.dtype == np.float32
    expected = (np.arange(9 * factor) + 0.5) / factor - 0.5
    inside = slice(2 * factor, 7 * factor)
    # the kernel with a = -0.75 reproduces constants, lines only nearly
    np.testing.assert_allclose(y[0, inside, 0, 0], expected[inside], atol=0.05)
    np.testing.assert_allclose(bicubic_upsample(np.ones_like(line), factor), 1, atol=1e-6)


def test_it_is_not_the_kernel_of_jax():
    x = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    jax_one = jax.image.resize(x, (1, 32, 32, 1), "cubic")
    assert abs(bicubic_upsample(x, 4) - jax_one)[:, 8:24, 8:24].max() > 0.005


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_reduction_is_torchs_without_antialiasing(factor):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    x = np.random.default_rng(0).normal(size=(2, 12, 24, 3)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(x).permute(0, 3, 1, 2), scale_factor=1 / factor,
                                               mode="bicubic").permute(0, 2, 3, 1)
    y = bicubic_downsample(x, factor)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(5, 8), (1, 2)])
def test_aligned_corners_are_torchs(size):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(x).permute(0, 3, 1, 2), scale_factor=4, mode="bicubic",
                                               align_corners=True).permute(0, 2, 3, 1)
    y = bicubic_aligned(x, 4)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(y[:, [0, -1]][:, :, [0, -1]], x[:, [0, -1]][:, :, [0, -1]], atol=1e-6)


@pytest.mark.parametrize("size, larger", [((3, 5), (20, 31)), ((1, 2), (4, 9)), ((4, 4), (4, 4))])
def test_bilinear_is_jax_image_resize_without_a_multiplication(size, larger):
    x = np.random.default_rng(0).random((2, *size, 3), np.float32)
    expected = jax.image.resize(x, (2, *larger, 3), "bilinear", antialias=False)
    np.testing.assert_allclose(bilinear(x, *larger), expected, atol=1e-6)
    assert "dot_general" not in str(jax.make_jaxpr(lambda x: bilinear(x, *larger))(x))


def test_bilinear_repeats_the_edge_and_keeps_the_type():
    y = bilinear(jnp.array([0, 1], jnp.bfloat16).reshape(1, 1, 2, 1), 2, 8)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y[0, 1, :, 0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
