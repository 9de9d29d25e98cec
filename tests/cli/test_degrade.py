"""The command `jsr degrade`."""

import argparse
import json

import numpy as np
from PIL import Image
import pytest

from jsr import degradations
from jsr.cli import degrade
from jsr.degradations import hevc
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
    by = degradations.codecs(degradations.draw("aim22_t1"))
    assert out.splitlines() == ["0002.png: cropped from 17x16 to 16x16 (height x width)",
                                f"2 LR images in {tmp_path}/lr by {by}, their parameters in manifest.json; all done"]
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


def test_parameters_and_their_mistakes(hr_dir, tmp_path):
    assert run(hr_dir, "--out", tmp_path / "lr", "--protocol", "aim22_t1", "--set", "quality=50",
               "--set", "encoder=pillow") == 0
    steps = json.loads((tmp_path / "lr/manifest.json").read_text())["files"]["0001.png"]["degradation"]["steps"]
    assert steps[1]["quality"] == 50 and steps[1]["encoder"] == "pillow"
    assert run(hr_dir, "--out", tmp_path / "range", "--protocol", "ntire24", "--set", "quality=98-99") == 0
    files = json.loads((tmp_path / "range/manifest.json").read_text())["files"].values()
    assert all(entry["degradation"]["steps"][0]["quality"] in (98, 99) for entry in files)
    with pytest.raises(UserError, match="--set quality: aim22_t1: jpeg cannot encode this: quality must be"):
        run(hr_dir, "--out", tmp_path / "no", "--protocol", "aim22_t1", "--set", "quality=0")
    assert not (tmp_path / "no").exists()
    with pytest.raises(UserError, match="aim22_t1 has no parameter 'qualty'; did you mean 'quality'"):
        run(hr_dir, "--out", tmp_path / "lr", "--protocol", "aim22_t1", "--set", "qualty=50")
    with pytest.raises(UserError, match="--set quality: must be KEY=VALUE"):
        run(hr_dir, "--out", tmp_path / "lr", "--protocol", "aim22_t1", "--set", "quality")
    with pytest.raises(UserError, match="name the output: --out DIR"):
        run(hr_dir, "--protocol", "aim22_t1")


def test_explain_shows_every_step(hr_dir, tmp_path, capsys):
    (hr_dir / "text.png").write_text("no image")
    assert run(hr_dir, "--explain", tmp_path / "steps", "--protocol", "jpeg_webp", "--set", "quality=40") == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "0001.png" and lines[1].startswith("  jpeg: ")
    assert "quality=40" in lines[1] and " dB to before" in lines[1]
    assert "text.png: not an image" in err
    with Image.open(tmp_path / "steps/0001.png") as picture:
        assert picture.size == (3 * 32, 32 + 28)  # HR and two codecs, twice as large, below their captions
        assert np.ptp(np.asarray(picture)[28:]) > 100
    with pytest.raises(UserError, match="aim22_t2: is for clips"):
        run(hr_dir, "--explain", tmp_path / "steps", "--protocol", "aim22_t2")


def test_clips(tmp_path, capsys):
    (tmp_path / "hr").mkdir()
    rng = np.random.default_rng(0)
    clip = rng.integers(16, 235, (2, 96 * 3 // 2, 134), np.uint8)
    (tmp_path / "hr/001.hevc").write_bytes(hevc.encode_lossless(clip, fps=30))
    (tmp_path / "hr/002.mkv").write_bytes(b"no video")
    assert run(tmp_path / "hr", "--out", tmp_path / "lr", "--protocol", "aim22_t2") == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["001.hevc: cropped from 96x134 to 96x128 (height x width)",
                                f"1 LR clips in {tmp_path}/lr by {degradations.codecs(degradations.draw('aim22_t2'))}, "
                                "their parameters in manifest.json"]
    assert "002.mkv: damaged or truncated" in err
    assert hevc.decode((tmp_path / "lr/001.hevc").read_bytes()).shape == (2, 24 * 3 // 2, 32)
    entry = json.loads((tmp_path / "lr/manifest.json").read_text())["files"]["001.hevc"]
    assert (entry["height"], entry["width"], entry["frames"]) == (24, 32, 2)
    assert entry["degradation"]["steps"][1]["encoder"] == "x265"
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no videos in it"):
        run(tmp_path / "none", "--out", tmp_path / "x", "--protocol", "aim22_t2")


def test_no_degradation_makes_a_challenges_photographs(tmp_path):
    with pytest.raises(UserError, match="--protocol aim20_x2: its LR images are photographs, like its HR images"):
        run(tmp_path, "--out", tmp_path / "x", "--protocol", "aim20_x2")
