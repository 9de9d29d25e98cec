"""The way back of dual learning: its sizes."""

import jax
import numpy as np
import pytest

from jsr import models


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sizes_are_divided_by_the_scale(scale):
    model = models.create("downsample", scale=scale)
    image = jax.ShapeDtypeStruct((1, 24, 48, 3), np.float32)
    lr = jax.eval_shape(model.apply, models.abstract("downsample", scale=scale), image)
    assert lr.shape == (1, 24 // scale, 48 // scale, 3) and models.card(model).padding.multiple == scale
