"""UnifyFormer against what the original code computes."""

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.inference.chain import Chain
from jsr.layers.padding import crop_to, pad_to_multiple
from jsr.models.unifyformer import UnifyAttention, linear_attention

FIELDS = dict(scale=1, dim=10, num_blocks=(1, 1), heads=(1, 2), num_refinement_blocks=0)


@pytest.fixture
def case(golden):
    return golden("unifyformer", "small")


def test_converted_weights_give_the_original_output(case, run):
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    sr = run(case.model, variables, pad_to_multiple(case.lr, models.card(case.model).padding))
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=5e-5)


def test_there_and_back_gives_the_same_state_dict(case):
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype and np.array_equal(back[key], value), key


def test_its_state_dict_tells_what_it_is(case):
    found = identify(case.state_dict)
    assert models.create(found.model, scale=found.scale, **found.fields) == case.model


def test_attention_is_of_the_whole_image():
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), models.abstract("unifyformer", **FIELDS))
    assert Chain({"sr": models.create("unifyformer", **FIELDS)}, {"sr": variables}).reach(1000) is None


def test_pixels_of_a_large_image_count_in_float16():
    """Of 384 x 512 equal keys the softmax gives 1 / 196608 each, which float16 rounds by 0.4 %."""
    key = np.zeros((1, 384, 512, 1, 1), np.float16)
    y = linear_attention(np.ones((1, 1, 1, 1, 1), np.float16), key, key + np.float16(0.5))
    np.testing.assert_allclose(y, np.full((1, 1, 1, 1), 0.5))


@pytest.mark.parametrize("channels, num_heads", [(48, 1), (20, 3)])
def test_channels_are_fifths_that_split_into_heads(channels, num_heads):
    message = f"four fifths of {channels} channels do not split into num_heads = {num_heads}"
    with pytest.raises(ValueError, match=message):
        UnifyAttention(num_heads).init(jax.random.key(0), np.zeros((1, 2, 2, channels), np.float32))


def test_blocks_can_be_computed_again():
    variables, lr = models.abstract("unifyformer", **FIELDS), np.zeros((1, 4, 4, 3), np.float32)
    assert models.abstract("unifyformer", **FIELDS, remat=True) == variables
    plain, remat = (str(jax.make_jaxpr(models.create("unifyformer", **FIELDS, remat=remat).apply)(variables, lr))
                    for remat in (False, True))
    assert plain.count("= remat") == 0 and remat.count("= remat") == 3  # two levels' three stages of one block
