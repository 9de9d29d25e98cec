"""Model files: round trip, use, and every way in which one is not what it says."""

import json
import logging
from pathlib import Path
import random

import jax
import numpy as np
import pytest
import safetensors.numpy

import jsr
from jsr import model_file, models, weights
from jsr.cli import main
from jsr.errors import UserError

FIELDS = {"num_feat": 4, "num_block": 1}
META = {"networks": [{"name": "sr", "model": "edsr/baseline", "scale": 4, "fields": FIELDS, "deployed": False}],
        "ema": True, "recipe": "aim22_t1:quick", "steps": 3, "scores": {}, "data": [], "fingerprint": {}}


@pytest.fixture
def variables():
    return {"sr": models.init(models.create("edsr/baseline", scale=4, **FIELDS), jax.random.key(3))}


@pytest.fixture
def file(tmp_path, variables):
    model_file.save(tmp_path / "a.safetensors", variables, META)
    return tmp_path / "a.safetensors"


def test_round_trip(file, variables):
    meta, networks, found = model_file.load(file)
    assert meta == {"format": 1, **META}
    assert networks["sr"].num_feat == 4 and networks["sr"].scale == 4
    jax.tree.map(np.testing.assert_array_equal, found, jax.device_get(variables))


def test_a_small_file_is_loaded_as_what_was_trained(variables, tmp_path):
    small = jax.tree.map(np.float16, jax.device_get(variables))
    model_file.save(tmp_path / "a.safetensors", small, META)
    *_, found = model_file.load(tmp_path / "a.safetensors")
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float32)}
    jax.tree.map(np.testing.assert_array_equal, found, small)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 24)])
def test_loaded_file_upscales_as_the_network_does(file, variables, size, photograph):
    upscaler = jsr.load(file)
    lr = photograph(*size)
    sr = upscaler.upscale(lr)
    assert sr.dtype == np.uint8 and sr.shape == (size[0] * 4, size[1] * 4, 3)
    expected = upscaler.chains[0].networks["sr"].apply(variables["sr"], lr[None].astype(np.float32) / 255)[0]
    assert np.abs(sr - np.clip(expected, 0, 1) * 255).max() <= 0.5 + 1e-2


def rewrite(file, change):
    with safetensors.safe_open(file, framework="numpy") as opened:
        tensors, metadata = {k: opened.get_tensor(k) for k in opened.keys()}, opened.metadata()
    file.write_bytes(safetensors.numpy.save(*change(tensors, metadata)))


def with_meta(**changes):
    return lambda tensors, metadata: (tensors, {"jsr": json.dumps(json.loads(metadata["jsr"]) | changes)})


@pytest.mark.parametrize("change, message", [
    (with_meta(format=2), "is of format 2, this jsr reads format 1"),
    (lambda tensors, metadata: (tensors, None), "neither a model file of jsr's nor weights of a network that jsr"),
    (lambda tensors, metadata: (tensors, {"jsr": "null"}), "damaged: its metadata cannot"),
    (lambda tensors, metadata: ({k: v for k, v in tensors.items() if "conv_last/bias" not in k}, metadata),
     "1 differ, first sr/params/conv_last/bias"),
    (with_meta(networks=[META["networks"][0] | {"model": "edzr"}]), "no network 'edzr'"),
    (lambda tensors, metadata: (tensors, {"jsr": "[" * 200_000}), "damaged: its metadata cannot"),
    (lambda tensors, metadata: (tensors, {"jsr": '{"format":' + "9" * 10_000 + "}"}), "damaged: its metadata cannot"),
    (lambda tensors, metadata: ({k: v.astype(np.int32) for k, v in tensors.items()}, metadata), "damaged: .* of I32"),
    (lambda tensors, metadata: ({k: v + 1 for k, v in tensors.items()}, metadata), "its check sum does not fit"),
    *((with_meta(**changes), f"damaged: of its metadata {said}") for changes, said in [
        ({"networks": None}, "networks is no list"), ({"networks": []}, "networks are 0"),
        ({"networks": 3}, "networks is no list"), ({"networks": [{"name": "sr"}]}, r"networks\[0\].model is missing"),
        ({"networks": META["networks"] * 2}, "two networks or members have one name"),
        ({"members": [{"name": "member1", "weight": 1.0}]}, "members have no networks"),
        ({"members": [3]}, r"members\[0\] is no object"), ({"members": 3}, "members is no list"),
        ({"members": [{"name": "m", "weight": 0}]}, r"members\[0\].weight is 0"),
        ({"ensemble": "x"}, "ensemble is no object"), ({"ensemble": {"tiles": [0]}}, r"ensemble.tiles\[0\] is 0"),
        ({"ensemble": {"self": "no"}}, "ensemble.self is 'no'"), ({"ensemble": {"tlc": -5}}, "ensemble.tlc is -5"),
        ({"recipe": ["x"]}, r"recipe is \['x'\]"), ({"steps": True}, "steps is True"), ({"notes": [1]}, "notes"),
        ({"ensemble": {"tiles": [10**18]}}, r"ensemble.tiles\[0\] is 1000000000000000000"),
        ({"ensemble": {"tiles": [64] * 100}}, "ensemble.tiles are 100"),
        ({"ensemble": {"overlap": "x"}}, "ensemble.overlap is 'x'"), ({"ensemble": {"tlc": 10**9}}, "ensemble.tlc is"),
        ({"scores": {"psnr[rgb]": {"a": 1}}}, r"scores.psnr\[rgb\] is {'a': 1}"),
        ({"scores": {"\x1b[31m": "x"}}, r"scores.\\x1b\[31m is 'x'"),
        ({"fingerprint": {"codecs": "x"}}, "fingerprint.codecs is no"),
        ({"fingerprint": {"versions": {"jax": 7}}}, "fingerprint.versions.jax is 7"),
        ({"pictures": [{}]}, r"pictures\[0\].origin is missing"),
        ({"training": [{}]}, r"training\[0\].steps is missing"),
        ({"networks": [META["networks"][0] | {"fields": {"n" * 300: 1}}]}, r"networks\[0\].fields is {'nnn")]),
    *((with_meta(networks=[META["networks"][0] | changes]), said) for changes, said in [
        ({"scale": "4"}, r"damaged: of its metadata networks\[0\].scale is '4'"),
        ({"scale": True}, r"networks\[0\].scale is True"), ({"scale": 10**6}, "no scale 1000000"),
        ({"model": "\x1b[31mred"}, r"networks\[0\].model is '\\x1b"), ({"name": ""}, r"networks\[0\].name is ''"),
        ({"fields": None}, r"networks\[0\].fields is None")]),
    *((with_meta(networks=[META["networks"][0] | {"fields": FIELDS | changes}]), said) for changes, said in [
        ({"num_block": 10**9}, "field num_block: 1000000000; give from 0 to 4,096"),
        ({"num_block": 4000}, "has more blocks than 14 tensors are of"),
        ({"num_feat": "64"}, "field num_feat: '64' must be of type int"),
        ({"num_feat": 0}, "damaged: the fields of edsr/baseline make no network"),
        ({"dtype": "float99"}, "damaged: the fields of edsr/baseline make no network"),
        ({"num_feat": {}}, "field num_feat: {} must be"),
        ({"num_feat": [[]] * 999}, r"field num_feat: \[\[\], [^;]{,199} must be")]),
    (with_meta(licence="MIT"), "damaged: its check sum does not fit its tensors and metadata"),
])
def test_other_files_are_one_line(file, change, message):
    rewrite(file, change)
    with pytest.raises(UserError, match=message) as error:
        model_file.load(file)
    assert "\n" not in str(error.value)


