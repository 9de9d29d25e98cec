"""MDSR: its parts for several scales, and the attention of total variation."""

import jax
import numpy as np

from jsr import models
from jsr.models.mdsr import TVAttention, total_variation


def test_all_scales_have_the_same_parameters():
    first, *others = (models.abstract("mdsr", scale=scale, num_feat=4, num_block=1) for scale in (2, 3, 4))
    assert all(other == first for other in others)


def test_total_variation_is_of_neighbours():
    x = np.float32([[[1, 0], [3, 0], [0, 8]]])[None]  # one row: no vertical neighbours
    np.testing.assert_allclose(total_variation(x), [[0.5 * (2 + 3) / 2, 0.5 * 8 / 2]])
    np.testing.assert_allclose(total_variation(np.swapaxes(x, 1, 2)), total_variation(x))


def test_an_image_of_one_pixel_has_a_gate(run):
    x = np.ones((2, 1, 1, 4), np.float32)
    module = TVAttention(2)
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape), jax.eval_shape(module.init, jax.random.key(0), x))
    assert np.isfinite(run(module, variables, x)).all()
