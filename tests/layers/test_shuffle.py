"""Pixel shuffle and the upsampler made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.shuffle import pixel_shuffle, pixel_unshuffle
from jsr.layers.upsample import PixelShuffleUpsample


@pytest.mark.parametrize("factor", [2, 3])
def test_channels_are_ordered_as_in_torch(factor):
    """An index image: channel c * factor**2 + row * factor + column lands on (row, column) of colour c."""
    n, h, w, colours = 2, 3, 4, 3
    x = np.arange(n * h * w * colours * factor**2).reshape(n, h, w, -1)
    y = pixel_shuffle(x, factor)
    assert y.shape == (n, h * factor, w * factor, colours)
    for i in range(h * factor):
        for j in range(w * factor):
            for c in range(colours):
                channel = c * factor**2 + (i % factor) * factor + j % factor
                assert (y[:, i, j, c] == x[:, i // factor, j // factor, channel]).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_unshuffle_is_the_inverse(factor):
    x = jax.random.normal(jax.random.key(0), (2, 12, 24, 5))
    y = pixel_unshuffle(x, factor)
    assert y.shape == (2, 12 // factor, 24 // factor, 5 * factor**2)
    assert (pixel_shuffle(y, factor) == x).all()


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="6 channels are no multiple of factor[*][*]2 = 4"):
        pixel_shuffle(np.zeros((1, 2, 2, 6)), 2)
    with pytest.raises(ValueError, match="height 5 or width 4 is no multiple of factor = 2"):
        pixel_unshuffle(np.zeros((1, 5, 4, 3)), 2)


@pytest.mark.parametrize("scale, kernels", [(1, []), (2, [16]), (3, [36]), (4, [16, 16]), (8, [16, 16, 16])])
def test_upsampler_has_a_convolution_per_shuffle(scale, kernels):
    y, variables = jax.eval_shape(PixelShuffleUpsample(scale).init_with_output, jax.random.key(0),
                                  jnp.zeros((1, 5, 7, 4)))
    assert y.shape == (1, 5 * scale, 7 * scale, 4)
    found = {name: p["kernel"].shape[-1] for name, p in variables.get("params", {}).items()}
    assert found == {f"conv_{index}": features for index, features in enumerate(kernels)}


@pytest.mark.parametrize("scale", [0, 5, 6])
def test_upsampler_refuses_other_scales(scale):
    with pytest.raises(ValueError, match=f"scale = {scale} is neither 3 nor a power of two"):
        PixelShuffleUpsample(scale).init(jax.random.key(0), jnp.zeros((1, 4, 4, 4)))
