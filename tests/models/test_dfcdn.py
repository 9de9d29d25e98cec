"""DFCDN: its fused form, its range and how near its operations come to the published ones."""

import numpy as np
import pytest

from jsr import models, reparam
from jsr.analysis import counts
from jsr.models import dfcdn


@pytest.mark.parametrize("scale, size, published", [(2, (1080, 1920), 6.0881e9), (3, (720, 1280), 3.7011e9)])
def test_multiply_accumulates_are_nearly_the_published(scale, size, published):
    macs = counts.count(models.create("dfcdn", scale=scale, deploy=True), (1, *size, 3))[1]
    assert abs(macs / published - 1) < 0.002


def test_fused_it_computes_the_same(drawn, run):
    model = models.create("dfcdn", scale=3, **dfcdn.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 18, 17, 3))
    deployed, fused, report = reparam.fuse(model, variables)
    assert list(report) == ["conv_first", "body_0_complement_0_0", "body_0_complement_0_1", "conv_last"]
    expected = run(model, variables, lr)
    assert max(report.values()) < 1e-13
    assert np.abs(run(deployed, fused, lr) - expected).max() < 1e-12 * np.abs(expected).max()


def test_the_inside_has_values_up_to_255(drawn, run):
    model = models.create("dfcdn", scale=2, deploy=True, **dfcdn.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 16, 16, 3))
    expected = run(model.clone(img_range=1.0), variables, lr * 255) / 255
    np.testing.assert_allclose(run(model, variables, lr), expected, rtol=1e-12)
