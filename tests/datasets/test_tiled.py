"""Images that are decoded by region."""

import io
import struct

import numpy as np
from PIL import Image
import pytest

from jsr import images
from jsr.datasets import tiled
from jsr.errors import UserError


def flat(height, width):
    """A picture that Zstandard makes much smaller, other than `photograph`."""
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    return np.stack([ramp // 3, ramp // 4, ramp // 5], -1)


@pytest.fixture(params=["pixels as they are", "Zstandard"])
def picture(request, photograph):
    """The function of a height and a width that gives a picture of either form."""
    return photograph if request.param == "pixels as they are" else flat


@pytest.mark.parametrize("height, width", [(1, 1), (64, 64), (96, 96), (97, 95), (200, 5), (3, 400), (230, 310)])
def test_lossless_whole_and_by_region(picture, height, width):
    image = picture(height, width)
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


def test_a_view_that_is_not_contiguous(picture):
    image = picture(100, 120)[:, ::-1]
    np.testing.assert_array_equal(images.read_rgb(tiled.encode(image)), image)


def test_pixels_are_stored_as_they_are_where_that_takes_little_more(photograph):
    with_noise, without = photograph(640, 640), flat(640, 640)
    size, flat_size = (len(tiled.encode(image)) for image in (with_noise, without))
    assert with_noise.size < size < 1.01 * with_noise.size and flat_size < without.size / 10
    assert size <= 2 * len(images.png_bytes(with_noise))


class Asked(bytes):
    """Bytes that remember how many were asked for."""

    def __getitem__(self, part):
        found = super().__getitem__(part)
        self.number = getattr(self, "number", 0) + len(found)
        return found


def test_a_region_takes_the_tiles_that_it_touches(photograph):
    data = Asked(tiled.encode(photograph(640, 704)))
    regions, table = tiled.Tiled(data, "a"), 110 * 3 * 4
    for slices, tiles in (((slice(64, 128), slice(64, 128)), 1), ((slice(63, 129), slice(64, 65)), 3)):
        data.number = 0
        regions[slices]
        assert tiles * 64 * 64 * 3 < data.number < tiles * 64 * 64 * 3 + table + 300


def test_a_compressed_region_takes_the_tiles_that_it_touches(monkeypatch):
    read, sizes = images.read_rgb, []
    monkeypatch.setattr(images, "read_rgb", lambda data, name: sizes.append(read(data).shape) or read(data))
    regions = tiled.Tiled(tiled.encode(flat(600, 700)), "a")
    regions[64:128, 64:128]
    regions[63:129, 64:65]
    assert sizes == [(64, 64, 3), (192, 64, 3)]


def test_identity_follows_the_image(photograph):
    image = photograph(100, 120)
    other = image.copy()
    other[50, 60, 1] ^= 1
    same, another = tiled.encode(image), tiled.encode(other)
    assert tiled.identity(same) == tiled.identity(memoryview(bytes(same))) != tiled.identity(another)
    assert len(tiled.identity(same)) < 500 and tiled.identity(b"another file") == b"another file"


def test_other_files_are_not_taken_for_ours(photograph):
    image, buffer = photograph(100, 120), io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF", compression="zstd")
    data = tiled.encode(image)
    at = data.index(struct.pack("<HHII", 259, 3, 1, 50000)) + 8  # the compression
    others = [images.png_bytes(image), buffer.getvalue(), b"", data[:50], data[:at] + b"\x05" + data[at + 1:]]
    assert not any(map(tiled.is_tiled, others))


def test_damage_is_one_line(picture):
    data = tiled.encode(picture(128, 192))
    flipped = data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]
    for harmed in (data[:280], data[:-10], data[:-300] + bytes(300), flipped):
        with pytest.raises(UserError, match="^photo: damaged or truncated.*; replace or remove the file$"):
            tiled.Tiled(harmed, "photo")[:, :]
    np.testing.assert_array_equal(tiled.Tiled(flipped, "photo")[:64, :64], picture(128, 192)[:64, :64])


def test_a_pillow_without_zstandard(photograph, monkeypatch):
    def save(*args, **kwargs):
        raise OSError("encoder error -2 when writing image file")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(UserError, match="writes no TIFF with Zstandard here .*pip install --upgrade pillow"):
        tiled.encode(photograph(8, 8))
