"""The device twins against the host's functions."""

import jax
import numpy as np
import pytest

from jsr.degradations import resize, resize_device

PILLOW, MATLAB = ("pillow_bicubic", "pillow_lanczos"), ("matlab_bicubic", "matlab_bicubic_double")


def images(rng, height, width):
    """Uniform noise, black and white noise (the largest overshoots) and a gradient: uint8 (3, H, W, 3)."""
    noise = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    gradient = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., None] + [0, 60, 120]
    return np.stack([noise[0], np.where(noise[1] > 127, 255, 0), gradient % 256]).astype(np.uint8)


def both(name, x, size):
    device = np.asarray(resize_device.RESIZES[name](x, size))
    return device, np.stack([resize.RESIZES[name](image, size) for image in x])


@pytest.mark.parametrize("seed", [*range(24), *(pytest.param(n, marks=pytest.mark.slow) for n in range(24, 100))])
def test_pillow_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    height, width, new_height, new_width = (int(side) for side in rng.integers(1, 60, 4))
    if seed % 3 == 0:
        height, width = 4 * new_height, 4 * new_width
    for name in PILLOW:
        device, host = both(name, images(rng, height, width), (new_height, new_width))
        assert device.dtype == np.uint8
        np.testing.assert_array_equal(device, host)


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("size,new", [((1, 1), (7, 5)), ((9, 1), (1, 1)), ((700, 3), (2, 3)), ((3, 5), (3, 400)),
                                      ((12, 20), (12, 20)), ((120, 20), (30, 5))])
def test_pillow_at_the_edges(name, size, new):
    np.testing.assert_array_equal(*both(name, images(np.random.default_rng(0), *size), new))


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("name", MATLAB)
def test_matlab_at_the_challenges_factors(name, factor):
    x = images(np.random.default_rng(factor), 24 * factor, 35 * factor)
    np.testing.assert_array_equal(*both(name, x, (24, 35)))


@pytest.mark.parametrize("name", MATLAB)
def test_matlab_at_any_size_but_for_values_at_a_half(name):
    rng, differing, pixels = np.random.default_rng(0), 0, 0
    for _ in range(15):
        height, width, *size = (int(side) for side in rng.integers(1, 60, 4))
        device, host = both(name, images(rng, height, width), tuple(size))
        difference = np.abs(device.astype(int) - host)
        assert difference.max() <= 1
        differing, pixels = differing + np.sum(difference != 0), pixels + difference.size
    assert differing / pixels < 1e-3


@pytest.mark.parametrize("name", MATLAB)
def test_matlab_by_scale(name):
    x = images(np.random.default_rng(0), 13, 15)
    device = resize_device.RESIZES[name](x, scale=0.25)
    np.testing.assert_array_equal(device, [resize.RESIZES[name](image, scale=0.25) for image in x])


@pytest.mark.parametrize("name", MATLAB)
def test_matlab_wants_size_or_scale(name):
    with pytest.raises(ValueError, match="one of size_hw and scale"):
        resize_device.RESIZES[name](np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("name", resize_device.RESIZES)
def test_any_leading_and_channel_axes_and_inside_jit(name):
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 8, 1), np.uint8)
    result = jax.jit(lambda x: resize_device.RESIZES[name](x, (3, 2)))(x)
    assert result.shape == (2, 3, 3, 2, 1)
    np.testing.assert_array_equal(result[1, 2], resize_device.RESIZES[name](x[1, 2], (3, 2)))


@pytest.mark.parametrize("name", resize_device.RESIZES)
@pytest.mark.parametrize("x", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8)])
def test_other_arrays_are_refused(name, x):
    with pytest.raises(ValueError, match=r"expected uint8 \(..., H, W, C\), got"):
        resize_device.RESIZES[name](x, (4, 4))
