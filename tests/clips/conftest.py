"""What the tests of clips share."""

import contextlib
import importlib.util
from pathlib import Path

import jax
import pytest

from jsr import model_file


@pytest.fixture(scope="session")
def odd_clips():
    """The module tests/golden/clips_make.py."""
    spec = importlib.util.spec_from_file_location("odd_clips", Path(__file__).parents[1] / "golden" / "clips_make.py")
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


@pytest.fixture(scope="session")
def compile_cache(tmp_path_factory):
    """A context manager: commands keep what they compile in a folder of the tests."""
    folder = tmp_path_factory.mktemp("cache")

    @contextlib.contextmanager
    def caching():
        before = {key: getattr(jax.config, key)
                  for key in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(folder))
            yield
        for key, value in before.items():
            jax.config.update(key, value)

    return caching


@pytest.fixture(autouse=True)
def _caches(compile_cache):
    with compile_cache():
        yield
