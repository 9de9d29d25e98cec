"""The parts that SwinIR's family shares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.swin import GroupConv, Reconstruction, drop_path_rates

KEY = jax.random.key(0)


def test_rates_rise_from_zero_over_all_groups():
    rates = drop_path_rates(0.1, (2, 4))
    assert [len(group) for group in rates] == [2, 4]
    np.testing.assert_allclose(sum(rates, []), [0, 0.02, 0.04, 0.06, 0.08, 0.1])
    assert drop_path_rates(0.0, (1, 1)) == [[0.0], [0.0]]


def test_the_bottleneck_is_a_quarter_as_wide():
    variables = jax.eval_shape(GroupConv("3conv").init, KEY, jnp.zeros((1, 4, 4, 8)))
    shapes = {name: p["kernel"].shape for name, p in variables["params"].items()}
    assert shapes == {"conv_0": (3, 3, 8, 2), "conv_1": (1, 1, 2, 2), "conv_2": (3, 3, 2, 8)}


@pytest.mark.parametrize("upsampler, scale", [
    ("pixelshuffle", 1), ("pixelshuffle", 3), ("pixelshuffledirect", 2), ("nearest+conv", 2), ("nearest+conv", 4),
    ("", 1)])
def test_heads_enlarge_by_their_scale(upsampler, scale):
    y, _ = jax.eval_shape(Reconstruction(upsampler, scale, 3, 4).init_with_output, KEY, jnp.zeros((2, 4, 5, 8)))
    assert y.shape == (2, 4 * scale, 5 * scale, 3)


@pytest.mark.parametrize("module, message", [
    (GroupConv("2conv"), "kind = '2conv' is none of 1conv, 3conv, SFB, HSFB"),
    (Reconstruction("nearest+conv", 3), "scale = 3 is neither 2 nor 4, as upsampler = 'nearest[+]conv' needs it"),
    (Reconstruction("", 2), "upsampler = '' does not enlarge by scale = 2"),
    (Reconstruction("bicubic", 2), "upsampler = 'bicubic' does not enlarge by scale = 2"),
])
def test_what_does_not_go_together_is_refused(module, message):
    with pytest.raises(ValueError, match=message):
        module.init(KEY, jnp.zeros((1, 4, 4, 8)))
