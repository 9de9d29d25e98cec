"""The JPEG quality of pictures: by their tables and by their pixels."""

import io

import numpy as np
from PIL import Image
import pytest

from jsr import pictures
from jsr.pictures import quality


def jpeg(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", **options)
    return stream.getvalue()


def read(path, data):
    path.write_bytes(data)
    with pictures.open_picture(path) as picture:
        return picture.jpeg_quality


def test_tables_are_libjpegs(photograph):
    for q in (1, 10, 49, 50, 75, 100):
        with Image.open(io.BytesIO(jpeg(photograph(16, 16), quality=q))) as file:
            assert quality.table(q).ravel().tolist() == list(file.quantization[0])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_a_file_tells_its_quality(photograph, tmp_path, options):
    for q in (1, 30, 75, 88, 95, 100):
        assert read(tmp_path / "a.jpg", jpeg(photograph(24, 32), quality=q, **options)) == q


def test_other_encoders_have_the_nearest_and_other_formats_none(photograph, tmp_path):
    steps = [min(255, int(step) + 1) for step in quality.table(60).ravel()]
    assert read(tmp_path / "a.jpg", jpeg(photograph(24, 32), qtables=[steps, steps])) in (58, 59, 60)
    assert read(tmp_path / "grey.jpg", jpeg(photograph(24, 32)[..., 0], quality=40)) == 40
    Image.fromarray(photograph(24, 32)).save(tmp_path / "a.png")
    with pictures.open_picture(tmp_path / "a.png") as picture:
        assert picture.jpeg_quality is None


@pytest.mark.parametrize("cut", [(0, 0), (3, 5)])
def test_pixels_tell_it_where_the_tables_are_gone(photograph, cut):
    image = np.clip(photograph(160, 200) * 0.8 + 20, 0, 255).astype(np.uint8)
    for q in (10, 50, 75, 90):
        for its in (image, image[..., 1]):
            decoded = np.atleast_3d(Image.open(io.BytesIO(jpeg(its, quality=q))))
            assert quality.of_pixels(decoded[cut[0]:, cut[1]:]) == q


def test_pixels_that_never_were_jpeg_have_none(photograph):
    image = photograph(160, 200)
    resized = np.asarray(Image.open(io.BytesIO(jpeg(image, quality=50))).resize((150, 120), Image.BICUBIC))
    for nothing in (image, resized, image[:7, :9], np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64, 1), np.uint8)):
        assert quality.of_pixels(nothing) is None
