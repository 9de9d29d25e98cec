"""The command `jsr build`."""

import argparse

import pytest

from jsr.cli import build
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
    assert lines[-1].startswith("photos/aim22_t1: 5 train + 3 validation images, 5 of them cropped, 6.")
    assert lines[-1].endswith(f"MB in {tmp_path}/photos/aim22_t1/1.1.0")
    assert "preparing" in err and "8/8" in err and "images/s" in err

    assert run("photos/aim22_t1", "--data_dir", tmp_path) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].endswith("(was there already)") and err == ""
    assert run("photos/aim22_t1", "--data_dir", tmp_path, "--force") == 0
    assert "removed, --force" in capsys.readouterr().out


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(UserError, match="did you mean 'photos'"):
        run("photo", "--data_dir", tmp_path)
