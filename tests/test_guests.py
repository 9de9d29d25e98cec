"""Networks, losses, codecs and datasets of other packages: let in by name, and never by a file."""

import json
import os
from pathlib import Path
import pickle
import subprocess
import sys

import jax
import numpy as np
from PIL import Image
import pytest

from jsr import degradations, guests, losses, model_file, models, recipes
from jsr.cli import main
from jsr.data.sources import open_source
from jsr.errors import UserError
from jsr.images import read_rgb

EXAMPLE = Path(__file__).parent.parent / "examples" / "guest"


@pytest.fixture
def example(monkeypatch):
    """The example's package is installed, but not imported."""
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.setattr(guests, "_brought", [])
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "jsr_guest"]:
        del sys.modules[name]


def test_nothing_is_imported_by_its_name(example):
    with pytest.raises(UserError, match="only you can let in: --import jsr_guest.tiny, or in Python `import jsr_gu"):
        models.create("jsr_guest.tiny/base", scale=2)
    assert "jsr_guest" not in sys.modules


def test_a_recipe_lets_in_what_it_names(example, tmp_path, monkeypatch, photograph):
    monkeypatch.chdir(tmp_path)
    recipe = recipes.load(str(EXAMPLE / "recipe.py"), [("networks.sr.fields.num_feat", "8")])
    network = models.create("jsr_guest.tiny", scale=recipe.scale, **recipe.networks["sr"].fields)
    assert network.num_feat == 8 and models.resolve("jsr_guest.tiny") == "jsr_guest.tiny/base"
    row = recipe.stages[0].players[0].losses[1]
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    total, values = losses.total([row], {"sr": image / 2}, {"hr": image})
    assert total > 0 and list(values) == ["loss/jsr_guest.more:squared_log_sr"]
    degraded = degradations.degrade(recipe.data.train[0].degrade, photograph(16, 16), colours=4)
    assert len(np.unique(degraded.decode().reshape(-1, 3), axis=0)) <= 4
    again = degradations.replay(degraded.record, photograph(16, 16))
    assert again.lr_bytes == degraded.lr_bytes
    (tmp_path / "pictures" / "train").mkdir(parents=True)
    Image.fromarray(photograph(16, 16)).save("pictures/train/a.png")
    assert open_source("jsr_guest.more:pictures", "train").names == ["a.png"]
    with pytest.raises(UserError, match="jsr_guest.more has no 'squared_lg'; did you mean 'squared_log'"):
        losses.function("jsr_guest.more:squared_lg")
    assert set(guests._brought) == {"jsr_guest.tiny", "jsr_guest.more"}
    code = f"import sys, pickle; pickle.loads({pickle.dumps(guests.Brought())}); print('jsr_guest.more' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": f"{EXAMPLE}:{EXAMPLE.parents[1]}"})
    assert done.stdout == "True\n", done.stderr  # as a worker process reads it


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A model file that names a module which leaves a mark when it is imported, in the current folder too."""
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").touch()
    (tmp_path / "evil" / "net.py").write_text("open('mark', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    variables = {"sr": models.init(models.create("edsr", scale=2, num_feat=2, num_block=1), jax.random.key(0))}
    net = dict(name="sr", model="evil.net/base", scale=2, fields={}, deployed=False)
    model_file.save(tmp_path / "evil.safetensors", variables, dict(networks=[net], ensemble={"self": False}))
    return tmp_path


@pytest.mark.parametrize("words", [
    ["upscale", "pictures", "--model", "evil.safetensors", "--out", "out"],
    ["fuse", "evil.safetensors", "x.safetensors"], ["export", "evil.safetensors", "x.onnx"],
    ["convert", "evil.safetensors", "x.pth"],
])
def test_a_model_file_does_not_decide_what_code_runs(hostile, monkeypatch, capsys, words):
    monkeypatch.syspath_prepend(hostile)  # as where `python -m jsr` runs in this folder
    (hostile / "pictures").mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(hostile / "pictures" / "a.png")
    assert main(words) == 1
    complaint, = capsys.readouterr().err.splitlines()
    assert "evil.net/base: belongs to another package, which only you can let in: --import evil.net" in complaint
    assert not (hostile / "mark").exists() and "evil" not in sys.modules


def test_the_current_folder_is_not_searched(hostile):
    code = "from jsr import guests; guests.bring('evil.net')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=hostile,
                          env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])})
    assert "evil.net: cannot be imported (ModuleNotFoundError" in done.stderr and not (hostile / "mark").exists()


@pytest.mark.slow
def test_a_guest_is_trained_exported_and_used(tmp_path, photograph):
    for part in ("train", "validation"):
        (tmp_path / "pictures" / part).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(photograph(64, 80, number)).save(tmp_path / "pictures" / part / f"{number}.png")

    def run(*words):
        done = subprocess.run([sys.executable, "-m", "jsr", *words], capture_output=True, text=True, cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": f"{EXAMPLE.parents[1]}:{EXAMPLE}"})
        return done.returncode, done.stderr

    train = ["train", str(EXAMPLE / "recipe.py"), "--workdir=run", "--config.stages[0].steps=30",
             "--config.data.num_workers=2", "--config.log_every=10"]
    status, said = run(*train)
    assert status == 0, said
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["networks"]["sr"]["model"] == "jsr_guest.tiny/base"
    model = "run/last.safetensors"
    status, said = run("upscale", "pictures/train", "--model", model, "--out", "out")
    assert status == 1 and "--import jsr_guest.tiny" in said
    for words in (["upscale", "pictures/train", "--model", model, "--out", "out"], ["export", model, "tiny.onnx"],
                  ["fuse", model, "fused.safetensors"], ["export", model, "tiny.stablehlo"]):
        status, said = run(*words, "--import", "jsr_guest.tiny")
        assert status == 0, said
    assert read_rgb(tmp_path / "out" / "0.png").shape == (128, 160, 3)
