"""div2k on a made-up copy: its forms, its records, and every way in which a source or a build can break."""

import http.server
import io
import json
import os
from pathlib import Path
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile

from jsr.datasets.builders.div2k import div2k_dataset_builder
import numpy as np
from PIL import Image
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

from jsr import degradations, images
from jsr.data.sources import open_source
from jsr.datasets import records, tiled
from jsr.datasets.build import build, find
from jsr.errors import UserError

NAMES = {"train": ["0001", "0002", "0003", "0004", "0005"], "validation": ["0801", "0802", "0803"]}


def read(data_dir, dataset="div2k/aim22_t1"):
    return {split: list(open_source(dataset, split, data_dir)) for split in NAMES}


def zipped(folder):
    """Replaces the folders of a copy by archives as the official ones."""
    for path in list(folder.iterdir()):
        shutil.make_archive(path, "zip", folder, path.name)
        shutil.rmtree(path)
    return folder


def nested(folder):
    """The copy as unpackers leave it: somewhere below, and in a folder of its own name."""
    for stem in ("DIV2K_train_HR", "DIV2K_valid_HR"):
        (folder / "DIV2K" / stem).mkdir(parents=True)
        (folder / stem).rename(folder / "DIV2K" / stem / stem)
    return folder


def test_the_official_split_does_not_overlap():
    splits = div2k_dataset_builder.Builder.SPLITS
    train, validation = (set(splits[name][1]) for name in ("train", "validation"))
    assert train == set(range(1, 801)) and validation == set(range(801, 901))
    assert not train & validation


def test_the_official_checksums():
    infos = div2k_dataset_builder.Builder.url_infos
    official = tfds.builder_cls("div2k").url_infos
    for stem in ("DIV2K_train_HR", "DIV2K_valid_HR"):
        url = f"https://data.vision.ee.ethz.ch/cvl/DIV2K/{stem}.zip"
        assert infos[url] == official[url]
    assert len(infos) == 2


def test_records(div2k, tmp_path):
    built = build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k)
    assert (built.counts, built.cropped, built.is_new) == ({"train": 5, "validation": 3}, {}, True)
    for split, rows in read(tmp_path).items():
        assert [row["name"] for row in rows] == NAMES[split]
        for row in rows:
            path = next(div2k.glob(f"*/{row['name']}.png"))
            degraded = degradations.degrade("aim22_t1", np.asarray(Image.open(path)), seed=row["name"])
            assert row == {"name": row["name"], "hr": tiled.encode(np.asarray(Image.open(path))),
                           "lr": degraded.lr_bytes, "height": 24, "width": 20, "source_height": 24,
                           "source_width": 20, "degradation": json.dumps(degraded.record)}


@pytest.mark.parametrize("dataset", [
    f"div2k/{config.name}" for config in div2k_dataset_builder.Builder.BUILDER_CONFIGS])
def test_hr_is_lossless_in_every_config(div2k, tmp_path, dataset):
    build(dataset, data_dir=tmp_path, manual_dir=div2k)
    for rows in read(tmp_path, dataset).values():
        for row in rows:
            source = np.asarray(Image.open(next(div2k.glob(f"*/{row['name']}.png"))))[:row["height"], :row["width"]]
            np.testing.assert_array_equal(images.read_rgb(row["hr"]), source)
            np.testing.assert_array_equal(tiled.Tiled(row["hr"], "")[0:24, 0:20], source)


def test_hr_config_has_no_lr(div2k, tmp_path):
    build("div2k/hr", data_dir=tmp_path, manual_dir=div2k)
    row = open_source("div2k", "train", tmp_path)[0]
    assert set(row) == {"name", "hr", "height", "width", "source_height", "source_width"}


@pytest.mark.parametrize("form", [zipped, nested])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_same_records_from_every_form_and_any_number_of_processes(div2k, tmp_path, form, num_workers):
    build("div2k/aim22_t1", data_dir=tmp_path / "a", manual_dir=div2k, num_workers=0)
    build("div2k/aim22_t1", data_dir=tmp_path / "b", manual_dir=form(div2k), num_workers=num_workers)
    assert read(tmp_path / "a") == read(tmp_path / "b")


