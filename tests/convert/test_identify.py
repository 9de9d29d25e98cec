"""Recognising networks: every golden state dict, and full-size ones by their shapes."""

import json
from pathlib import Path

import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import RULES, Match, count, identify
from jsr.errors import UserError


def abstract_state_dict(model_id, scale, style):
    """The state dict of a full-size network, without its values."""
    zeros = models.abstract(model_id, scale=scale)
    variables = {"params": _fill(zeros["params"])}
    return convert.to_torch(variables, convert.formats(models.create(model_id, scale=scale))[style])


def _fill(tree):
    # one value each, in the shape of the leaf
    return {key: _fill(value) if isinstance(value, dict) else np.broadcast_to(np.float32(0.5), value.shape)
            for key, value in tree.items()}


@pytest.mark.parametrize("style", ["official", "basicsr"])
@pytest.mark.parametrize("model_id, scale", [("edsr/baseline", 2), ("edsr/baseline", 3), ("edsr/full", 4),
                                             ("edsr/baseline", 1), ("edsr/full", 8)])
def test_edsr(model_id, scale, style):
    found = identify(abstract_state_dict(model_id, scale, style))
    assert (found.model, found.scale, found.fields) == (model_id, scale, {})
    res_scale = models.create(model_id, scale=scale).res_scale
    assert found.assumed == (f"res_scale {res_scale}", *(["img_range 255"] if style == "basicsr" else []))


@pytest.mark.parametrize("style", ["basicsr", "esrgan", "old_esrgan"])
@pytest.mark.parametrize("model_id, scale", [
    ("rrdbnet/b23", 4), ("rrdbnet/b23", 2), ("rrdbnet/b23", 1), ("rrdbnet/b6", 4), ("rrdbnet/direct", 2),
    ("rrdbnet/direct", 1), ("rrdbnet/b23", 8)])
def test_rrdbnet(model_id, scale, style):
    found = identify(abstract_state_dict(model_id, scale, style))
    assert (found.model, found.scale, found.fields) == (model_id, scale, {})
    assert bool(found.assumed) == ((model_id, scale) == ("rrdbnet/direct", 2))


@pytest.mark.parametrize("model_id, scale", [  # whole networks: tracing most takes seconds
    pytest.param(model_id, models.card(model_id).scales[-1],
                 marks=[pytest.mark.slow] if model_id != "swinir/light" else [])
    for stem in ("swinir", "swinfir", "swin2sr", "hat")
    for model_id in models.list_models(f"{stem}/*")])
def test_swin_networks(model_id, scale):
    found = identify(abstract_state_dict(model_id, scale, "official"))
    assert (found.model, found.scale, found.fields) == (model_id, scale, {})
    own = models.create(model_id, scale=scale)
    assert found.assumed == tuple(f"{name} {getattr(own, name):g}" for name in ("conv_scale", "img_range", "patch_size")
                                  if getattr(own, name, 0))


@pytest.mark.parametrize("stem", ["swinir", "swinfir", "swin2sr", "hat"])
def test_reduced_swin_networks_have_their_fields(stem):
    golden = np.load(Path(__file__).parents[1] / "golden" / f"{stem}.npz")
    for case in json.loads(str(golden["about"]))["cases"].values():
        found = identify({key: np.empty(shape, dtype) for key, shape, dtype in case["tensors"]})
        model = models.create(found.model, scale=found.scale, **found.fields)
        for name, value in case["fields"].items():
            told = name not in ("conv_scale", "img_range", "patch_size", "num_feat")  # some heads have no such features
            assert not told or getattr(model, name) == (tuple(value) if isinstance(value, list) else value), name


def test_swin2sr_without_its_buffers():
    state_dict = abstract_state_dict("swin2sr/compressed", 4, "official")
    found = identify({key: value for key, value in state_dict.items() if "relative_coords_table" not in key})
    assert found == Match("swin2sr/compressed", 4, {}, ("img_range 1", "window_size 8"))


def test_reduced_networks_have_their_fields():
    golden = np.load(Path(__file__).parents[1] / "golden" / "rrdbnet.npz")
    case = json.loads(str(golden["about"]))["cases"]["old_esrgan_x16"]
    found = identify({key: np.empty(shape) for key, shape in case["shapes"].items()})
    assert found == Match("rrdbnet/b23", 16, dict(num_feat=4, num_block=1, num_grow_ch=2, channels=4, out_channels=4))


def test_the_range_of_an_official_edsr_shows_in_its_mean():
    state_dict = dict(abstract_state_dict("edsr/baseline", 2, "official"))
    state_dict["sub_mean.bias"] = state_dict["sub_mean.bias"] / 255
    assert identify(state_dict).fields == {"img_range": 1.0}


def test_unknown_state_dicts():
    for keys in (["weight", "bias"], ["model.0.weight"], ["conv_first.weight"], ["body.0.rdb1.conv1.weight"]):
        assert identify({key: np.zeros((4, 3, 3, 3)) for key in keys}) is None


def test_a_scale_that_no_variant_has_is_left_for_the_zoo_to_refuse():
    state_dict = abstract_state_dict("rrdbnet/direct", 1, "esrgan") | {"conv_first.weight": np.zeros((64, 48, 3, 3))}
    found = identify(state_dict)
    with pytest.raises(UserError, match="rrdbnet: no scale 0; it has 1, 2, 3, 4, 8"):
        models.create(found.model, scale=found.scale, **found.fields)


def test_count_is_of_the_numbers_after_a_prefix():
    assert count(["a.0.w", "a.11.w", "a.x.w", "b.40.w"], "a.") == 12
    assert count(["b.1"], "a.") == 0
    with pytest.raises(ValueError, match="a.999999999 of 1 keys"):
        count(["a.999999999.w"], "a.")


def test_every_recogniser_is_of_a_network():
    assert set(RULES) <= set(models.STEMS)
