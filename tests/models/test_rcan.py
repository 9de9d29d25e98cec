"""RCAN: the names of its parameters, and its blocks of several sizes."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.errors import UserError
from jsr.models.rcan import MultiScaleConv


def test_official_names_are_the_ones_written():
    assert list(convert.formats(models.create("rcan", scale=2))) == ["official", "basicsr"]
    with pytest.raises(UserError, match="rcan: no public code has blocks of several sizes"):
        convert.formats(models.create("rcan/multi_scale", scale=2))


def test_sizes_are_multiples_of_the_reductions():
    assert [models.card(f"rcan/{variant}").padding.multiple for variant in ("base", "multi_scale")] == [1, 4]


def test_a_block_of_several_sizes_sees_its_surroundings_through_means(run):
    """A pixel's change reaches all of its 4x4 px and, by the convolution, of the neighbouring ones."""
    x = np.random.default_rng(0).random((1, 20, 20, 2), np.float32)
    module = MultiScaleConv((1, 2, 4))
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1), jax.eval_shape(module.init, jax.random.key(0), x))
    brighter = x.copy()
    brighter[0, 9, 9] += 1
    changed = run(module, variables, np.concatenate([x, brighter]))
    rows, columns = np.nonzero(np.abs(changed[1] - changed[0]).max(-1) > 1e-9)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 15, 4, 15)
