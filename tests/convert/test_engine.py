"""The conversion engine on made-up state dicts: layouts, strictness, wrappers."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert
from jsr.errors import UserError
from jsr.layers.conv import Conv


class Network(nn.Module):
    """One of each layout; `plain` and `raw` have no bias."""

    @nn.compact
    def __call__(self, x):
        x = Conv(4, kernel_size=(1, 3), name="conv")(x)
        x = Conv(4, groups=4, use_bias=False, name="plain")(x)
        x = Conv(4, kernel_size=1, use_bias=False, name="raw")(x)
        x = nn.BatchNorm(use_running_average=True, name="norm")(x)
        x = nn.LayerNorm(name="layer_norm")(x)
        return nn.Dense(2, name="dense")(x) * self.param("gain", nn.initializers.ones, (2,))


RULES = convert.Rules(
    rows=[("m.0", "conv", "conv"), ("m.1", "plain", "conv"), ("m.2", "norm", "norm"), ("m.3", "layer_norm", "norm"),
          ("head", "dense", "linear"), ("gain", "gain", "tensor"), ("k", "raw/kernel", "kernel")],
    constants={"mean": np.float32([0.5, 0.25])}, ignore=["*.num_batches_tracked"])
ABSTRACT = jax.eval_shape(Network().init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
SHAPES = {  # as torch has them
    "m.0.weight": (4, 3, 1, 3), "m.0.bias": (4,), "m.1.weight": (4, 1, 3, 3),
    "m.2.weight": (4,), "m.2.bias": (4,), "m.2.running_mean": (4,), "m.2.running_var": (4,),
    "m.3.weight": (4,), "m.3.bias": (4,), "head.weight": (2, 4), "head.bias": (2,), "gain": (2,), "k": (4, 4, 1, 1)}


@pytest.fixture
def state_dict():
    rng = np.random.default_rng(0)
    tensors = {key: rng.normal(size=shape).astype(np.float32) for key, shape in SHAPES.items()}
    return tensors | {"mean": np.float32([0.5, 0.25]), "m.2.num_batches_tracked": np.int64(3)}


def test_every_layout_there_and_back(state_dict):
    variables = convert.to_jax(state_dict, RULES, ABSTRACT)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, ABSTRACT)
    params = variables["params"]
    assert params["conv"]["kernel"][0, 2, 1, 3] == state_dict["m.0.weight"][3, 1, 0, 2]
    assert params["plain"]["kernel"][2, 1, 0, 3] == state_dict["m.1.weight"][3, 0, 2, 1]
    assert params["raw"]["kernel"][0, 0, 2, 1] == state_dict["k"][1, 2, 0, 0]
    assert params["dense"]["kernel"][3, 1] == state_dict["head.weight"][1, 3]
    assert (params["layer_norm"]["scale"] == state_dict["m.3.weight"]).all()
    assert (variables["batch_stats"]["norm"]["var"] == state_dict["m.2.running_var"]).all()
    back = convert.to_torch(variables, RULES)
    del state_dict["m.2.num_batches_tracked"]
    assert back.keys() == state_dict.keys()
    for key in back:
        assert back[key].flags.c_contiguous and np.array_equal(back[key], state_dict[key]), key


def test_copies_are_written_and_checked(state_dict):
    rules = dataclasses.replace(RULES, copies={"again": "m.0.bias"})
    variables = convert.to_jax(state_dict, rules, ABSTRACT)  # they may be absent
    assert np.array_equal(convert.to_torch(variables, rules)["again"], state_dict["m.0.bias"])
    convert.to_jax(state_dict | {"again": state_dict["m.0.bias"].copy()}, rules, ABSTRACT)
    with pytest.raises(UserError, match="wrong: again is not m.0.bias, which it repeats"):
        convert.to_jax(state_dict | {"again": state_dict["m.0.bias"] + 1}, rules, ABSTRACT)


def test_half_precision_becomes_the_dtype_of_the_network(state_dict):
    half = {key: value.astype(np.float16) for key, value in state_dict.items()}
    variables = convert.to_jax(half, RULES, ABSTRACT)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(np.float32)}


def test_constants_may_be_absent_but_not_different(state_dict):
    del state_dict["mean"]
    convert.to_jax(state_dict, RULES, ABSTRACT)
    state_dict["mean"] = np.float16([0.5, 0.2502])  # no more than its rounding
    convert.to_jax(state_dict, RULES, ABSTRACT)
    state_dict["mean"] = np.float32([0.5, 0.26])
    with pytest.raises(UserError, match=r"wrong: mean is \[0.5, 0.25999\d*\], the network has \[0.5, 0.25\]"):
        convert.to_jax(state_dict, RULES, ABSTRACT)


def test_constants_that_are_ignored_are_written_but_not_checked(state_dict):
    rules = dataclasses.replace(RULES, constants={"mean": np.float32([1, 2, 3])}, ignore=[*RULES.ignore, "me?n"])
    variables = convert.to_jax(state_dict, rules, ABSTRACT)
    assert (convert.to_torch(variables, rules)["mean"] == [1, 2, 3]).all()


def test_large_constants_are_not_printed(state_dict):
    rules = dataclasses.replace(RULES, constants={"mean": np.zeros((4, 5), np.float32)})
    state_dict["mean"] = np.ones((4, 5), np.float32)
    with pytest.raises(UserError, match="wrong: mean has other values than the network's"):
        convert.to_jax(state_dict, rules, ABSTRACT)


def test_all_that_does_not_fit_is_named_in_one_line(state_dict):
    state_dict["m.9.weight"] = state_dict.pop("m.0.bias")
    state_dict["m.1.weight"] = np.zeros((4, 2, 3, 3), np.float32)
    state_dict["gain"] = np.zeros((2, 1), np.float32)
    state_dict["head.weight"] = np.zeros(8, np.float32)
    state_dict["m.2.weight"] = state_dict["m.2.weight"].astype(np.int8)
    with pytest.raises(UserError) as error:
        convert.to_jax(state_dict, RULES, ABSTRACT)
    assert str(error.value) == (
        "the state dict does not fit this network (other variant, scale or fields?); keys that it has no use for: "
        "m.9.weight; missing keys: m.0.bias; wrong: m.1.weight is (4, 2, 3, 3), not (4, 1, 3, 3), "
        "m.2.weight is of int8, not of floats, head.weight is (8,), not (2, 4), gain is (2, 1), not (2,)")


def test_long_lists_are_cut(state_dict):
    with pytest.raises(UserError, match="missing keys: m.0.weight, m.0.bias, m.1.weight, m.2.weight, .* and 8 more"):
        convert.to_jax({"mean": state_dict["mean"]}, RULES, ABSTRACT)


@pytest.mark.parametrize("rows, message", [
    (RULES.rows[1:], r"no rule fills params/conv/bias, params/conv/kernel"),
    ([*RULES.rows, ("x", "nothing", "conv")], r"rule x -> nothing \(conv\): the network has nothing there"),
    ([*RULES.rows, ("x", "plain", "conv")], r"rule x -> plain \(conv\): an earlier rule has params/plain/kernel"),
    ([("m.1", "conv", "conv"), *RULES.rows[1:]], r"rule m.1 -> plain \(conv\): an earlier rule has m.1.weight"),
])
def test_rules_that_do_not_fit_the_network_are_mistakes_of_ours(state_dict, rows, message):
    with pytest.raises(ValueError, match=message) as error:
        convert.to_jax(state_dict, convert.Rules(rows), ABSTRACT)
    assert not isinstance(error.value, UserError)


@pytest.mark.parametrize("wrap, ema, left_out", [
    (lambda plain, averaged: plain, False, ()),
    (lambda plain, averaged: {"params": plain}, False, ()),
    (lambda plain, averaged: {"model": {"net": plain}, "epoch": 3}, False, ("epoch 3",)),
    (lambda plain, averaged: {"state_dict": {f"module.{key}": plain[key] for key in plain}}, False, ()),
    (lambda plain, averaged: {"params": averaged, "params_ema": plain}, True, ("params",)),
    (lambda plain, averaged: {"state_dict": averaged, "ema_state_dict": plain}, True, ("state_dict",)),
    (lambda plain, averaged: {"state_dict_ema": plain, "state_dict": averaged}, True, ("state_dict",)),
    (lambda plain, averaged: {"g": averaged, "params-ema": plain}, True, ("g",)),
    (lambda plain, averaged: {"params": plain, "params_ema": None}, False, ("params_ema",)),
    (lambda plain, averaged: {"params": plain, "params_ema": {}}, False, ("params_ema",)),
    (lambda plain, averaged: {"params": plain, "ema": {"decay": 0.9}}, False, ("ema",)),
    (lambda plain, averaged: plain | {"epoch": 3, "best": 31.5, "m.total_ops": np.zeros(1), "total_ops": np.zeros(1)},
     False, ("epoch 3", "best 31.5", "total_ops")),
    (lambda plain, averaged: {"n_averaged": np.zeros(1)} | {f"module.{key}": plain[key] for key in plain}, True,
     ("n_averaged",)),
    (lambda plain, averaged: {"model": averaged, "swa_model": {"n_averaged": np.array(3)} | {
        f"module.{key}": plain[key] for key in plain}}, True, ("model", "n_averaged")),
    (lambda plain, averaged: {"net": averaged, "netEma": plain, "optimizer": {"state": averaged}}, True,
     ("net", "optimizer")),
    (lambda plain, averaged: {"mine": plain, "optim_g": averaged, "lr_schedulers": [averaged]}, False,
     ("optim_g", "lr_schedulers")),
])
def test_unwrap_finds_the_state_dict(state_dict, wrap, ema, left_out):
    other = {key: value + 1 for key, value in state_dict.items()}
    found = convert.unwrap(wrap(state_dict, other))
    assert found.tensors.keys() == state_dict.keys()
    assert all(found.tensors[key] is state_dict[key] for key in state_dict)
    assert (found.ema, found.left_out) == (ema, left_out)


@pytest.mark.parametrize("checkpoint, message", [
    ([1], "not a state dict, but list; save the model's state_dict()"),
    ({}, "not a state dict, but dict"),
    ({"epoch": 3, "optimizer": {}}, "not a state dict: epoch, optimizer are no tensors"),
    ({"state_dict": None}, "not a state dict: state_dict is no tensor"),
])
def test_unwrap_refuses(checkpoint, message):
    with pytest.raises(UserError, match=message):
        convert.unwrap(checkpoint)


def test_detect_takes_the_format_with_most_keys(state_dict):
    other = convert.Rules([("conv", "conv", "conv"), ("head", "dense", "linear")])
    assert convert.detect(state_dict, {"other": other, "ours": RULES}) == "ours"
    assert convert.detect({"conv.weight": 0, "head.weight": 0}, {"ours": RULES, "other": other}) == "other"


def test_a_network_without_rules_says_where_they_would_be():
    with pytest.raises(UserError, match="linear: has no conversion rules; .*jsr/convert/rules/linear.py"):
        convert.formats(nn.Dense(3))
