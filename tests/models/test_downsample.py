"""The way back of dual learning: its sizes."""

import jax
import numpy as np
import pytest

from jsr import models
from jsr.layers.resize import bicubic_downsample


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sizes_are_divided_by_the_scale(scale):
    model = models.create("downsample", scale=scale)
    image = jax.ShapeDtypeStruct((1, 24, 48, 3), np.float32)
    lr = jax.eval_shape(model.apply, models.abstract("downsample", scale=scale), image)
    assert lr.shape == (1, 24 // scale, 48 // scale, 3) and models.card(model).padding.multiple == scale


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_adds_to_the_bicubic_reduction(scale, run):
    fields = dict(scale=scale, num_feat=4, num_block=1)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), models.abstract("downsample", **fields))
    image = np.random.default_rng(0).random((1, 12, 24, 3), np.float32)
    lr = run(models.create("downsample", **fields), zeros, image)
    np.testing.assert_allclose(lr, bicubic_downsample(image, scale), atol=1e-6)
