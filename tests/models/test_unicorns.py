"""Unicorns: its size against the submission's, and its correlation block."""

import jax
import numpy as np
import pytest

from jsr import models
from jsr.analysis import counts
from jsr.models.unicorns import CorrelationBlock


def test_it_is_about_as_large_as_the_submission():
    params = counts.count_params(models.abstract("unicorns", scale=1))
    assert 4 * params == pytest.approx(102e6, rel=0.05)  # bytes in float32


def test_the_first_image_decides_which_channels_of_the_second_are_mixed():
    block, rng = CorrelationBlock(4, 2), np.random.default_rng(0)
    first, other, second = rng.random((3, 1, 6, 8, 3), np.float32)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
                          jax.eval_shape(block.init, jax.random.key(0), first, second)["params"])

    @jax.jit
    def apply(temperature, first):
        return block.apply({"params": params | {"temperature": temperature}}, first, second)

    warm, cold = np.full((2, 1, 1), 5.0, np.float32), np.zeros((2, 1, 1), np.float32)
    assert np.abs(apply(warm, first) - apply(warm, other)).max() > 0.01
    np.testing.assert_array_equal(apply(cold, first), apply(cold, other))  # all channels count alike
