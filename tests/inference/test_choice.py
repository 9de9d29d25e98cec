"""What is chosen for a picture: the network, the size, the name, and what is better left alone."""

import numpy as np
from PIL import Image
import pytest

from jsr import weights
from jsr.errors import UserError
from jsr.inference import choice
from jsr.inference.choice import Size, choose


@pytest.fixture(scope="module")
def pictures(photograph, tmp_path_factory):
    """A folder of one picture, 120 x 160 px, in several formats, one of them under a wrong name."""
    folder = tmp_path_factory.mktemp("pictures")
    image = Image.fromarray(photograph(120, 160))
    for name, options in {"q95.jpg": dict(quality=95), "q50.jpg": dict(quality=50), "clean.png": {},
                          "lies.png": dict(format="AVIF")}.items():
        image.save(folder / name, **options)
    with Image.open(folder / "q50.jpg") as decoded:
        decoded.save(folder / "once_jpeg.png")
    Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    return folder


@pytest.mark.parametrize("name, size, network, after, tag, text", [
    ("q50.jpg", Size(), "x2", (240, 320), "x2", "x2 by the network x2"),
    ("lies.png", Size(), "x2", (240, 320), "x2", "x2 by the network x2"),
    ("q50.jpg", Size(scale=4), "x4", (480, 640), "x4", "x4 by the network x4"),
    ("lies.png", Size(scale=4), "x4-avif", (480, 640), "x4", "x4 by the network x4-avif"),
    ("q50.jpg", Size(scale=1.5), "x2", (180, 240), "x1.5", "x2 by the network x2, then to x1.5 by bicubic"),
    ("clean.png", Size(scale=3), "x4", (360, 480), "x3", "x4 by the network x4, then to x3 by bicubic"),
    ("clean.png", Size(scale=8), "x4", (960, 1280), "x8", "x4 by the network x4, then to x8 by bicubic"),
    ("q50.jpg", Size(scale=1), "restore", (120, 160), "restored", "restored by the network restore"),
    ("once_jpeg.png", Size(scale=1), "restore", (120, 160), "restored", "restored by the network restore"),
    ("q95.jpg", Size(scale=1), "", (120, 160), "restored", "JPEG of quality 88 or more needs no restoring"),
    ("clean.png", Size(scale=1), "", (120, 160), "restored", "no traces of JPEG to remove"),
    ("deep.png", Size(scale=1), "", (120, 160), "restored", "no traces of JPEG to remove"),
    ("clean.png", Size(width=320), "x2", (240, 320), "320x240", "x2 by the network x2"),
    ("clean.png", Size(width=300), "x2", (225, 300), "300x225", "x2 by the network x2, then to a width of 300 px by "
                                                                "bicubic"),
    ("clean.png", Size(height=360), "x4", (360, 480), "480x360", "x4 by the network x4, then to a height of 360 px by "
                                                                 "bicubic"),
    ("clean.png", Size(width=999, height=150), "x2", (150, 200), "200x150", "x2 by the network x2, then to at most "
                                                                            "999x150 by bicubic"),
    ("clean.png", Size(longest=80), "", (60, 80), "80x60", "to 80 px at the longer side by bicubic: networks do not "
                                                           "shrink"),
    ("clean.png", Size(megapixels=0.0768), "x2", (240, 320), "320x240", "x2 by the network x2"),
    ("clean.png", Size(scale=0.001), "", (1, 1), "x0.001", "to x0.001 by bicubic: networks do not shrink"),
    ("clean.png", Size(longest=160), "", (120, 160), "160x120", "has that size"),
])
def test_what_is_chosen(pictures, name, size, network, after, tag, text):
    plan = choose(pictures / name, size)
    assert (plan.network, plan.after, plan.tag, plan.text) == (network, after, tag, text)
    assert plan.scale == choice.BOX.get(network, 1) and plan.before == (120, 160)
    assert plan.copies == (not network and after == (120, 160))


@pytest.mark.parametrize("scale, size, after, text", [
    (2, Size(), (240, 320), "x2 by the network mine"),
    (1, Size(), (120, 160), "restored by the network mine"),
    (2, Size(scale=2), (240, 320), "x2 by the network mine"),
    (2, Size(scale=1), (120, 160), "x2 by the network mine, then to x1 by bicubic"),
    (3, Size(scale=0.5), (60, 80), "x3 by the network mine, then to x0.5 by bicubic"),
    (2, Size(width=640), (480, 640), "x2 by the network mine, then to a width of 640 px by bicubic"),
])
def test_a_network_that_is_named_does_it_all(pictures, scale, size, after, text):
    plan = choose(pictures / "q95.jpg", size, named=("mine", scale))
    assert (plan.network, plan.scale, plan.after, plan.text) == ("mine", scale, after, text)


@pytest.mark.parametrize("name, stated, expected", [
    ("q50.jpg", None, (50, "tables")), ("q50.jpg", 70, (70, "stated")), ("q95.jpg", None, (95, "tables")),
    ("once_jpeg.png", None, (50, "estimate")), ("clean.png", None, (None, "")), ("deep.png", None, (None, "")),
])
def test_the_quality_that_is_told(pictures, name, stated, expected):
    assert choice.told(pictures / name, stated) == expected


def test_a_stated_quality_decides_whether_to_restore(pictures):
    assert choose(pictures / "q95.jpg", Size(scale=1), input_quality=40).network == "restore"
    assert choose(pictures / "q50.jpg", Size(scale=1), input_quality=95).copies


def test_the_networks_that_come_with_jsr_are_there():
    assert choice.BOX.keys() <= {path.stem for path in weights.SHIPPED.glob("*.safetensors")}


def test_a_network_is_loaded_once_when_it_is_needed(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    loaded = []

    def load(*files):
        loaded.append(files)
        if not files[0].exists():
            raise UserError("missing")
        return object()

    networks = choice.Networks({"a": [tmp_path / "a"], "b": [tmp_path / "b"]}, load)
    assert not loaded and networks.digests("") == [] and networks.digests("a")[0]["file"] == "a"
    assert networks["a"] is networks["a"] and loaded == [(tmp_path / "a",)] and networks.loaded.keys() == {"a"}
    with pytest.raises(UserError, match="missing"):
        networks["b"]
