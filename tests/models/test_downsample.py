"""The way back of dual regression against the original code's."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify

CASES = ("x2", "x4")


@pytest.mark.parametrize("case", CASES)
def test_converted_weights_give_the_original_output(golden, case):
    case = golden("downsample", case)
    with jax.default_matmul_precision("highest"):
        lr = jax.jit(case.model.apply)(convert.to_jax(case.state_dict, case.rules, case.abstract), case.lr)
    np.testing.assert_allclose(lr, case.outputs["sr"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_gives_the_same_state_dict(golden, case):
    case = golden("downsample", case)
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


@pytest.mark.parametrize("case", CASES)
def test_its_state_dict_tells_what_it_is(golden, case):
    case = golden("downsample", case)
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_sizes_are_divided_by_the_scale(scale):
    model = models.create("downsample", scale=scale)
    image = jax.ShapeDtypeStruct((1, 24, 48, 3), np.float32)
    lr = jax.eval_shape(model.apply, models.abstract("downsample", scale=scale), image)
    assert lr.shape == (1, 24 // scale, 48 // scale, 3) and models.card(model).padding.multiple == scale
