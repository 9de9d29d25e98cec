"""GRL-CIC: its estimate of the quality, and what its gates make of one that is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.layers.pool import local_means
from jsr.models.grl_cic import SMALL


@pytest.mark.slow
def test_the_quality_steers_the_image_and_is_estimated_in_float32(drawn, run):
    model = models.create("grl_cic", scale=1, **SMALL)
    variables, lr = drawn(model), np.random.default_rng(0).random((2, 8, 16, 3))
    own = run(model, variables, lr)
    assert own["sr"].shape == lr.shape and own["qf"].shape == (2, 1) and own["qf"].dtype == np.float32
    assert ((own["qf"] > 0) & (own["qf"] < 1)).all() and own["qf"][0] != own["qf"][1]

    def steered(qf):
        return run(model, variables, lr, qf_input=qf)

    again = steered(own["qf"])
    np.testing.assert_allclose(again["sr"], own["sr"], rtol=0, atol=1e-6)
    other = steered(own["qf"] + np.array([[0.0], [0.3]], np.float32))
    np.testing.assert_allclose(other["sr"][0], own["sr"][0], rtol=0, atol=1e-6)
    assert (abs(other["sr"][1] - own["sr"][1]) > 1e-5).any() and (other["qf"] == own["qf"]).all()


def test_the_estimate_is_one_an_image_with_local_means_and_in_bfloat16():
    model = models.create("grl_cic", scale=1, dtype=jnp.bfloat16, **SMALL)
    variables = models.abstract("grl_cic", scale=1, **SMALL)
    lr = jax.ShapeDtypeStruct((2, 16, 8, 3), jnp.bfloat16)
    with local_means(8, 16, 8):
        outputs = jax.eval_shape(model.apply, variables, lr)
    assert {name: (y.shape, str(y.dtype)) for name, y in outputs.items()} == {
        "sr": ((2, 16, 8, 3), "bfloat16"), "qf": ((2, 1), "float32")}
