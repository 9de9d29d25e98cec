"""SAFMN_BCIE against what the original code computes."""

import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.inference.chain import Chain


@pytest.fixture
def case(golden):
    return golden("safmn_bcie", "small")


def test_converted_weights_give_the_original_output(case, run):
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    np.testing.assert_allclose(run(case.model, variables, case.lr), case.outputs["sr"], rtol=0, atol=1e-5)


def test_there_and_back_gives_the_same_state_dict(case):
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_its_state_dict_tells_what_it_is(case):
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


def test_tiles_are_never_exact(case):
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    assert Chain({"sr": case.model}, {"sr": variables}).reach(1000) is None
