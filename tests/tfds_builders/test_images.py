"""The datasets that the user brings, on made-up copies of a few small images in the layouts in which they go round."""

import dataclasses
import importlib
import shutil
import tarfile

import numpy as np
from PIL import Image
import pytest

from jsr import degradations, images
from jsr.data import pipeline
from jsr.data.sources import open_source
from jsr.datasets import collect
from jsr.datasets.build import build, find
from jsr.errors import UserError


@dataclasses.dataclass(frozen=True)
class Layout:
    """A made-up copy: the files of each split, and the names that their records are to have."""

    dataset: str
    files: dict
    names: dict


def numbered(pattern, width, count, first=1):
    return [pattern.replace("{}", f"{n:0{width}d}") for n in range(first, first + count)]


def layout(dataset, splits, prefix=None):
    """Of {split: files}, whose records are named after the files, behind the split's prefix."""
    return Layout(dataset, splits, {split: [(prefix or {}).get(split, "") + file.rpartition("/")[2].rpartition(".")[0]
                                            for file in files] for split, files in splits.items()})


SELFEX = ("img_001", "img_002")
LAYOUTS = {
    "flickr2k": layout("flickr2k", {"train": numbered("Flickr2K/Flickr2K_HR/{}.png", 6, 3)}),
    "flickr2k_flat": layout("flickr2k", {"train": numbered("Flickr2K/{}.png", 6, 3)}),
    "lsdir": layout("lsdir", {"train": numbered("0001000/{}.png", 7, 2, 999) + numbered("0002000/{}.png", 7, 2, 1001),
                              "validation": numbered("val1/HR/val/{}.png", 7, 2)}, {"validation": "val_"}),
    "div8k": layout("div8k", {"train": numbered("DIV8K_train_HR/{}.png", 4, 2)}),
    "rtsr4k": layout("rtsr4k", {"test": numbered("ntire23rtsr/test/HR/{}.png", 1, 3)}),
    "gtav": layout("gtav", {"train": ["viper/train/img/000/000_00001.jpg", "viper/train/img/001/001_00001.jpg"],
                            "validation": ["viper/val/img/000/000_00001.jpg"],
                            "test": ["viper/test/img/000/000_00001.jpg"],
                            "stills": numbered("GTA5/images/{}.png", 5, 2)},
                   {"train": "viper_train_", "validation": "viper_val_", "test": "viper_test_"}),
    "wed": layout("wed", {"train": numbered("exploration_database_and_code/pristine_images/{}.bmp", 5, 3)}),
    "bsds500": layout("bsds500", {"train": numbered("BSR/BSDS500/data/images/train/{}.jpg", 5, 2, 22090),
                                  "validation": numbered("BSR/BSDS500/data/images/val/{}.jpg", 4, 1, 3096),
                                  "test": numbered("BSR/BSDS500/data/images/test/{}.jpg", 5, 2, 42044)}),
    "live1": layout("live1", {"test": ["databaserelease2/refimgs/bikes.bmp", "databaserelease2/refimgs/womanhat.bmp"]}),
    "set5": layout("set5", {"test": ["Set5/HR/baby.png", "Set5/HR/bird.png"]}),
    "set14": layout("set14", {"test": ["Set14/original/baboon.png", "Set14/original/barbara.png"]}),
    "set14_plain": layout("set14", {"test": ["Set14/baboon.png", "Set14/barbara.png"]}),
    "bsd100": layout("bsd100", {"test": ["B100/HR/101085.png", "B100/HR/101087.png"]}),
    "urban100": Layout("urban100", {"test": [f"Urban100_SR/image_SRF_4/{name}_SRF_4_HR.png" for name in SELFEX]},
                       {"test": list(SELFEX)}),
    "image_folder": Layout("image_folder",
                           {"train": ["train/a/b.png", "train/c.jpg"], "validation": ["validation/d.webp"]},
                           {"train": ["a__b.png", "c.jpg"], "validation": ["d.webp"]}),
    "image_folder_flat": Layout("image_folder", {"train": ["a/b.png", "c.bmp", "d.avif"]},
                                {"train": ["a__b.png", "c.bmp", "d.avif"]}),
}
DECOYS = ("Flickr2K/Flickr2K_LR_bicubic/X2/000001x2.png", "val1/X2/val/0000001.png", "0001000/0000999x2.png",
          "Set5/LR_bicubic/X2/baby.png", "Urban100_SR/image_SRF_4/img_001_SRF_4_bicubic.png",
          "Set14/LRbicx4/baboon.png", "Flickr2K/Flickr2K_HR/._000001.png", ".hidden/Flickr2K_HR/000004.png",
          "databaserelease2/jp2k/img1.bmp")


