"""WebP, and chains of codecs."""

import numpy as np
from PIL import features
import pytest

from jsr.degradations import jpeg, webp
from jsr.errors import UserError


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_quality_is_monotonous_and_bytes_repeat(photograph):
    image = photograph(48, 64)
    files = [webp.encode(image, quality) for quality in (10, 60, 95)]
    assert [len(f) for f in files] == sorted(len(f) for f in files)
    scores = [psnr(webp.decode(f), image) for f in files]
    assert scores == sorted(scores)
    assert files[1] == webp.encode(image, 60)
    assert files[1] != webp.encode(image, 60, method=0)


def test_it_is_lossy_webp(photograph):
    data = webp.encode(photograph(48, 64), 100)
    assert data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8 "


def test_double_compression_is_a_chain_of_calls(photograph):
    image = photograph(64, 64)
    steps = [(jpeg, {"quality": 40}), (webp, {"quality": 60})]
    for codec, settings in steps:
        image = codec.decode(codec.encode(image, **settings))
    once = webp.decode(webp.encode(photograph(64, 64), 60))
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8
    assert psnr(image, photograph(64, 64)) < psnr(once, photograph(64, 64))


def test_record():
    assert webp.record(60) == {"codec": "webp", "library": f"libwebp {features.version('webp')}", "quality": 60,
                               "method": 4}


@pytest.mark.parametrize("arguments, message", [
    ({"quality": 101}, "quality must be an integer from 0 to 100, got 101"),
    ({"quality": 60.5}, "quality must be an integer from 0 to 100, got 60.5"),
    ({"quality": 60, "method": 7}, "method must be an integer from 0 to 6, got 7"),
])
def test_settings_are_checked(photograph, arguments, message):
    with pytest.raises(ValueError, match=message):
        webp.encode(photograph(16, 16), **arguments)


@pytest.mark.parametrize("image, message", [
    (np.zeros((8, 8, 3)), r"expected uint8 \(H, W, 3\), got float64"),
    (np.zeros((0, 8, 3), np.uint8), r"expected uint8 \(H, W, 3\), got uint8 \(0, 8, 3\)"),
    (np.zeros((1, 16384, 3), np.uint8), "WebP holds at most 16383 px a side, got 1x16384"),
])
def test_images_are_checked(image, message):
    with pytest.raises(ValueError, match=message):
        webp.encode(image, 60)


def test_a_cut_file_is_one_line(photograph):
    with pytest.raises(UserError, match="damaged or truncated"):
        webp.decode(webp.encode(photograph(64, 64), 60)[:200])
