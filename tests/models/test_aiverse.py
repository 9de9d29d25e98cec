"""AIVerse: stages in training, of one set of parameters, and one in use."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.models.aiverse import SMALL, SpatialAttention


def test_training_has_more_stages_of_the_same_parameters(drawn, run):
    model = models.create("aiverse", scale=1, **SMALL)
    variables, lr = drawn(model), np.random.default_rng(0).random((1, 6, 7, 3))
    in_use, training = run(model, variables, lr), run(model, variables, lr, train=True)
    assert in_use.keys() == {"sr"} and training.keys() == {"sr", "sr_2", "sr_3"}
    assert {image.shape for image in training.values()} == {lr.shape}
    np.testing.assert_allclose(training["sr"], in_use["sr"], rtol=1e-9)
    assert (abs(training["sr_2"] - training["sr"]) > 1e-3).any()


def test_the_input_passes_where_the_map_is_zero(drawn, run):
    """What is left is the input and its enhancement, which is not negative."""
    model = models.create("aiverse", scale=1, **SMALL)
    variables, lr = drawn(model), np.random.default_rng(0).random((1, 6, 7, 3))
    variables["params"]["calibration"]["conv_last"] = jax.tree.map(
        np.zeros_like, variables["params"]["calibration"]["conv_last"])
    images = run(model, variables, lr, train=True)
    added = images["sr"] - lr
    assert added.min() >= 0 and added.max() > 0
    np.testing.assert_allclose(images["sr_2"], images["sr"], rtol=1e-9)


def test_spatial_attention_weighs_pixels():
    """With the first of two features at 1 and the second at -3, the mean is below zero and the larger one 1."""
    block, x = SpatialAttention(growth=1, num_conv=1), jnp.ones((1, 2, 3, 2))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32),
                          jax.eval_shape(block.init, jax.random.key(0), x)["params"])
    params["dense"]["fuse"]["bias"][:] = 1, -3
    weight = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(block.apply({"params": params}, x)[0, 1, 1], [1 + weight, 1 - 3 * weight], rtol=1e-6)
