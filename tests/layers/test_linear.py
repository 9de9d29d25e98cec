"""The linear layer against PyTorch's initialisation."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers.linear import Linear


def test_parameters_start_uniform_within_one_over_the_root_of_the_inputs():
    params = Linear(400).init(jax.random.key(0), jnp.zeros((1, 25)))["params"]
    assert params["kernel"].shape == (25, 400) and params["bias"].shape == (400,)
    for leaf in params.values():
        assert 0.19 < np.abs(leaf).max() <= 0.2 and abs(leaf.mean()) < 0.02
        np.testing.assert_allclose(leaf.std(), 0.2 / np.sqrt(3), rtol=0.1)


def test_it_is_a_matrix_product_in_the_asked_type():
    params = {"kernel": jnp.array([[1.0, 2.0], [3.0, 4.0]]), "bias": jnp.array([0.5, -0.5])}
    y = Linear(2, dtype=jnp.bfloat16).apply({"params": params}, jnp.ones((3, 1, 2)))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, np.broadcast_to([4.5, 5.5], (3, 1, 2)))
    y = Linear(2, use_bias=False).apply({"params": {"kernel": params["kernel"]}}, jnp.ones((1, 2)))
    np.testing.assert_array_equal(y, [[4, 6]])
