"""What tests of networks share: the goldens, and networks run exactly and quickly."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models


class Golden:
    """A case of tests/golden/<stem>.npz.

    Attributes:
      model: the network here.
      format: name of its rules of conversion.
      rules: they.
      state_dict: {key: array} of the original network.
      abstract: the network's abstract variables.
      variables: its variables, converted from the state dict.
      lr: (1, H, W, 3), float32 in [0, 1].
      outputs: {name: array}, what the original network makes of `lr`.
    """

    def __init__(self, stem, case):
        with np.load(Path(__file__).parents[1] / "golden" / f"{stem}.npz") as file:
            arrays = {key.removeprefix(f"{case}/"): file[key] for key in file.files if key.startswith(f"{case}/")}
            about = json.loads(str(file["about"]))
        recorded = about["cases"][case]
        self._fields = recorded["fields"]
        self._id = recorded.get("model", "rrdbnet/direct" if "unshuffle" in self._fields else stem)
        self.model = models.create(self._id, **self._fields)
        self.format = recorded.get("format", "official")
        self.rules = convert.formats(self.model)[self.format]
        self.state_dict = _state_dict(arrays, recorded, about.get("seed"))
        self.lr = arrays["lr"] if arrays["lr"].dtype == np.float32 else arrays["lr"].astype(np.float32) / 255
        self.outputs = {name: arrays[name] for name in recorded.get("outputs", ["sr"])}

    @functools.cached_property
    def abstract(self):
        return models.abstract(self._id, **self._fields)

    @functools.cached_property
    def variables(self):
        return convert.to_jax(self.state_dict, self.rules, self.abstract)


def _state_dict(arrays, recorded, seed):
    """A case's state dict: one array a key (edsr), drawn again (plain), or one array of all (_official.py, rrdbnet)."""
    prefix = "state_dict/"
    if single := {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}:
        return single
    if seed is not None:
        return _drawn_again(recorded["tensors"], np.random.RandomState(seed))
    tensors = recorded.get("tensors") or [(key, shape, "float32") for key, shape in recorded["shapes"].items()]
    ends = np.cumsum([int(np.prod(shape)) for _, shape, _ in tensors])
    parts = np.split(arrays["weights" if "weights" in arrays else "state_dict"], ends[:-1])
    return {key: part.reshape(shape).astype(dtype) for (key, shape, dtype), part in zip(tensors, parts, strict=True)}


def _drawn_again(tensors, rng):
    """The tensors of a state dict as plain_make.py draws them."""
    state_dict = {}
    for key, shape, origin in tensors:
        if origin == "drawn":
            fan_in = np.prod(shape[1:])
            state_dict[key] = np.float32(rng.randn(*shape) * (fan_in**-0.5 if fan_in > 1 else 0.3))
        else:
            values = state_dict[origin] if isinstance(origin, str) else origin
            state_dict[key] = np.float32(np.broadcast_to(values, shape))
    return state_dict


_read = functools.cache(Golden)


@pytest.fixture
def golden():
    """A function of (stem, case) to a Golden, which all tests share: it is not to be changed."""
    return _read


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
