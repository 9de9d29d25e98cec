"""Folders and prepared datasets as sources of records."""

import json
import multiprocessing
from pathlib import Path
import pickle

import numpy as np
from PIL import Image
import pytest

from jsr import images
from jsr.data import headers
from jsr.data.sources import open_source
from jsr.datasets.build import build, default_data_dir
from jsr.errors import UserError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    build("photos/aim22_t1", data_dir=data_dir)
    return data_dir


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, name in enumerate(["b.png", "a.PNG", "c.jpg"]):
        Image.new("RGB", (8, 8), (i, i, i)).save(folder / name)
    return folder


def first_record(source):
    return source[0]


def test_folder(folder):
    (folder / "notes.txt").write_text("left out")
    (folder / ".hidden.png").write_text("left out")
    source = open_source(folder, "train")
    assert len(source) == 3
    assert list(source) == [{"name": str(folder / name), "hr": (folder / name).read_bytes()}
                            for name in ("a.PNG", "b.png", "c.jpg")]
    assert list(open_source(str(folder), "validation")) == list(source)


def test_dataset(data_dir):
    source = open_source("photos/aim22_t1", "validation", data_dir)
    assert [record["name"] for record in source] == ["chelsea", "coffee", "rocket"]
    assert source[-1] == source[2]
    assert images.read_rgb(source[1]["hr"]).shape == (400, 600, 3)
    assert images.read_rgb(source[1]["lr"]).shape == (100, 150, 3)
    with pytest.raises(IndexError):
        source[3]


@pytest.mark.parametrize("split, names", [
    ("train", ["astronaut", "hubble_deep_field", "motorcycle_left", "motorcycle_right", "retina"]),
    ("train[-2:]", ["motorcycle_right", "retina"]), ("validation[1:]+train[:1]", ["coffee", "rocket", "astronaut"]),
])
def test_names_are_those_of_the_records(data_dir, split, names):
    source = open_source("photos/aim22_t1", split, data_dir)
    assert source.names == names == [record["name"] for record in source]


def test_listed_records(data_dir, folder, tmp_path):
    (tmp_path / "list.txt").write_text("retina.png\nastronaut\n")
    source = open_source("photos/aim22_t1", "train", data_dir, tmp_path / "list.txt")
    assert source.names == ["astronaut", "retina"] == [record["name"] for record in pickle.loads(pickle.dumps(source))]
    with pytest.raises(UserError, match="1 of its 2 names are not in photos/aim22_t1, the first is 'retina.png'"):
        open_source("photos/aim22_t1", "train[:2]", data_dir, tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text(f"a\n{folder / 'c.jpg'}\n")
    assert open_source(folder, "", files=tmp_path / "list.txt").names == [
        str(folder / name) for name in ("a.PNG", "c.jpg")]


def test_slices_of_splits(data_dir):
    assert [r["name"] for r in open_source("photos/aim22_t1", "train[1:3]", data_dir)] == [
        "hubble_deep_field", "motorcycle_left"]


def test_a_dataset_goes_before_a_folder_of_its_name(data_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/aim22_t1").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/aim22_t1/a.png")
    assert len(open_source("photos/aim22_t1", "train", data_dir)) == 5
    assert len(open_source("./photos/aim22_t1", "train", data_dir)) == 1
    assert len(open_source(Path("photos/aim22_t1"), "train", data_dir)) == 1


@pytest.mark.parametrize("dataset", ["photos/aim22_t1", "folder"])
def test_sources_go_to_spawned_processes(dataset, data_dir, folder):
    source = open_source(folder if dataset == "folder" else dataset, "train", data_dir)
    assert list(pickle.loads(pickle.dumps(source))) == list(source)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(first_record, (source,)) == source[0]


def test_the_data_dir_of_the_environment(data_dir, monkeypatch):
    monkeypatch.setenv("JSR_DATA_DIR", str(data_dir))
    assert len(open_source("photos/aim22_t1", "train")) == 5
    monkeypatch.delenv("JSR_DATA_DIR")
    monkeypatch.setenv("TFDS_DATA_DIR", "/somewhere")
    assert default_data_dir() == Path("/somewhere")
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert default_data_dir() == Path("~/tensorflow_datasets").expanduser()
    monkeypatch.setenv("JSR_DATA_DIR", "~nobody.known/data")
    with pytest.raises(UserError, match="~nobody.known/data: there is no such home folder; set JSR_DATA_DIR"):
        default_data_dir()


def test_unknown_names(data_dir, tmp_path):
    with pytest.raises(UserError, match="fotos/hr: no such folder, and no such dataset; did you mean 'photos'"):
        open_source("fotos/hr", "train", data_dir)
    with pytest.raises(UserError, match="dataset 'photos' has no config 'aim22'; did you mean 'aim22_t1'"):
        open_source("photos/aim22", "train", data_dir)
    with pytest.raises(UserError, match="has no split 'test'; it has train, validation"):
        open_source("photos/aim22_t1", "test", data_dir)
    with pytest.raises(UserError, match=f"it is not built; run: jsr build photos/aim22_t1 --data_dir {tmp_path}$"):
        open_source("photos/aim22_t1", "train", tmp_path)
    with pytest.raises(UserError, match="none: no such folder"):
        open_source(tmp_path / "none", "train")


def test_folders_that_cannot_be_used(folder, tmp_path):
    (folder / "text.png").write_text("not an image")
    (folder / "empty.png").touch()
    with pytest.raises(UserError, match="empty.png: not an image .*\n.*text.png: not an image"):
        open_source(folder, "train")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="bare: no images in it"):
        open_source(tmp_path / "bare", "train")


