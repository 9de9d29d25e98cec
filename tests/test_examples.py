"""The examples run as their first lines say; tests/test_guests.py has the guest."""

import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from jsr import load, recipes
from jsr.images import read_rgb
from jsr.inference import runtimes

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


@pytest.mark.slow
def test_cpp_gives_the_bytes_of_python(tmp_path, photograph):
    """Headers of ONNX Runtime, which its Python package lacks, are where ONNXRUNTIME_INCLUDE says, or the system's."""
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("needs ONNX and ONNX Runtime: pip install '.[export]'")
    if (compiler := shutil.which("g++")) is None:
        pytest.skip("needs g++")
    places = [*filter(None, [os.environ.get("ONNXRUNTIME_INCLUDE")]), "/usr/include/onnxruntime",
              "/usr/local/include/onnxruntime"]
    headers = next((place for place in places if Path(place, "onnxruntime_c_api.h").is_file()), None)
    if headers is None:
        pytest.skip("needs onnxruntime_c_api.h; set ONNXRUNTIME_INCLUDE to its folder")
    package = Path(importlib.util.find_spec("onnxruntime").origin).parent
    library = next((package / "capi").glob("libonnxruntime.so.*"), None)
    if library is None:
        pytest.skip("needs a package of ONNX Runtime that has libonnxruntime.so")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (tmp_path / name).symlink_to(library)
    subprocess.run([compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", EXAMPLES / "cpp/upscale.cpp", "-isystem",
                    headers, "-L", tmp_path, "-l", "onnxruntime", f"-Wl,-rpath,{tmp_path}", "-o",
                    tmp_path / "upscale"], check=True)
    run("-m", "jsr", "export", "x2", "x2.onnx", folder=tmp_path)
    image = photograph(37, 50)
    Image.fromarray(image).save(tmp_path / "lr.ppm")
    subprocess.run([tmp_path / "upscale", "x2.onnx", "lr.ppm", "sr.ppm"], cwd=tmp_path, check=True)
    found = np.asarray(Image.open(tmp_path / "sr.ppm"))
    np.testing.assert_array_equal(found, runtimes.open_onnx(str(tmp_path / "x2.onnx"))(image[None])[0])
    expected = load("x2").upscale(image)
    assert abs(found - expected.astype(int)).max() <= 1 and (found != expected).mean() < 1e-3
    wrong = subprocess.run([tmp_path / "upscale", "x2.onnx", "x2.onnx", "no.ppm"], cwd=tmp_path, capture_output=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith(b"upscale: x2.onnx: is no binary PPM file of 8 bit")
    assert not (tmp_path / "no.ppm").exists()
