"""UnifyFormer: its attention."""

import jax
import numpy as np
import pytest

from jsr import models
from jsr.inference.chain import Chain
from jsr.models.unifyformer import UnifyAttention, linear_attention

FIELDS = dict(scale=1, dim=10, num_blocks=(1, 1), heads=(1, 2), num_refinement_blocks=0)


@pytest.mark.slow
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
