"""MSDRSR: its attention, its sizes, and the blocks that its training adds."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.models.msdrsr import SMALL, HighFrequencyAttention, MultiScaleRemoval, ResidualBlock


def constant(module, x, value):
    """Parameters of a module that are all `value`."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: np.full(leaf.shape, value, np.float32), shapes)


def test_attention_is_a_mask_of_the_residual_that_it_ends():
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    attention = HighFrequencyAttention(2)
    variables = constant(attention, x, 0)
    np.testing.assert_allclose(jax.jit(attention.apply)(variables, x), x / 2, rtol=1e-6)
    block = ResidualBlock(2)
    variables = constant(block, x, 0)
    variables["params"]["conv2"]["bias"] += 1
    np.testing.assert_allclose(jax.jit(block.apply)(variables, x), x + 0.5, rtol=1e-6)


def test_the_smallest_size_sees_far():
    """A change of one pixel reaches what lies within a cell of 4x4 px and beyond; features and size stay."""
    module, rng = MultiScaleRemoval(3, 1, 2), np.random.default_rng(0)
    x = rng.normal(size=(1, 32, 32, 2)).astype(np.float32)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
                             constant(module, x, 0))
    other = x.copy()
    other[0, 0, 0] += 1
    before, after = (np.asarray(jax.jit(module.apply)(variables, image)) for image in (x, other))
    changed = (before != after).any((0, 2, 3))
    assert before.shape == x.shape and changed[:24].all()


def test_the_longer_trunk_has_all_that_the_shorter_one_has():
    """The second half of the training takes over what has its place and shape in the new form, and draws the rest."""
    def shapes(num_block):
        model, lr = models.create("msdrsr", scale=4, **SMALL | dict(num_block=num_block)), jnp.zeros((1, 8, 8, 3))
        return traverse_util.flatten_dict(jax.eval_shape(model.init, jax.random.key(0), lr), sep="/")

    short, long = shapes(1), shapes(2)
    assert short.items() <= long.items()
    assert {path.split("/")[1] for path in long.keys() - short.keys()} == {"body_1"}


def test_sizes_are_multiples_of_the_coarsest_cell():
    multiples = [models.card(models.create("msdrsr", scale=4, num_scale=n)).padding.multiple for n in (1, 2, 3)]
    assert multiples == [1, 2, 4]
