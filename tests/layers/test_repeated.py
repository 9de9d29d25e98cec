"""Layers in turn: scanned they are the layers one after the other."""

import flax.linen as nn
import jax
from jax.extend.core import jaxprs_in_params
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.layers.attention import DropPath
from jsr.layers.repeated import in_turn, scanned

SWIN = dict(scale=1, embed_dim=4, depths=(4, 4), num_heads=(2, 2), window_size=2, num_feat=4, drop_path_rate=0.0)
NETWORKS = {"hat": dict(SWIN, compress_ratio=2, squeeze_factor=2), "swinir/denoise": SWIN, "swin2sr/car": SWIN}


class Layer(nn.Module):
    sign: int
    drop_path: float = 0.0
    norm: bool = False

    @nn.compact
    def __call__(self, x):
        y = nn.BatchNorm(use_running_average=True)(x) if self.norm else x
        return x + self.sign * DropPath(self.drop_path)(nn.tanh(nn.Dense(x.shape[-1], name="dense")(y)))


class Layers(nn.Module):
    drop_paths: tuple = (0.0,) * 5
    norm: bool = False

    @nn.compact
    def __call__(self, x):
        layers = [Layer(1 - 2 * (index % 2), rate, self.norm, name=f"blocks_{index}")
                  for index, rate in enumerate(self.drop_paths)]
        return in_turn(layers, x, varying="drop_path")


def scans(call, *arrays):
    """Lengths of the scans of a function's trace."""
    def lengths(jaxpr):
        for eqn in jaxpr.eqns:
            yield from [eqn.params["length"]] if eqn.primitive.name == "scan" else []
            for inner in jaxprs_in_params(eqn.params):
                yield from lengths(inner)

    with scanned():
        return list(lengths(jax.make_jaxpr(call)(*arrays).jaxpr))


def drawn(model, shape):
    """Variables of a network, all of them random."""
    rng = np.random.default_rng(0)
    abstract = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), leaf.dtype), abstract)


def same_both_ways(model, shape):
    """Asserts that output and gradients of a network are the same within `scanned` and without."""
    variables, x = drawn(model, shape), jnp.asarray(np.random.default_rng(1).random(shape), jnp.float32)

    def loss(variables, x):
        y = model.apply(variables, x)
        return jnp.sin(3 * y).mean(), y

    found = []
    for on in (False, True):
        with scanned(on):
            found.append(jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(variables, x))
    (gradients, plain), (others, once) = found
    np.testing.assert_allclose(once, plain, rtol=0, atol=1e-6 * abs(plain).max())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=0, atol=1e-5 * abs(a).max() + 1e-9), gradients,
                 others)


def test_alternating_layers_are_a_scan_of_pairs():
    model = Layers()
    same_both_ways(model, (2, 3))
    assert scans(model.apply, drawn(model, (2, 3)), jnp.zeros((2, 3))) == [2]


def test_initialised_layers_have_their_names():
    with scanned():
        names = jax.eval_shape(Layers().init, jax.random.key(0), jnp.zeros((1, 3)))["params"].keys()
    assert names == {f"blocks_{index}" for index in range(5)}


def test_what_is_noted_or_normalised_by_statistics_stays_apart():
    model, x = Layers(), jnp.zeros((2, 3))
    assert scans(lambda v, x: model.apply(v, x, capture_intermediates=True), drawn(model, (2, 3)), x) == []
    with_statistics = Layers(norm=True)
    assert scans(with_statistics.apply, drawn(with_statistics, (2, 3)), x) == []


def test_paths_are_dropped_at_each_layer_s_own_rate():
    """The mean over many samples is the output without drops of a first layer, and layers draw for themselves."""
    rates = (0.0, 0.2, 0.4, 0.6)

    class Ones(nn.Module):
        drop_path: float

        @nn.compact
        def __call__(self, x):
            place = self.param("place", nn.initializers.zeros, (4,))
            return x + DropPath(self.drop_path)(jnp.broadcast_to(place, x.shape))

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return in_turn([Ones(rate, name=f"blocks_{index}") for index, rate in enumerate(rates)], x,
                           varying="drop_path")

    variables = {"params": {f"blocks_{index}": {"place": jnp.eye(4)[index]} for index in range(4)}}
    with scanned():
        y = Net().apply(variables, jnp.zeros((20_000, 4)), rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(y) != 0
    np.testing.assert_allclose(y.mean(0), 1, atol=0.04)  # four standard deviations of the last
    np.testing.assert_allclose(kept.mean(0), 1 - np.array(rates), atol=0.015)
    np.testing.assert_allclose(np.corrcoef(kept[:, 1:].T), np.eye(3), atol=0.03)


@pytest.mark.parametrize("name", NETWORKS)
def test_transformers_scan_their_groups(name):
    model = models.create(name, **NETWORKS[name], dtype="bfloat16")
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    assert scans(model.apply, variables, jnp.zeros((1, 4, 4, 3))) == [2]

    dropping = model.clone(drop_path_rate=0.3)
    assert scans(lambda v, x, key: dropping.apply(v, x, train=True, rngs={"dropout": key}), variables,
                 jnp.zeros((1, 4, 4, 3)), jax.random.key(0)) == [2]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("remat", [False, True])
def test_transformers_are_the_same_scanned(name, remat):
    same_both_ways(models.create(name, **NETWORKS[name], remat=remat), (1, 4, 4, 3))
