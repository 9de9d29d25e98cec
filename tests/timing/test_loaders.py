"""The loaders that are compared: the same pairs from all of them."""

import io

import numpy as np
from PIL import Image
import pytest

from jsr import degradations, images
from jsr.errors import UserError
from jsr.timing import loaders


def test_all_loaders_give_degraded_crops(photograph, tmp_path):
    forms = loaders.prepare({"a.png": photograph(480, 730)}, tmp_path)
    assert len(forms) == 5
    for name, (batches, size) in forms.items():
        batch = next(batches)
        if name == "jsr, left to the device":  # of which it makes the same: tests/data/test_pipeline.py
            assert {"hr", "jpeg_quality", "place"} < set(batch) and "lr" not in batch
            assert batch["hr"].shape == (16, 416, 416, 3)
            continue
        assert (batch["lr"].shape, batch["hr"].shape) == ((16, 64, 64, 3), (16, 256, 256, 3)) and size > 100_000
        if not name.startswith("jsr"):  # ours are crops of the whole image's JPEG: tests/data/test_pipeline.py
            for lr, hr in zip(batch["lr"], batch["hr"], strict=True):
                np.testing.assert_array_equal(lr, degradations.degrade("aim22_t1", hr, encoder="pillow").decode())
    assert [path.name for path in sorted((tmp_path / "cut").iterdir())] == [
        "0000_0_0.png", "0000_0_240.png", "0000_0_250.png"]


def test_figures(photograph, tmp_path):
    ours, *others = loaders.measure({"a.png": photograph(480, 480)}, tmp_path, rounds=2)
    assert ours["name"] == "jsr, LR on the fly" and ours["ratio"] == 1
    for row in others:
        assert row["ratio"] > 0 and (row["bytes_ratio"] == 1 or row["name"] != "whole PNG files")
        assert row["best_patches_per_s"] >= row["patches_per_s"] > 0


def test_small_photographs(photograph, tmp_path):
    with pytest.raises(UserError, match="b.png: 500x479 is smaller than the sub-images of 480 px; leave it out"):
        loaders.prepare({"a.png": photograph(480, 480), "b.png": photograph(479, 500)}, tmp_path)


def test_made_up_pictures_compress_as_photographs_do():
    image = loaders.made_up(0, (300, 400))
    assert image.shape == (300, 400, 3) and image.dtype == np.uint8
    assert 1.2 < len(images.png_bytes(image)) * 3 / image.size < 2  # DIV2K: 1.6 bytes a pixel
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    assert len(buffer.getvalue()) < image.size / 5
