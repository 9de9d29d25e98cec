"""The pictures that the shipped networks are trained on: drawn ones never change, photographs are the listed ones."""

import csv
import importlib.util
from pathlib import Path
import sys

import numpy as np
from PIL import Image
import pytest

from jsr.errors import UserError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def box():
    """The module `benchmarks/box/prepare.py`."""
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "benchmarks" / "box" / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


def write(path, picture):
    """Writes a picture, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def test_drawings_follow_from_seed_and_number_alone(box):
    draw = box.drawings.draw
    pictures = [draw(number, side=192) for number in range(len(box.drawings.KINDS))]
    assert [name for name, _ in pictures] == list(box.drawings.KINDS)
    for number, (name, picture) in enumerate(pictures):
        assert (picture.mode, picture.size) == ("RGB", (192, 192)), name
        assert np.asarray(picture).std() > 2, f"{name} is blank"
        assert draw(number, side=192)[1].tobytes() == picture.tobytes(), f"{name} differs the second time"
    for name, other in (draw(number, seed=1, side=192) for number in (0, 1, 7)):
        assert other.tobytes() != pictures[list(box.drawings.KINDS).index(name)][1].tobytes()


def test_text_on_a_photograph_keeps_its_pixels(box):
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 220, 3), np.uint8))
    number = list(box.drawings.KINDS).index("title_photograph")
    drawn = np.asarray(box.drawings.draw(number, photographs=[photograph], side=192)[1])
    assert (drawn == np.asarray(photograph)[:192, :192]).all(-1).mean() > 0.2


def test_list_of_sources(box):
    rows = box.sources()
    assert len({row["name"] for row in rows}) == len(rows) == len({row["sha256"] for row in rows})
    assert {row["standing"] for row in rows} == {"author", "public domain", "package"}
    assert {row["use"] for row in rows} == {"train", "test"}
    assert all(all(row.values()) and float(row["shrink"]) >= 1 and len(row["sha256"]) == 64 for row in rows)
    assert not [row for row in rows if "SA" in row["licence"] or "NC" in row["licence"] or "ND" in row["licence"]]


def test_list_of_pictures_agrees_with_the_sources(box):
    with open(box.SOURCES.with_name("data.tsv"), newline="", encoding="utf-8") as file:
        pictures = list(csv.DictReader(file, delimiter="\t"))
    sources = {row["name"]: row for row in box.sources() if row["use"] == "train"}
    photographs = [row for row in pictures if row["standing"] != "drawn"]
    assert {Path(row["file"]).stem.rsplit("_", 1)[0] for row in photographs} == set(sources)
    for row in photographs:
        source = sources[Path(row["file"]).stem.rsplit("_", 1)[0]]
        assert [row[key] for key in box.COLUMNS[4:]] == [source[key] for key in box.COLUMNS[4:]]
    assert len(pictures) - len(photographs) == 69


@pytest.fixture
def photographs(box, tmp_path, monkeypatch):
    """A folder with three photographs, listed: an author's with detail, a package's flat one, one to test on."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 650, 3), np.uint8)
    rows = []
    for name, use, standing, picture in (("noise", "train", "author", noise),
                                         ("flat", "train", "package", np.full((320, 3200, 3), 90, np.uint8)),
                                         ("tested", "test", "author", noise[:333, :444])):
        path = tmp_path / "packages" / "deep" / f"{name}.png"
        write(path, picture)
        rows.append({"use": use, "name": name, "file": f"deep/{name}.png", "origin": "a package", "licence": "CC0-1.0",
                     "standing": standing, "author": "A", "shrink": "1", "sha256": box.sha256(path)})
    monkeypatch.setattr(box, "sources", lambda: rows)
    return tmp_path / "packages"


def test_tiles_and_their_list(box, photographs, tmp_path):
    rows = box.prepare(tmp_path / "all", [photographs], drawn=1)
    assert [row["file"] for row in rows] == [
        *(f"photographs/noise_0{y}0{x}.png" for y in (0, 1) for x in (0, 1)), "photographs/flat_0000.png",
        "photographs/flat_0008.png", "drawn/drawn_0_000_page.png"]
    assert [row["standing"] for row in rows] == ["author"] * 4 + ["package"] * 2 + ["drawn"]
    with open(tmp_path / "all" / "data.tsv", newline="") as file:
        listed = list(csv.DictReader(file, delimiter="\t"))
    assert len(listed) == len(list((tmp_path / "all").glob("*/*.png"))) == 7
    for row in listed:
        with Image.open(tmp_path / "all" / row["file"]) as picture:
            assert picture.mode == "RGB" and picture.size == (int(row["width"]), int(row["height"]))
            assert box.pixels_sha256(picture) == row["sha256"]
    strict = box.prepare(tmp_path / "strict", [photographs], drawn=1, strict=True)
    assert strict == [row for row in rows if row["standing"] != "package"]
    (test,) = box.prepare(tmp_path / "test", [photographs], drawn=0, test=True)
    assert (test["file"], test["width"], test["height"]) == ("tested.png", 444, 333)


@pytest.mark.parametrize("damage, message", [
    (lambda path: path.unlink(), "deep/flat.png: not below the folders; it comes with a package"),
    (lambda path: path.write_bytes(b"other"), "another file"),
], ids=["missing", "changed"])
def test_a_wrong_photograph_is_named_and_nothing_stays(box, photographs, tmp_path, damage, message):
    damage(photographs / "deep" / "flat.png")
    with pytest.raises(UserError, match=message):
        box.prepare(tmp_path / "out", [photographs], drawn=1)
    assert [p.name for p in tmp_path.iterdir()] == ["packages"]


def test_the_command_refuses_a_folder_that_exists(box, tmp_path, capsys):
    with pytest.raises(SystemExit, match="error: .*exists; name a new folder"):
        box.main([str(tmp_path)])
