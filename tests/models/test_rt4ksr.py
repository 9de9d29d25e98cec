"""RT4KSR: fused, it computes the same; its counts."""

import jax
import numpy as np
import pytest

from jsr import models, reparam
from jsr.analysis import counts


def test_fused_it_computes_the_same(golden):
    case = golden("rt4ksr", "x3")
    deployed, fused, report = reparam.fuse(case.model, case.variables)
    assert list(report) == ["body_0", "body_1", "high", "tail"] and max(report.values()) < 1e-13
    with jax.default_matmul_precision("highest"):
        sr = jax.jit(deployed.apply)(fused, case.lr)
    np.testing.assert_allclose(sr, case.outputs["sr"], rtol=0, atol=5e-5)


@pytest.mark.parametrize("scale, height, width, macs", [
    (2, 1080, 1920, 24_186_470_400), (3, 720, 1280, 13_735_526_400)])
def test_multiply_accumulates_include_the_branch_that_is_thrown_away(scale, height, width, macs):
    assert counts.count(models.create("rt4ksr", scale=scale, deploy=True), (1, height, width, 3))[1] == macs
