"""What tests of networks share: goldens as tests/golden/_official.py writes them, and networks run exactly and quickly."""

import json
from pathlib import Path
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models


@pytest.fixture
def golden():
    """A function of (stem, case) to a case's model, abstract variables, rules, state_dict, lr and outputs."""

    def read(stem, case):
        arrays = np.load(Path(__file__).parents[1] / "golden" / f"{stem}.npz")
        about = json.loads(str(arrays["about"]))["cases"][case]
        sizes = [int(np.prod(shape)) for _, shape, _ in about["tensors"]]
        parts = np.split(arrays[f"{case}/state_dict"], np.cumsum(sizes)[:-1])
        model = models.create(about["model"], **about["fields"])
        return types.SimpleNamespace(
            model=model,
            abstract=models.abstract(about["model"], **about["fields"]),
            rules=convert.formats(model)["official"],
            state_dict={key: part.reshape(shape).astype(dtype)
                        for (key, shape, dtype), part in zip(about["tensors"], parts, strict=True)},
            lr=arrays[f"{case}/lr"].astype(np.float32) / 255,
            outputs={name: arrays[f"{case}/{name}"] for name in about["outputs"]})

    return read


@pytest.fixture
def drawn():
    """A function of a network to its variables, drawn by NumPy in float64: nothing is compiled."""

    def draw(model):
        card, rng = models.card(model), np.random.default_rng(0)

        def fill(path, leaf):
            positive = path[-1].key in ("var", "scale")
            return rng.uniform(0.5, 2, leaf.shape) if positive else rng.normal(0, 0.3, leaf.shape)

        lr = jax.ShapeDtypeStruct(card.lr_shape(*(card.padding.target(16),) * 2), jnp.float32)
        return jax.tree_util.tree_map_with_path(fill, jax.eval_shape(model.init, jax.random.key(0), lr))

    return draw


@pytest.fixture
def run():
    """A function that applies a network in float64, compiled in little time."""

    def apply(model, variables, lr, **options):
        with jax.enable_x64(True):
            function = jax.jit(lambda variables, lr: model.apply(variables, lr, **options),
                               compiler_options={"xla_backend_optimization_level": 0})
            return jax.tree.map(np.asarray, function(variables, np.asarray(lr, np.float64)))

    return apply
