"""R2CNet: BatchNorm that goes away, and the published counts."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from jsr import models, reparam
from jsr.analysis import counts
from jsr.models import r2cnet


@pytest.mark.parametrize("scale, size, macs", [(2, (1080, 1920), 272_528_778_240), (3, (720, 1280), 129_085_867_008)])
def test_multiply_accumulates_are_as_published(scale, size, macs):
    assert counts.count(models.create("r2cnet", scale=scale, deploy=True), (1, *size, 3))[1] == macs


@pytest.mark.slow
def test_fused_it_computes_the_same(drawn, run):
    model = models.create("r2cnet", scale=3, **r2cnet.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 50, 54, 3))
    deployed, fused, report = reparam.fuse(model, variables)
    assert {f"body_0/{name}" for name in ("reduce", "skip", "basic_0_1", "expand")} < set(report)
    assert "body_1/skip" not in report and max(report.values()) < 1e-13 and set(fused) == {"params"}
    expected = run(model, variables, lr)
    assert np.abs(run(deployed, fused, lr) - expected).max() < 1e-11 * np.abs(expected).max()


def output_shapes(model, lr_shape):
    """{path of a module: shape of what it returns}."""
    found = {}

    def note(call, args, kwargs, context):
        result = call(*args, **kwargs)
        if context.method_name == "__call__":
            found["/".join(context.module.path)] = result.shape
        return result

    with nn.intercept_methods(note):
        jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct(lr_shape, np.float32))
    return found


def test_only_the_first_block_halves_the_size_and_attention_sees_11_by_7():
    model = models.create("r2cnet", scale=2, deploy=True, num_block=3)
    shapes = output_shapes(model, (1, 120, 128, 3))
    assert [shapes[f"body_{index}"][1:3] for index in range(3)] == [(60, 64)] * 3
    # of 60x64: 29x31 by the strided convolution, of which windows of 11 every 7
    assert shapes["body_2/attention/conv3_0"][1:3] == (3, 3)
