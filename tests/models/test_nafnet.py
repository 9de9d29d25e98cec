"""NAFNet: its test-time form against the original code's, and its sizes."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.layers.pool import local_means
from jsr.models.nafnet import NAFBlock


def test_with_means_of_windows_it_gives_the_original_output(golden, run):
    case = golden("nafnet", "local")
    lr = pad_to_multiple(case.lr, models.card(case.model).padding)
    with local_means(12, *lr.shape[1:3]):  # px, 1.5 times the crops of training
        sr = run(case.model, case.variables, lr)
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_fresh_block_is_the_identity():
    def init(key):
        params = NAFBlock().init(key, jnp.ones((1, 2, 3, 4)))["params"]
        return params["beta"], params["gamma"]

    np.testing.assert_array_equal(jax.jit(init)(jax.random.key(0)), np.zeros((2, 1, 1, 1, 4)))


def test_sizes_are_multiples_of_as_many_halvings_as_there_are():
    assert models.card("nafnet").padding.multiple == 16
    small = models.create("nafnet", scale=1, enc_blk_nums=(1, 1), dec_blk_nums=(1, 1))
    padding = models.card(small).padding
    assert (padding.multiple, padding.mode, padding.always) == (4, "zeros", False)
