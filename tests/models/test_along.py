"""ALONG's network: the sizes that it works at."""

import jax
import jax.numpy as jnp

from jsr import models
from jsr.models.along import Predeblur


def test_the_trunk_runs_at_a_quarter_of_the_size():
    lr = jax.ShapeDtypeStruct((1, 32, 48, 3), jnp.float32)
    features = jax.eval_shape(lambda lr: Predeblur(4).init_with_output(jax.random.key(0), lr)[0], lr)
    assert features.shape == (1, 8, 12, 4)
    assert models.card("along").padding.multiple == 16
