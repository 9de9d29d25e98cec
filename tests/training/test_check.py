"""What is wrong with a training and shows in its networks, files and data, before its first step and its folder."""


import jax
from PIL import Image
import pytest

from jsr import degradations, model_file, models, recipes
from jsr.data import mix
from jsr.data.sources import open_source
from jsr.errors import UserError
from jsr.training import check, state

SMALL = {"networks.sr.fields": "{'num_feat': 4, 'num_block': 1}", "stages[0].crop": "32", "data.num_workers": "0",
         "data.train[0].degrade": "aim22_t1", "data.eval.degrade": "aim22_t1"}


def row(**more):
    return repr([dict(fn="l1", pred="sr", target="hr", weight=1.0) | more])


def begin(carry, **fields):
    return repr([dict(net="sr", carry=carry, fields=fields)])


@pytest.fixture
def load(photo_folder):
    """Loads a small recipe with overrides, as a training does: {key: text}; $PHOTOS is a folder of photographs."""
    def make(**given):
        more = check.look
        folders = {"data.train[0].dataset": str(photo_folder), "data.eval.dataset": str(photo_folder)}
        texts = SMALL | folders | {key.replace("__", "."): text.replace("$PHOTOS", str(photo_folder))
                                   for key, text in given.items()}
        return recipes.load("aim22_t1", texts.items(), more)

    return make


