"""The codecs against Pillow's own save, and against what is known of libjpeg's versions."""

from concurrent.futures import ThreadPoolExecutor
import io
import itertools
import sys
import tempfile

import numpy as np
from PIL import Image, features
import pytest

from jsr.degradations import jpeg
from jsr.errors import UserError
from jsr.images import png_bytes

SAME_AS_PILLOW = ["6b", "turbo210", "mozjpeg201"]
SHAPES = [(1, 1, 3), (3, 2, 3), (45, 67, 3), (1, 1, 1), (17, 30, 1)]

turbo_in_pillow = pytest.mark.skipif(not features.version_feature("libjpeg_turbo"),
                                     reason="this Pillow has another libjpeg")


@pytest.fixture
def jpeglib():
    return pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")


def saved(image, quality, subsampling):
    """What Pillow alone makes of it: the file's bytes, and their pixels."""
    buffer = io.BytesIO()
    if image.shape[2] == 1:
        Image.fromarray(image[..., 0]).save(buffer, "JPEG", quality=quality)
    else:
        Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue(), np.asarray(Image.open(buffer)).reshape(image.shape)


def cases(photograph):
    for shape, quality, subsampling in itertools.product(SHAPES, (1, 10, 75, 100), jpeg.SUBSAMPLINGS):
        yield photograph(*shape[:2], seed=quality)[..., :shape[2]], quality, subsampling


def test_pillow_is_pillow(photograph):
    for image, quality, subsampling in cases(photograph):
        data, pixels = saved(image, quality, subsampling)
        assert jpeg.encode(image, quality, subsampling=subsampling) == data
        np.testing.assert_array_equal(jpeg.decode(data), pixels)


@turbo_in_pillow
@pytest.mark.parametrize("version", SAME_AS_PILLOW)
def test_libraries_with_the_same_arithmetic_give_pillows_bytes_and_pixels(jpeglib, photograph, version):
    for image, quality, subsampling in cases(photograph):
        data, pixels = saved(image, quality, subsampling)
        assert jpeg.encode(image, quality, subsampling=subsampling, encoder=version) == data
        np.testing.assert_array_equal(jpeg.decode(data, decoder=version), pixels)


@pytest.mark.parametrize("version", ["9d", "9e"])
def test_libjpeg_9_scales_chroma_otherwise(jpeglib, photograph, version):
    image = photograph(45, 67)
    data = jpeg.encode(image, 90)
    ours, pillows = jpeg.decode(data, decoder=version).astype(int), jpeg.decode(data).astype(int)
    assert np.abs(ours - pillows).max() > 5 and np.abs(ours - pillows).mean() < 5
    assert jpeg.encode(image, 90, encoder=version) != data

    full = jpeg.encode(image, 90, subsampling="4:4:4")  # nothing to scale: the rounding of colours is what is left
    assert np.abs(jpeg.decode(full, decoder=version).astype(int) - jpeg.decode(full)).max() <= 1
    grey = jpeg.encode(image[..., :1], 90)
    np.testing.assert_array_equal(jpeg.decode(grey, decoder=version), jpeg.decode(grey))


def test_9e_starts_its_chroma_tables_with_16(jpeglib, photograph):
    def tables(version):
        return Image.open(io.BytesIO(jpeg.encode(photograph(16, 16), 50, encoder=version))).quantization

    assert tables("9d") == tables("pillow")
    assert tables("9e")[0] == tables("9d")[0] and tables("9e")[1][1:] == tables("9d")[1][1:]
    assert (tables("9e")[1][0], tables("9d")[1][0]) == (16, 17)


@pytest.mark.parametrize("encoder", ["pillow", "9e"])
@pytest.mark.parametrize("subsampling,layers", [("4:4:4", (1, 1)), ("4:2:2", (2, 1)), ("4:2:0", (2, 2))])
def test_files_are_baseline_with_the_sampling_asked_for(request, photograph, encoder, subsampling, layers):
    if encoder != "pillow":
        request.getfixturevalue("jpeglib")
    file = Image.open(io.BytesIO(jpeg.encode(photograph(20, 20), 1, subsampling=subsampling, encoder=encoder)))
    assert [layer[1:3] for layer in file.layer] == [layers, (1, 1), (1, 1)]
    assert max(file.quantization[0]) == 255 and "progressive" not in file.info


