"""RFDN's family: what NTIRE 2023 tells of FADN."""

import re

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.analysis import counts
from jsr.errors import UserError


@pytest.mark.parametrize("scale, size, gmacs", [(2, (1080, 1920), 38.486), (3, (720, 1280), 104.362)])
def test_fadn_has_the_published_operations(scale, size, gmacs):
    """Which count one for each value of the only activation function, a leaky ReLU."""
    model = models.create("rfdn/fadn", scale=scale)
    macs = counts.count(model, (1, *size, 3))[1] + model.num_feat * size[0] * size[1]
    assert round(macs / 1e9, 3) == gmacs


def drawn(model_id, **fields):
    """(model, variables): normal noise of size 0.3."""
    rng = np.random.default_rng(0)
    return models.create(model_id, **fields), jax.tree.map(
        lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), models.abstract(model_id, **fields))


def test_fadns_gradients_are_finite_and_reach_every_parameter():
    model, variables = drawn("rfdn/fadn", scale=2, num_feat=4, num_block=1)
    lr = np.random.default_rng(0).random((1, 9, 8, 3), np.float32)
    gradient = jax.jit(jax.grad(lambda v: abs(model.apply(v, lr) - 0.3).mean()))(variables)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.any(leaf != 0), jax.tree_util.keystr(path)


def test_what_is_inferred_has_no_names_elsewhere():
    with pytest.raises(UserError, match=re.escape("rfdn: FADN has no public code")):
        convert.formats(models.create("rfdn/fadn", scale=2))
