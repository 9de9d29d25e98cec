"""Every network that has public code against what that code computes, and its state dict there, back and told."""

import json
from pathlib import Path

import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import RULES, identify
from jsr.layers.padding import crop_to, pad_to_multiple


def cases():
    """(stem, case) of the networks' goldens."""
    for path in sorted((Path(__file__).parents[1] / "golden").glob("*.npz")):
        if path.stem in models.STEMS:
            with np.load(path) as file:
                about = json.loads(str(file["about"]))
            yield from ((path.stem, case) for case in about.get("cases", ()))


CASES = [case for case in cases() if case != ("nafnet", "local")]  # a form for use alone: test_nafnet.py
TOLERANCES = {  # relative to the largest value, where not 1e-6; the original computes in float32, ours here in float64
    "discriminator": 1e-5,
    "fftformer": 2e-6,
    "grl": 4e-6,  # 2.3e-6 on one CPU, below 2e-6 on another
    "hst": 6e-7,
    "oaddet": 4e-6,
    "retinexformer": 7e-7,
    "rvsr": 2e-6,  # 1.04e-6: the original in float32; in float64 it is within 3e-15 of ours
    "safmn_bcie": 6e-7,
    "scunet": 4e-7,
    "span": 5e-6,  # the original fuses its convolutions
    "stopn": 2e-6,
    "swinfir": 5e-7,
    "unifyformer": 2e-6,
}
OPTIONS = {"etds": {"train": True}}  # where both streams are outputs
OTHER_CALLS = ("sr_given", "features_")  # give these outputs: test_fbcnn.py and test_vgg.py make them
NOT_WRITTEN = {"grl": ("table_", "index_", "mask_")}  # buffers, which the original does not need
ASSUMED = {  # fields that a state dict does not tell, or not always
    "art": {"window_size", "interval", "img_range"},
    "atd": {"category_size", "img_range"},
    "basicvsrpp": {"max_residue_magnitude", "peak_period", "skip_repeats"},
    "compact": {"act"},
    "dat": {"img_range"},
    "discriminator": {"high_pass", "img_range"},
    "dncnn": {"dilations"},
    "downsample": {"scale"},
    "drct": {"img_range"},
    "edsr": {"res_scale", "img_range"},
    "etds": {"num_residual_feat"},
    "fbcnn": {"estimates_quality"},
    "grl": {"img_range"},
    "hat": {"conv_scale", "img_range", "patch_size"},
    "mdsr": {"scale"},
    "plain": {"act", "bgr"},
    "prfdn": {"img_range"},
    "promptcir": {"conv_scale"},
    "rcan": {"img_range", "mean"},
    "realcugan": {"pro"},
    "rfdn": {"img_range", "dilations"},
    "rgt": {"img_range"},
    "rlfn": {"img_range", "anchor"},
    "rrdbnet": {"scale"},
    "rt4ksr": {"forget"},
    "span": {"img_range"},
    "srformer": {"img_range"},
    "srresdnet": {"scale"},
    "swin2sr": {"img_range"},
    "swinfir": {"img_range"},
    "swinir": {"img_range"},
    "vgg": {"img_range"},
}
LONG = {("abpn", "base"), ("adcsr", "two_groups"), ("atd", "light_x3"), ("basicvsrpp", "x1"), ("basicvsrpp", "x4"),
        ("dat", "x2"), ("drln", "whole"), ("grl", "car"), ("grl", "shuffle_x2"), ("hst", "x4"), ("mirnet", "base"),
        ("mosr", "dysample_x3"), ("mosr", "geoensemble_x1"), ("oaddet", "deep"), ("prfdn", "x2"),
        ("promptcir", "base"), ("realcugan", "x2"), ("realcugan", "x4"), ("realplksr", "dysample_x3"),
        ("rlfn", "challenge_x2"), ("span", "x2"), ("srformer", "light_x1"), ("swin2sr", "car"), ("swin2sr", "hf_x2"),
        ("swin2sr", "pixelshuffle_x2"), ("swinfir", "direct_x2"), ("unifyformer", "small")}  # compile for seconds


def each(is_quick):
    """Parametrises by all cases; those that are not quick are left to the long tests."""
    return pytest.mark.parametrize("stem, case", [
        pytest.param(*case, marks=[] if is_quick(case) else [pytest.mark.slow]) for case in CASES])


each_case = each(lambda case: case not in LONG)
FIRST = dict((stem, (stem, case)) for stem, case in reversed(CASES) if (stem, case) not in LONG)
each_of_a_file = each(lambda case: FIRST.get(case[0]) == case)  # one form of each network


def test_every_network_with_rules_of_conversion_has_a_golden():
    assert {stem for stem, _ in CASES} == set(RULES)


@each_of_a_file
def test_converted_weights_give_the_original_outputs(golden, run, stem, case):
    case = golden(stem, case)
    card = models.card(case.model)
    lr = case.lr if card.auxiliary else pad_to_multiple(case.lr, card.padding)
    outputs = models.outputs(run(case.model, case.variables, lr, **OPTIONS.get(stem, {})))
    assert outputs.keys() == {name for name in case.outputs if not name.startswith(OTHER_CALLS)}
    for name, output in outputs.items():
        expected = case.outputs[name]
        if output.ndim > 3 and not card.auxiliary:
            output = crop_to(output, *expected.shape[-3:-1])
        error = np.abs(output.reshape(expected.shape) - expected).max() / np.abs(expected).max()
        assert error < TOLERANCES.get(stem, 1e-6), name


@each_case
def test_there_and_back_gives_the_same_state_dict(golden, stem, case):
    case = golden(stem, case)
    back = convert.to_torch(case.variables, case.rules)
    expected = {key: value for key, value in case.state_dict.items() if not key.startswith(NOT_WRITTEN.get(stem, ()))}
    assert back.keys() == expected.keys()
    for key, value in expected.items():
        assert back[key].dtype == value.dtype and same(key, back[key], value), key


def same(key, written, read):
    """Whether a tensor is as it was read, so far as the original code reads it."""
    if ".attn_mask" in key:  # its size is that of the images that the original was constructed for
        return True
    if ".eval_conv." in key:  # the original fuses other convolutions to it whenever it uses it
        return written.shape == read.shape
    if key.endswith(".relative_coords_table"):
        return np.allclose(written, read, rtol=0, atol=1e-6)
    return np.array_equal(written, read)


@each_case
def test_its_state_dict_tells_what_it_is(golden, stem, case):
    case = golden(stem, case)
    assert convert.detect(case.state_dict, convert.formats(case.model)) == case.format
    found = identify(case.state_dict)
    told = models.create(found.model, scale=found.scale, **found.fields)
    assumed = dict(text.split()[:2] for text in found.assumed)
    assert assumed.keys() <= ASSUMED.get(stem, set())
    assert all(value in str(getattr(told, name)) for name, value in assumed.items())
    untold = {*assumed, *(["num_feat"] if without_features_of_the_head(stem, case.state_dict) else [])}
    assert told.clone(**{name: getattr(case.model, name) for name in untold}) == case.model


def without_features_of_the_head(stem, state_dict):
    """Whether num_feat is a field that the network of a state dict has no use for."""
    heads = stem in ("art", "atd", "dat", "grl", "srformer", "swin2sr", "swinir")
    return heads and "conv_before_upsample.0.weight" not in state_dict
