"""What the tests of clips share."""

import contextlib
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import model_file, models
from jsr.models.basicvsrpp import SMALL


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
def recurrent(tmp_path_factory):
    """A model file of a small BasicVSR++ of random weights, x4."""
    path, rng = tmp_path_factory.mktemp("recurrent") / "m.safetensors", np.random.default_rng(0)
    module = models.create("basicvsrpp", scale=4, **SMALL)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 2, 8, 8, 3), jnp.float32))
    net = {"name": "sr", "model": "basicvsrpp", "scale": 4, "fields": SMALL, "deployed": False}
    model_file.save(path, {"sr": jax.tree.map(lambda s: rng.normal(0, 0.01, s.shape).astype(s.dtype), shapes)},
                    {"networks": [net]})
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
