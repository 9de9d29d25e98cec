"""jsr works however it is installed: from the checkout as it lies, editable, as a wheel, as a wheel of the sdist."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile

import pytest

import jsr
from jsr.errors import DISTRIBUTION

ROOT = Path(__file__).parent.parent
SDIST = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]
NAME = DISTRIBUTION.replace("-", "_")  # in names of files
KINDS = ["checkout", "editable", "wheel"]
OUTSIDE = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run(*command, **options):
    """What a command prints; it must end well."""
    done = subprocess.run(command, env=OUTSIDE, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(*arguments):
    """The lines of `git ls-files`; skips the test where git does not see a checkout, as in an unpacked sdist."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no checkout, or no git")
    done = subprocess.run(["git", "ls-files", "-z", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr)
    return done.stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the checkout, in a folder called jsr."""
    folder = tmp_path_factory.mktemp("parent") / "jsr"
    for name in SDIST["only-include"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory):
    """(sdist, wheel of the sdist)."""
    out = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", f"--outdir={out}", clone)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def editable(clone, tmp_path_factory):
    """The wheel that an editable install unpacks."""
    out = tmp_path_factory.mktemp("editable")
    run(sys.executable, "-c", f"from hatchling import build; build.build_editable({str(out)!r})", cwd=clone)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(clone, built, editable, tmp_path_factory):
    """Function of a kind of install to (python, folder to work in, folder of its package)."""
    def install(kind):
        place = tmp_path_factory.mktemp(kind)
        run(sys.executable, "-m", "venv", "--without-pip", place / "env")
        site = next((place / "env" / "lib").glob("python*/site-packages"))
        for path in Path(sysconfig.get_path("purelib")).iterdir():  # the dependencies, and nothing of jsr
            if "jsr" not in path.name and NAME not in path.name:
                (site / path.name).symlink_to(path)
        if kind != "checkout":  # what pip does with a pure wheel
            zipfile.ZipFile(editable if kind == "editable" else built[1]).extractall(site)
        # the folder that holds a clone called jsr has a folder called jsr that is no package
        folder, package = {"checkout": (clone, clone), "editable": (clone.parent, clone), "wheel": (place, site)}[kind]
        return place / "env" / "bin" / "python", folder, package / "jsr"

    return install


def test_nothing_in_the_tree_is_a_symlink():
    """A clone without symlinks, common on Windows, has text files in their places."""
    assert not [line for line in tracked("--stage") if line.startswith("120000")]


def test_the_sdist_holds_what_git_tracks(built):
    names = {name.partition("/")[2] for name in tarfile.open(built[0]).getnames()}
    assert set(tracked()) <= names, sorted(set(tracked()) - names)


def test_the_wheel_holds_the_package_its_recipes_and_its_builders(clone, built):
    names = set(zipfile.ZipFile(built[1]).namelist())
    files = [path.relative_to(clone) for top in ("jsr", "configs", "tfds_builders") for path in (clone / top).rglob("*")
             if path.is_file()]
    expected = {str(path) if path.parts[0] == "jsr" else f"jsr/_{path}" for path in files}
    assert {name for name in names if name.startswith("jsr/")} == expected
    assert {name.split("/")[0] for name in names} == {"jsr", f"{NAME}-{jsr.__version__}.dist-info"}


def test_the_same_bytes_each_time(clone, built, tmp_path):
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", f"--outdir={tmp_path}", clone)
    assert [(tmp_path / path.name).read_bytes() for path in built] == [path.read_bytes() for path in built]


def test_an_editable_install_copies_nothing(clone, editable):
    archive = zipfile.ZipFile(editable)
    assert [name for name in archive.namelist() if ".dist-info/" not in name] == [f"_{NAME}.pth"]
    assert archive.read(f"_{NAME}.pth").decode() == str(clone)


FINDS = """
import jsr
from jsr import recipes
from jsr.datasets.build import find

checksums = find("div2k")[0].url_infos
print(jsr.__file__, jsr.__version__, len(recipes.tracks()), sum(info.size for info in checksums.values()))
print(find("div2k")[0].get_metadata().citation[:1])
"""


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_its_recipes_builders_and_checksums(installed, clone, kind):
    python, folder, package = installed(kind)
    tracks = len(list((clone / "configs").glob("*.py")))
    assert run(python, "-c", FINDS, cwd=folder) == (
        f"{package / '__init__.py'} {jsr.__version__} {tracks} {3530603713 + 448993893}\n@\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_builds_trains_and_loads(installed, tmp_path, tiny_run, kind):
    python, folder, _ = installed(kind)

    def module(*arguments):
        return run(python, "-m", *arguments, cwd=folder)

    assert "photos/aim22_t1" in module("jsr", "build", "photos/aim22_t1", f"--data_dir={tmp_path / 'data'}",
                                       "--num_workers=2")
    module("jsr.main", *tiny_run(tmp_path / "run", data__num_workers=2))
    assert "edsr/baseline" in module("jsr", "zoo", "edsr")
    assert "everything needed is there" in module("jsr", "doctor")
    assert run(python, "-c", "import jsr, sys, numpy as np; u = jsr.load(sys.argv[1]); "
                             "print(u.upscale(np.zeros((5, 6, 3), np.uint8)).shape)",
               tmp_path / "run" / "last.safetensors", cwd=folder) == "(20, 24, 3)\n"
