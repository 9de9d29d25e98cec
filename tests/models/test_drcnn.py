"""DRCNN: it starts from the nearest neighbour's enlargement, and comes near the published operations."""

import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.models import drcnn


@pytest.mark.parametrize("scale, size, published", [(2, (1080, 1920), 207.0e9), (3, (720, 1280), 120.0e9)])
def test_operations_are_nearly_the_published(scale, size, published):
    macs = counts.count(models.create("drcnn", scale=scale), (1, *size, 3))[1]
    assert abs(2 * macs / published - 1) < 0.085


@pytest.mark.parametrize("scale", [2, 3])
def test_it_learns_what_the_nearest_neighbour_lacks(scale, drawn, run):
    model = models.create("drcnn", scale=scale, **drcnn.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((2, 5, 4, 3))
    variables["params"]["conv_last"]["kernel"] *= 0
    variables["params"]["conv_last"]["bias"] = np.arange(3 * scale**2)  # channel, row, column
    residual = np.arange(3 * scale**2).reshape(3, scale, scale).transpose(1, 2, 0)
    expected = lr.repeat(scale, 1).repeat(scale, 2) + np.tile(residual, (5, 4, 1))
    np.testing.assert_allclose(run(model, variables, lr), expected, rtol=1e-12)
