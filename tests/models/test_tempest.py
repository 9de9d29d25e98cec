"""Tempest's network: qualities of blocks and of the image, what the attention mixes, and a quality of our own."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.models.tempest import SMALL, LocalQuality, QualityAttention


def drawn_for(layer, *inputs):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
                        jax.eval_shape(layer.init, jax.random.key(0), *inputs))


def test_a_local_quality_is_of_a_square_alone():
    x, layer = np.random.default_rng(1).random((1, 8, 12, 3), np.float32), LocalQuality(4)
    variables = drawn_for(layer, x)
    y = layer.apply(variables, x)
    assert y.shape == (1, 2, 3, 1) and y.dtype == jnp.float32 and ((y > 0) & (y < 1)).all()
    x[:, :4, 4:8] += 1
    moved = layer.apply(variables, x) != y
    assert moved[0, ..., 0].tolist() == [[False, True, False], [False] * 3]


def test_a_block_that_asks_for_nothing_gets_the_mean_of_what_the_global_embeddings_say():
    rng, layer = np.random.default_rng(1), QualityAttention(2)
    local, common = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 2, 3, 4), (2, 4, 4)))
    params = jax.tree.map(np.zeros_like, drawn_for(layer, local, common)["params"])
    params["key_value"]["kernel"] = np.concatenate([rng.normal(size=(4, 4)), np.eye(4)], 1).astype(np.float32)
    params["proj"]["kernel"] = np.eye(4, dtype=np.float32)
    mean = np.broadcast_to(common.mean(1)[:, None, None], local.shape)
    np.testing.assert_allclose(layer.apply({"params": params}, local, common), local + mean, rtol=1e-5, atol=1e-6)
    params["query"]["bias"] += 1  # all ask for the same, and get another mixture
    asked = np.asarray(layer.apply({"params": params}, local, common)) - local
    assert np.abs(asked - asked[:, :1, :1]).max() < 1e-5 and np.abs(asked - mean).max() > 1e-2


def test_a_given_quality_steers_the_image_and_leaves_the_estimate(drawn, run):
    model = models.create("tempest", scale=1, **SMALL)
    lr = np.random.default_rng(1).random((1, 8, 16, 3))
    given = run(model, drawn(model), lr[[0, 0]], qf_input=np.array([[0.1], [0.9]]))
    assert ((given["qf"] > 0) & (given["qf"] < 1)).all() and given["qf"][0] == given["qf"][1]
    assert np.abs(given["sr"][0] - given["sr"][1]).max() > 1e-3
