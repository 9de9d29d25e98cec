"""A folder of HR images to LR files: exact, resumable, and past bad files."""

import hashlib
import json
import os

import numpy as np
from PIL import Image
import pytest

from jsr.degradations import jpeg
from jsr.degradations.degrade_folder import degrade_folder
from jsr.errors import UserError


@pytest.fixture
def hr_dir(tmp_path):
    folder = tmp_path / "hr"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in {"0801.png": (24, 20, 3), "0802.png": (26, 23, 3), "0803.jpg": (16, 16, 3)}.items():
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / name)
    return folder


def organisers(path, crop=None):
    """The bytes of aim22_t1's LR file, by its libjpeg 9d where that is."""
    image = Image.open(path).convert("RGB")
    image = image.crop((0, 0, *crop)) if crop else image
    small = np.asarray(image.resize((image.width // 4, image.height // 4), Image.BICUBIC))
    return jpeg.encode(small, 10, encoder="9d" if jpeg.is_here("9d") else "pillow")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_files_and_manifest(hr_dir, tmp_path, num_workers):
    seen = []
    manifest, errors = degrade_folder(hr_dir, tmp_path / "lr", "aim22_t1", num_workers=num_workers,
                                      progress=lambda *done: seen.append(done))
    assert errors == []
    assert sorted(p.name for p in (tmp_path / "lr").iterdir()) == ["0801.jpg", "0802.jpg", "0803.jpg", "manifest.json"]
    assert (tmp_path / "lr/0801.jpg").read_bytes() == organisers(hr_dir / "0801.png")
    assert (tmp_path / "lr/0802.jpg").read_bytes() == organisers(hr_dir / "0802.png", crop=(20, 24))
    assert json.loads((tmp_path / "lr/manifest.json").read_text()) == manifest
    entry = manifest["files"]["0802.png"]
    assert entry["cropped"] and (entry["source_height"], entry["source_width"]) == (26, 23)
    assert (entry["hr_height"], entry["hr_width"], entry["height"], entry["width"]) == (24, 20, 6, 5)
    assert entry["degradation"]["steps"][1]["quality"] == 10
    assert entry["sha256"] == hashlib.sha256((tmp_path / "lr/0802.jpg").read_bytes()).hexdigest()
    assert not manifest["files"]["0801.png"]["cropped"]
    assert seen == [("degrading", n, 3) for n in range(4)]


def test_grey_becomes_rgb(tmp_path):
    (tmp_path / "hr").mkdir()
    grey = Image.fromarray(np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1)))
    grey.save(tmp_path / "hr/a.png")
    grey.convert("RGB").save(tmp_path / "rgb.png")
    degrade_folder(tmp_path / "hr", tmp_path / "lr", "aim22_t1")
    assert (tmp_path / "lr/a.jpg").read_bytes() == organisers(tmp_path / "rgb.png")


def test_finished_files_are_kept_and_changed_ones_are_left_and_named(hr_dir, tmp_path):
    out = tmp_path / "lr"
    before, _ = degrade_folder(hr_dir, out, "aim22_t1")
    for path in out.iterdir():
        os.utime(path, ns=(1, 1))
    (out / "0802.jpg").write_bytes(b"edited")
    old = (out / "0803.jpg").read_bytes()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(hr_dir / "0803.jpg")
    after, (edited, other) = degrade_folder(hr_dir, out, "aim22_t1")
    assert "0802.jpg: was changed since it was made" in str(edited) and "0803.jpg: was made from another" in str(other)
    assert (out / "0801.jpg").stat().st_mtime_ns == 1
    assert (out / "0802.jpg").read_bytes() == b"edited" and (out / "0803.jpg").read_bytes() == old
    assert after["files"] == {"0801.png": before["files"]["0801.png"]}
    after, errors = degrade_folder(hr_dir, out, "aim22_t1", overwrite=True)
    assert errors == [] and (out / "0803.jpg").read_bytes() == organisers(hr_dir / "0803.jpg")
    assert (out / "0802.jpg").read_bytes() == organisers(hr_dir / "0802.png", crop=(20, 24))


def test_other_library_versions_make_it_again(hr_dir, tmp_path):
    out = tmp_path / "lr"
    manifest, _ = degrade_folder(hr_dir, out, "aim22_t1")
    manifest["files"]["0801.png"]["degradation"]["steps"][0]["library"] = "Pillow 7.2.0"
    (out / "manifest.json").write_text(json.dumps(manifest))
    os.utime(out / "0801.jpg", ns=(1, 1))
    after, _ = degrade_folder(hr_dir, out, "aim22_t1")
    assert (out / "0801.jpg").stat().st_mtime_ns != 1
    assert after["files"]["0801.png"]["degradation"]["steps"][0]["library"] != "Pillow 7.2.0"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": []}', '{"command": "jsr degrade", "protocol": "ais24"}'])
def test_a_manifest_that_is_none_of_this_command_stays(hr_dir, tmp_path, text):
    out = tmp_path / "lr"
    out.mkdir()
    (out / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="manifest.json: .*manifest|protocol"):
        degrade_folder(hr_dir, out, "aim22_t1")
    assert (out / "manifest.json").read_text() == text and os.listdir(out) == ["manifest.json"]
    assert len(degrade_folder(hr_dir, out, "aim22_t1", overwrite=True)[0]["files"]) == 3


def test_a_damaged_manifest_is_set_aside(hr_dir, tmp_path):
    out, text = tmp_path / "lr", '{"command": "jsr degrade", "protocol": "aim22_t1", "files": 3}'
    out.mkdir()
    (out / "manifest.json").write_text(text)
    assert len(degrade_folder(hr_dir, out, "aim22_t1")[0]["files"]) == 3
    assert (out / "manifest.json.damaged").read_text() == text


def test_bad_files_are_named_and_the_others_go_on(hr_dir, tmp_path):
    (hr_dir / "text.png").write_text("not an image")
    (hr_dir / "cut.png").write_bytes((hr_dir / "0801.png").read_bytes()[:200])
    Image.new("RGB", (1, 1)).save(hr_dir / "tiny.png")
    (hr_dir / ".hidden.png").write_text("left out")
    (hr_dir / "notes.txt").write_text("left out")
    (hr_dir / "none.png").symlink_to("nowhere")
    manifest, errors = degrade_folder(hr_dir, tmp_path / "lr", "aim22_t1")
    assert list(manifest["files"]) == ["0801.png", "0802.png", "0803.jpg"]
    messages = "\n".join(map(str, errors))
    assert len(errors) == 4
    assert "text.png: not an image" in messages
    assert "cut.png: damaged or truncated" in messages
    assert "tiny.png: 1x1 (height x width) is smaller than 4 px, the scale of aim22_t1" in messages
    assert "none.png: cannot be read" in messages
    assert not list((tmp_path / "lr").glob(".*"))


def test_what_it_refuses(hr_dir, tmp_path):
    with pytest.raises(UserError, match="'aim22' is unknown"):
        degrade_folder(hr_dir, tmp_path / "lr", "aim22")
    with pytest.raises(UserError, match="no such folder"):
        degrade_folder(tmp_path / "none", tmp_path / "lr", "aim22_t1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in it"):
        degrade_folder(tmp_path / "empty", tmp_path / "lr", "aim22_t1")
    with pytest.raises(UserError, match="is the folder of the HR images"):
        degrade_folder(hr_dir, hr_dir / ".", "aim22_t1")
    assert not (tmp_path / "lr").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        degrade_folder(hr_dir, tmp_path / "file", "aim22_t1")
    (hr_dir / "0801.jpg").touch()
    with pytest.raises(UserError, match="0801.png: has the same stem as 0801.jpg"):
        degrade_folder(hr_dir, tmp_path / "lr", "aim22_t1")
