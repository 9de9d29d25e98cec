"""Every builder is a folder in the TFDS layout, importable from the package and as TFDS imports it."""

import importlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from jsr import places
from jsr.data.sources import licence
from jsr.datasets import build

NAMES = build.names()


@pytest.mark.parametrize("name", NAMES)
def test_files(name):
    folder = places.TFDS_BUILDERS / name
    files = {path.name for path in folder.iterdir()}
    assert files >= {"__init__.py", f"{name}_dataset_builder.py", "README.md", "CITATIONS.bib", "TAGS.txt"}
    cls = importlib.import_module(f"jsr.datasets.builders.{name}.{name}_dataset_builder").Builder
    assert cls.LICENCE and cls.LICENCE == licence(f"{name}/{cls.BUILDER_CONFIGS[-1].name}")
    assert ("checksums.tsv" in files) == (cls.url_infos is not None)


@pytest.mark.parametrize("name", NAMES)
def test_as_tfds_imports_it(name, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(places.TFDS_BUILDERS)
    cls = tfds.core.community.builder_cls_from_module(f"{name}.{name}_dataset_builder")
    for module in (name, f"{name}.{name}_dataset_builder"):
        monkeypatch.delitem(sys.modules, module)
    assert cls.name == name
    assert (places.TFDS_BUILDERS / name / "checksums.tsv").exists() == (cls.url_infos is not None)
    config = cls.BUILDER_CONFIGS[-1].name
    builder = cls(data_dir=tmp_path, config=config)
    assert builder.info.full_name == f"{name}/{config}/{cls.VERSION}"
    assert builder.info.description and "@" in builder.info.citation
    content = {"content.data-type.image", "content.data-type.video"}
    assert "ml.task.image-super-resolution" in cls.get_metadata().tags and content & set(cls.get_metadata().tags)


def test_tfds_own_div2k_stays_what_it_is():
    importlib.import_module("jsr.datasets.builders.div2k.div2k_dataset_builder")
    assert tfds.builder_cls("div2k").__module__.startswith("tensorflow_datasets.")


PROGRAM = """
import sys
from jsr.datasets.build import build
from jsr.data.sources import open_source

if __name__ == "__main__":
    build("photos/aim22_t1", data_dir=sys.argv[1], num_workers=2)
    open_source("photos/aim22_t1", "train", sys.argv[1])[0]
    assert not {"tensorflow", "torch", "jax"} & set(sys.modules)
"""


def test_neither_building_nor_reading_imports_tensorflow_and_bytes_are_the_same_in_every_process(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, "-W", "error", script, tmp_path], capture_output=True, text=True,
                          timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr

    def files(built):  # another process has written them
        return {path.name: path.read_bytes() for path in built.path.iterdir()}

    here = build.build("photos/aim22_t1", data_dir=tmp_path / "here")
    assert files(here) == files(build.build("photos/aim22_t1", data_dir=tmp_path))