def test_headers_are_remembered_where_reading_them_is_slow(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "_SLOW_S", -1)
    monkeypatch.setattr(headers, "_LINE_EVERY_S", -1)
    (folder / "text.png").write_text("not an image")
    paths, lines, asked = images.list_images(folder), [], []

    def asking(path, image_size=images.image_size):
        asked.append(path.name)
        return image_size(path)

    monkeypatch.setattr(images, "image_size", asking)
    sizes, problems = headers.read(folder, paths, tmp_path / "data", lines.append)
    assert list(sizes.values()) == [(8, 8)] * 3 and len(problems) == 1 and len(asked) == 4
    assert lines[1] == f"{folder}: the headers of 2 of 4 files are read"
    Image.new("RGB", (9, 8)).save(folder / "b.png")
    assert headers.read(folder, paths, tmp_path / "data")[0][folder / "b.png"] == (8, 9)
    assert asked[4:] == ["b.png", "text.png"]  # what has changed, and what could not be used
    next((tmp_path / "data" / ".headers").iterdir()).write_text("[]")
    assert len(headers.read(folder, paths, tmp_path / "data")[0]) == 3


def test_damage_behind_the_header_is_named_when_decoded(folder):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:500])
    record = open_source(folder, "train")[3]
    with pytest.raises(UserError, match="images/cut.png: damaged or truncated"):
        images.read_rgb(record["hr"], name=record["name"])


def test_a_file_that_goes_away(folder):
    source = open_source(folder, "train")
    (folder / "b.png").unlink()
    with pytest.raises(UserError, match="b.png: cannot be read: No such file"):
        source[1]


def test_identity_tells_the_records_apart(data_dir):
    texts = [json.dumps(open_source("photos/aim22_t1", split, data_dir).identity)
             for split in ("train[1:3]", "train[:2]", "train", "train[1:3]")]
    assert len(set(texts)) == 3 and texts[0] == texts[3] and str(data_dir) not in texts[2]


def test_names_are_unique_at_any_depth_and_lists_may_say_the_folder(folder, tmp_path):
    for name in ("a/b.png", "a__b.png", "c/a/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)
    source = open_source(folder, "train")
    assert len(set(source.names)) == len(source) == 6
    assert [name for name, _ in source.identity] == ["a/b.png", "a.PNG", "a__b.png", "b.png", "c/a/b.png", "c.jpg"]
    for listed, wanted in (("c/a/b", ["c/a/b.png"]), ("a/b.png", ["a/b.png", "c/a/b.png"]), ("a__b", ["a__b.png"])):
        (tmp_path / "list.txt").write_text(listed)
        assert open_source(folder, "", files=tmp_path / "list.txt").names == [str(folder / name) for name in wanted]
    identity = source.identity
    assert open_source(folder.rename(tmp_path / "moved"), "train").identity == identity
