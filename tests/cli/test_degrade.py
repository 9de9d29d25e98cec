"""The command `jsr degrade`."""

import argparse

import numpy as np
from PIL import Image
import pytest

from jsr.cli import degrade
from jsr.errors import UserError


def run(*args):
    parser = argparse.ArgumentParser()
    degrade.add_arguments(parser)
    return degrade.run(parser.parse_args([str(arg) for arg in args]))


@pytest.fixture
def hr_dir(tmp_path):
    (tmp_path / "hr").mkdir()
    for n, shape in {1: (16, 16, 3), 2: (17, 16, 3)}.items():
        Image.fromarray(np.random.default_rng(n).integers(0, 256, shape, np.uint8)).save(tmp_path / f"hr/{n:04d}.png")
    return tmp_path / "hr"


def test_degrades_and_tells(hr_dir, tmp_path, capsys):
    assert run(hr_dir, "--out", tmp_path / "lr", "--protocol", "aim22_t1") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["0002.png: cropped from 17x16 to 16x16 (height x width)",
                                f"2 LR images in {tmp_path}/lr, their parameters in manifest.json"]
    assert "2/2" in err and "images/s" in err
    assert sorted(p.name for p in (tmp_path / "lr").iterdir()) == ["0001.jpg", "0002.jpg", "manifest.json"]


def test_bad_files_are_named_and_the_status_says_so(hr_dir, tmp_path, capsys):
    (hr_dir / "text.png").write_text("no image")
    assert run(hr_dir, "--out", tmp_path / "lr", "--protocol", "aim22_t1") == 1
    out, err = capsys.readouterr()
    assert "2 LR images" in out
    assert f"jsr degrade: {hr_dir}/text.png: not an image" in err


def test_mistakes_are_one_line(hr_dir, tmp_path):
    with pytest.raises(UserError, match="'aim22_t3' is unknown; did you mean 'aim22_t2'"):
        run(hr_dir, "--out", tmp_path / "lr", "--protocol", "aim22_t3")
