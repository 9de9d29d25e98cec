"""A DIV2K of a few small images in the official layout."""

from jsr.datasets.builders.div2k import div2k_dataset_builder
import numpy as np
from PIL import Image
import pytest

SPLITS = {"train": ("DIV2K_train_HR", range(1, 6)), "validation": ("DIV2K_valid_HR", range(801, 804))}


@pytest.fixture
def div2k(tmp_path, monkeypatch):
    """Folder of a made-up copy, 24x20 px PNG files 0001 to 0005 and 0801 to 0803; the builder expects these."""
    monkeypatch.setattr(div2k_dataset_builder.Builder, "SPLITS", SPLITS)
    folder = tmp_path / "copy"
    for stem, numbers in SPLITS.values():
        (folder / stem).mkdir(parents=True)
        for n in numbers:
            image = np.random.default_rng(n).integers(0, 256, (24, 20, 3), np.uint8)
            Image.fromarray(image).save(folder / stem / f"{n:04d}.png")
    return folder
