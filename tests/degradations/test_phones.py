"""HEIC and JPEG XL, the formats of phones."""

import numpy as np
import pytest

from jsr import degradations
from jsr.degradations import heic, jpegxl
from jsr.errors import UserError

pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif")
pytest.importorskip("OpenImageIO", reason="JPEG XL needs OpenImageIO")

CODECS = {"heic": (heic, b"ftyp", "HEIC", "x265"), "jpegxl": (jpegxl, b"JXL ", "JPEG XL", "libjxl 0.")}


@pytest.mark.parametrize("name", CODECS)
def test_a_picture_comes_back_nearer_the_better_the_quality(photograph, name):
    codec, magic, *_ = CODECS[name]
    image = photograph(64, 81, 1)
    errors = []
    for settings in ({"quality": 20}, {"quality": 60}, {"quality": 95}, {"quality": 95, "subsampling": "4:4:4"}):
        if name == "jpegxl":
            settings.pop("subsampling", None)
        data = codec.encode(image, **settings)
        assert magic in data[:12] or data[:2] == b"\xff\x0a"
        assert data == codec.encode(image, **settings)
        found = codec.decode(data)
        assert found.shape == image.shape and found.dtype == np.uint8
        errors.append(np.square(found.astype(float) - image).mean())
    assert errors == sorted(errors, reverse=True) and errors[0] > 4 * errors[-1] and errors[-1] < 30


def test_jpeg_xl_of_quality_100_loses_nothing(photograph):
    np.testing.assert_array_equal(jpegxl.decode(jpegxl.encode(photograph(33, 50), 100)), photograph(33, 50))


@pytest.mark.parametrize("name", CODECS)
def test_a_row_is_made_again_and_cut_as_the_whole(photograph, name):
    hr = photograph(64, 80, 2)
    made = degradations.degrade(f"photo_x2_{name}", hr, seed=3)
    assert made.suffix == CODECS[name][0].SUFFIX and CODECS[name][3] in made.record["steps"][-1]["library"]
    assert degradations.replay(made.record, hr).lr_bytes == made.lr_bytes
    lr, part, _ = degradations.degrade_part(f"photo_x2_{name}", hr, (4, 20), (8, 40), seed=3)
    np.testing.assert_array_equal(lr, made.decode()[4:20, 8:40])
    np.testing.assert_array_equal(part, hr[8:40, 16:80])


@pytest.mark.parametrize("codec, settings", [(heic, {"quality": 101}), (heic, {"quality": 50.5}),
                                             (jpegxl, {"quality": 0}), (heic, {"quality": 50, "subsampling": "4:1:1"})])
def test_settings_that_it_has_not(codec, settings):
    with pytest.raises(ValueError, match="must be"):
        codec.encode(np.zeros((16, 16, 3), np.uint8), **settings)


@pytest.mark.parametrize("name", CODECS)
def test_damage_is_one_line(photograph, name):
    codec, _, called, _ = CODECS[name]
    data = codec.encode(photograph(32, 32, 1), 50)
    for broken in (data[:len(data) // 2], b"", b"x" * 100):
        with pytest.raises(UserError, match=f"{called}: cannot be decoded, damaged"):
            codec.decode(broken)
