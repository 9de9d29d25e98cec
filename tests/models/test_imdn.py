"""IMDN: its attention."""

import jax
import numpy as np

from jsr.models.imdn import CCA


def test_attention_to_features_that_are_constant_has_a_gradient():
    module, x = CCA(), np.ones((1, 4, 4, 16), np.float32)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, np.float32),
                             jax.eval_shape(module.init, jax.random.key(0), x))
    gradient = jax.jit(jax.grad(lambda x: module.apply(variables, x).sum()))(x)
    assert np.isfinite(gradient).all() and np.any(gradient != 0)
