"""RVSR: its counts, its range, and its deployed form."""

import jax
import numpy as np

from jsr import models, reparam
from jsr.analysis import counts


def drawn(model_id, **fields):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
                        models.abstract(model_id, **fields))


def test_counts_are_the_published():
    params, macs = counts.count(models.create("rvsr", scale=4, deploy=True), (1, 540, 960, 3))
    assert params == 32_960 and macs == 30_128 * 540 * 960 + 8 * 256  # the last are squeeze and excitation


def test_fused_it_computes_the_same():
    fields = dict(scale=4, num_feat=4, num_block=1, num_squeezed_feat=2)
    model, variables = models.create("rvsr", **fields), drawn("rvsr", **fields)
    deployed, fused, report = reparam.fuse(model, variables)
    assert list(report) == ["body_0", "conv_after_body"] and max(report.values()) < 1e-13
    lr = np.random.default_rng(1).random((1, 9, 7, 3), np.float32)
    with jax.default_matmul_precision("highest"):
        expected, sr = (np.asarray(jax.jit(m.apply)(v, lr)) for m, v in ((model, variables), (deployed, fused)))
    assert np.abs(sr - expected).max() < 1e-5 * np.abs(expected).max()


def test_inside_the_middle_grey_is_zero():
    """With all biases zero it stays zero, also in the enlarged image, and comes out as the same grey."""
    fields = dict(scale=4, num_feat=4, num_block=1, num_squeezed_feat=2)
    variables = jax.tree_util.tree_map_with_path(
        lambda path, leaf: 0 * leaf if path[-1].key == "bias" else leaf, drawn("rvsr", **fields))
    sr = jax.jit(models.create("rvsr", **fields).apply)(variables, np.full((1, 4, 5, 3), 0.5, np.float32))
    np.testing.assert_array_equal(sr, np.full((1, 16, 20, 3), 0.5, np.float32))
