"""drealsr: pairs of real photographs, on made-up copies in its two layouts."""

import numpy as np
from PIL import Image
import pytest

from jsr import images
from jsr.data import pipeline
from jsr.data.sources import open_source
from jsr.datasets.build import build, find
from jsr.datasets.records import lr_image
from jsr.errors import UserError

RELEASED = {"train": ("x{s}/Train_x{s}/train_HR/Canon_{n}_x{s}_1.png", "x{s}/Train_x{s}/train_LR/Canon_{n}_x1_1.png"),
            "test": ("x{s}/Test_x{s}/test_HR/sony_{n}_x{s}.png", "x{s}/Test_x{s}/test_LR/sony_{n}_x1.png")}
AIM20 = {"train": ("X{s}/HR/{n:06d}.png", "X{s}/LR/{n:06d}.png"),
         "validation": ("X{s}/valid/HR/{n:06d}.png", "X{s}/valid/LR/{n:06d}.png")}
NAMES = {"train": "Canon_{n}_x{s}_1", "test": "test_sony_{n}_x{s}"}


def picture(path, seed, height, width):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(path)


@pytest.fixture
def copy(tmp_path):
    """Function of a layout and a scale to a copy of 3 training pairs and 2 others; LR images of 9x8 px."""
    def make(layout, scale):
        for split, (hr, lr) in layout.items():
            for n in range(1, 4 if split == "train" else 3):
                seed = n if split == "train" else 10 + n
                picture(tmp_path / "copy" / hr.format(s=scale, n=n), seed, 9 * scale, 8 * scale)
                picture(tmp_path / "copy" / lr.format(s=scale, n=n), -seed % 97, 9, 8)
        return tmp_path / "copy"
    return make


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_release(copy, tmp_path, scale):
    folder = copy(RELEASED, scale)
    dataset = f"drealsr/x{scale}"
    built = build(dataset, data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.counts == {"train": 3, "test": 2} and built.cropped == {}
    for split, (hr, lr) in RELEASED.items():
        for n, row in enumerate(open_source(dataset, split, tmp_path), 1):
            assert row["name"] == NAMES[split].format(s=scale, n=n)
            assert row["lr"] == (folder / lr.format(s=scale, n=n)).read_bytes() and row["degradation"] == ""
            assert lr_image(row).shape == (9, 8, 3)
            np.testing.assert_array_equal(images.read_rgb(row["hr"]), images.read_rgb(folder / hr.format(s=scale, n=n)))


def test_a_batch(copy, tmp_path):
    """Crops of HR and LR images show the same place."""
    folder = copy(RELEASED, 4)
    for n in range(1, 4):
        hr, lr = (folder / path.format(s=4, n=n) for path in RELEASED["train"])
        Image.open(lr).resize((32, 36), Image.Resampling.NEAREST).save(hr)
    build("drealsr/x4", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    crops = pipeline.PairedCrops(crop=16, scale=4)
    row = pipeline.Row(open_source("drealsr/x4", "train", tmp_path), crops)
    batches = pipeline.train_batches([row], seed=0, batch=3, start=0, num_workers=0)
    batch = next(batches)
    batches.close()
    assert batch["lr"].shape == (3, 4, 4, 3)
    np.testing.assert_array_equal(batch["hr"], batch["lr"].repeat(4, 1).repeat(4, 2))


def test_aim_2020_and_its_washed_list(copy, tmp_path):
    folder = copy(AIM20, 3)
    built = build("drealsr/aim20_x3", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.counts == {"train": 3, "validation": 2}
    with pytest.raises(UserError, match="x3_clean_img_id.txt: cannot be read: No such file"):
        build("drealsr/aim20_washed_x3", data_dir=tmp_path, manual_dir=folder)
    (folder / "x3_clean_img_id.txt").write_text("000001.png\n000003.png\n")
    built = build("drealsr/aim20_washed_x3", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.counts == {"train": 2, "validation": 2}
    rows = {split: [row["name"] for row in open_source("drealsr/aim20_washed_x3", split, tmp_path)]
            for split in built.counts}
    assert rows == {"train": ["000001", "000003"], "validation": ["valid_000001", "valid_000002"]}


def test_pairs_too_unlike_are_left_out_of_training(copy, tmp_path):
    folder = copy(AIM20, 2)
    for n, darker in ((1, 0), (2, 9), (3, 10)):  # inf, 29.05 and 28.13 dB
        hr, lr = (folder / path.format(s=2, n=n) for path in AIM20["train"])
        Image.new("RGB", (8, 9), (100, 100, 100)).save(lr)
        Image.new("RGB", (16, 18), (100 - darker,) * 3).save(hr)
    built = build("drealsr/aim20_psnr29_x2", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.counts == {"train": 2, "validation": 2}
    rows = open_source("drealsr/aim20_psnr29_x2", "train", tmp_path)
    assert [row["name"] for row in rows] == ["000001", "000002"]
    for n in (1, 2, 3):
        Image.new("RGB", (16, 18)).save(folder / AIM20["train"][0].format(s=2, n=n))
    with pytest.raises(UserError, match="not built, since its config leaves no image of train$"):
        build("drealsr/aim20_psnr29_x2", data_dir=tmp_path / "none", manual_dir=folder, num_workers=0)


def test_hr_rows_too_few_for_an_lr_row_are_cut_off(copy, tmp_path):
    folder = copy(RELEASED, 4)
    picture(folder / RELEASED["test"][0].format(s=4, n=1), 1, 39, 33)
    built = build("drealsr/x4", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.cropped == {"test_sony_1_x4": "39x33 to 36x32"}


def test_pairs_that_are_none(copy, tmp_path):
    folder = copy(RELEASED, 4)
    picture(folder / RELEASED["train"][1].format(s=4, n=2), 1, 10, 8)
    (folder / RELEASED["train"][1].format(s=4, n=3)).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"2 of 5 images cannot be used: .*Canon_2_x4_1.png: 36x32 \(height x width\) "
                                        r"is not 4 times the 10x8 of .*Canon_2_x1_1.png; "
                                        r"replace.*Canon_3_x1_1.png: not an image"):
        build("drealsr/x4", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    (folder / RELEASED["train"][1].format(s=4, n=3)).unlink()
    with pytest.raises(UserError, match=r"1 HR images of drealsr's split train have no LR image, as Canon_3_x4_1; "
                                        r"looked for Train_x4/train_LR/\{name\}"):
        build("drealsr/x4", data_dir=tmp_path, manual_dir=folder, num_workers=0)


def test_built_twice_is_the_same_bytes_and_continues(copy, tmp_path):
    folder = copy(RELEASED, 2)
    a, b = (build("drealsr/x2", data_dir=tmp_path / name, manual_dir=folder, num_workers=workers).path
            for name, workers in (("a", 0), ("b", 2)))
    assert [file.read_bytes() for file in sorted(a.glob("*array_record*"))] == [
        file.read_bytes() for file in sorted(b.glob("*array_record*"))]


def test_the_configs():
    cls, config, _ = find("drealsr")
    assert config == "x4"
    assert set(cls.builder_configs) == {
        f"{form}x{scale}" for form in ("", "aim20_", "aim20_washed_", "aim20_psnr29_") for scale in (2, 3, 4)}
