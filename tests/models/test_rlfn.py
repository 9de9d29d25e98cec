"""RLFN's family: variants told apart; ERLFN's blocks fused; the published operations of it and LFDN."""

import re

import jax
import numpy as np
import pytest

from jsr import convert, models, reparam
from jsr.analysis import counts
from jsr.convert.identify import identify
from jsr.errors import UserError


def state_dict_of(model_id, scale):
    """Of a full-size network as deployed, filled with zeros."""
    fields = dict(scale=scale, deploy=True)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), models.abstract(model_id, **fields))
    return convert.to_torch(zeros, convert.formats(models.create(model_id, **fields))["official"])


@pytest.mark.parametrize("model_id, scale, fields", [
    ("rlfn/rlfn", 2, {}), ("rlfn/rlfn_s", 4, {}), ("rlfn/rlfn_ntire", 4, {}), ("rlfn/lfdn_ntubl6", 2, {}),
    ("rlfn/erlfn", 3, {"block": "plain"}), ("rlfn/erlfn_text", 3, {"block": "plain"})])
def test_its_state_dict_tells_what_it_is(model_id, scale, fields):
    found = identify(state_dict_of(model_id, scale))
    assert (found.model, found.scale, found.fields) == (model_id, scale, fields)
    assert found.assumed == ("img_range 255", "anchor none")


def test_fused_erlfn_computes_the_same():
    fields, rng = dict(scale=3, num_feat=6, num_block=1, esa_feat=4), np.random.default_rng(0)
    model = models.create("rlfn/erlfn_text", **fields)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
                             models.abstract("rlfn/erlfn_text", **fields))
    deployed, fused, report = reparam.fuse(model, variables)
    assert list(report) == ["body_0/conv1", "body_0/conv2", "body_0/conv3"] and max(report.values()) < 1e-13
    lr = rng.random((1, 17, 21, 3), np.float32)
    with jax.default_matmul_precision("highest"):
        sr, same = (jax.jit(net.apply)(weights, lr) for net, weights in ((model, variables), (deployed, fused)))
    np.testing.assert_allclose(same, sr, rtol=0, atol=1e-5 * np.abs(sr).max())


def test_plain_blocks_are_deployed_already():
    model, variables = models.create("rlfn", scale=2), models.abstract("rlfn", scale=2)
    assert jax.tree.structure(variables) == jax.tree.structure(models.abstract("rlfn", scale=2, deploy=True))
    assert reparam.fuse(model, variables) == (model, variables, {})


@pytest.mark.parametrize("model_id, scale, size, gmacs", [  # NTIRE 2023's table 1 less the activations that it counts
    ("rlfn/lfdn_ntubl6", 2, (1080, 1920), 408.6472),
    ("rlfn/erlfn", 2, (1080, 1920), 22.7681),
    ("rlfn/erlfn", 3, (720, 1280), 11.6122),
    ("rlfn/erlfn_text", 3, (720, 1280), 53.6247),
])
def test_operations_are_the_published_ones(model_id, scale, size, gmacs):
    assert round(counts.count(models.create(model_id, scale=scale, deploy=True), (1, *size, 3))[1] / 1e9, 4) == gmacs


def test_blocks_in_training_have_no_names_elsewhere():
    with pytest.raises(UserError, match=re.escape("rlfn: no public code has blocks that train as 'rrrb'; convert it")):
        convert.formats(models.create("rlfn/erlfn", scale=2))
