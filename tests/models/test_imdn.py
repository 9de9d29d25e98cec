"""IMDN: its attention; YNOT's wavelet and Fourier convolutions."""

import re

import jax
import numpy as np
import pytest

from jsr import convert, models
from jsr.analysis import counts
from jsr.errors import UserError
from jsr.models.imdn import CCA, SpectralTransform, haar, inverse_haar


def test_attention_to_features_that_are_constant_has_a_gradient():
    module, x = CCA(), np.ones((1, 4, 4, 16), np.float32)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, np.float32),
                             jax.eval_shape(module.init, jax.random.key(0), x))
    gradient = jax.jit(jax.grad(lambda x: module.apply(variables, x).sum()))(x)
    assert np.isfinite(gradient).all() and np.any(gradient != 0)


def test_haar_keeps_energy_and_is_undone():
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
    bands = haar(x)
    assert bands.shape == (2, 3, 2, 12)
    np.testing.assert_allclose(np.square(bands).sum(), np.square(x).sum(), rtol=1e-5)
    np.testing.assert_allclose(bands[..., :3], x.reshape(2, 3, 2, 2, 2, 3).sum((2, 4)) / 2, atol=1e-6)
    np.testing.assert_allclose(inverse_haar(bands), x, atol=1e-6)


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_with_nothing_but_ones_in_the_spectrum_the_features_pass_twice(size):
    """The spectrum of what is 1 at the top left and 0 elsewhere is positive and real: the ReLU leaves it."""
    module, x = SpectralTransform(2), np.zeros((1, *size, 1), np.float32)
    x[0, 0, 0] = 1
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32),
                          jax.eval_shape(module.init, jax.random.key(0), x)["params"])
    params["conv1"]["kernel"][:] = 1
    params["conv_spectrum"]["kernel"][0, 0] = np.eye(2)
    params["conv2"]["kernel"][0, 0] = [[1, 10]]
    np.testing.assert_allclose(module.apply({"params": params}, x), 2 * x * np.array([1, 10]), atol=1e-6)


def test_ynot_is_close_to_the_published_counts():
    params, macs = counts.count(models.create("imdn/ynot", scale=2), (1, 1080, 1920, 3))
    np.testing.assert_allclose(params, 0.4734e6, rtol=0.02)
    np.testing.assert_allclose(macs / 1e9, 422.6991, rtol=0.04)


def test_ynots_gradients_are_finite_and_reach_every_parameter():
    model = models.create("imdn/ynot", scale=2, num_feat=32, num_block=1)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
                             models.abstract("imdn/ynot", scale=2, num_feat=32, num_block=1))
    lr = rng.random((1, 12, 14, 3), np.float32)
    gradient = jax.jit(jax.grad(lambda v: abs(model.apply(v, lr) - 0.3).mean()),
                       compiler_options={"xla_backend_optimization_level": 0})(variables)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.any(leaf != 0), jax.tree_util.keystr(path)


def test_ynot_takes_even_sizes():
    assert models.card("imdn/ynot").padding.multiple == 2 and models.card("imdn/imdn").padding.multiple == 1


def test_what_is_inferred_has_no_names_elsewhere():
    with pytest.raises(UserError, match=re.escape("imdn: YNOT has no public code")):
        convert.formats(models.create("imdn/ynot", scale=2))
