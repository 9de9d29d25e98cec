"""The mistakes that `build` meets before a builder starts; tests/tfds_builders has the rest."""

import pytest

from jsr.datasets import build
from jsr.errors import UserError


def test_names():
    assert build.names() == [
        "bsd100", "bsds500", "div2k", "div8k", "drealsr", "flickr2k", "gtav", "image_folder", "ldv3", "live1", "lsdir",
        "photos", "rtsr4k", "set14", "set5", "urban100", "video_folder", "wed"]


def test_unknown_names(tmp_path):
    with pytest.raises(UserError, match="dataset 'div2' is unknown; did you mean 'div2k'"):
        build.build("div2", data_dir=tmp_path)
    with pytest.raises(UserError, match="dataset 'div2k' has no config 'hq'; did you mean 'hr'"):
        build.build("div2k/hq", data_dir=tmp_path)


def test_manual_dir_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none: no such folder \(--manual_dir\)"):
        build.build("div2k", data_dir=tmp_path, manual_dir=tmp_path / "none")


def test_data_dir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/photos/hr: cannot be made: Not a directory; choose another place"):
        build.build("photos", data_dir=tmp_path / "file")


def test_what_was_not_built_is_damage(tmp_path):
    assert build.damage(tmp_path / "none") == "it is not built"
    assert "dataset_info.json: no such file" in build.damage(tmp_path)
