"""video_folder, from made-up clips."""

import itertools
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jsr import degradations
from jsr.data import clips, pipeline
from jsr.data.sources import licence, open_source
from jsr.datasets import videos
from jsr.datasets.build import build
from jsr.degradations import _video, hevc
from jsr.errors import UserError

NAMES = ["0", "1", "2"]


def moving(frames=5, height=64, width=64, seed=0):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 200, (height * 3 // 2, width), np.uint8)
    return np.stack([np.roll(picture, 2 * t, axis=1) + t for t in range(frames)]).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three clips of 64x64, as bare streams and in Matroska."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for seed in range(2):
        (folder / f"{seed}.hevc").write_bytes(hevc.encode_lossless(moving(seed=seed)))
    (folder / "2.mkv").write_bytes(_video.encode(
        map(_video.from_yuv, moving(7, 80, 70, 2)), (80, 70), container="matroska", codec="libx264",
        options={"g": "3"}, rate=30))
    (folder / "notes.txt").touch()
    return folder


def read(data_dir, dataset="video_folder/aim22_t2", split="train"):
    return list(open_source(dataset, split, data_dir))


def files(data_dir):
    return {path.name: path.read_bytes() for path in (data_dir / "video_folder/aim22_t2/1.2.0").iterdir()}


def test_records_hold_the_files_and_what_the_protocol_makes_of_them(folder, tmp_path):
    built = build("video_folder/aim22_t2", data_dir=tmp_path, manual_dir=folder)
    assert (built.counts, built.cropped) == ({"train": 3}, {"2": "80x70 to 80x64"})
    rows = read(tmp_path)
    assert [row["name"] for row in rows] == NAMES
    for row, frames, fps, height in zip(rows, (5, 5, 7), (25, 25, 30), (64, 64, 80), strict=True):
        path = next(folder.glob(f"{row['name']}.*"))
        assert row["hr"] == path.read_bytes()
        assert (row["frames"], row["height"], row["width"]) == (frames, height, 64)
        assert row["fps"] == pytest.approx(fps, rel=0.01)
        yuv, _ = _video.read_clip(row["hr"], path)
        degraded = degradations.degrade("aim22_t2", _video.crop_to_multiple(yuv, 8), seed=row["name"], fps=fps)
        assert row["lr"] == degraded.lr_bytes and json.loads(row["degradation"]) == degraded.record
        whole = clips.read(row)
        assert whole["hr"].shape == (frames, height, 64, 3) and whole["lr"].shape == (frames, height // 4, 16, 3)
    assert licence("video_folder") == "not known: videos of the user's own"


def test_building_twice_gives_the_same_bytes_with_any_number_of_processes(folder, tmp_path):
    for name, num_workers in (("a", 0), ("b", 2)):
        build("video_folder/aim22_t2", data_dir=tmp_path / name, manual_dir=folder, num_workers=num_workers)
    a, b = files(tmp_path / "a"), files(tmp_path / "b")
    assert a.keys() == b.keys() and read(tmp_path / "a") == read(tmp_path / "b")
    shards = [name for name in a if "array_record" in name]
    assert len(shards) == 3 and all(a[name] == b[name] for name in shards)


def test_the_pipeline_takes_the_dataset(folder, tmp_path):
    build("video_folder/aim22_t2", data_dir=tmp_path, manual_dir=folder)
    build("video_folder/hr", data_dir=tmp_path, manual_dir=folder)
    for dataset, degrade in (("video_folder/aim22_t2", ""), ("video_folder", "aim22_t2")):
        windows = clips.ClipWindows(frames=3, crop=64, scale=4, degrade=degrade)
        row = pipeline.Row(open_source(dataset, "train", tmp_path), windows)
        batches = pipeline.train_batches([row], seed=0, batch=3, start=0, num_workers=0)
        for batch in itertools.islice(batches, 2):
            assert {key: value.shape for key, value in batch.items()} == {"lr": (3, 3, 16, 16, 3),
                                                                          "hr": (3, 3, 64, 64, 3)}
        batches.close()


def test_key_frames(folder, tmp_path):
    built = build("video_folder/aim22_t2", data_dir=tmp_path / "a", manual_dir=folder)
    keyed = build("video_folder/aim22_t2", data_dir=tmp_path / "b", manual_dir=folder, keyint=2)
    assert keyed.counts == built.counts
    for row, other in zip(read(tmp_path / "a"), read(tmp_path / "b"), strict=True):
        assert row["hr"] != other["hr"] and row["lr"] == other["lr"]
        np.testing.assert_array_equal(clips.read(row)["hr"], clips.read(other)["hr"])
    for dataset, keyint, message in (
            ("video_folder", -1, "video_folder: --keyint -1; give 1 or more frames, or 0 to keep the files"),
            ("photos", 8, "photos: takes no --keyint; it is for ldv3, video_folder")):
        with pytest.raises(UserError, match=message):
            build(dataset, data_dir=tmp_path, keyint=keyint)
    assert not build("video_folder/aim22_t2", data_dir=tmp_path / "b", manual_dir=folder).is_new  # as it is
    with pytest.raises(UserError, match="b/.*is there already, with --keyint 2; --overwrite builds it anew, "
                                        "--data_dir elsewhere"):
        build("video_folder/aim22_t2", data_dir=tmp_path / "b", manual_dir=folder, keyint=8)


def test_clips_in_two_splits(folder, tmp_path):
    for split in ("train", "test"):
        (folder / split).mkdir()
        (folder / split / f"{split}.hevc").write_bytes((folder / "0.hevc").read_bytes())
    with pytest.raises(UserError, match="its splits overlap: test of test is train of train, the same bytes"):
        build("video_folder", data_dir=tmp_path, manual_dir=folder)


def test_folders_are_splits(folder, tmp_path):
    for split, name in (("train", "0.hevc"), ("train", "2.mkv"), ("validation", "1.hevc")):
        (folder / split).mkdir(exist_ok=True)
        (folder / name).rename(folder / split / name)
    assert build("video_folder", data_dir=tmp_path, manual_dir=folder).counts == {"train": 2, "validation": 1}
    assert [row["name"] for row in read(tmp_path, "video_folder", "validation")] == ["1"]
    assert "lr" not in read(tmp_path, "video_folder")[0]


def test_bad_clips_are_named_and_the_rest_is_kept(folder, tmp_path, monkeypatch):
    good = (folder / "1.hevc").read_bytes()
    (folder / "0.hevc").write_bytes(good[:len(good) // 2] + b"rubbish" * 20 + good[len(good) // 2:])
    (folder / "1.hevc").write_text("a text file")
    with pytest.raises(UserError) as raised:
        build("video_folder/aim22_t2", data_dir=tmp_path, manual_dir=folder)
    message = str(raised.value)
    assert "\n" not in message and "2 of 3 clips cannot be used" in message
    assert "0.hevc: damaged or truncated" in message and "1.hevc: damaged or truncated" in message
    with pytest.raises(UserError, match="it is not built"):
        open_source("video_folder/aim22_t2", "train", tmp_path)

    made, make = [], videos.make
    monkeypatch.setattr(videos, "make", lambda source, *args: made.append(source.name) or make(source, *args))
    for seed in range(2):
        (folder / f"{seed}.hevc").write_bytes(hevc.encode_lossless(moving(seed=seed)))
    build("video_folder/aim22_t2", data_dir=tmp_path, manual_dir=folder)
    assert made == ["0", "1"]
    assert [row["name"] for row in read(tmp_path)] == NAMES


def test_no_folder_no_videos_two_of_a_name(folder, tmp_path):
    with pytest.raises(UserError, match="video_folder: cannot be downloaded by a program; name the folder"):
        build("video_folder", data_dir=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no videos in it"):
        build("video_folder", data_dir=tmp_path, manual_dir=tmp_path / "empty")
    (folder / "0.mkv").touch()
    with pytest.raises(UserError, match="0.mkv: has the same stem as 0.hevc; rename or remove one"):
        build("video_folder", data_dir=tmp_path, manual_dir=folder)


KILLED = """
import sys
from jsr.datasets.build import build

if __name__ == "__main__":
    build("video_folder/aim22_t2", data_dir=sys.argv[1], manual_dir=sys.argv[2], num_workers=0)
"""


def test_kill_9_and_the_next_run_continues(folder, tmp_path, monkeypatch):
    (folder / "2.mkv").rename(folder / "3.mkv")
    (folder / "2.hevc").write_bytes(hevc.encode_lossless(moving(8, 512, 512)))  # long enough to be met in the middle
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    killed = subprocess.Popen([sys.executable, script, tmp_path / "a", folder])
    parts = tmp_path / "a/video_folder/.aim22_t2-1.2.0.parts"
    deadline = time.monotonic() + 60
    while not parts.is_dir() or len(list(parts.glob("*.record"))) < 2:
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    done = len(list(parts.glob("*.record")))
    assert 2 <= done < 4

    made, make = [], videos.make
    monkeypatch.setattr(videos, "make", lambda source, *args: made.append(source.name) or make(source, *args))
    build("video_folder/aim22_t2", data_dir=tmp_path / "a", manual_dir=folder)
    assert made == ["0", "1", "2", "3"][done:]
    build("video_folder/aim22_t2", data_dir=tmp_path / "b", manual_dir=folder)
    assert read(tmp_path / "a") == read(tmp_path / "b")
    assert not Path(parts).exists()
