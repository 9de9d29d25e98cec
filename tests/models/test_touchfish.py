"""Touch Fish's network: its mask, its fused form and the published counts."""

import jax
import numpy as np
import pytest

from jsr import models, reparam
from jsr.analysis import counts
from jsr.models import touchfish


@pytest.mark.parametrize("scale, size, macs", [(2, (1080, 1920), 132_129_792_000), (3, (720, 1280), 134_420_889_600)])
def test_multiply_accumulates_are_as_published(scale, size, macs):
    assert counts.count(models.create("touchfish", scale=scale, deploy=True), (1, *size, 3))[1] == macs


def test_fused_it_computes_the_same(drawn, run):
    model = models.create("touchfish", scale=3, **touchfish.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 9, 7, 3))
    deployed, fused, report = reparam.fuse(model, variables)
    assert len(report) == 7 and max(report.values()) < 1e-13 and set(fused) == {"params"}
    expected = run(model, variables, lr)
    assert np.abs(run(deployed, fused, lr) - expected).max() < 1e-11 * np.abs(expected).max()


def test_the_later_features_mask_the_earlier_ones(run):
    block, x = touchfish.AttliBlock(deploy=True), np.random.default_rng(0).normal(size=(1, 5, 6, 4))
    shapes = jax.eval_shape(block.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    variables["params"]["fuse"]["bias"] += np.log([3, 3, 1, 1])  # the later features, at every pixel
    variables["params"]["mask"]["kernel"][0, 0] = np.eye(4)
    expected = np.log([3, 3, 1, 1]) + np.array([0.75, 0.75, 0.5, 0.5]) * x
    np.testing.assert_allclose(run(block, variables, x), expected, rtol=1e-12)
