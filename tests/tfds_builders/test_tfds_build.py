"""`tfds build`, TFDS's own command, makes the records that `jsr build` makes."""

import importlib.util
import json
from pathlib import Path
import subprocess
import sysconfig

import pytest

from jsr import places
from jsr.datasets.build import build

PATH = Path("photos/aim22_t1/1.4.0")
INFO = "dataset_info.json"


@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("tensorflow", "mlcroissant", "apache_beam"))),
                    reason="the command `tfds build` needs more (the extra [tf])")
@pytest.mark.parametrize("folder, arguments", [("..", ["tfds_builders/photos"]), ("photos", [])],
                         ids=["from the top", "in its folder"])
def test_records_are_those_of_jsr_build(tmp_path, folder, arguments):
    done = subprocess.run([Path(sysconfig.get_path("scripts")) / "tfds", "build", *arguments, "--config=aim22_t1",
                           f"--data_dir={tmp_path / 'tfds'}"],
                          cwd=places.TFDS_BUILDERS / folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    build("photos/aim22_t1", data_dir=tmp_path / "jsr")
    theirs, ours = ({path.name: path.read_bytes() for path in (tmp_path / command / PATH).iterdir()}
                    for command in ("tfds", "jsr"))
    infos = [json.loads(files.pop(INFO)) for files in (theirs, ours)]
    assert [info.pop("moduleName") for info in infos] == [
        "photos.photos_dataset_builder", "jsr.datasets.builders.photos.photos_dataset_builder"]
    assert infos[0] == infos[1] and theirs == ours
