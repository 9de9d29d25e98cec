"""SPAN against what the original code computes; SPANR's counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, counts, models, reparam
from jsr.convert.identify import identify
from jsr.errors import UserError

CASES = ("x2", "x4")


@pytest.mark.parametrize("case", CASES)
def test_converted_weights_give_the_original_output(golden, case):
    case = golden("span", case)
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    with jax.default_matmul_precision("highest"):
        sr = jax.jit(case.model.apply)(variables, case.lr)
    expected = case.outputs["sr"]
    # The original runs the fused convolutions; measured 1.3e-5.
    assert np.abs(sr - expected).max() < 5e-5 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_gives_the_same_state_dict_but_for_what_the_code_computes(golden, case):
    case = golden("span", case)
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and back[key].shape == value.shape, key
        assert np.array_equal(back[key], value) or ".eval_conv." in key, key


def test_fused_it_has_the_kernels_of_the_original_and_computes_the_same(golden):
    case = golden("span", "x4")
    deployed, fused, report = reparam.fuse(case.model, convert.to_jax(case.state_dict, case.rules, case.abstract))
    assert len(report) == 20 and max(report.values()) < 1e-12
    rules = convert.formats(deployed)["official"]
    state_dict = convert.to_torch(fused, rules)
    assert set(state_dict) == {key for key in case.state_dict if not any(part in key for part in (".sk.", ".conv."))}
    for key, value in state_dict.items():
        np.testing.assert_allclose(value, case.state_dict[key], rtol=0, atol=2e-5, err_msg=key)
    with jax.default_matmul_precision("highest"):
        sr = jax.jit(deployed.apply)(fused, case.lr)
    assert np.abs(sr - case.outputs["sr"]).max() < 1e-5 * np.abs(case.outputs["sr"]).max()
    found = identify(state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == deployed


@pytest.mark.parametrize("case", CASES)
def test_its_state_dict_tells_what_it_is(golden, case):
    case = golden("span", case)
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


def test_spanr_has_the_published_counts():
    model = models.create("span/spanr", scale=4, deploy=True)
    assert counts.count(model, (1, 540, 960, 3)) == (25_952, 13_362_278_400)  # 0.026 M, 13.3 G


def test_what_the_official_code_lacks_is_not_converted():
    with pytest.raises(UserError, match="span: the official code has six blocks of conv3xc and concatenates four maps"):
        convert.formats(models.create("span/spanr", scale=4))


def test_unknown_fusions_are_refused():
    model = models.create("span", scale=2, fusion="three")
    with pytest.raises(ValueError, match="fusion = 'three' is neither 'four' nor 'two'"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
