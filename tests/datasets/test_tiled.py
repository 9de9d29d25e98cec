"""Images that are decoded by region."""

import io

import numpy as np
from PIL import Image
import pytest

from jsr import images
from jsr.datasets import tiled
from jsr.errors import UserError


@pytest.mark.parametrize("height, width", [(1, 1), (96, 96), (97, 95), (200, 5), (3, 400), (230, 310)])
def test_lossless_whole_and_by_region(photograph, height, width):
    image = photograph(height, width)
    data = tiled.encode(image)
    assert tiled.is_tiled(data)
    np.testing.assert_array_equal(images.read_rgb(data), image)
    regions = tiled.Tiled(data, "a")
    assert regions.shape == image.shape
    rng = np.random.default_rng(0)
    for _ in range(20):
        (top, bottom), (left, right) = (sorted(rng.choice(side + 1, 2, replace=False)) for side in (height, width))
        np.testing.assert_array_equal(regions[top:bottom, left:right], image[top:bottom, left:right])
    np.testing.assert_array_equal(regions[:, :], image)
    np.testing.assert_array_equal(regions[height - 1:, :width], image[height - 1:])


def test_a_view_that_is_not_contiguous(photograph):
    image = photograph(100, 120)[:, ::-1]
    np.testing.assert_array_equal(images.read_rgb(tiled.encode(image)), image)


def test_a_region_takes_the_tiles_that_it_touches(photograph, monkeypatch):
    read, sizes = images.read_rgb, []
    monkeypatch.setattr(images, "read_rgb", lambda data, name: sizes.append(read(data).shape) or read(data))
    regions = tiled.Tiled(tiled.encode(photograph(600, 700)), "a")
    regions[96:192, 96:192]
    regions[95:193, 96:97]
    assert sizes == [(96, 96, 3), (288, 96, 3)]


def test_other_files_are_not_taken_for_ours(photograph):
    image, buffer = photograph(100, 120), io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF", compression="zstd")
    data = tiled.encode(image)
    at = data.index(b"\x50\xc3")  # the compression, 50000
    others = [images.png_bytes(image), buffer.getvalue(), b"", data[:50], data[:at] + b"\x01\x00" + data[at + 2:]]
    assert not any(map(tiled.is_tiled, others))


def test_damage_is_one_line(photograph):
    data = tiled.encode(photograph(100, 120))
    for harmed in (data[:180], data[:-10], data[:-300] + bytes(300)):
        with pytest.raises(UserError, match="^photo: damaged or truncated.*; replace or remove the file$"):
            tiled.Tiled(harmed, "photo")[:, :]


def test_a_pillow_without_zstandard(photograph, monkeypatch):
    def save(*args, **kwargs):
        raise OSError("encoder error -2 when writing image file")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(UserError, match="writes no TIFF with Zstandard here .*pip install --upgrade pillow"):
        tiled.encode(photograph(8, 8))
