"""The command `jsr build`."""

import argparse

import numpy as np
import pytest

from jsr import degradations, images
from jsr.cli import build
from jsr.datasets.show import WIDTH
from jsr.errors import UserError


def run(*args):
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    return build.run(parser.parse_args([str(arg) for arg in args]))


def test_builds_and_tells(tmp_path, capsys):
    assert run("photos/aim22_t1", "--data_dir", tmp_path) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert "8 images, needs about" in lines[0] and "free)" in lines[0]
    assert "chelsea: cropped from 300x451 to 300x448 (height x width), multiples of the scale" in lines
    by = degradations.codecs(degradations.draw("aim22_t1"))
    assert lines[-1].startswith(f"photos/aim22_t1: 5 train + 3 validation images, 5 of them cropped, LR by {by}, 8.")
    assert lines[-1].endswith(f"MB in {tmp_path}/photos/aim22_t1/1.4.0; all done")
    assert "preparing" in err and "8/8" in err and "images/s" in err

    assert run("photos/aim22_t1", "--data_dir", tmp_path) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].endswith("(was there already); all done") and err == ""
    assert run("photos/aim22_t1", "--data_dir", tmp_path, "--overwrite") == 0
    assert "built anew, --overwrite" in capsys.readouterr().out


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(UserError, match="did you mean 'photos'"):
        run("photo", "--data_dir", tmp_path)


def test_show(tmp_path, photo_folder, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images.write_png(photo_folder / "validation/last.png", np.full((40, 48, 3), 77, np.uint8))
    (photo_folder / "train").mkdir()
    for path in photo_folder.glob("*.png"):
        path.rename(photo_folder / "train" / path.name)
    command = ["image_folder/ntire24", "--data_dir", tmp_path, "--manual_dir", photo_folder]
    assert run("--show", *command, "--count", 3) == 0
    assert "image_folder-ntire24-train.png: the first records of train" in capsys.readouterr().out
    three = images.read_rgb(tmp_path / "image_folder-ntire24-train.png")
    assert run(*command, "--show") == 0
    assert "(was there already; its sources were not read, --overwrite builds anew)" in capsys.readouterr().out
    four = images.read_rgb(tmp_path / "image_folder-ntire24-train-2.png")
    assert run(*command, "--show") == 0 and len(list(tmp_path.glob("*.png"))) == 2  # the same sheet again
    assert three.shape[1] == four.shape[1] == WIDTH and three.shape[0] * 4 == four.shape[0] * 3
    np.testing.assert_array_equal(three, four[:len(three)])
    first = images.read_rgb(photo_folder / "train/0000.png")
    # The whole HR image, below the lines of text
    top = next(y for y in range(200) if (three[y:y + 64, :80] == first).all())
    assert (three[:top] != 255).any()

    assert run("image_folder/hr", "--data_dir", tmp_path, "--manual_dir", photo_folder, "--show",
               "--split", "validation") == 0
    sheet = images.read_rgb(tmp_path / "image_folder-hr-validation.png")
    assert (sheet == 77).all(-1).sum() > 3 * 40 * 48  # whole, and enlarged


@pytest.mark.parametrize("args,what", [(["image_folder", "--count", 0], "0 images"), (["video_folder"], "8 clips")])
def test_what_cannot_be_shown(tmp_path, args, what):
    with pytest.raises(UserError, match=f"--show: shows one image or more, not {what}"):
        run(*args, "--data_dir", tmp_path, "--show")
