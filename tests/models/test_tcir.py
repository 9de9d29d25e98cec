"""TCIR: half the size inside, dense blocks in its groups, and its place before a network that enlarges."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.chain import chain_padding, chain_scale
from jsr.models.tcir import SMALL, HybridGroup


def test_it_adds_to_its_input(run):
    model = models.create("tcir", scale=1, **SMALL)
    lr = np.random.default_rng(0).random((1, 8, 16, 3), np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), lr)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    np.testing.assert_array_equal(run(model, variables, lr), lr)


def test_groups_are_of_half_the_size_and_have_dense_blocks_of_their_width():
    model = models.create("tcir", scale=1)
    assert models.card(model).padding.multiple == 16
    lr = jax.ShapeDtypeStruct((1, 16, 32, 3), jnp.float32)
    small = models.create("tcir", scale=1, **SMALL)
    _, state = jax.eval_shape(lambda key, lr: small.init_with_output(
        key, lr, capture_intermediates=lambda module, _: isinstance(module, HybridGroup)), jax.random.key(0), lr)
    assert state["intermediates"]["layers_0"]["__call__"][0].shape == (1, 8, 16, 12)
    assert state["params"]["layers_0"]["rrdb"]["rdb3"]["conv5"]["kernel"].shape == (3, 3, 12 + 4 * 4, 12)


def test_in_a_chain_its_sizes_are_the_chains():
    networks = {"deblock": models.create("tcir", scale=1), "sr": models.create("rrdbnet", scale=4)}
    assert (chain_scale(networks), chain_padding(networks).multiple) == (4, 16)
