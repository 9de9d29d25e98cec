"""Folders of frames: a clip to pictures, pictures to a clip, with networks for pictures and for clips."""

import json
import os

import av
import jax
import numpy as np
from PIL import Image
import pytest

from jsr import cli, clips, model_file, models
from jsr.errors import UserError


def run(*words):
    return cli.main(["upscale", *map(str, words), "--runtime", "jax"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory, odd_clips):
    return odd_clips.write(tmp_path_factory.mktemp("clip") / "a.mkv")


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """A model file of STOPN, which sees five frames."""
    path = tmp_path_factory.mktemp("window") / "stopn.safetensors"
    net = {"name": "sr", "model": "stopn", "scale": 4, "fields": {"num_feat": 4, "num_level": 2, "num_conv": 1},
           "deployed": False}
    model_file.save(path, {"sr": models.init(models.create("stopn", scale=4, **net["fields"]), jax.random.key(0))},
                    {"networks": [net]})
    return path


def test_a_clip_to_frames(clip, bicubic, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(clip, "--out", out, "--frames", "--model", bicubic) == 0
    names = [f"{number:06d}.png" for number in range(1, 13)]
    assert sorted(os.listdir(out / "a")) == [*names, "upscaled.json"]
    files = json.loads((out / "a" / "upscaled.json").read_text())["files"]
    assert [round(files[name]["seconds"], 3) for name in names][:3] == [0, 0.033, 0.067]
    with Image.open(out / "a" / names[0]) as image:
        assert image.size == (128, 96) and image.mode == "RGB"
    (out / "a" / names[3]).unlink()  # as after a kill
    before = (out / "a" / names[2]).stat().st_mtime_ns
    capsys.readouterr()
    assert run(clip, "--out", out, "--frames", "--model", bicubic) == 0
    assert "11 frames were finished before" in capsys.readouterr().out
    assert (out / "a" / names[3]).exists() and (out / "a" / names[2]).stat().st_mtime_ns == before
    (out / "a" / names[5]).write_bytes(b"mine")
    assert run(clip, "--out", out, "--frames", "--model", bicubic) == 1
    assert "was changed since it was made" in capsys.readouterr().err


def test_clips_of_one_stem_have_folders_of_their_own(odd_clips, bicubic, tmp_path):
    for name, count in ("a.mkv", 1), ("a.mov", 2), ("b.mkv", 1):
        odd_clips.write(tmp_path / name, sound=(), times=list(range(0, 1001 * count, 1001)))
    for _ in range(2):
        assert run(tmp_path, "--frames", "--model", bicubic) == 0
    assert {path.name: len(list(path.glob("*.png"))) for path in tmp_path.glob("*_x2")} == {
        "a.mkv_x2": 1, "a.mov_x2": 2, "b_x2": 1}
    assert run(tmp_path, "--frames", "--model", bicubic, "--out", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"a.mkv", "a.mov", "b"}


def test_deep_frames_have_16_bits(odd_clips, bicubic, tmp_path):
    clip = odd_clips.write(tmp_path / "deep.mkv", codec="libx265", pix_fmt="yuv420p10le", sound=(), times=[0])
    assert run(clip, "--frames", "--model", bicubic) == 0
    with Image.open(tmp_path / "deep_x2" / "000001.png") as image:
        assert image.tile[0][3] == "RGB;16B"


@pytest.mark.parametrize("mode, pix_fmt", [("RGB", "yuv420p"), ("L", "yuv420p"), ("RGBA", "yuva444p")])
def test_frames_to_a_clip(odd_clips, bicubic, tmp_path, mode, pix_fmt):
    """In the order of the numbers in their names, at --fps; back from YUV they are the pictures.

    FFmpeg decodes grey H.264 as YUV.
    """
    folder, out = tmp_path / "frames", tmp_path / "out.mkv"
    folder.mkdir()
    shades = [np.full((32, 40, 3), 20 * index, np.uint8) for index in range(11)]
    for index, shade in enumerate(shades):
        Image.fromarray(shade).convert(mode).save(folder / f"shot{index}.png")
    assert run(folder, "--out", out, "--fps", "30000/1001", "--model", bicubic) == 0
    with av.open(str(out)) as container:
        film = container.streams.video[0]
        frames = list(container.decode(film))
        assert frames[0].format.name == pix_fmt and (frames[0].height, frames[0].width) == (64, 80)
        assert [frame.pts for frame in frames] == [round(1001 * index / 30) for index in range(11)]
    means = [clips.to_rgb(frame, clips.inspect(out).colours)[..., 0].mean() * 255 for frame in frames]
    np.testing.assert_allclose(means, [20 * index for index in range(11)], atol=2)


def test_frames_lie_in_a_subfolder(tmp_path):
    """As --frames leaves them; the line names it."""
    (tmp_path / "frames" / "clip").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "frames" / "clip" / "000001.png")
    with pytest.raises(UserError, match="no pictures in this folder.*; .*clip has some"):
        clips.inspect_folder(tmp_path / "frames")


@pytest.mark.slow
def test_a_network_for_clips(clip, window, tmp_path, capsys):
    """The whole command by a network that sees several frames, and its refusals."""
    assert run(clip, "--out", tmp_path / "b.mkv", "--model", window, "--preview") == 0
    said = capsys.readouterr().out
    assert "1 scene, seen in windows of 5 frames" in said and "x4 by the network stopn" in said
    with av.open(str(tmp_path / "b.mkv")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 12 and (frames[0].height, frames[0].width) == (192, 256)
    folder = tmp_path / "shots"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(np.full((48, 64, 3), 60 * index, np.uint8)).save(folder / f"{index}.png")
    assert run(folder, "--out", tmp_path / "out", "--frames", "--model", window) == 0, "a folder is a clip for it"
    assert sorted(os.listdir(tmp_path / "out" / "shots")) == ["000001.png", "000002.png", "000003.png", "upscaled.json"]
    Image.fromarray(np.zeros((32, 40, 3), np.uint8)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", "--out", tmp_path / "c.png", "--model", window) == 1
    assert "is a picture, but stopn.safetensors takes clips" in capsys.readouterr().err
