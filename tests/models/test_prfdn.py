"""PRFDN: the published operations."""

import jax
import jax.numpy as jnp
import pytest

from jsr import models
from jsr.analysis import counts


@pytest.mark.parametrize("scale, size, gmacs", [(2, (1080, 1920), 58.5454), (3, (720, 1280), 55.0807)])
def test_it_has_the_published_operations(scale, size, gmacs):
    """Which count one for each value of a leaky ReLU or ReLU."""
    model, variables = (make("prfdn", scale=scale) for make in (models.create, models.abstract))
    lr = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    macs = counts.count(model, lr.shape)[1] + activations(jax.make_jaxpr(model.apply)(variables, lr).jaxpr)
    assert round(macs / 1e9, 4) == gmacs


def activations(jaxpr):
    """Values that a ReLU or LeakyReLU gives."""
    inner = sum(activations(sub) for eqn in jaxpr.eqns for sub in jax.extend.core.jaxprs_in_params(eqn.params))
    return inner + sum(eqn.outvars[0].aval.size for eqn in jaxpr.eqns if str(eqn.primitive) in ("max", "select_n"))
