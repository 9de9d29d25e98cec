"""NAFNet against what the original code computes, also in its test-time form."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.layers.pool import local_means
from jsr.models.nafnet import NAFBlock


@pytest.mark.parametrize("case, context", [
    ("global", lambda height, width: contextlib.nullcontext()),
    ("local", functools.partial(local_means, 12)),  # px, 1.5 times the crops of training
])
def test_converted_weights_give_the_original_output(golden, run, case, context):
    case = golden("nafnet", case)
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    lr = pad_to_multiple(case.lr, models.card(case.model).padding)
    with context(*lr.shape[1:3]):
        sr = run(case.model, variables, lr)
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_there_and_back_gives_the_same_state_dict(golden):
    case = golden("nafnet", "global")
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_its_state_dict_tells_what_it_is(golden):
    case = golden("nafnet", "global")
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


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
