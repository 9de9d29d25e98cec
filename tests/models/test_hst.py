"""HST against what the original code computes; the sizes that it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.layers.padding import crop_to, pad_to_multiple


def test_converted_weights_give_the_original_output(golden, run):
    case = golden("hst", "x4")
    variables = convert.to_jax(case.state_dict, case.rules, case.abstract)
    sr = run(case.model, variables, pad_to_multiple(case.lr, models.card(case.model).padding))
    expected = case.outputs["sr"]
    np.testing.assert_allclose(crop_to(sr, *expected.shape[1:3]), expected, rtol=0, atol=2e-6)


def test_there_and_back_gives_the_same_state_dict(golden):
    case = golden("hst", "x4")
    back = convert.to_torch(convert.to_jax(case.state_dict, case.rules, case.abstract), case.rules)
    assert back.keys() == case.state_dict.keys()
    for key, value in case.state_dict.items():
        assert back[key].dtype == value.dtype, key
        # a mask's size is that of the images that the original was constructed for
        assert key.endswith(".attn_mask") or np.array_equal(back[key], value), key


def test_a_state_dict_tells_the_fields(golden):
    case = golden("hst", "x4")
    found = identify(case.state_dict)
    assert (found.model, found.scale, found.assumed) == ("hst/base", 4, ())
    assert models.create("hst", scale=4, **found.fields) == case.model


def test_masks_are_written_for_the_sizes_that_the_scripts_construct():
    model = models.create("hst", scale=4)
    constants = convert.formats(model)["official"].constants
    masks = [constants[f"GRSTB_{number}.layers.1.residual_group.blocks.5.attn_mask"].shape for number in (1, 2, 3)]
    assert masks == [(4, 64, 64), (16, 64, 64), (64, 64, 64)]


def test_images_are_extended_to_four_windows():
    padding = models.card("hst").padding
    assert (padding.multiple, padding.mode, padding.always) == (32, "flip", True)
    with pytest.raises(ValueError, match="height 16 or width 18 is no multiple of window_size = 8"):
        jax.eval_shape(models.create("hst", scale=4).init, jax.random.key(0), jnp.zeros((1, 64, 72, 3)))