def test_threads_do_not_mix_versions(jpeglib, photograph):
    versions = ["6b", "9d", "9e", "turbo210"]
    image = photograph(64, 64)
    expected = {v: jpeg.encode(image, 50, encoder=v) for v in versions}
    pixels = {v: jpeg.decode(expected["6b"], decoder=v) for v in versions}
    assert len(set(expected.values())) == 3

    def both(version):
        return jpeg.encode(image, 50, encoder=version), jpeg.decode(expected["6b"], decoder=version)

    with ThreadPoolExecutor(8) as pool:
        for version, (data, decoded) in zip(versions * 10, pool.map(both, versions * 10), strict=True):
            assert data == expected[version]
            np.testing.assert_array_equal(decoded, pixels[version])


def test_no_file_is_left(jpeglib, photograph, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = jpeg.encode(photograph(16, 16), 50, encoder="9e")
    jpeg.decode(data, decoder="9e")
    with pytest.raises(UserError):
        jpeg.decode(data[:len(data) // 2], decoder="9e")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("decoder", ["pillow", "9e"])
def test_damaged_files_are_told(request, photograph, decoder):
    if decoder != "pillow":
        request.getfixturevalue("jpeglib")
    data = jpeg.encode(photograph(64, 64), 90)
    with pytest.raises(UserError, match="truncated"):
        jpeg.decode(data[:len(data) // 2], decoder=decoder)
    with pytest.raises(UserError, match="not an image"):
        jpeg.decode(b"nothing", decoder=decoder)
    with pytest.raises(UserError, match="is PNG, not JPEG"):
        jpeg.decode(png_bytes(photograph(4, 4)), decoder=decoder)


def test_library_names(jpeglib):
    assert jpeg.library() == jpeg.library("pillow")
    assert jpeg.library().startswith("libjpeg")
    own = f"(jpeglib {jpeglib.__version__})"
    assert jpeg.library("9e") == f"libjpeg 9e {own}"
    assert jpeg.library("turbo210") == f"libjpeg-turbo 2.1.0 {own}"
    assert jpeg.library("mozjpeg403") == f"mozjpeg 4.0.3 {own}"
    assert set(jpeg.LIBRARIES) == {"pillow", *jpeglib.version.versions()}


def test_unknown_libraries_name_the_nearest(photograph):
    with pytest.raises(UserError, match="JPEG encoder 'pilow' is unknown; did you mean 'pillow'"):
        jpeg.encode(photograph(8, 8), 50, encoder="pilow")
    with pytest.raises(UserError, match="JPEG decoder 'turbo211' is unknown; did you mean 'turbo210'"):
        jpeg.decode(b"", decoder="turbo211")
    with pytest.raises(UserError, match="JPEG codec 'mozjpeg' is unknown"):
        jpeg.library("mozjpeg")


def test_a_missing_jpeglib_is_one_line(photograph, monkeypatch):
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    data = jpeg.encode(photograph(8, 8), 50)
    for call in (lambda: jpeg.encode(photograph(8, 8), 50, encoder="9d"), lambda: jpeg.decode(data, decoder="9d"),
                 lambda: jpeg.library.__wrapped__("9d")):
        with pytest.raises(UserError, match=r"'9d' comes with the package jpeglib, .* pip install .*\[codecs\]"):
            call()


def test_a_jpeglib_without_the_version_is_told(jpeglib, photograph, monkeypatch):
    monkeypatch.setattr(jpeglib.version, "versions", lambda: ["6b", "9d"])
    with pytest.raises(UserError, match="'9e' is not in the installed jpeglib; .* one of 6b, 9d"):
        jpeg.encode(photograph(8, 8), 50, encoder="9e")


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8),
                                   np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match="expected uint8"):
        jpeg.encode(image, 50)


@pytest.mark.parametrize("quality", [0, 101, -1, 10.5, None])
def test_other_qualities_are_refused(quality):
    with pytest.raises(ValueError, match="quality must be an integer from 1 to 100"):
        jpeg.encode(np.zeros((8, 8, 3), np.uint8), quality)


def test_other_subsamplings_are_refused():
    with pytest.raises(ValueError, match="subsampling '4:1:1' is unknown; did you mean"):
        jpeg.encode(np.zeros((8, 8, 3), np.uint8), 50, subsampling="4:1:1")