def test_a_whole_archive_goes_before_a_folder_with_gaps(div2k, tmp_path):
    shutil.make_archive(div2k / "DIV2K_train_HR", "zip", div2k, "DIV2K_train_HR")
    (div2k / "DIV2K_train_HR/0003.png").unlink()
    assert build("div2k", data_dir=tmp_path, manual_dir=div2k).counts == {"train": 5, "validation": 3}


def test_sizes_that_are_no_multiples_are_cropped_and_told(div2k, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (27, 22, 3), np.uint8)
    Image.fromarray(image).save(div2k / "DIV2K_valid_HR/0802.png")
    built = build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k)
    assert built.cropped == {"0802": "27x22 to 24x20"}
    row = open_source("div2k/aim22_t1", "validation", tmp_path)[1]
    assert (row["height"], row["width"], row["source_height"], row["source_width"]) == (24, 20, 27, 22)
    np.testing.assert_array_equal(Image.open(io.BytesIO(row["hr"])), image[:24, :20])
    assert build("div2k/hr", data_dir=tmp_path, manual_dir=div2k).cropped == {}


def test_grey_images_become_rgb(div2k, tmp_path):
    Image.new("L", (8, 8), 77).save(div2k / "DIV2K_train_HR/0001.png")
    build("div2k", data_dir=tmp_path, manual_dir=div2k)
    hr = Image.open(io.BytesIO(open_source("div2k", "train", tmp_path)[0]["hr"]))
    assert hr.mode == "RGB" and hr.getpixel((0, 0)) == (77, 77, 77)


def break_sources(div2k):
    folder = div2k / "DIV2K_train_HR"
    whole = (folder / "0001.png").read_bytes()
    (folder / "0001.png").write_bytes(whole[:len(whole) // 2])
    (folder / "0002.png").write_text("a text file")
    (folder / "0003.png").unlink()
    Image.new("RGB", (1, 1)).save(folder / "0004.png")


def test_bad_sources_are_named_and_the_rest_is_kept(div2k, tmp_path, monkeypatch):
    shutil.copytree(div2k, tmp_path / "whole")
    break_sources(div2k)
    with pytest.raises(UserError) as raised:
        build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k)
    message = str(raised.value)
    assert "\n" not in message
    assert "4 of 8 images cannot be used" in message
    assert "0001.png: damaged or truncated" in message
    assert "0002.png: not an image" in message
    assert "0003.png: is missing" in message
    assert "0004.png: 1x1 (height x width) is smaller than 4 px" in message
    with pytest.raises(UserError, match="it is not built; run: jsr build div2k/aim22_t1"):
        open_source("div2k/aim22_t1", "train", tmp_path)

    made, make = [], records.make
    monkeypatch.setattr(records, "make", lambda source, *args: made.append(source.name) or make(source, *args))
    build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=tmp_path / "whole")
    assert made == NAMES["train"][:4]
    build("div2k/aim22_t1", data_dir=tmp_path / "fresh", manual_dir=tmp_path / "whole")
    assert read(tmp_path) == read(tmp_path / "fresh")
    assert not list(tmp_path.glob("div2k/.*parts")) and not list(tmp_path.glob("div2k/*/incomplete*"))


def test_many_bad_sources_are_counted(div2k, tmp_path, monkeypatch):
    monkeypatch.setitem(div2k_dataset_builder.Builder.SPLITS, "train", ("DIV2K_train_HR", range(1, 101)))
    said = []
    with pytest.raises(UserError, match="95 of 103 images .*: .*0006.png: is missing; .*; and 85 more. Mend them"):
        build("div2k", data_dir=tmp_path, manual_dir=div2k, announce=said.append)
    assert sum("is missing" in line for line in said) == 85


