"""YNOT: its spectral transform, its wavelets, and its deployed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models, reparam
from jsr.models.ynot import BANDS, SMALL, FourierUnit, Unpool, haar


def test_haars_bands_are_undone_by_unpooling():
    x, sr = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32), 0
    for band in BANDS:
        kernel = haar(band)(None, (2, 2, 1, 3))
        pooled = (x.reshape(2, 3, 2, 2, 2, 3) * kernel[None, None, :, None, :, 0]).sum((2, 4))
        sr += Unpool(band).apply(Unpool(band).init(jax.random.key(0), pooled), pooled)
    np.testing.assert_allclose(sr, x, atol=1e-6)


def test_with_the_identity_on_the_spectrum_a_fourier_unit_gives_its_input():
    """The spectrum of what is 1 at the top left and 0 elsewhere is positive and real: the ReLU leaves it."""
    unit, x = FourierUnit(deploy=True), np.zeros((1, 5, 8, 2), np.float32)
    x[0, 0, 0] = 1, 3
    conv = {"kernel": np.eye(4, dtype=np.float32)[None, None], "bias": np.zeros(4, np.float32)}
    np.testing.assert_allclose(unit.apply({"params": {"spectrum": {"conv": conv}}}, x), x, atol=1e-6)


def test_fused_it_computes_the_same(drawn, run):
    model = models.create("ynot", scale=2, **SMALL)
    variables = drawn(model)
    deployed, fused, report = reparam.fuse(model, variables)
    assert len(report) == 6 and max(report.values()) < 1e-12 and not fused.get("batch_stats")
    lr = np.random.default_rng(1).random((1, 6, 8, 3))
    expected, sr = run(model, variables, lr), run(deployed, fused, lr)
    assert np.abs(sr - expected).max() < 1e-5 * np.abs(expected).max()  # the fused parameters are float32


@pytest.mark.slow
def test_gradients_are_finite_and_reach_every_parameter(drawn):
    model = models.create("ynot", scale=2, **SMALL)
    lr = np.random.default_rng(0).random((1, 12, 14, 3), np.float32)
    variables = jax.tree.map(np.float32, drawn(model))

    def loss(params):
        sr, _ = model.apply({**variables, "params": params}, lr, train=True, mutable=["batch_stats"])
        return abs(sr - 0.3).mean()

    gradient = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})(variables["params"])
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert jnp.isfinite(leaf).all() and jnp.any(leaf != 0), jax.tree_util.keystr(path)