def test_every_flipped_bit_is_told_or_changes_nothing(file):
    data, rng = file.read_bytes(), random.Random(1)
    expected = model_file.load(file)
    for _ in range(200):
        changed, at = bytearray(data), rng.randrange(len(data))
        changed[at] ^= 1 << rng.randrange(8)
        file.write_bytes(changed)
        try:
            meta, networks, variables = model_file.load(file)
        except UserError as e:
            assert "\n" not in str(e)
            continue
        assert (meta, networks) == expected[:2], at
        jax.tree.map(np.testing.assert_array_equal, variables, expected[2])


def test_a_file_without_a_check_sum_is_read_and_that_is_said(file, caplog):
    def older(tensors, metadata):
        meta = json.loads(metadata["jsr"])
        assert len(meta.pop("sha256")) == 64
        return tensors, {"jsr": json.dumps(meta)}

    rewrite(file, older)
    with caplog.at_level(logging.WARNING):
        assert model_file.load(file)[0] == {"format": 1, **META}
    assert f"{file}: has no check sum" in caplog.text


@pytest.mark.parametrize("name", ["x2", "x4", "x4-avif", "restore"])
def test_shipped_files_have_check_sums(name, caplog):
    with caplog.at_level(logging.WARNING):
        model_file.load(name)
    assert not caplog.text


def test_missing_and_truncated(file, tmp_path):
    with pytest.raises(UserError, match="no such model file"):
        model_file.load(tmp_path / "none.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged, or not a .safetensors file"):
        model_file.load(file)


def test_a_name_stands_for_a_shipped_or_a_downloaded_file(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert {"x2", "x4", "x4-avif", "restore"} <= weights.files().keys()
    assert model_file.find("x4") == weights.SHIPPED / "x4.safetensors"
    weights.downloads().mkdir(parents=True)
    file.rename(weights.downloads() / "mine.safetensors")
    assert jsr.load("mine").scale == 4 and model_file.is_named("mine") and not model_file.is_named("a")
    assert main(["convert", "mine", "back.safetensors"]) == 0
    assert main(["average", "mine", "mine", "a.safetensors"]) == 0
    assert "wrote a.safetensors, the mean of mine.safetensors (0.5)" in capsys.readouterr().out


@pytest.mark.parametrize("word, make, message", [
    ("restor", None, "restor: no such model file and no model of this name; did you mean 'restore'. `jsr models`"),
    ("./x4", None, "x4: no such model file"),
    ("no/x4", None, "no/x4: no such model file"),
    ("edsr", None, "edsr: no such model file; weights of the network of this name are edsr-baseline-x2, .*, edsr-x4: "),
    ("rvsr", None, "rvsr: no such model file; of the network of this name jsr knows no weights: train it"),
    ("swinir-x4", None, "swinir-x4: is a public model that is not here yet; `jsr models get swinir-x4` downloads it"),
    ("x4", Path.mkdir, "x4: is a folder without the model file of a run, .*; it hides the model of this name, "),
    ("x4", Path.touch, "x4: is empty; get it again; it hides the model of this name, .*weights"),
])
def test_words_that_stand_for_no_model(tmp_path, monkeypatch, word, make, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if make:
        make(Path(word))
    with pytest.raises(UserError, match=f"^{message}") as error:
        model_file.load(word)
    assert "\n" not in str(error.value) and (make or "hides" not in str(error.value))