def test_damaged_archives(div2k, tmp_path):
    zipped(div2k)
    archive = div2k / "DIV2K_train_HR.zip"
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as z:
        start = z.getinfo("DIV2K_train_HR/0002.png").header_offset
    data[start + 200] ^= 0xff  # within the member's pixels
    archive.write_bytes(data)
    with pytest.raises(UserError, match=r"1 of 8 .*DIV2K_train_HR.zip:DIV2K_train_HR/0002.png: damaged archive"):
        build("div2k", data_dir=tmp_path, manual_dir=div2k)
    archive.write_bytes(data[:1000])
    with pytest.raises(UserError, match="DIV2K_train_HR.zip: damaged archive.*fetch it again"):
        build("div2k", data_dir=tmp_path, manual_dir=div2k)


def test_missing_member_of_an_archive(div2k, tmp_path):
    (div2k / "DIV2K_train_HR/0004.png").unlink()
    with pytest.raises(UserError, match="DIV2K_train_HR.zip:0004.png: is missing"):
        build("div2k", data_dir=tmp_path, manual_dir=zipped(div2k))


@pytest.mark.parametrize("missing", ["DIV2K_train_HR", "DIV2K_valid_HR"])
def test_what_is_not_found_is_told_with_what_was_looked_for(div2k, tmp_path, missing):
    shutil.rmtree(div2k / missing)
    (div2k / missing).mkdir()
    with pytest.raises(UserError, match=f"copy: {missing} not found; looked for folders of these names"):
        build("div2k", data_dir=tmp_path, manual_dir=div2k)


def test_a_half_written_dataset_is_never_read_and_built_anew(div2k, tmp_path):
    path = build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k).path
    expected = read(tmp_path)
    shard = next(path.glob("*train*record*"))
    for harm, found in ((lambda: os.truncate(shard, 1000), "damaged"), (shard.unlink, "damaged"),
                        ((path / "dataset_info.json").unlink, "dataset_info.json: no such file"),
                        (lambda: (path / "dataset_info.json").write_text("{"), "dataset_info.json: a damaged file")):
        harm()
        with pytest.raises(UserError, match=f"{found}.*; run: jsr build div2k/aim22_t1"):
            open_source("div2k/aim22_t1", "validation", tmp_path)
        said = []
        assert build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k, announce=said.append).is_new
        assert "built anew" in said[0] and found in said[0]
        assert read(tmp_path) == expected
    assert not build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k).is_new


def test_a_flipped_byte_is_found_when_it_is_read(div2k, tmp_path):
    path = build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k).path
    shard = next(path.glob("*train*record*"))
    data = bytearray(shard.read_bytes())
    at = data.find(open_source("div2k/aim22_t1", "train", tmp_path)[1]["hr"][-200:])
    assert at > 0
    data[at + 100] ^= 0xff
    shard.write_bytes(data)
    source = open_source("div2k/aim22_t1", "train", tmp_path)
    with pytest.raises(UserError, match="record 1 of train is damaged; run: jsr build div2k/aim22_t1 --overwrite"):
        source[1]


def test_overwrite_builds_anew(div2k, tmp_path):
    build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(div2k / "DIV2K_train_HR/0001.png")
    assert not build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k).is_new
    assert build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k, overwrite=True).is_new
    assert open_source("div2k/aim22_t1", "train", tmp_path)[0]["height"] == 8


def test_disk_need_is_told_and_checked(div2k, tmp_path, monkeypatch):
    said = []
    build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k, announce=said.append)
    assert said[0].startswith("div2k/aim22_t1/1.4.0: 8 images, needs about ")
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="needs about .* and has 100 bytes free; make room"):
        build("div2k/aim22_t1", data_dir=tmp_path / "other", manual_dir=div2k)


def test_records_that_cannot_be_written_leave_nothing(div2k, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # parts are smaller, a record file is larger
    try:
        with pytest.raises(UserError, match="div2k/aim22_t1: cannot be written: .*File too large"):
            build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "div2k/aim22_t1").iterdir()) == []
    assert build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k).is_new


