"""Retinexformer against what the original code computes."""

import numpy as np

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.inference.receptive_field import of_model
from jsr.layers.padding import crop_to, pad_to_multiple

def test_converted_weights_give_the_original_output(golden, run):
    case = golden("retinexformer", "two_stages")
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    sr = run(case.model, variables, pad_to_multiple(case.lr, models.card(case.model).padding))
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=1e-5)


def test_there_and_back_gives_the_same_state_dict(golden):
    case = golden("retinexformer", "two_stages")
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_its_state_dict_tells_what_it_is(golden):
    case = golden("retinexformer", "two_stages")
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


def test_attention_is_of_the_whole_image():
    model = models.create("retinexformer", scale=1, num_feat=4, num_blocks=(1, 0))
    assert models.card(model).padding.multiple == 2
    assert of_model(model, limit=100) is None
