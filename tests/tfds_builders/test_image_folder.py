"""image_folder's settings: photographs made smaller and cut into tiles, LR images at each value of a parameter."""

import json

import numpy as np
from PIL import Image
import pytest

from jsr import degradations, images
from jsr.data import pipeline
from jsr.data.sources import open_source
from jsr.datasets import cut
from jsr.datasets.build import build, find
from jsr.errors import UserError

SETTINGS = dict(shrink=2, tiles=48, detail=2)


@pytest.fixture
def camera(write_camera_folder):
    """A folder with two photographs, the second on its side, and a flat one."""
    folder = write_camera_folder(2, 202, 240)
    Image.new("RGB", (200, 240), (9, 9, 9)).save(folder / "wall.png")
    return folder


def read(data_dir, dataset):
    return list(open_source(dataset, "train", data_dir))


def test_records_are_tiles(camera, tmp_path):
    built = build("image_folder/aim22_t1", data_dir=tmp_path, manual_dir=camera, **SETTINGS)
    form = cut.Cut(**SETTINGS)
    wanted = dict(tile for path in sorted(camera.iterdir())
                  for tile in cut.tiles(images.read_rgb(path), path.name, form))
    rows = read(tmp_path, "image_folder/aim22_t1")
    assert built.counts == {"train": len(rows)} and [row["name"] for row in rows] == list(wanted)
    assert len([name for name in wanted if name.startswith("wall.png")]) < 4
    for row in rows:
        hr = wanted[row["name"]]
        assert (row["source_height"], row["source_width"]) == hr.shape[:2]
        hr = degradations.crop_to_multiple(hr, 4)
        np.testing.assert_array_equal(images.read_rgb(row["hr"]), hr)
        assert row["lr"] == degradations.degrade("aim22_t1", hr, seed=row["name"]).lr_bytes
    folder = open_source(camera, "", tmp_path, form=form)
    assert [name.rpartition("/")[2] for name in folder.names] == list(wanted)  # the same as on the fly


def test_the_same_bytes_with_any_number_of_processes(camera, tmp_path):
    built = [build("image_folder/hr", data_dir=tmp_path / str(number), manual_dir=camera, num_workers=number,
                   **SETTINGS)
             for number in (0, 2)]
    one, two = ({path.name: path.read_bytes() for path in each.path.glob("*array_record*")} for each in built)
    assert one == two and one


def test_other_settings_are_refused(camera, tmp_path):
    build("image_folder", data_dir=tmp_path, manual_dir=camera, **SETTINGS)
    assert not build("image_folder", data_dir=tmp_path).is_new  # whatever it is made with
    assert not build("image_folder", data_dir=tmp_path, manual_dir=camera, **SETTINGS).is_new
    before = read(tmp_path, "image_folder")
    with pytest.raises(UserError, match="image_folder/hr/1.5.0: is there already, with --shrink 2, --tiles 48; "
                                        "--overwrite builds"):
        build("image_folder", data_dir=tmp_path, manual_dir=camera, shrink=1.5, tiles=64)
    assert read(tmp_path, "image_folder") == before
    assert build("image_folder", data_dir=tmp_path, manual_dir=camera, shrink=1.5, overwrite=True).is_new
    assert [row["height"] for row in read(tmp_path, "image_folder")] == [135, 160, 160]


def test_an_interrupted_build_with_other_settings_shares_no_part(camera, tmp_path):
    (camera / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="1 of 4 images cannot be used: .*broken.png"):
        build("image_folder", data_dir=tmp_path, manual_dir=camera, shrink=2)
    (camera / "broken.png").unlink()
    build("image_folder", data_dir=tmp_path, manual_dir=camera)
    assert [row["height"] for row in read(tmp_path, "image_folder")] == [202, 240, 240]


def test_each_image_at_each_value(camera, tmp_path):
    built = build("image_folder/ais24", data_dir=tmp_path, manual_dir=camera, shrink=2, each="qp")
    rows = read(tmp_path, "image_folder/ais24")
    assert built.counts == {"train": 15}
    assert [row["name"] for row in rows[:2]] == ["0.jpg__qp31", "0.jpg__qp39"]
    assert [json.loads(row["degradation"])["steps"][0]["qp"] for row in rows] == 3 * [31, 39, 47, 55, 63]
    assert len({row["lr"] for row in rows[:5]}) == 5 and len({row["hr"] for row in rows[:5]}) == 1
    crops = pipeline.PairedCrops(crop=48, scale=4)
    row = pipeline.Row(open_source("image_folder/ais24", "train", tmp_path), crops)
    batches = pipeline.train_batches([row], seed=0, batch=4, start=0, num_workers=0)
    assert {key: value.shape for key, value in next(batches).items()} == {"lr": (4, 12, 12, 3), "hr": (4, 48, 48, 3)}
    batches.close()


def test_names_that_meet_stay_apart_and_what_is_left_is_said(tmp_path):
    lines = []
    for index, name in enumerate(("a/b.png", "a__b.png", "a/b.gif", "c.cr3")):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "in" / name, "PNG" if "cr3" in name else None)
    build("image_folder/hr", manual_dir=tmp_path / "in", data_dir=tmp_path / "out", num_workers=0,
          announce=lines.append)
    found = open_source("image_folder/hr", "train", tmp_path / "out")
    assert sorted(found.names) == ["a__b.gif", "a__b.png", "a__b__2.png"]
    assert f"{tmp_path}/in: 3 images; passed over: 1 .cr3" in lines


@pytest.mark.parametrize("dataset, settings, message", [
    ("image_folder/hr", dict(each="qp"),
     "image_folder/hr: --each qp: this config has no LR images; build one that has"),
    ("image_folder/ais24", dict(each="quality"), "ais24 draws no 'quality'; known: qp"),
    ("image_folder/aim22_t1", dict(each="quality"), "aim22_t1 draws no 'quality'; nor anything else"),
    ("image_folder", dict(shrink=0), "shrink 0: give a number of 1 or more"),
    ("image_folder", dict(keyint=3), "image_folder: takes no --keyint; it is for ldv3, video_folder"),
    ("photos", dict(tiles=64), "photos: takes no --tiles; it is for image_folder"),
    ("image_folder", dict(detail=300, tiles=200),
     "its settings .*--tiles 200, --detail 300. leave no image of train"),
])
def test_settings_that_cannot_be(camera, tmp_path, dataset, settings, message):
    (camera / "wall.png").unlink()
    with pytest.raises(UserError, match=message):
        build(dataset, data_dir=tmp_path, **({"manual_dir": camera} if dataset != "photos" else {}), **settings)
    assert not find(dataset, tmp_path)[2].exists()


def test_a_folder_and_a_name_that_looks_like_it_are_two_records(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for value, name in enumerate(("a/b.png", "a__b.png", "a__b__2.png")):
        Image.new("RGB", (16, 16), (value,) * 3).save(tmp_path / "photos" / name)
    build("image_folder/hr", data_dir=tmp_path / "data", manual_dir=tmp_path / "photos")
    rows = read(tmp_path / "data", "image_folder/hr")
    assert len({row["name"] for row in rows}) == 3 and rows[0]["name"] == "a__b.png"
    assert sorted(int(images.read_rgb(row["hr"])[0, 0, 0]) for row in rows) == [0, 1, 2]
