"""HST: its masks and the sizes that it takes."""

import jax
import jax.numpy as jnp
import pytest

from jsr import convert, models


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
