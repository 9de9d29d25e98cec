"""EDSR against what the original code computes, for the official naming of parameters and BasicSR's."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.errors import UserError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "edsr.npz")
CASES = json.loads(str(GOLDEN["about"]))["cases"]


def state_dict_of(case):
    prefix = f"{case}/state_dict/"
    return {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN.files if key.startswith(prefix)}


def load(case):
    """(model, rules, variables) of a golden case."""
    fields = CASES[case]["fields"]
    model, state_dict = models.create("edsr", **fields), state_dict_of(case)
    formats = convert.formats(model)
    assert convert.detect(state_dict, formats) == CASES[case]["format"]
    rules = formats[CASES[case]["format"]]
    return model, rules, convert.to_jax(state_dict, rules, models.abstract("edsr", **fields))


@pytest.mark.parametrize("case", CASES)
def test_converted_weights_give_the_original_output(case):
    model, _, variables = load(case)
    with jax.default_matmul_precision("highest"):
        sr = model.apply(variables, GOLDEN[f"{case}/lr"])
    # values in [0, 1]; measured 2.4e-7
    np.testing.assert_allclose(sr, GOLDEN[f"{case}/sr"], rtol=0, atol=5e-6)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_gives_the_same_state_dict(case):
    _, rules, variables = load(case)
    back, state_dict = convert.to_torch(variables, rules), state_dict_of(case)
    assert back.keys() == state_dict.keys()
    for key, value in state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_official_names_are_the_ones_written():
    assert list(convert.formats(models.create("edsr", scale=2))) == ["official", "basicsr"]


def test_weights_of_another_range_are_refused():
    state_dict = state_dict_of("official_x2")
    state_dict["sub_mean.bias"] = state_dict["sub_mean.bias"] / 255
    model = models.create("edsr", **CASES["official_x2"]["fields"])
    with pytest.raises(UserError, match=r"wrong: sub_mean.bias is \[-0.448.*the network has \[-114.4"):
        convert.to_jax(state_dict, convert.formats(model)["official"],
                       models.abstract("edsr", **CASES["official_x2"]["fields"]))


def test_inside_range_and_mean_cancel_where_nothing_is_learned():
    """With all kernels zero the output is the mean plus the last bias, in units of img_range."""
    fields = dict(scale=2, num_feat=4, num_block=1, img_range=10.0, mean=(0.1, 0.2, 0.3))
    model = models.create("edsr", **fields)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), models.abstract("edsr", **fields))
    variables["params"]["conv_last"]["bias"] += 1
    np.testing.assert_allclose(model.apply(variables, np.ones((1, 3, 3, 3), np.float32))[0, 0, 0], [0.2, 0.3, 0.4],
                               rtol=1e-6)
