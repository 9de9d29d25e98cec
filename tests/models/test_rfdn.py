"""RFDN's family: what NTIRE 2023 tells of FADN and PRFDN."""

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


@pytest.mark.parametrize("scale, size, gmacs", [(2, (1080, 1920), 58.5454), (3, (720, 1280), 55.0807)])
def test_prfdn_is_close_to_the_published_operations(scale, size, gmacs):
    macs = counts.count(models.create("rfdn/prfdn", scale=scale), (1, *size, 3))[1]
    np.testing.assert_allclose(macs / 1e9, gmacs, rtol=0.05)


def drawn(model_id, **fields):
    """(model, variables): normal noise of size 0.3."""
    rng = np.random.default_rng(0)
    return models.create(model_id, **fields), jax.tree.map(
        lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), models.abstract(model_id, **fields))


def test_prfdns_blocks_are_independent_and_named_as_rfdns():
    """Taking away one block's weights takes away what it makes, and no more."""
    fields = dict(scale=2, num_feat=4, num_block=2)
    model, variables = drawn("rfdn/prfdn", **fields)
    rfdn, lr = models.abstract("rfdn/rfdn", **fields)["params"], np.ones((1, 15, 15, 3), np.float32)
    assert variables["params"].keys() - rfdn.keys() == {"small_0", "small_1"}
    assert jax.tree.map(np.shape, variables["params"]["body_1"]) == jax.tree.map(np.shape, rfdn["body_1"])

    @jax.jit
    def features(params):
        _, state = model.apply({"params": params}, lr, capture_intermediates=True, mutable="intermediates")
        return [state["intermediates"][f"body_{index}"]["__call__"][0] for index in range(2)]

    silent = jax.tree.map(np.zeros_like, variables["params"]["body_0"])
    before, after = features(variables["params"]), features(variables["params"] | {"body_0": silent})
    assert np.any(before[0]) and not np.any(after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_fadns_gradients_are_finite_and_reach_every_parameter():
    model, variables = drawn("rfdn/fadn", scale=2, num_feat=4, num_block=1)
    lr = np.random.default_rng(0).random((1, 9, 8, 3), np.float32)
    gradient = jax.jit(jax.grad(lambda v: abs(model.apply(v, lr) - 0.3).mean()))(variables)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.any(leaf != 0), jax.tree_util.keystr(path)


@pytest.mark.parametrize("variant", ["fadn", "prfdn"])
def test_what_is_inferred_has_no_names_elsewhere(variant):
    with pytest.raises(UserError, match=re.escape("rfdn: neither FADN nor PRFDN has public code")):
        convert.formats(models.create(f"rfdn/{variant}", scale=2))