def picture(path, seed, size=(27, 34)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def builder_class(name):
    return importlib.import_module(f"jsr.datasets.builders.{name}.{name}_dataset_builder").Builder


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Function of a key of LAYOUTS to the folder of its copy; the builder then expects its few images."""
    def make(key):
        row, folder = LAYOUTS[key], tmp_path / "copy"
        for seed, file in enumerate(file for files in row.files.values() for file in files):
            picture(folder / file, seed)
        cls = builder_class(row.dataset)
        if row.dataset != "image_folder":
            for file in DECOYS:
                if not (folder / file).exists():
                    picture(folder / file, 99)
            monkeypatch.setattr(cls, "SPLITS", {
                split: dataclasses.replace(spec, count=spec.count and len(row.files.get(split, [])))
                for split, spec in cls.SPLITS.items()})
        return folder
    return make


def packed(folder, kind):
    """Replaces what is in a folder by one archive of it."""
    archive = shutil.make_archive(folder.parent / "packed", kind, folder)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return shutil.move(archive, folder)


def records(dataset, splits, data_dir):
    return {split: list(open_source(dataset, split, data_dir)) for split in splits}


@pytest.mark.parametrize("key", LAYOUTS)
def test_records(copy, tmp_path, key):
    row, folder = LAYOUTS[key], copy(key)
    built = build(f"{row.dataset}/hr", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.counts == {split: len(files) for split, files in row.files.items()}
    rows = records(row.dataset, row.files, tmp_path)
    assert {split: [r["name"] for r in rs] for split, rs in rows.items()} == row.names
    for split, files in row.files.items():
        for file, record in zip(files, rows[split], strict=True):
            np.testing.assert_array_equal(images.read_rgb(record["hr"]), images.read_rgb(folder / file))
    everything = [r["hr"] for rs in rows.values() for r in rs]
    assert len(set(everything)) == len(everything)  # the splits share no image
    named = [name for names in row.names.values() for name in names]
    assert len(set(named)) == len(named)  # nor name


@pytest.mark.parametrize("dataset", ["image_folder/hr", "image_folder/aim22_t1"])
def test_splits_that_share_an_image(copy, tmp_path, dataset):
    folder = copy("image_folder")
    shutil.copy(folder / "train/c.jpg", folder / "validation/other.jpg")
    with pytest.raises(UserError, match="/1.5.0: not built, its splits overlap: other.jpg of validation is c.jpg "
                                        "of train, the same bytes. Remove them from one split") as error:
        build(dataset, data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert "\n" not in str(error.value)
    shutil.copy(folder / "train/a/b.png", folder / "validation/third.png")
    with pytest.raises(UserError, match="other.jpg of validation is c.jpg of train, the same bytes, and so are 1 more"):
        build(dataset, data_dir=tmp_path, manual_dir=folder, num_workers=0)
    for name in ("other.jpg", "third.png"):
        (folder / "validation" / name).unlink()
    shutil.copy(folder / "train/c.jpg", folder / "train/twice.jpg")  # of no harm
    assert build(dataset, data_dir=tmp_path, manual_dir=folder, num_workers=0).counts == {"train": 3, "validation": 1}


@pytest.mark.parametrize("key", ["flickr2k", "lsdir", "urban100", "image_folder"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_give_the_same_bytes(copy, tmp_path, key, kind):
    row, folder = LAYOUTS[key], copy(key)
    dataset = f"{row.dataset}/ntire23_x2"
    manual = {"a": folder}
    build(dataset, data_dir=tmp_path / "a", manual_dir=folder, num_workers=0)
    if key == "image_folder":  # an archive for each split
        for split in row.files:
            packed(folder / split, kind)
    else:
        packed(folder, kind)
    build(dataset, data_dir=tmp_path / "b", manual_dir=manual["a"], num_workers=2)
    names = (lambda name: name.removeprefix("packed__")) if key == "image_folder" else (lambda name: name)
    a, b = (records(dataset, row.files, tmp_path / data_dir) for data_dir in "ab")
    for split in row.files:
        assert [(r["name"], r["hr"]) for r in a[split]] == [(names(r["name"]), r["hr"]) for r in b[split]]


def test_built_twice_is_the_same_bytes(copy, tmp_path):
    folder = copy("bsds500")
    paths = [build("bsds500/ntire24", data_dir=tmp_path / name, manual_dir=folder, num_workers=workers).path
             for name, workers in (("a", 0), ("b", 2))]
    a, b = ({file.name: file.read_bytes() for file in path.glob("*array_record*")} for path in paths)
    assert len(a) == 3 and a == b


@pytest.mark.parametrize("protocol", [name for name, p in degradations.PROTOCOLS.items() if not p.video])
def test_every_protocol_and_a_batch_of_it(copy, tmp_path, protocol):
    scale = degradations.protocol(protocol).scale
    build(f"set5/{protocol}", data_dir=tmp_path, manual_dir=copy("set5"), num_workers=0)
    source = open_source(f"set5/{protocol}", "test", tmp_path)
    row = pipeline.Row(source, pipeline.PairedCrops(crop=12, scale=scale))
    batches = pipeline.train_batches([row], seed=0, batch=2, start=0, num_workers=0)
    batch = next(batches)
    batches.close()
    assert batch["hr"].shape == (2, 12, 12, 3) and batch["lr"].shape == (2, 12 // scale, 12 // scale, 3)


def test_the_folder_itself_may_be_named(copy, tmp_path):
    assert build("set5", data_dir=tmp_path, manual_dir=copy("set5") / "Set5/HR", num_workers=0).counts == {"test": 2}


def test_links_are_followed_and_lead_nowhere_twice(copy, tmp_path):
    folder = copy("set5")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/link").symlink_to(folder)
    (folder / "back").symlink_to(tmp_path / "elsewhere")
    assert build("set5", data_dir=tmp_path, manual_dir=tmp_path / "elsewhere", num_workers=0).counts == {"test": 2}


def test_a_split_that_is_not_there_is_left_out_and_told(copy, tmp_path):
    folder, said = copy("lsdir"), []
    shutil.rmtree(folder / "val1")
    built = build("lsdir", data_dir=tmp_path, manual_dir=folder, num_workers=0, announce=said.append)
    assert built.counts == {"train": 4}
    assert f"lsdir: {folder} holds no images of the split validation, it is left out" in said
    with pytest.raises(UserError, match="has no split 'validation'; it has train"):
        open_source("lsdir", "validation", tmp_path)


def test_nothing_there(tmp_path):
    (tmp_path / "shard-00.tar.gz").write_bytes(b"")
    (tmp_path / "cut.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"holds no images of lsdir; looked for files such as 00\?\?000/\{number\}.* or "
                                        r"HR/val.*cut.zip is damaged \(File is not a zip file\), fetch it again, "
                                        r"shard-00.tar.gz must be unpacked first. Get them from https://"):
        build("lsdir", data_dir=tmp_path / "data", manual_dir=tmp_path)
    with pytest.raises(UserError, match="holds no images; .*unpacked first"):
        build("image_folder", data_dir=tmp_path / "data", manual_dir=tmp_path)


def test_no_folder_named(tmp_path):
    with pytest.raises(UserError, match="wed: cannot be downloaded by a program; .* --manual_dir. From https://.*pristine_images"):
        build("wed", data_dir=tmp_path)


def test_gaps_are_named(copy, tmp_path):
    folder = copy("flickr2k")
    (folder / "Flickr2K/Flickr2K_HR/000002.png").unlink()
    with pytest.raises(UserError, match="holds 2 images of flickr2k's split train, not 3: 000002 missing. "
                                        "Get them from"):
        build("flickr2k", data_dir=tmp_path, manual_dir=folder)


def test_too_many_are_no_split(copy, tmp_path):
    folder = copy("set5")
    picture(folder / "Set5/HR/monarch.png", 7)
    with pytest.raises(UserError, match="holds 3 images of set5's split test, not 2. Get them from"):
        build("set5", data_dir=tmp_path, manual_dir=folder)


@pytest.mark.parametrize("kind", ["", "zip", "tar"])
def test_damaged_images_are_named_when_all_others_are_done(copy, tmp_path, kind):
    folder = copy("wed")
    (folder / "exploration_database_and_code/pristine_images/00002.bmp").write_bytes(b"BM, and no more")
    if kind:
        packed(folder, kind)
    with pytest.raises(UserError, match=r"not built, 1 of 3 images cannot be used: .*pristine_images/00002.bmp: "
                                        r"not an image"):
        build("wed", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert len(list((tmp_path / "wed/.hr-1.4.0.parts").iterdir())) == 2


def test_archives_that_change_while_they_are_read(copy, tmp_path):
    archive = packed(copy("set5"), "tar")
    member = next(source for _, source in collect.images_below(tmp_path / "copy").files if source.name == "bird")
    assert images.read_rgb(member.read()).shape == (27, 34, 3) and member.record_bytes() > 2000
    with open(archive, "r+b") as file:
        file.truncate(member.offset + 10)
    with pytest.raises(UserError, match="bird.png: damaged archive .it ends too early.; fetch it again"):
        member.read()
    (tmp_path / "copy/packed.tar").unlink()
    with pytest.raises(UserError, match="bird.png: cannot be read: No such file"):
        member.read()


def test_compressed_archives_that_are_called_tar(tmp_path):
    picture(tmp_path / "a.png", 0)
    with tarfile.open(tmp_path / "images.tar", "w:gz") as archive:
        archive.add(tmp_path / "a.png")
    assert "images.tar is damaged" in collect.images_below(tmp_path).unusable[0]


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        collect.images_below(tmp_path / "nowhere")


def test_frames_of_gtav_from_a_list(copy, tmp_path):
    folder = copy("gtav")
    (folder / "gtav.txt").write_text("001_00001.jpg\n")
    built = build("gtav", data_dir=tmp_path, manual_dir=folder, num_workers=0)
    assert built.counts == {"train": 1, "validation": 1, "test": 1, "stills": 2}
    assert open_source("gtav", "train", tmp_path)[0]["name"] == "viper_train_001_00001"
    (folder / "gtav.txt").write_text("009_00001\n001_00001\n")
    with pytest.raises(UserError, match="gtav.txt: lists images that are not there: 009_00001"):
        build("gtav", data_dir=tmp_path, manual_dir=folder, overwrite=True)
    (folder / "gtav.txt").unlink()
    (folder / "gtav.txt").mkdir()
    with pytest.raises(UserError, match="gtav.txt: cannot be read as a list of names .Is a directory"):
        build("gtav", data_dir=tmp_path, manual_dir=folder, overwrite=True)


@pytest.mark.parametrize("name,counts", [
    ("flickr2k", {"train": 2650}), ("lsdir", {"train": 84991, "validation": 250}), ("div8k", {"train": 1500}),
    ("rtsr4k", {"test": 110}), ("gtav", {"train": None, "validation": None, "test": None, "stills": 24966}),
    ("wed", {"train": 4744}), ("bsds500", {"train": 200, "validation": 100, "test": 200}), ("live1", {"test": 29}),
    ("set5", {"test": 5}), ("set14", {"test": 14}), ("bsd100", {"test": 100}), ("urban100", {"test": 100})])
def test_the_published_counts(name, counts):
    cls, config, _ = find(name)
    assert {split: spec.count for split, spec in cls.SPLITS.items()} == counts
    assert config == "hr" and set(cls.builder_configs) == {
        "hr", *(key for key, p in degradations.PROTOCOLS.items() if not p.video)}
