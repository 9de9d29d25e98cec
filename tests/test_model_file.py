"""Model files: round trip, use, and every way in which one is not what it says."""

import json
from pathlib import Path

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
        "ema": True, "recipe": "aim22_t1:quick", "steps": 3, "scores": {}, "data": {}, "fingerprint": {}}


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
    (lambda tensors, metadata: (tensors, None), "neither a model file of jsr's nor weights of a network that it"),
    (lambda tensors, metadata: (tensors, {"jsr": "null"}), "damaged: its metadata are none"),
    (lambda tensors, metadata: ({k: v for k, v in tensors.items() if "conv_last/bias" not in k}, metadata),
     "1 differ, first sr/params/conv_last/bias"),
    (with_meta(networks=[META["networks"][0] | {"model": "edzr"}]), "no network 'edzr'"),
    *((with_meta(**changes), "damaged: its metadata do not name its networks")
      for changes in ({"networks": None}, {"networks": []}, {"networks": 3}, {"networks": [{"name": "sr"}]},
                      {"networks": [META["networks"][0] | {"scale": "4"}]},
                      {"members": [{"name": "member1", "weight": 1.0}]}, {"members": [3]}, {"members": 3})),
])
def test_other_files_are_one_line(file, change, message):
    rewrite(file, change)
    with pytest.raises(UserError, match=message) as error:
        model_file.load(file)
    assert "\n" not in str(error.value)


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
    ("x4", Path.touch, "x4: damaged, or not a .safetensors file .*; it hides the model of this name, .*weights"),
])
def test_words_that_stand_for_no_model(tmp_path, monkeypatch, word, make, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if make:
        make(Path(word))
    with pytest.raises(UserError, match=f"^{message}") as error:
        model_file.load(word)
    assert "\n" not in str(error.value) and (make or "hides" not in str(error.value))
