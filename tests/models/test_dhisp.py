"""DH ISP's network: its fused form, its output and how near its operations come to the published ones."""

import numpy as np

from jsr import models, reparam
from jsr.analysis import counts
from jsr.models import dhisp


def test_multiply_accumulates_are_nearly_the_published():
    macs = counts.count(models.create("dhisp", scale=2, deploy=True), (1, 1080, 1920, 3))[1]
    assert macs == 23_663_923_200 and abs(macs / 23.4234e9 - 1) < 0.011


def test_fused_it_computes_the_same(drawn, run):
    model = models.create("dhisp", scale=2, **dhisp.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 9, 7, 3))
    deployed, fused, report = reparam.fuse(model, variables)
    assert list(report) == ["body_0"] and report["body_0"] < 1e-13
    expected = run(model, variables, lr)
    assert np.abs(run(deployed, fused, lr) - expected).max() < 1e-12 * np.abs(expected).max()


def test_the_output_weighs_itself(drawn, run):
    model = models.create("dhisp", scale=2, deploy=True, **dhisp.SMALL)
    variables, lr = drawn(model), np.full((1, 2, 2, 3), 0.25)
    variables["params"]["conv_last"]["kernel"] *= 0
    variables["params"]["conv_last"]["bias"] = np.full(12, 0.5)
    variables["params"]["shortcut"] = dict(kernel=np.ones((1, 1, 3, 12)), bias=np.zeros(12))
    np.testing.assert_allclose(run(model, variables, lr), np.full((1, 4, 4, 3), 1.25 / (1 + np.exp(-1.25))))
