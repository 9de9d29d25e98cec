"""SCUNet: its sizes."""

import jax
import jax.numpy as jnp
import pytest

from jsr import models


def test_sizes_are_multiples_of_the_window_at_the_coarsest_size():
    assert models.card("scunet").padding.multiple == 64
    assert models.card(models.create("scunet", scale=1, window_size=4)).padding.multiple == 32
    with pytest.raises(ValueError, match="height 4 or width 8 is no multiple of window_size = 8"):
        jax.eval_shape(models.create("scunet", scale=1).init, jax.random.key(0), jnp.zeros((1, 32, 64, 3)))
