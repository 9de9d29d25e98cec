"""photos, from scikit-image's wheel."""

import importlib.util
import io
import json

from jsr.datasets.builders.photos import photos_dataset_builder
import numpy as np
from PIL import Image
import pytest
import skimage

from jsr import degradations
from jsr.data.sources import open_source
from jsr.datasets.build import build
from jsr.errors import UserError

SIZES = {"astronaut": (512, 512), "hubble_deep_field": (872, 1000), "motorcycle_left": (500, 740),
         "motorcycle_right": (500, 740), "retina": (1408, 1408), "chelsea": (300, 448), "coffee": (400, 600),
         "rocket": (424, 640)}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    build("photos/aim22_t1", data_dir=data_dir)
    return data_dir


def test_splits_do_not_overlap_and_the_stereo_pair_stays_together():
    train, validation = photos_dataset_builder.Builder.SPLITS.values()
    assert not set(train) & set(validation)
    assert {"motorcycle_left.png", "motorcycle_right.png"} <= set(train)


@pytest.mark.parametrize("split,names", [("train", list(SIZES)[:5]), ("validation", list(SIZES)[5:])])
def test_records(data_dir, split, names):
    rows = list(open_source("photos/aim22_t1", split, data_dir))
    assert [row["name"] for row in rows] == names
    for row in rows:
        height, width = SIZES[row["name"]]
        assert (row["height"], row["width"]) == (height, width)
        original = next(p for p in photos_dataset_builder._photographs().iterdir() if p.stem == row["name"])
        hr = np.asarray(Image.open(io.BytesIO(row["hr"])))
        np.testing.assert_array_equal(hr, np.asarray(Image.open(original))[:height, :width])
        assert row["lr"] == degradations.degrade("aim22_t1", hr).lr_bytes
        step = json.loads(row["degradation"])["steps"][1]
        assert step["quality"] == 10 and step["subsampling"] == "4:2:0"


def test_crops_are_told(data_dir):
    again = build("photos/aim22_t1", data_dir=data_dir)
    assert not again.is_new
    assert again.cropped == {"motorcycle_left": "500x741 to 500x740", "motorcycle_right": "500x741 to 500x740",
                             "retina": "1411x1411 to 1408x1408", "chelsea": "300x451 to 300x448",
                             "rocket": "427x640 to 424x640"}


def test_photographs_are_scikit_images():
    astronaut = Image.open(photos_dataset_builder._photographs() / "astronaut.png")
    np.testing.assert_array_equal(astronaut, skimage.data.astronaut())


def test_without_scikit_image(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skimage" else find_spec(name))
    with pytest.raises(UserError, match=r'scikit-image, which is missing; pip install .*\[demo\]'):
        build("photos", data_dir=tmp_path)


def test_takes_no_manual_dir(tmp_path):
    with pytest.raises(UserError, match="photos: takes no files of your own"):
        build("photos", data_dir=tmp_path, manual_dir=tmp_path)
