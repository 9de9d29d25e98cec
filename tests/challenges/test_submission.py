import zipfile

import numpy as np
from PIL import Image
import pytest

from jsr.challenges.submission import readme, write_zip
from jsr.errors import UserError
from jsr.files import atomic_write
from jsr.images import read_rgb


def test_readme():
    assert readme(0.25, cpu=True, extra_data=True, description="two networks").splitlines() == [
        "runtime per image [s] : 0.25", "CPU[1] / GPU[0] : 1", "Extra Data [1] / No Extra Data [0] : 1",
        "Other description : two networks"]
    assert readme(2, unit="frame").startswith("runtime per frame [s] : 2\n")
    assert readme(12).splitlines()[1:3] == ["CPU[1] / GPU[0] : 0", "Extra Data [1] / No Extra Data [0] : 0"]


def test_archive(tmp_path, photograph):
    photo = photograph(20, 24)
    Image.fromarray(photo).save(tmp_path / "0901x4.png", compress_level=1)
    Image.fromarray(photo[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(photo).save(tmp_path / "photo.bmp")
    images = {"0901": tmp_path / "0901x4.png", "0903": tmp_path / "grey.png", "0902": tmp_path / "photo.bmp"}
    for name in ("a.zip", "b.zip"):
        with atomic_write(tmp_path / name) as file:
            write_zip(file, sorted(images.items()), "text\n")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["0901.png", "0902.png", "0903.png", "readme.txt"]
        assert archive.testzip() is None and archive.read("readme.txt") == b"text\n"
        assert archive.read("0901.png") == (tmp_path / "0901x4.png").read_bytes()
        np.testing.assert_array_equal(read_rgb(archive.read("0902.png")), photo)
        assert archive.read("0903.png")[25] == 2  # grey became RGB
        np.testing.assert_array_equal(read_rgb(archive.read("0903.png"))[..., 1], photo[..., 0])


def test_damaged_image_leaves_no_archive(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="bad.png: not an image"):
        with atomic_write(tmp_path / "out.zip") as file:
            write_zip(file, [("bad", tmp_path / "bad.png")], "")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.png"]
