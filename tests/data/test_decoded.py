"""Folders of photographs that are kept on disk as they are decoded."""

import itertools
import os
import pickle

import numpy as np
from PIL import Image
import pytest

from jsr import images
from jsr.data import decoded, pipeline
from jsr.data.sources import open_source
from jsr.datasets import cut
from jsr.errors import UserError


@pytest.fixture
def folder(write_camera_folder):
    """Three photographs, JPEG, of 200x160 px, the last of them on its side."""
    return write_camera_folder(3, 160, 200)


def batches(source, number=3, num_workers=0):
    crops = pipeline.PairedCrops(crop=48, scale=4, degrade="aim22_t1")
    found = pipeline.train_batches([pipeline.Row(source, crops)], seed=3, batch=4, start=0, num_workers=num_workers)
    try:
        return [batch["hr"].tobytes() + batch["lr"].tobytes() for batch in itertools.islice(found, number)]
    finally:
        found.close()


def parts(data_dir):
    return sorted((data_dir / decoded.FOLDER).glob("*.record"))


def test_samples_are_those_of_the_files(folder, tmp_path):
    lines = []
    kept = open_source(folder, "", tmp_path, memory=0, announce=lines.append)
    assert "its 3 images, 0 megapixels after shrinking, are decoded once and kept in" in lines[0]
    assert parts(tmp_path) == []  # until they are needed
    plain = open_source(folder, "")
    assert batches(kept) == batches(plain)
    assert batches(pickle.loads(pickle.dumps(kept)), num_workers=2) == batches(plain)
    assert (kept.names, kept.sizes, kept.identity) == (plain.names, plain.sizes, plain.identity)
    assert kept.sizes == [(160, 200), (160, 200), (200, 160)]
    assert len(parts(tmp_path)) == 3
    before = [part.stat().st_mtime_ns for part in parts(tmp_path)]
    assert batches(open_source(folder, "", tmp_path, memory=0)) == batches(plain)
    assert len(parts(tmp_path)) == 3
    assert all(now.stat().st_mtime_ns >= then for now, then in zip(parts(tmp_path), before, strict=True))


@pytest.mark.parametrize("form", [cut.Cut(2), cut.Cut(1, 60), cut.Cut(1.5, 40, 3), cut.Cut(1, 40, 20)])
def test_records_are_what_is_made_of_the_images(folder, tmp_path, form):
    source = open_source(folder, "", tmp_path, form=form)
    wanted = [tile for path in sorted(folder.iterdir())
              for tile in cut.tiles(images.read_rgb(path), str(path), form)]
    assert source.names == [name for name, _ in wanted] and len(source) == len(wanted)
    for record, size, (name, tile) in zip(source, source.sizes, wanted, strict=True):
        assert record["name"] == name and size == tile.shape[:2] == (record["height"], record["width"])
        np.testing.assert_array_equal(images.read_rgb(bytes(record["hr"])), tile)
    assert bool(parts(tmp_path))
    assert source.identity != open_source(folder, "").identity


def test_a_list_names_images_and_not_tiles(folder, tmp_path):
    (tmp_path / "list.txt").write_text("2\n0.jpg\n")
    source = open_source(folder, "", tmp_path, tmp_path / "list.txt", cut.Cut(1, 80))
    assert {name.partition("__")[0] for name in source.names} == {str(folder / "0.jpg"), str(folder / "2.jpg")}


def test_another_file_of_the_name_is_decoded_anew(folder, tmp_path, photograph):
    source = open_source(folder, "", tmp_path, form=cut.Cut(1, 80))
    source[0]
    Image.fromarray(photograph(160, 200, 9)).save(folder / "0.jpg", quality=80)
    np.testing.assert_array_equal(images.read_rgb(bytes(source[0]["hr"])), images.read_rgb(folder / "0.jpg")[:80, :100])
    Image.fromarray(photograph(50, 50, 9)).save(folder / "0.jpg")
    with pytest.raises(UserError, match="0.jpg: has changed since the run began"):
        source[3]
    (folder / "0.jpg").unlink()
    with pytest.raises(UserError, match="0.jpg: cannot be read: No such file"):
        source[0]


def test_parts_that_were_not_used_for_long_go(folder, tmp_path, monkeypatch):
    list(open_source(folder, "", tmp_path, form=cut.Cut(2)))
    old, sizes = parts(tmp_path), [part.stat().st_size for part in parts(tmp_path)]
    for age, part in enumerate(old):
        os.utime(part, (1000 - age, 1000 - age))
    need = 3 * 160 * 200 * 3
    monkeypatch.setattr(decoded, "LIMIT", need + sizes[0] + 10)
    list(open_source(folder, "", tmp_path, memory=0))
    left = set(parts(tmp_path))
    assert left & set(old) == {old[0]} and len(left) == 4
    monkeypatch.setattr(decoded, "LIMIT", need // 2)
    lines = []
    fallback = open_source(folder, "", tmp_path, memory=0, announce=lines.append)
    assert batches(fallback) == batches(open_source(folder, "")) and set(parts(tmp_path)) == left
    assert "decoded images need about 288.0 kB, but only 144.0 kB may be used; choose a larger disk" in lines[0]
    assert f"Until then images of {folder} are decoded anew for every crop" in lines[0]
    with pytest.raises(UserError, match="need about 288.0 kB"):
        open_source(folder, "", tmp_path, form=cut.Cut(1, 80))


def test_what_cannot_be_used_is_named(folder, tmp_path, photograph):
    for name, image in (("cmyk.jpg", Image.new("CMYK", (90, 90))), ("deep.png", Image.new("I;16", (90, 90)))):
        image.save(folder / name)
    with pytest.raises(UserError, match="cmyk.jpg: is CMYK, not 8-bit .*\n.*deep.png: (is I;16|has 16 bits)"):
        open_source(folder, "", tmp_path, form=cut.Cut(2))
    for name in ("cmyk.jpg", "deep.png"):
        (folder / name).unlink()
    Image.new("L", (90, 90), 7).save(folder / "grey.png")
    assert len(open_source(folder, "", tmp_path, form=cut.Cut(2))) == 4
    with pytest.raises(UserError, match="camera: no tile of its images has a detail of 300; choose a smaller one"):
        open_source(folder, "", tmp_path, form=cut.Cut(1, 0, 300))
    data = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(data[:len(data) // 2])
    with pytest.raises(UserError, match="1.jpg: damaged or truncated"):
        open_source(folder, "", tmp_path, form=cut.Cut(1, 40, 3))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        open_source(folder, "", tmp_path / "file", form=cut.Cut(2))
