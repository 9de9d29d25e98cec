"""The wheel, built and installed into an environment of its own, works outside the checkout."""

import os
from pathlib import Path
import subprocess
import sys
import sysconfig
import zipfile

import pytest

import jsr

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Builds it from a copy of the tracked files, as a clone has them."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "jsr", "configs", "tfds_builders"):
        subprocess.run(["cp", "-a", ROOT / name, source], check=True)
    done = subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={out}", source],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_its_version_is_that_of_the_package(wheel):
    assert wheel.name.startswith(f"jsr-{jsr.__version__}-")


def test_it_carries_configs_builders_and_tables(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = [p.relative_to(ROOT) for top in ("jsr", "configs", "tfds_builders") for p in (ROOT / top).rglob("*")
               if p.is_file() and "__pycache__" not in p.parts and not {"_configs", "_tfds_builders"} & set(p.parts)]
    expected = {str(p) if p.parts[0] == "jsr" else f"jsr/_{p}" for p in tracked}
    assert expected <= names, sorted(expected - names)
    name, version = wheel.name.split("-")[:2]
    assert {path.split("/")[0] for path in names} == {"jsr", f"{name}-{version}.dist-info"}


def test_installed_elsewhere_it_trains_evaluates_and_loads(wheel, tmp_path, tiny_run):
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python, site = environment / "bin" / "python", next((environment / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)  # what pip does with a pure wheel
    # jsr itself comes first, from the wheel
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command):
        done = subprocess.run([python, *command], cwd=tmp_path, env=outside, capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(run("-c", "import jsr; print(jsr.__file__)").strip()).is_relative_to(environment)
    run("-m", "jsr.main", *tiny_run(tmp_path / "run"))
    assert "edsr/baseline" in run("-m", "jsr", "zoo", "edsr")
    run("-m", "jsr", "build", "photos/aim22_t1", f"--data_dir={tmp_path / 'data'}")
    sr = run("-c", "import jsr, numpy as np; u = jsr.load('run/last.safetensors'); "
                   "print(u.upscale(np.zeros((5, 6, 3), np.uint8)).shape)")
    assert sr.strip() == "(20, 24, 3)"
