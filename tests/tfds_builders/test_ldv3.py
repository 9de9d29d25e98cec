"""ldv3, from a made-up copy of the organisers' archives with fewer and smaller videos."""

import json
import shutil

from jsr.datasets.builders.ldv3 import ldv3_dataset_builder
import numpy as np
import pytest

from jsr.data import clips
from jsr.data.sources import open_source
from jsr.datasets.build import build
from jsr.degradations import _video, hevc
from jsr.errors import UserError

Part = ldv3_dataset_builder.Part
SPLITS = {
    "train": {"ntire22_train": Part("train_down4_gt", "train_down4_QP37", 3),
              "ntire22_val": Part("track3_val_gt", "validation_track3", 1)},
    "validation": {"aim22_val": Part("video_val_gt", "video_val", 2)},
    "test": {"aim22_test": Part("video_test_gt", "video_test", 1)},
}
PARTS = [part for parts in SPLITS.values() for part in parts.values()]
NAMES = {"train": ["ntire22_train_001", "ntire22_train_002", "ntire22_train_003", "ntire22_val_001"],
         "validation": ["aim22_val_001", "aim22_val_002"], "test": ["aim22_test_001"]}


def mkv(yuv, **params):
    params |= {"log-level": "none", "pools": "none", "bframes": 0}
    given = ":".join(f"{key}={value}" for key, value in params.items())
    return _video.encode(map(_video.from_yuv, yuv), (yuv.shape[1] // 3 * 2, yuv.shape[2]), container="matroska",
                         codec="libx265", options={"x265-params": given}, rate=25)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Folder with all archives, unpacked; every HR video is another one."""
    folder, seed = tmp_path_factory.mktemp("original"), 0
    for part in PARTS:
        for place in (folder / part.hr, folder / part.lr):
            place.mkdir()
        for number in range(1, part.count + 1):
            seed += 1
            picture = np.random.default_rng(seed).integers(0, 256, (4, 96, 64), np.uint8)
            (folder / part.hr / f"{number:03d}.mkv").write_bytes(mkv(picture, lossless=1))
            (folder / part.lr / f"{number:03d}.mkv").write_bytes(mkv(picture[:, :24, :16], qp=37))
    return folder


@pytest.fixture
def ldv3(original, tmp_path, monkeypatch):
    """A copy to spoil; the builder expects it."""
    monkeypatch.setattr(ldv3_dataset_builder.Builder, "SPLITS", SPLITS)
    return shutil.copytree(original, tmp_path / "copy")


def without_lr(folder):
    for part in PARTS:
        shutil.rmtree(folder / part.lr)
    return folder


def zipped(folder):
    """As the organisers' archives: some with a folder of another name in them."""
    for part in PARTS:
        for stem in (part.hr, part.lr):
            (folder / stem).rename(folder / "Track3")
            shutil.make_archive(folder / stem, "zip", folder, "Track3")
            shutil.rmtree(folder / "Track3")
    return folder


def read(data_dir, dataset="ldv3/aim22_t2"):
    return {split: list(open_source(dataset, split, data_dir)) for split in NAMES}


def test_the_split_is_that_of_the_challenge():
    splits = ldv3_dataset_builder.Builder.SPLITS
    counts = {split: [part.count for part in parts.values()] for split, parts in splits.items()}
    assert counts == {"train": [240, 15, 15], "validation": [15], "test": [15]}
    prefixes = [prefix for parts in splits.values() for prefix in parts]
    archives = [name for parts in splits.values() for part in parts.values() for name in (part.hr, part.lr)]
    assert len(set(prefixes)) == 5 and len(set(archives)) == 10
    assert all(name in ldv3_dataset_builder.Builder.MANUAL_DOWNLOAD_INSTRUCTIONS for name in archives)


def test_records_with_the_organisers_streams(ldv3, tmp_path):
    said = []
    built = build("ldv3/aim22_t2", data_dir=tmp_path, manual_dir=ldv3, announce=said.append)
    assert (built.counts, built.cropped) == ({"train": 4, "validation": 2, "test": 1}, {})
    assert "ldv3: the LR clips of train are by HM 16.20, the organisers' own" in said
    for split, rows in read(tmp_path).items():
        assert [row["name"] for row in rows] == NAMES[split]
        for row in rows:
            prefix, _, number = row["name"].rpartition("_")
            part = SPLITS[split][prefix]
            assert row["hr"] == (ldv3 / part.hr / f"{number}.mkv").read_bytes()
            assert row["lr"] == (ldv3 / part.lr / f"{number}.mkv").read_bytes()
            step = json.loads(row["degradation"])["steps"][-1]
            assert (step["encoder"], step["library"], step["qp"]) == ("hm", "HM 16.20, by the organisers", 37)
            whole = clips.read(row)
            np.testing.assert_array_equal(whole["hr"], hevc.decode_rgb(row["hr"], num_frames=4))
            np.testing.assert_array_equal(whole["lr"], hevc.decode_rgb(row["lr"], num_frames=4))


def test_records_by_x265_where_there_are_no_streams(ldv3, tmp_path):
    said = []
    build("ldv3/aim22_t2", data_dir=tmp_path, manual_dir=without_lr(ldv3), announce=said.append)
    assert "ldv3: the LR clips of test are by x265, from the HR clips" in said
    for rows in read(tmp_path).values():
        for row in rows:
            assert json.loads(row["degradation"])["steps"][-1]["encoder"] == "x265"
            assert hevc.decode(row["lr"], num_frames=4).shape == (4, 24, 16)


def test_same_records_from_archives_and_hr_without_lr(ldv3, tmp_path):
    build("ldv3/aim22_t2", data_dir=tmp_path / "a", manual_dir=ldv3)
    build("ldv3/aim22_t2", data_dir=tmp_path / "b", manual_dir=zipped(ldv3))
    assert read(tmp_path / "a") == read(tmp_path / "b")
    build("ldv3/hr", data_dir=tmp_path / "b", manual_dir=ldv3)
    rows = read(tmp_path / "b", "ldv3/hr")["train"]
    assert "lr" not in rows[0] and [row["hr"] for row in rows] == [row["hr"] for row in read(tmp_path / "a")["train"]]


def test_videos_that_are_no_multiples_of_64_are_cropped(ldv3, tmp_path):
    without_lr(ldv3)
    picture = np.random.default_rng(0).integers(0, 256, (2, 108, 136), np.uint8)
    (ldv3 / "video_test_gt/001.mkv").write_bytes(mkv(picture, lossless=1))
    built = build("ldv3/aim22_t2", data_dir=tmp_path, manual_dir=ldv3)
    assert built.cropped == {"aim22_test_001": "72x136 to 64x128"}


def test_splits_that_are_not_there_are_left_out(ldv3, tmp_path):
    shutil.rmtree(ldv3 / "video_test_gt")
    said = []
    built = build("ldv3", data_dir=tmp_path, manual_dir=ldv3, announce=said.append)
    assert built.counts == {"train": 4, "validation": 2}
    assert any("copy has no video_test_gt; the split test is left out" in line for line in said)


@pytest.mark.parametrize("spoil, message", [
    (lambda copy: shutil.rmtree(copy / "track3_val_gt"),
     r"copy: holds a part of the split train, but not track3_val_gt, as folder or \.zip file"),
    (lambda copy: shutil.rmtree(copy / "validation_track3"),
     "copy: holds the organisers' LR streams of a part of the split train, but not validation_track3; fetch these too"),
    (lambda copy: [shutil.rmtree(path) for path in copy.iterdir()],
     r"copy: holds no archive of ldv3\. Fetch train_down4_gt\.zip, .* https://github.com/RenYang-home/LDV_dataset"),
    (lambda copy: (copy / "video_val_gt/002.mkv").unlink(), "1 of 7 clips cannot .*video_val_gt/002.mkv: is missing"),
    (lambda copy: (copy / "video_val/002.mkv").unlink(), "1 of 7 clips cannot .*video_val/002.mkv: is missing"),
    (lambda copy: (copy / "video_val/002.mkv").write_bytes(mkv(np.zeros((3, 24, 16), np.uint8), qp=37)),
     "video_val/002.mkv: holds 3 frames, its HR clip .*video_val_gt/002.mkv holds 4"),
    (lambda copy: (copy / "video_val/002.mkv").write_bytes(b"x" * 100), "video_val/002.mkv: damaged or truncated"),
])
def test_what_is_wrong_with_a_copy_is_one_line(ldv3, tmp_path, spoil, message):
    spoil(ldv3)
    with pytest.raises(UserError, match=message) as raised:
        build("ldv3/aim22_t2", data_dir=tmp_path, manual_dir=ldv3)
    assert "\n" not in str(raised.value)


def test_archives(ldv3, tmp_path):
    (ldv3 / "video_val_gt/002.mkv").unlink()
    zipped(ldv3)
    with pytest.raises(UserError, match="video_val_gt.zip:002.mkv: is missing"):
        build("ldv3", data_dir=tmp_path, manual_dir=ldv3)
    (ldv3 / "video_val_gt.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="video_val_gt.zip: damaged archive .*; fetch it again"):
        build("ldv3", data_dir=tmp_path, manual_dir=ldv3)


def test_it_cannot_be_downloaded(tmp_path):
    with pytest.raises(UserError, match="ldv3: cannot be downloaded by a program; name the folder of your copy with "
                                        "--manual_dir. Fetch train_down4_gt.zip"):
        build("ldv3", data_dir=tmp_path)
