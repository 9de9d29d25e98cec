"""jsr fuse, on files that training writes."""

import jax
import numpy as np
import pytest

import jsr
from jsr import model_file, models
from jsr.cli import main


def save(path, model, fields, scale):
    module = models.create(model, scale=scale, **fields)
    model_file.save(path, {"sr": models.init(module, jax.random.key(0))},
                    dict(networks=[dict(name="sr", model=model, scale=scale, fields=fields, deployed=False)]))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return save(tmp_path_factory.mktemp("fuse") / "trained.safetensors", "plain/basicvision", dict(num_feat=4), 4)


def test_the_fused_file_upscales_as_the_trained_one(trained, tmp_path, capsys):
    target = tmp_path / "fused.safetensors"
    assert main(["fuse", str(trained), str(target)]) == 0
    said = capsys.readouterr().out
    assert "blocks, " in said and "parameters to" in said and "of its largest output" in said
    meta, networks, variables = model_file.load(target)
    assert meta["networks"][0]["deployed"] and networks["sr"].deploy
    _, before, whole = model_file.load(trained)
    lr = np.random.default_rng(0).random((1, 9, 11, 3), np.float32)
    np.testing.assert_allclose(networks["sr"].apply(variables["sr"], lr),
                               before["sr"].apply(whole["sr"], lr), atol=2e-6)
    again = tmp_path / "again.safetensors"
    assert main(["fuse", str(target), str(again)]) == 0
    assert "nothing to fuse" in capsys.readouterr().out
    assert again.read_bytes() == target.read_bytes()


def test_what_is_loaded_to_upscale_is_fused(trained):
    assert all(module.deploy for chain in jsr.load(trained).chains for module in chain.networks.values())


def test_mistakes_are_one_line(trained, tmp_path, capsys):
    for words, message in (([trained, tmp_path / "out.pth"], "a model file ends in .safetensors"),
                           ([tmp_path / "no.safetensors", tmp_path / "out.safetensors"], "no such model file")):
        assert main(["fuse", *map(str, words)]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_weights_that_are_no_numbers_are_named(tmp_path, capsys):
    fields = dict(num_feat=4)
    module = models.create("plain/basicvision", scale=4, **fields)
    variables = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), models.init(module, jax.random.key(0)))
    info = dict(networks=[dict(name="sr", model="plain/basicvision", scale=4, fields=fields, deployed=False)])
    model_file.save(tmp_path / "nan.safetensors", {"sr": variables}, info)
    assert main(["fuse", str(tmp_path / "nan.safetensors"), str(tmp_path / "out.safetensors")]) == 1
    said = capsys.readouterr().err
    assert "fused, it is off by nan" in said and said.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
