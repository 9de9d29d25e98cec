"""The device twin against the libraries, for equality."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
from PIL import features
import pytest

from jsr.degradations import jpeg as host
from jsr.degradations.jpeg_device import LIBRARIES, jpeg, jpeg_float

SIZES = [(1, 1), (7, 4), (2, 5), (16, 24), (45, 67)]
SAMPLINGS = [("4:2:0", 3), ("4:2:2", 3), ("4:4:4", 3), ("4:2:0", 1)]
# libjpeg 9 has something of its own at every size only where it scales chroma.
CASES = [(library, size, *sampling) for library in LIBRARIES for size in SIZES for sampling in SAMPLINGS
         if library == "pillow" or size == SIZES[-1] or sampling in SAMPLINGS[:2]]

# A block of blue and yellow, of which libjpeg's decoder makes a sample 587 off the middle at quality 12.
OVERSHOOT = np.frombuffer(bytes.fromhex(
    "00ffff70ffff00ffff51ff0000009cffffffffffffff00ff00b0ff0000ffffff"
    "00b500ff43000000ff00ff002c91ff00d392ff000000ffff0000d5ffff000000"), np.uint8).reshape(8, 8)


@pytest.fixture(params=LIBRARIES)
def library(request):
    if request.param != "pillow":
        pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    elif not features.version_feature("libjpeg_turbo"):
        pytest.skip("this Pillow has another libjpeg")
    return request.param


def by_host(image, quality, subsampling, library):
    data = host.encode(image, int(quality), subsampling=subsampling, encoder=library)
    return host.decode(data, decoder=library)


def pictures(rng, photograph, number, height, width, channels):
    """uint8 (number, height, width, channels): noise, saturated noise, flat, gradients, photographs, saturated ones."""
    shape = (height, width, channels)
    photo = [photograph(height + 8, width + 8, seed)[4:-4, 4:-4, :channels].astype(float) for seed in range(number)]
    slope = np.mgrid[:height, :width].sum(0)[..., None]
    kinds = [
        lambda i: rng.integers(0, 256, shape),
        lambda i: rng.integers(0, 2, shape) * 255,
        lambda i: np.ones(shape) * rng.integers(0, 256, channels),
        lambda i: slope * rng.uniform(-6, 6, channels) + rng.uniform(0, 255, channels),
        lambda i: photo[i],
        lambda i: (photo[i] - 128) * 3 + 128,
    ]
    return np.stack([np.clip(kinds[i % len(kinds)](i), 0, 255) for i in range(number)]).astype(np.uint8)


@pytest.mark.parametrize("library,size,subsampling,channels", [  # 9e is 9d but for another table of chroma
    pytest.param(*case, marks=[pytest.mark.slow] if case[0] == "9e" else []) for case in CASES], indirect=["library"])
def test_equals_the_library_at_every_quality(library, photograph, size, subsampling, channels):
    rng = np.random.default_rng(size[1])
    quality = rng.permutation(np.arange(1, 101))[:100 if library == "pillow" else 24]
    images = pictures(rng, photograph, len(quality), *size, channels)
    twins = np.asarray(jpeg(images, quality, subsampling=subsampling, library=library))
    assert twins.dtype == np.uint8
    for image, q, twin in zip(images, quality, twins, strict=True):
        np.testing.assert_array_equal(twin, by_host(image, q, subsampling, library), err_msg=f"quality {q}")


def test_every_constant_of_the_transforms(library):
    # One off by 1 / 2**13 changes this picture, which smaller or coarser ones may miss.
    image = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    np.testing.assert_array_equal(jpeg(image, 100, library=library), by_host(image, 100, "4:2:0", library))


def test_far_overshoot_is_clipped_by_turbo_and_wraps_in_libjpeg_9(library):
    image = np.stack([255 - OVERSHOOT, 255 - OVERSHOOT, OVERSHOOT], -1)
    twin = np.asarray(jpeg(image, 12, subsampling="4:4:4", library=library))
    np.testing.assert_array_equal(twin, by_host(image, 12, "4:4:4", library))
    if library == "9d":
        clipped = np.asarray(jpeg(image, 12, subsampling="4:4:4")).astype(int)
        assert np.abs(twin - clipped).max() > 200


def test_one_compilation_serves_all_qualities_and_vmap_agrees(photograph):
    images = np.stack([photograph(16, 24, seed) for seed in range(6)])
    quality = np.array([1, 10, 49, 50, 75, 100])
    traced = jax.jit(lambda image, q: jpeg(image, q))
    single = [traced(image, q) for image, q in zip(images, quality, strict=True)]
    assert traced._cache_size() == 1
    np.testing.assert_array_equal(jax.vmap(jpeg)(images, quality), single)
    np.testing.assert_array_equal(jpeg(images, quality), single)
    np.testing.assert_array_equal(jpeg(images[:, None], quality[:, None])[:, 0], single)
    # A quality an image in every group, the same for all groups.
    np.testing.assert_array_equal(jpeg(images.reshape(2, 3, 16, 24, 3), quality[3:])[1], single[3:])


def test_qualities_are_clipped_as_libjpeg_does(photograph):
    image = photograph(16, 16)
    np.testing.assert_array_equal(jpeg(image, -3), jpeg(image, 1))
    np.testing.assert_array_equal(jpeg(image, 1000), jpeg(image, 100))


def test_int32_and_x64_change_nothing(photograph):
    image = photograph(16, 24)
    expected = np.asarray(jpeg(image, 30))
    np.testing.assert_array_equal(jpeg(image.astype(np.int32), 30), expected)
    with jax.enable_x64(True):
        for library in LIBRARIES:
            assert jpeg(image, 30, library=library).dtype == np.uint8
        np.testing.assert_array_equal(jpeg(image, 30), expected)


def test_no_floating_point(photograph):
    for library in LIBRARIES:
        jaxpr = str(jax.make_jaxpr(functools.partial(jpeg, library=library))(photograph(16, 24), 30))
        assert "dot_general" in jaxpr and not re.search(r"\bb?f\d+\[", jaxpr)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_float_images_are_exact_forwards_and_straight_through_backwards(photograph, dtype):
    image = jnp.asarray(photograph(16, 24) / 255 * 1.2 - 0.1, dtype)
    bytes_ = np.rint(np.clip(np.asarray(image, np.float32), 0, 1) * 255).astype(np.uint8)
    out, backward = jax.vjp(lambda x: jpeg_float(x, 20), image)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, (jpeg(bytes_, 20).astype(jnp.float32) / 255).astype(dtype))
    cotangent = jax.random.normal(jax.random.key(0), image.shape, dtype)
    np.testing.assert_array_equal(backward(cotangent)[0], cotangent)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8),
                                   np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match=r"expected uint8 or int32 \(\.\.\., H, W, 3 or 1\), got"):
        jpeg(image, 50)


def test_other_arguments_are_refused(photograph):
    image = photograph(8, 8)
    with pytest.raises(ValueError, match="quality must be an integer"):
        jpeg(image, 50.0)
    with pytest.raises(ValueError, match="subsampling '4:2:1' is unknown; did you mean"):
        jpeg(image, 50, subsampling="4:2:1")
    with pytest.raises(ValueError, match="library '9' is unknown; did you mean '9"):
        jpeg(image, 50, library="9")
    with pytest.raises(ValueError, match="expected a float image .* integer images go to jpeg"):
        jpeg_float(image, 50)
