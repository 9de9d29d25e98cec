"""The function that is exported: what `jsr upscale` gives, for every size and way of padding."""

import jax
from jax import export
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.errors import UserError
from jsr.export import pixels
from jsr.inference.chain import Chain
from jsr.inference.upscaler import Upscaler
from jsr.layers.padding import Padding, pad_to


def chain_of(stem, **fields):
    model = models.create(stem, scale=3, num_feat=4, num_block=1, **fields)
    return {"sr": model}, {"sr": models.init(model, jax.random.key(0))}


def test_division_is_numpys():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(jax.jit(pixels._to_unit)(values), values.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("padding", [
    Padding(8, "zeros"), Padding(8, "zeros", always=True), Padding(4, "flip", always=True)])
def test_padding_of_images(padding, photograph):
    image = (photograph(13, 8) / np.float32(255)).astype(np.float32)[None]
    expected = pad_to(image, padding.target(13), padding.target(8), padding.mode)
    np.testing.assert_array_equal(pixels._pad(jnp.asarray(image), padding), expected)


def test_pixels_are_those_of_upscale(photograph):
    networks, variables = chain_of("plain/bicubicpp", head_strides=4)  # sizes are multiples of 4
    live = Upscaler([Chain(networks, variables)])
    for height, width in ((17, 8), (2, 3)):
        lr = photograph(height, width)
        sr = np.asarray(jax.jit(pixels.on_pixels(networks, variables))(lr[None]))[0]
        expected = live.upscale(lr)
        assert sr.dtype == np.uint8 and (sr != expected).mean() < 1e-3 and abs(sr - expected.astype(int)).max() <= 1
    unit = lr / np.float32(255)
    in_floats = jax.jit(pixels.on_pixels(networks, variables, dtype=np.float32))
    np.testing.assert_allclose(in_floats(unit[None])[0], live.upscale(unit), atol=1e-6)


def test_any_size_is_traced_at_once():
    networks, variables = chain_of("plain/bicubicpp")
    lr = pixels.traced_input(networks, None, np.uint8)
    exported = export.export(jax.jit(pixels.on_pixels(networks, variables)))(lr)
    assert str(exported.out_avals[0].shape) == "(1, 3*height, 3*width, 3)"
    assert pixels.traced_input(networks, (4, 5), np.float32).shape == (1, 4, 5, 3)


def test_tracing_says_what_to_do():
    with pytest.raises(UserError, match="needs to know the size of its images .KeyError: 'h'.; "
                                        "export it for one size: --size"):
        with pixels.tracing(None):
            raise KeyError("h")
    with pytest.raises(KeyError), pixels.tracing((8, 8)):
        raise KeyError("h")
    with pytest.raises(UserError, match="^mine$"), pixels.tracing(None):
        raise UserError("mine")
