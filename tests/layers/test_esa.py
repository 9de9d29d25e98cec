"""Enhanced spatial attention: its mask, and images smaller than its window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.layers.esa import ESA


def variables(module, shape):
    """All ones in the 1x1 convolutions, and 1 at the centre of the 3x3 ones; no biases."""
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32),
                          jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))["params"])
    for layer in params.values():
        kernel = layer["kernel"]
        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return {"params": params}


def test_the_mask_is_of_the_largest_value_around_and_of_the_pixel():
    module, x = ESA(1), np.zeros((1, 15, 15, 1), np.float32)
    x[0, 7, 7], x[0, 0, 0], x[0, 14, 3] = 3, 2, -1  # conv2 keeps odd rows and columns
    y = module.apply(variables(module, x.shape), x)
    for row, column, largest in ((7, 7, 3), (0, 0, 3), (14, 3, 3)):
        value = x[0, row, column, 0]
        np.testing.assert_allclose(y[0, row, column, 0], value / (1 + np.exp(-(largest + value))), rtol=1e-6)


@pytest.mark.parametrize("num_conv, largest", [(1, -2), (3, 0)])
def test_between_convolutions_of_the_coarse_map_is_a_relu(num_conv, largest):
    module, x = ESA(1, num_conv=num_conv), np.full((1, 16, 16, 1), -2, np.float32)
    y = module.apply(variables(module, x.shape), x)
    np.testing.assert_allclose(y, np.full_like(x, -2 / (1 + np.exp(2 - largest))), rtol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (14, 9)])
def test_an_image_smaller_than_the_window_is_continued_by_its_edge(size):
    module, x = ESA(1), np.full((1, *size, 1), 2, np.float32)
    y = module.apply(variables(module, x.shape), x)
    np.testing.assert_allclose(y, np.full_like(x, 2 / (1 + np.exp(-4))), rtol=1e-6)


def test_the_window_and_its_step_decide_how_coarse_the_map_is():
    """At 64x64: three 1x1 at full size; 3x3 at 31x31; 3x3 on the map of the windows."""
    for pool_size, pool_stride, side in ((7, 3, 9), (11, 7, 3)):
        module = ESA(1, pool_size=pool_size, pool_stride=pool_stride)
        assert counts.count(module, (1, 64, 64, 1))[1] == 3 * 64**2 + 9 * 31**2 + 9 * side**2


def test_the_masks_of_a_part_are_not_those_of_the_whole():
    """However large the part: the coarse map is stretched by 64 / 9 in one and by 32 / 3 in the other."""
    module, x = ESA(1), np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    weights = variables(module, x.shape)
    whole, part = (module.apply(weights, image) for image in (x, x[:, :32]))
    assert 1e-3 < np.abs(whole[:, :8] - part[:, :8]).max() < 0.1


@pytest.mark.parametrize("model_id, scale, follows", [
    ("rlfn/rlfn", 2, True), ("rlfn/erlfn", 2, False), ("rfdn/rfdn", 2, True), ("prfdn/base", 2, True),
    ("rfdn/fadn", 2, False)])
def test_networks_say_that_their_masks_follow_the_size_of_the_image(model_id, scale, follows):
    assert models.create(model_id, scale=scale).grid_follows_size == follows
