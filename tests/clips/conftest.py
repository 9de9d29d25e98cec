"""What the tests of clips share."""

import importlib.util
from pathlib import Path

import pytest

from jsr import model_file


@pytest.fixture(scope="session")
def odd_clips():
    """The module odd_clips.py beside this file."""
    spec = importlib.util.spec_from_file_location("odd_clips", Path(__file__).parent / "odd_clips.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bicubic(tmp_path_factory):
    """A model file of a network without parameters, x2."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    net = {"name": "sr", "model": "enlarge/bicubic", "scale": 2, "fields": {}, "deployed": False}
    model_file.save(path, {"sr": {}}, {"networks": [net]})
    return path
