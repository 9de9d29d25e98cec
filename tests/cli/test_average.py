"""jsr average, on files that training writes."""

import jax
import numpy as np
import pytest

from jsr import model_file, models
from jsr.cli import main

FIELDS = dict(num_feat=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three files of one form, of other seeds, and their variables."""
    folder, found = tmp_path_factory.mktemp("average"), []
    module = models.create("plain/basicvision", scale=4, **FIELDS)
    for seed in range(3):
        variables = {"sr": models.init(module, jax.random.key(seed))}
        network = dict(name="sr", model="plain/basicvision", scale=4, fields=FIELDS, deployed=False)
        info = dict(networks=[network], scores={"psnr": seed}, data=[dict(dataset="photos"), dict(dataset=f"d{seed}")],
                    fingerprint={"seed": seed})
        model_file.save(folder / f"{seed}.safetensors", variables, info)
        found.append((str(folder / f"{seed}.safetensors"), variables))
    return found


@pytest.mark.parametrize("words, weights", [([], [1 / 3] * 3), (["--weights", "2", "0", "2"], [0.5, 0, 0.5])])
def test_parameters_are_averaged_and_the_file_says_of_what(files, tmp_path, capsys, words, weights):
    target = tmp_path / "mean.safetensors"
    assert main(["average", *(path for path, _ in files), str(target), *words]) == 0
    assert "0.safetensors (" in capsys.readouterr().out
    meta, networks, found = model_file.load(target)
    jax.tree.map(lambda leaf, *its: np.testing.assert_allclose(
        leaf, sum(w * x for w, x in zip(weights, its, strict=True)), atol=1e-7),
        found, *(variables for _, variables in files))
    averaged = meta["fingerprint"]["averaged"]
    expected = [(f"{n}.safetensors", w) for n, w in enumerate(weights)]
    assert [(row["file"], row["weight"]) for row in averaged] == expected
    assert len({row["sha256"] for row in averaged}) == 3 and meta["scores"] == {} and not networks["sr"].deploy
    assert meta["data"] == [{"dataset": name} for name in ("photos", "d0", "d1", "d2")]


def test_mistakes_are_one_line(files, tmp_path, capsys):
    (one, _), (two, _), _ = files
    fused, target = str(tmp_path / "fused.safetensors"), str(tmp_path / "out.safetensors")
    assert main(["fuse", one, fused]) == 0
    for words, message in (([one, two, "out.pth"], "a model file ends in .safetensors"),
                           ([one, target], "averages two files at least"),
                           ([one, fused, target], "fused.safetensors: holds other networks than"),
                           ([one, two, target, "--weights", "1"], "give 2 numbers that are not negative"),
                           ([one, two, target, "--weights", "1", "-1"], "give 2 numbers that are not negative")):
        capsys.readouterr()
        assert main(["average", *words]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
