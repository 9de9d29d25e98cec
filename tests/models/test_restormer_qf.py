"""Restormer-QF: steered by a quality, and Restormer where that has no effect."""

import functools

import jax
import numpy as np
import pytest

from jsr import models
from jsr.models.restormer_qf import SMALL

quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.slow
def test_a_given_quality_steers_restormer(drawn):
    model = models.create("restormer_qf", scale=1, **SMALL)
    fields = {name: value for name, value in SMALL.items() if name not in ("predictor_feat", "embed_dim")}
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 8, 16, 3), np.float32)[[0, 0]]
    run = quickly(functools.partial(model.apply, qf_input=np.float32([[0.1], [0.9]])))
    steered = run(variables, lr)
    assert ((steered["qf"] > 0) & (steered["qf"] < 1)).all() and steered["qf"][0] == steered["qf"][1]  # the estimate
    assert np.abs(steered["sr"][0] - steered["sr"][1]).max() > 1e-3

    trunk = variables["params"]["trunk"]
    for name in ("decoder_level1_modulation", "decoder_level1_qf"):  # neither residuals nor shifts: Restormer itself
        trunk[name] = jax.tree.map(np.zeros_like, trunk[name])
    own = {name: leaf for name, leaf in trunk.items() if not name.endswith(("_modulation", "_qf"))}
    expected = quickly(models.create("restormer", scale=1, **fields).apply)(
        {"params": {"output": variables["params"]["output"], "trunk": own}}, lr)
    np.testing.assert_allclose(run(variables, lr)["sr"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_sizes_are_multiples_of_what_predictor_and_trunk_take():
    assert models.create("restormer_qf", scale=1, **SMALL).size_multiple == 8
    deep = models.create("restormer_qf", scale=1, num_blocks=(1,) * 5, heads=(1,) * 5)
    assert deep.size_multiple == 16
