"""The examples run as their first lines say; tests/test_guests.py has the guest."""

import importlib.util
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from jsr import recipes
from jsr.images import read_rgb

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(*words, folder):
    env = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_folder_is_bettered(photo_folder, tmp_path):
    before = len(list(photo_folder.iterdir()))
    (photo_folder / "note.txt").write_text("no picture")
    shown = run(EXAMPLES / "better_a_folder.py", photo_folder, folder=tmp_path).split()
    assert len(shown) == before and all(read_rgb(path).shape == (128, 160, 3) for path in shown)


@pytest.mark.slow
def test_pairs_of_ones_own_train(shared_photos, tmp_path):
    for name, cut in (("hr", 1), ("lr", 2), ("validation_hr", 1), ("validation_lr", 2)):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for path in shared_photos.iterdir():
            image = Image.fromarray(read_rgb(path))
            image.resize((image.width // cut, image.height // cut)).save(tmp_path / "pairs" / name / path.name)
    run("-m", "jsr", "train", EXAMPLES / "own_pairs.py", "--workdir=run", "--config.stages[0].steps=4",
        "--config.stages[0].crop=32", "--config.stages[0].batch=2", "--config.stages[0].schedule.warmup_steps=0",
        "--config.networks.sr.fields={'num_feat': 4, 'num_block': 1}", "--config.data.num_workers=0", folder=tmp_path)
    assert (tmp_path / "run/last.safetensors").exists()


def test_own_pairs_is_a_recipe():
    assert recipes.load(str(EXAMPLES / "own_pairs.py"), ()).scale == 2


@pytest.mark.slow
def test_two_methods_are_compared(shared_photos, tmp_path):
    for name, noise in (("a", 1), ("b", 5)):
        (tmp_path / name).mkdir()
        for path in shared_photos.iterdir():
            image = read_rgb(path)
            noisy = image + np.random.default_rng(0).normal(0, noise, image.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / name / path.name)
    line = run(EXAMPLES / "two_methods.py", "a", "b", shared_photos, folder=tmp_path).splitlines()[0]
    assert line.startswith("a over b: +") and line.endswith("over 4 images")


@pytest.mark.slow
def test_a_phone_gets_its_file(tmp_path):
    if importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("needs ONNX and ONNX Runtime: pip install '.[export]'")
    shown = run(EXAMPLES / "to_a_phone.py", "x2", "x2.onnx", folder=tmp_path)
    assert shown.splitlines()[-1].endswith("(1, 360, 640, 3) uint8") and (tmp_path / "x2.onnx").exists()