KILLED = """
import sys
from jsr.datasets.builders.div2k import div2k_dataset_builder
from jsr.datasets.build import build

if __name__ == "__main__":
    div2k_dataset_builder.Builder.SPLITS = {"train": ("DIV2K_train_HR", range(1, 41)),
                                            "validation": ("DIV2K_valid_HR", range(801, 804))}
    build("div2k/aim22_t1", data_dir=sys.argv[1], manual_dir=sys.argv[2], num_workers=int(sys.argv[3]))
"""


@pytest.mark.parametrize("num_workers", ["0", "2"])
def test_kill_9_and_the_next_run_continues(div2k, tmp_path, num_workers):
    for n in range(1, 41):  # large enough to be met in the middle
        image = np.random.default_rng(n).integers(0, 256, (200, 301, 3), np.uint8)
        Image.fromarray(image).save(div2k / f"DIV2K_train_HR/{n:04d}.png", compress_level=1)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)

    def command(data_dir):
        return [sys.executable, script, tmp_path / data_dir, div2k, num_workers]

    killed = subprocess.Popen(command("a"))
    parts = tmp_path / "a/div2k/.aim22_t1-1.4.0.parts"
    deadline = time.monotonic() + 60
    while not parts.is_dir() or len(list(parts.glob("*.record"))) < 5:
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 5 <= len(list(parts.glob("*.record"))) < 43
    with pytest.raises(UserError, match="it is not built"):
        open_source("div2k/aim22_t1", "train", tmp_path / "a")

    subprocess.run(command("a"), check=True, timeout=120)
    subprocess.run(command("b"), check=True, timeout=120)
    assert read(tmp_path / "a") == read(tmp_path / "b")
    assert not parts.exists()
    assert not list((tmp_path / "a/div2k/aim22_t1").glob("incomplete*"))


def test_two_builds_at_once_make_it_once(div2k, tmp_path):
    results = []
    threads = [threading.Thread(target=lambda: results.append(
        build("div2k/aim22_t1", data_dir=tmp_path, manual_dir=div2k))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.is_new for result in results) == [False, True]


@pytest.fixture
def server(div2k, tmp_path, monkeypatch):
    """The archives behind a local address, in the place of the official one; their checksums in the builder."""
    zipped(div2k)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=div2k)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(div2k_dataset_builder, "_URL", url)
        infos = {url + path.name: checksums.compute_url_info(path) for path in div2k.iterdir()}
        monkeypatch.setattr(div2k_dataset_builder.Builder, "url_infos", infos)
        yield div2k
        server.shutdown()


def test_download(server, tmp_path):
    said = []
    build("div2k/aim22_t1", data_dir=tmp_path, announce=said.append)
    assert "2 archives" in said[0]
    build("div2k/aim22_t1", data_dir=tmp_path / "manual", manual_dir=server)
    assert read(tmp_path) == read(tmp_path / "manual")


def test_downloads_are_checked(server, tmp_path):
    (server / "DIV2K_valid_HR.zip").write_bytes(b"something else")
    with pytest.raises(UserError, match="download failed .*DIV2K_valid_HR.zip.*wrong checksum.*--manual_dir"):
        build("div2k", data_dir=tmp_path)


def test_no_such_download(server, tmp_path):
    (server / "DIV2K_valid_HR.zip").unlink()
    with pytest.raises(UserError, match="download failed .*404.*--manual_dir"):
        build("div2k", data_dir=tmp_path)


def test_manual_dir_that_tfds_was_given(div2k, tmp_path):
    """As `tfds build --manual_dir` hands it over."""
    cls, config, path = find("div2k/aim22_t1", tmp_path)
    builder = cls(data_dir=tmp_path, config=config)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=div2k))
    assert Path(builder.data_dir) == path
    assert [row["name"] for row in read(tmp_path)["validation"]] == NAMES["validation"]
