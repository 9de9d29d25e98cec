"""RT4KSR against what the original code computes, as trained and as deployed."""

import jax
import numpy as np
import pytest

from jsr import convert, counts, models, reparam
from jsr.convert.identify import identify

CASES = ("x2", "x3", "deployed")


@pytest.mark.parametrize("case", CASES)
def test_converted_weights_give_the_original_output(golden, case):
    case = golden("rt4ksr", case)
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    with jax.default_matmul_precision("highest"):
        sr = jax.jit(case.model.apply)(variables, case.lr)
    np.testing.assert_allclose(sr, case.outputs["sr"], rtol=0, atol=2e-5)  # values of about 3; measured 3e-6


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_gives_the_same_state_dict(golden, case):
    case = golden("rt4ksr", case)
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


@pytest.mark.parametrize("case", CASES)
def test_its_state_dict_tells_what_it_is(golden, case):
    case = golden("rt4ksr", case)
    found = identify(case.state_dict)
    assert (found.model, found.scale) == ("rt4ksr/base", case.model.scale)
    assert found.fields == dict(num_feat=6, num_block=2, **({"deploy": True} if case.model.deploy else {}))


def test_fused_it_computes_the_same(golden):
    case = golden("rt4ksr", "x3")
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    deployed, fused, report = reparam.fuse(case.model, variables)
    assert list(report) == ["body_0", "body_1", "high", "tail"] and max(report.values()) < 1e-13
    with jax.default_matmul_precision("highest"):
        sr = jax.jit(deployed.apply)(fused, case.lr)
    np.testing.assert_allclose(sr, case.outputs["sr"], rtol=0, atol=5e-5)


@pytest.mark.parametrize("scale, height, width, macs", [
    (2, 1080, 1920, 24_186_470_400), (3, 720, 1280, 13_735_526_400)])
def test_multiply_accumulates_include_the_branch_that_is_thrown_away(scale, height, width, macs):
    assert counts.count(models.create("rt4ksr", scale=scale, deploy=True), (1, height, width, 3))[1] == macs
