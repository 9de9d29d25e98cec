"""PCRTSR: which features see their neighbours, and the published counts."""

import jax
import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.models import pcrtsr


@pytest.mark.parametrize("scale, size, macs", [(2, (1080, 1920), 82_678_579_200), (3, (720, 1280), 37_630_771_200)])
def test_multiply_accumulates_are_as_published(scale, size, macs):
    assert counts.count(models.create("pcrtsr", scale=scale), (1, *size, 3))[1] == macs


def test_a_quarter_of_the_features_sees_its_neighbours(run):
    block = pcrtsr.PartialBlock()
    shapes = jax.eval_shape(block.init, jax.random.key(0), np.zeros((1, 5, 5, 8)))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    variables["params"]["partial"]["kernel"] += 1
    variables["params"]["expand"]["kernel"][0, 0, :, :8] = np.eye(8)
    variables["params"]["slope"] += np.arange(16) / 10
    variables["params"]["reduce"]["kernel"][0, 0, :8] = np.eye(8)
    x = np.zeros((1, 5, 5, 8))
    x[0, 2, 2] = -np.arange(1, 9)
    expected = np.zeros((1, 5, 5, 8))
    expected[0, 1:4, 1:4, :2] = -3  # both of the first two, added up by the kernel of ones
    expected[0, 2, 2, 2:] = -np.arange(3, 9)
    np.testing.assert_allclose(run(block, variables, x), expected * np.arange(8) / 10, rtol=1e-12)
