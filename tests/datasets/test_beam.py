"""Builds by Apache Beam, with its local runner."""

import importlib.util
import sys

import numpy as np
from PIL import Image
import pytest

from jsr.datasets.build import build
from jsr.errors import UserError

needs_beam = pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None,
                                reason="Apache Beam is not installed (the extra [beam])")
DATASET = "image_folder/aim22_t1"


@pytest.fixture
def folder(tmp_path):
    """70 photographs of 16x20 px, of which three shards are made, and two for validation."""
    for number in range(72):
        path = tmp_path / "images" / ("train" if number < 70 else "validation") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 20, 3), np.uint8)).save(path)
    return tmp_path / "images"


def files(built):
    return {path.name: path.read_bytes() for path in built.path.iterdir()}


@needs_beam
def test_a_build_by_beam_is_that_of_one_machine(folder, tmp_path):
    (folder / "train" / "40.png").write_text("no image")
    with pytest.raises(UserError, match="1 of 72 images cannot be used: .*40.png: not an image"):
        build(DATASET, data_dir=tmp_path / "beam", manual_dir=folder, beam="DirectRunner")
    Image.new("RGB", (20, 16)).save(folder / "train" / "40.png")
    parts, = (tmp_path / "beam/image_folder").glob(".aim22_t1-*.parts")
    before = {path: path.stat().st_mtime_ns for path in parts.iterdir()}
    assert len(before) == 71

    local = build(DATASET, data_dir=tmp_path / "local", manual_dir=folder, num_workers=0)
    distributed = build(DATASET, data_dir=tmp_path / "beam", manual_dir=folder,
                        beam="DirectRunner,direct_num_workers=2")
    assert distributed.counts == local.counts == {"train": 70, "validation": 2}
    assert files(distributed) == files(local) and not parts.exists()


@needs_beam
def test_a_runner_that_is_none(folder, tmp_path):
    with pytest.raises(UserError, match="--beam DirktRunner: failed .*DirktRunner.*the same command again") as error:
        build(DATASET, data_dir=tmp_path, manual_dir=folder, beam="DirktRunner")
    assert "\n" not in str(error.value)


@needs_beam
def test_workers_that_write_elsewhere(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("jsr.datasets.records.prepare", _elsewhere)
    with pytest.raises(UserError, match="a worker wrote /nowhere/.*, which this machine cannot see; "
                                        "choose a --data_dir"):
        build(DATASET, data_dir=tmp_path, manual_dir=folder, beam="DirectRunner")


def _elsewhere(source, **settings):
    return f"/nowhere/{source.name}"


def test_beam_is_an_extra(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r'--beam DirectRunner: needs Apache Beam; pip install .*\[beam\]'):
        build(DATASET, data_dir=tmp_path, manual_dir=folder, beam="DirectRunner")
