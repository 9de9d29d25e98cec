"""SAFMN and SAFMN++: counts; pooling and resizing to any size."""

import jax
import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.inference.chain import Chain
from jsr.layers.resize import bilinear
from jsr.models.safmn import adaptive_max_pool, resize_nearest


def test_the_light_network_has_the_published_counts():
    assert counts.count(models.create("safmn/light_pp", scale=4), (1, 540, 960, 3)) == (66_176, 34_158_654_720)


def test_tiles_are_never_exact():
    model = models.create("safmn/light_pp", scale=4, num_feat=4, num_block=1)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(
        model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 16, 16, 3), np.float32)))
    assert Chain({"sr": model}, {"sr": variables}).reach(1000) is None


@pytest.mark.parametrize("size, bins", [((16, 24), (2, 3)), ((17, 11), (2, 5)), ((9, 9), (4, 7)), ((5, 7), (5, 1))])
def test_a_bin_is_the_maximum_of_all_pixels_it_touches(size, bins):
    x = np.random.default_rng(0).normal(size=(1, *size, 2)).astype(np.float32)
    edges = [[(i * side // n, -(-(i + 1) * side // n)) for i in range(n)] for side, n in zip(size, bins, strict=True)]
    expected = [[x[0, a:b, c:d].max((0, 1)) for c, d in edges[1]] for a, b in edges[0]]
    np.testing.assert_array_equal(adaptive_max_pool(x, *bins)[0], expected)


def test_an_image_smaller_than_a_bin_is_refused():
    with pytest.raises(ValueError, match="an image of 7x9 does not pool to 0x1"):
        adaptive_max_pool(np.zeros((1, 7, 9, 1), np.float32), 0, 1)
    with pytest.raises(ValueError, match="an image of 7x9 does not pool to 8x1"):
        adaptive_max_pool(np.zeros((1, 7, 9, 1), np.float32), 8, 1)


def test_resizing_takes_the_pixels_under_the_new_ones():
    x = np.float32([0, 10]).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(resize_nearest(x, 2, 5)[0, :, :, 0], [[0, 0, 0, 10, 10]] * 2)
    np.testing.assert_allclose(bilinear(x, 2, 4)[0, :, :, 0], [[0, 2.5, 7.5, 10]] * 2)
