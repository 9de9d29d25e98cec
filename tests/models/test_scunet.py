"""SCUNet against what the original code computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.layers.padding import crop_to, pad_to_multiple


@pytest.fixture
def case(golden):
    return golden("scunet", "small")


def test_converted_weights_give_the_original_output(case, run):
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    sr = run(case.model, variables, pad_to_multiple(case.lr, models.card(case.model).padding))
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=1e-5)


def test_there_and_back_gives_the_same_state_dict(case):
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_its_state_dict_tells_what_it_is(case):
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


def test_sizes_are_multiples_of_the_window_at_the_coarsest_size():
    assert models.card("scunet").padding.multiple == 64
    assert models.card(models.create("scunet", scale=1, window_size=4)).padding.multiple == 32
    with pytest.raises(ValueError, match="height 4 or width 8 is no multiple of window_size = 8"):
        jax.eval_shape(models.create("scunet", scale=1).init, jax.random.key(0), jnp.zeros((1, 32, 64, 3)))
