"""Means of windows against means taken one by one, and in the networks that have global ones; maxima against Flax's."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from jsr.layers.pool import box_mean, local_means, max_pool
from jsr.models import hat, imdn, rfdn, rvsr


def one_by_one(x, height, width):
    """The window begins (size - 1) // 2 px before the pixel, but within the image."""
    sides = [min(size, side) for size, side in zip((height, width), x.shape[1:3], strict=True)]
    y = np.empty_like(x)
    for row, column in np.ndindex(*x.shape[1:3]):
        top, left = (int(np.clip(place - (size - 1) // 2, 0, side - size))
                     for place, size, side in zip((row, column), sides, x.shape[1:3], strict=True))
        y[:, row, column] = x[:, top:top + sides[0], left:left + sides[1]].mean((1, 2))
    return y


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (6, 5), (9, 11), (40, 2)])
def test_box_mean(size):
    x = np.random.default_rng(0).random((2, 9, 11, 3), np.float32)
    np.testing.assert_allclose(box_mean(x, *size), one_by_one(x, *size), atol=1e-6)


@pytest.mark.parametrize("size, stride, padding", [(7, 3, 0), (3, 2, 1), (2, 2, 0)])
def test_maxima_and_their_gradient(size, stride, padding):
    x = np.random.default_rng(0).integers(-9, 0, (2, 12, 17, 3)).astype(np.float32)  # many are equal

    def of_flax(x):
        return nn.max_pool(x, (size, size), (stride, stride), [(padding, padding)] * 2)

    y, pull = jax.vjp(of_flax, x)
    ours, our_pull = jax.vjp(lambda x: max_pool(x, size, stride, padding), x)
    np.testing.assert_array_equal(ours, y)
    weights = np.arange(y.size, dtype=np.float32).reshape(y.shape)
    np.testing.assert_array_equal(our_pull(weights)[0], pull(weights)[0])


def test_box_mean_of_a_large_image_keeps_its_digits():
    x = np.random.default_rng(0).random((1, 4, 4000, 1), np.float32)
    expected = x[:, :, -96:].astype(np.float64).mean((1, 2))[0]
    np.testing.assert_allclose(box_mean(x, 4, 96)[0, 0, -1], expected, atol=2e-6)


@pytest.mark.parametrize("block", [hat.ChannelWeights(2), rvsr.SqueezeExcite(4), imdn.CCA(), rfdn.NADB()],
                         ids=lambda block: type(block).__name__)
def test_attention_sees_windows_of_the_image(block):
    """As large as the image they change nothing; else what is far away does not matter."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.random((1, 6, 40, 64), np.float32), 2, axis=0)
    x[1, :, 30:] *= 2 * rng.random(64, np.float32)  # far from the left side
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
                             jax.eval_shape(block.init, jax.random.key(0), x))

    @jax.jit
    def apply(x):
        whole = block.apply(variables, x)
        with local_means(80, 12, 80):  # of an image twice the size
            large = block.apply(variables, x)
        with local_means(16, 12, 80):
            return whole, large, block.apply(variables, x)

    whole, large, local = map(np.asarray, apply(x))
    size = np.abs(whole).max()
    np.testing.assert_allclose(np.broadcast_to(whole, large.shape), large, atol=1e-5 * size)
    assert np.abs(large[0] - large[1])[:, :8].max() > 1e-3 * size
    np.testing.assert_allclose(local[0, :, :8], local[1, :, :8], atol=1e-5 * size)
    assert np.abs(local - large).max() > 1e-3 * size
