"""ETDS: the rewrite of its two streams into one, its gradients, initialisation and counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models, reparam
from jsr.analysis import counts
from jsr.errors import UserError
from jsr.layers.shuffle import pixel_shuffle
from jsr.models.etds import center, gradients


def run(model, variables, lr):
    """The network in exact float32, compiled in little time."""
    with jax.default_matmul_precision("highest"):
        compiled = jax.jit(model.apply, compiler_options={"xla_backend_optimization_level": 0})
        return np.asarray(compiled(variables, lr))


@pytest.mark.parametrize("case", ["x2", "x3"])
def test_one_stream_is_the_two_clipped(golden, case):
    case = golden("etds", case)
    deployed, fused, report = reparam.fuse(case.model, case.variables, input_shape=(1, 8, 9, 3))
    assert report[""] < 1e-13 and list(report)[-1] == ""
    assert jax.tree.map(np.shape, fused) == jax.tree.map(jnp.shape, models.abstract(
        "etds", scale=deployed.scale, num_feat=deployed.num_feat, num_block=deployed.num_block, deploy=True))
    sr = run(deployed, fused, case.lr)
    expected = case.outputs["sr"].clip(0, 1)
    assert 0.1 < (expected == case.outputs["sr"]).mean() < 0.9  # some of it is clipped
    np.testing.assert_allclose(sr, expected, rtol=0, atol=5e-6)
    assert reparam.fuse(deployed, fused) == (deployed, fused, {})


@pytest.mark.slow
def test_with_gradients_and_wide_blocks_too():
    fields = dict(scale=4, num_feat=8, num_block=1, block="asymmetric")
    model, rng = models.create("etds/megastudy", **fields), np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract("etds/megastudy", **fields))
    deployed, fused, report = reparam.fuse(model, variables, input_shape=(1, 8, 9, 3))
    assert set(report) == {"conv_first", "conv_gradient", "body_0", "conv_last", ""} and max(report.values()) < 1e-12
    lr = rng.random((1, 9, 11, 3), np.float32)
    np.testing.assert_allclose(run(deployed, fused, lr), run(model, variables, lr), rtol=0, atol=2e-5)


def test_the_residual_stream_starts_as_repeating_the_pixels():
    lr = np.random.default_rng(0).random((1, 4, 5, 3), np.float32)
    first, middle, last = center()(None, (3, 3, 3, 4)), center()(None, (3, 3, 4, 4)), center(9)(None, (3, 3, 4, 27))
    y = lr
    for kernel in (first, middle, last):
        y = jax.lax.conv_general_dilated(y, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(pixel_shuffle(y, 3), lr.repeat(3, 1).repeat(3, 2), rtol=0, atol=1e-6)


def test_gradients_are_central_differences_of_each_channel():
    x = np.random.default_rng(0).random((1, 5, 6, 2), np.float32)
    y = gradients(x)
    across, down = x[0, 2, 4] - x[0, 2, 2], x[0, 3, 3] - x[0, 1, 3]
    np.testing.assert_allclose(y[0, 2, 3], np.sqrt(across**2 + down**2 + 1e-6), rtol=1e-5)
    np.testing.assert_allclose(y[0, 0, 0], np.sqrt(x[0, 0, 1]**2 + x[0, 1, 0]**2 + 1e-6), rtol=1e-5)


@pytest.mark.parametrize("model_id, params, macs", [
    ("etds/m5c24", 39_480, 20_342_016_000), ("etds/megastudy", 40_128, 20_677_939_200)])
def test_counts_are_the_published(model_id, params, macs):
    model = models.create(model_id, scale=4, deploy=True)
    assert counts.count(model, (1, 540, 960, 3)) == (params, macs)


def test_what_the_official_code_lacks_is_not_converted():
    with pytest.raises(UserError, match="etds: the official code has neither gradients nor other blocks"):
        convert.formats(models.create("etds/megastudy", scale=4))