@pytest.mark.parametrize("given, lines", [
    ({"stages[0].losses": row(target="lr")}, ["stages[0].players[0].losses[0]: loss l1: sr is (8, 32, 32, 3), lr is "]),
    ({"stages[0].losses": row(target="hrr")}, ["stages[0].players[0]: a loss compares with 'hrr', which no network"]),
    ({"stages[0].losses": row(pred="sr@body_9")}, ["stages[0].players[0]: a loss compares with 'sr@body_9', but sr h"]),
    ({"stages[0].losses": row(pred="lr_clean", target="lr_clean")},
     ["stages[0].players[0].losses[0]: loss l1: no network gives lr_clean, so it is compared with itself"]),
    ({"stages[0].losses": row(fn="ms_ssim")}, ["losses[0]: loss ms_ssim of sr and hr: ms_ssim: 32x32 px (height x"]),
    ({"stages[0].losses": row(fn="os.path:samefile")}, ["loss os.path:samefile of sr and hr: TypeError: "]),
    ({"stages[0].begin": begin("fuse", num_feat=2)}, ["stages[0].begin[0]: makes the network's deployed form; give"]),
    ({"stages[0].begin": begin("prune", num_feat=8)}, ["is (8,), larger than (4,) before"]),
    ({"stages[0].begin": begin("select_channels", num_block=2)}, ["the smaller network has other parameters, first "]),
    ({"networks.sr.fields": "{'num_feat': 4096, 'num_block': 400}"}, [" parameters take "]),
    ({"stages[0].crop": "[48,64]", "stages[0].augment": "['flip_rotate']"},
     ["stages[0]: augmentation flip_rotate: needs square images, these are of 16x12; use flip"]),
    ({"networks.sr.carry": "match"}, ["networks.sr.start_from: networks.sr.carry is 'match', but no file is named"]),
    ({"state": "sharded", "stages[0].optimizer": "{'name': 'muon'}"},
     ["stages[0].players[0].optimizer: muon looks at the parameters' shapes, which a sharded state has not"]),
    ({"data.eval.degrade": ""}, ["data.eval.degrade: is empty, but "]),
    ({"data.train[0].degrade": "photo_x4_heic", "data.degrade_on": "device"},
     ["data.degrade_on: photo_x4_heic: heic has no form on the device"]),
    ({"data.train[0].dataset": "photos", "data.train[0].split": "trian", "data.train[0].files": "/nowhere",
      "networks.sr.start_from": "$PHOTOS/0000.png", "stages[0].crop": "30"},
     ["stages[0].crop: 30 is not a multiple of the scale 4", "data.train[0].split: photos: has no split 'trian'",
      "data.train[0].files: /nowhere: cannot be read as a list",
      "networks.sr.start_from: $PHOTOS/0000.png: is a picture, not weights"]),
    ({"data.train[0].dataset": "/nowhere", "data.eval.dataset": "div2k/aim22_t1", "data.eval.split": "a[:",
      "data.eval.degrade": ""},
     ["data.train[0].dataset: /nowhere: no such folder", "data.eval.dataset: div2k/aim22_t1: it is not built; run: jsr",
      "data.eval.split: div2k/aim22_t1: has no split 'a[:'; it has train, valid"]),
])
def test_each_is_one_line_that_names_its_key(load, photo_folder, monkeypatch, tmp_path, given, lines):
    monkeypatch.setenv("JSR_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(UserError) as error:
        load(**given)
    found = str(error.value).splitlines()
    assert len(found) == len(lines), found
    for text, line in zip(found, lines, strict=True):
        assert text.startswith("--config.") and line.replace("$PHOTOS", str(photo_folder)) in text


def test_a_model_file_of_another_network_is_found_at_the_start(load, tmp_path):
    variables = {"sr": models.init(models.create("edsr", scale=4, num_feat=2, num_block=1), jax.random.key(0))}
    net = dict(name="sr", model="edsr/baseline", scale=4, fields=dict(num_feat=2, num_block=1))
    model_file.save(tmp_path / "other.safetensors", variables, dict(networks=[net]))
    start = {"networks.sr.start_from": str(tmp_path / "other.safetensors")}
    with pytest.raises(UserError, match="--config.networks.sr.start_from: .*none of its networks .sr. has the param"):
        load(**start)
    assert load(**start, **{"networks.sr.carry": "match"}).networks["sr"].carry == "match"


def test_a_loss_of_weight_0_needs_no_network(load):
    row = "{'fn': 'l1', 'pred': 'vgg(sr)@features_8', 'target': 'vgg(hr)@features_8', 'weight': %g}"
    given = {"networks": repr({"sr": dict(model="edsr/baseline", scale=4, fields={}),
                               "vgg": dict(model="vgg/vgg16", scale=1)}), "chain": "['sr']"}
    rows = "[{'fn': 'l1', 'pred': 'sr', 'target': 'hr', 'weight': 1.0}, " + row + "]"
    with pytest.raises(UserError, match="^--config.networks.vgg.start_from: .* learns from a trained vgg/vgg16"):
        load(**given, **{"stages[0].losses": rows % 0.01})
    config = load(**given, **{"stages[0].losses": rows % 0})
    assert len(config.stages[0].players[0].losses) == 1 and state.frozen_variables(config) == {}


# What makes of a recipe for images one for clips
CLIPS = {"protocol": "aim22_t2", "data.train[0].degrade": "aim22_t2", "data.eval.degrade": "aim22_t2",
         "stages[0].frames": "5", "stages[0].crop": "64", "networks.sr.fields": "{}"}


@pytest.mark.parametrize("given, line", [
    ({"networks.sr.model": "stopn/base", "stages[0].frames": "7"},
     "stages[0].frames: 7, but the network sees 5 at once; give 5"),
    ({"networks.sr.model": "stopn/base", "stages[0].frames": "0"},
     "stages[0].frames: 0 is for images, but the network takes clips; give 5"),
    ({"protocol": "aim22_t1", "data.eval.degrade": "aim22_t1"},
     "protocol: aim22_t1 judges images, and the samples are clips; take aim22_t2"),
    ({"data.eval.degrade": "aim22_t1"},
     "data.eval.degrade: aim22_t1 makes images, and the protocol aim22_t2 judges clips; take another"),
])
def test_clips_go_where_clips_are_taken(load, given, line):
    with pytest.raises(UserError) as error:
        load(**{**CLIPS, **given})
    assert str(error.value).splitlines()[0].startswith(f"--config.{line}")


def test_batches_of_clips_have_the_shape_that_networks_give(load):
    for model, hr in (("stopn/base", (2, 64, 64, 3)), ("edsr/baseline", (2, 5, 64, 64, 3))):
        config = load(**CLIPS, **{"networks.sr.model": model})
        assert mix.batch_shapes(config, config.stages[0], 2) == {"lr": (2, 5, 16, 16, 3), "hr": hr}


def test_images_are_no_validation_of_clips(load, photo_folder):
    config = load(**CLIPS)
    with pytest.raises(UserError, match="the validation has images, and the protocol aim22_t2 judges clips"):
        check.check_data(config, {mix.EVAL: open_source(str(photo_folder), ""), **dict.fromkeys(
            [mix.key(row) for row in config.data.train])})


def test_clips_have_no_quality_to_tell_a_network(load):
    given = CLIPS | {"networks.sr.model": "plain/bicubicpp", "networks.sr.fields": "{'quality_feat': 4}"}
    with pytest.raises(UserError, match=r"^--config.stages\[0\]: the network sr must be told the JPEG quality of an"):
        load(**given)


def test_a_guest_that_gives_no_source_is_one_line(load):
    config = load(**{"data.train[0].dataset": "os.path:basename"})
    with pytest.raises(UserError, match=r"^--config.data.train\[0\]: os.path:basename: gives a str without names"):
        mix.open_sources(config)


def test_damaged_pictures_of_the_validation_are_found_before_the_training(load, photo_folder, tmp_path):
    (tmp_path / "validation").mkdir()
    for name in ("0001.png", "0002.png", "0003.png"):
        data = (photo_folder / name).read_bytes()
        (tmp_path / "validation" / name).write_bytes(data if name == "0003.png" else data[:3000])
    config = load(**{"data.eval.dataset": str(tmp_path / "validation")})
    damaged, codecs = check.check_data(config, mix.open_sources(config))
    assert codecs == degradations.codecs(degradations.draw("aim22_t1"))
    assert [line.partition(" (hr): ")[0][-8:] for line in damaged] == ["0001.png", "0002.png"]
    config = load(**{"data.eval.dataset": str(tmp_path / "validation"), "data.max_damaged": "1"})
    with pytest.raises(UserError) as error:
        check.check_data(config, mix.open_sources(config))
    assert str(error.value).count("--config.data.eval: ") == len(str(error.value).splitlines()) == 2


def test_a_stored_lr_image_of_another_size_is_found_before_the_training(load, photo_folder, tmp_path):
    (tmp_path / "lr").mkdir()
    for path in photo_folder.iterdir():
        Image.open(path).resize((20, 16)).save(tmp_path / "lr" / path.name)
    pairs = repr({"hr": str(photo_folder), "lr": str(tmp_path / "lr")})
    config = load(**{"data.eval": pairs, "data.eval.degrade": "", "data.eval.dataset": ""})
    assert check.check_data(config, mix.open_sources(config)) == ([], "")
