"""Padding to the sizes that networks take, and the crop back."""

import jax
from jax import export
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.padding import Padding, crop_to, mirrored, pad_to, pad_to_multiple, source_rows


def row(values):
    return np.array(values, np.uint8).reshape(1, 1, -1, 1)


@pytest.mark.parametrize("mode, expected", [
    ("reflect", [1, 2, 3, 4, 5, 4, 3, 2]),
    ("flip", [1, 2, 3, 4, 5, 5, 4, 3]),
    ("replicate", [1, 2, 3, 4, 5, 5, 5, 5]),
    ("zeros", [1, 2, 3, 4, 5, 0, 0, 0]),
])
def test_modes(mode, expected):
    assert pad_to_multiple(row([1, 2, 3, 4, 5]), Padding(8, mode))[0, 0, :, 0].tolist() == expected


@pytest.mark.parametrize("mode, expected", [("reflect", [1, 2, 3, 2, 1, 2, 3, 2]), ("flip", [1, 2, 3, 3, 2, 1, 1, 2])])
def test_an_image_smaller_than_the_padding_is_reflected_again(mode, expected):
    assert pad_to_multiple(row([1, 2, 3]), Padding(8, mode))[0, 0, :, 0].tolist() == expected


@pytest.mark.parametrize("mode, filled", [("reflect", 7), ("flip", 7), ("replicate", 7), ("zeros", 0)])
def test_a_single_pixel(mode, filled):
    for image in (np.full((1, 1, 3), 7.0), jnp.full((1, 1, 3), 7.0)):
        padded = np.array(pad_to_multiple(image, Padding(4, mode)))
        assert padded.shape == (4, 4, 3) and padded[0, 0, 0] == 7
        padded[0, 0] = filled
        assert (padded == filled).all()


@pytest.mark.parametrize("always, height, width", [(False, 8, 16), (True, 16, 16)])
def test_a_multiple_gets_a_whole_window_more_only_with_always(always, height, width):
    image = np.arange(8 * 9).reshape(8, 9, 1)
    padded = pad_to_multiple(image, Padding(8, "flip", always))
    assert padded.shape == (height, width, 1)
    assert (crop_to(padded, 8, 9) == image).all()


def test_nothing_is_copied_where_nothing_is_to_do():
    image = np.zeros((8, 16, 3))
    assert pad_to_multiple(image, Padding(8)) is image
    assert pad_to_multiple(image, Padding()) is image


@pytest.mark.parametrize("mode", ["reflect", "flip", "replicate", "zeros"])
@pytest.mark.parametrize("shape", [(2, 5, 3, 3), (1, 2, 9, 3), (2, 3, 7, 10, 3)])
def test_jax_pads_like_numpy(mode, shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours = pad_to_multiple(jnp.asarray(image), Padding(8, mode))
    assert isinstance(ours, jnp.ndarray)
    assert np.array_equal(ours, pad_to_multiple(image, Padding(8, mode)))


@pytest.mark.parametrize("wrong, message", [
    (dict(multiple=0), "multiple = 0 is less than 1"),
    (dict(mode="mirror"), "mode = 'mirror' is none of reflect, flip, replicate, zeros"),
    (dict(always=True), "always = True needs a multiple above 1"),
])
def test_impossible_paddings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Padding(**wrong)


def test_crop_refuses_what_is_too_small():
    with pytest.raises(ValueError, match="image of 4x5 is smaller than 4x6"):
        crop_to(np.zeros((1, 4, 5, 3)), 4, 6)


@pytest.mark.parametrize("mode", ["reflect", "flip", "replicate"])
@pytest.mark.parametrize("side, target", [(1, 4), (2, 16), (3, 24), (7, 8), (9, 16), (16, 16)])
def test_rows_are_those_of_padding(mode, side, target):
    image = np.arange(side, dtype=np.int32)[None, :, None, None]
    rows = source_rows(side, target, mode)
    np.testing.assert_array_equal(np.arange(side)[rows], pad_to(image, target, 1, mode)[0, :, 0, 0])


@pytest.mark.parametrize("size", [(1, 9), (5, 2), (6, 7)])
def test_an_image_of_symbolic_sizes_is_mirrored_as_others_are(size):
    image = np.arange(2 * size[0] * size[1], dtype=np.float32).reshape(1, *size, 2)
    symbolic = jax.ShapeDtypeStruct(export.symbolic_shape("1, height, width, 2"), jnp.float32)
    exported = export.export(jax.jit(lambda x: mirrored(x, 5)))(symbolic)
    np.testing.assert_array_equal(exported.call(image), np.pad(image, [(0, 0), (5, 5), (5, 5), (0, 0)], "reflect"))
    np.testing.assert_array_equal(mirrored(jnp.asarray(image), 5), exported.call(image))
