"""Barron's adaptive loss against jonbarron/robust_loss_pytorch, SciPy and what is known of its limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from jsr import losses
from jsr.losses import robust

SET = {"alpha": np.float32([-3, 0.5, 4]), "scale": np.float32([-4, -1, 1.5])}


# Values and gradients of AdaptiveLossFunction in float64: with its parameters as they start, and with those of SET.
@pytest.mark.parametrize("params, expected, of_alpha, of_scale", [
    (None, 1.2655102472279687, [-0.03193529262686857, -0.031977568612714065, -0.031984600553189],
     [0.17537407622875856, 0.18191220390904453, 0.18124705895721394]),
    (SET, 1.4645395942947417, [0.07997515300070901, -0.02623812134567081, -0.006827627942657316],
     [-0.35404508296975185, 0.14492363297792668, 0.1316890041628696]),
])
def test_it_is_the_published_one(quick, pair, params, expected, of_alpha, of_scale):
    loss = quick(jax.value_and_grad(lambda params: robust.robust(*pair, params=params)))
    value, gradient = loss(params or robust.init(3))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient["alpha"], of_alpha, rtol=1e-4)
    np.testing.assert_allclose(gradient["scale"], of_scale, rtol=1e-4)


def test_one_alpha_of_other_limits(quick, pair):
    options = dict(alpha_lo=0.1, alpha_hi=1.5, scale_lo=1e-3, scale_ref=0.2, per_channel=False)
    params = losses.PARAMS["robust"](3, **options)
    assert {name: (leaf.shape, leaf.dtype) for name, leaf in params.items()} == {
        name: ((1,), jnp.float32) for name in ("alpha", "scale")}
    loss = quick(lambda params: robust.robust(*pair, **options, params=params))(params)
    np.testing.assert_allclose(loss, 0.6400492819642479, rtol=1e-6)


def test_the_partition_function(quick):
    """Its closed forms, published values (Meijer's G), and SciPy's integral."""
    known = {0: np.pi * np.sqrt(2), 2: np.sqrt(2 * np.pi), 0.25: np.exp(1.3641634123216801),
             1: np.exp(1.185495232349193), 1.5: np.exp(1.0871889192928512), 1.75: np.exp(1.0274928776459376)}
    for alpha in (0.6, 1.3, 1.99):
        known[alpha], _ = integrate.quad(
            lambda x, alpha: np.exp(-(2 - alpha) / alpha * ((x * x / (2 - alpha) + 1)**(alpha / 2) - 1)),
            -np.inf, np.inf, (alpha,))
    alphas = np.float32(list(known))
    np.testing.assert_allclose(quick(robust.log_partition)(alphas), np.log(list(known.values())), atol=1e-6)


def test_its_limits_are_the_losses_that_they_are_called(quick):
    rho, x = quick(robust.rho), np.float32([0, 1e-4, 0.3, 5, 1e4])
    for alpha, expected in ((0, np.log1p(x**2 / 2)), (1, np.sqrt(x.astype(float)**2 + 1) - 1), (2, x**2 / 2)):
        np.testing.assert_allclose(rho(x, np.float32(alpha)), expected, rtol=2e-5, atol=1e-12)


def test_the_scale_that_it_learns_is_that_of_gaussian_residuals(quick):
    residual = np.random.default_rng(0).normal(0, 0.05, (1, 32, 32, 1)).astype(np.float32)
    options = dict(alpha_lo=1.999, alpha_hi=2.0, scale_ref=0.2)

    @quick
    def descend(params):
        gradient = jax.grad(lambda params: robust.robust(residual, 0 * residual, **options, params=params))
        return jax.lax.fori_loop(0, 100, lambda _, params: jax.tree.map(jnp.subtract, params, gradient(params)), params)

    latent = descend(robust.init(1, **options))["scale"]
    scale = 1e-5 + (0.2 - 1e-5) * np.log1p(np.expm1(1) * np.exp(latent))
    np.testing.assert_allclose(scale, residual.std(), rtol=2e-3)


@pytest.mark.parametrize("options, message", [
    ({"alpha_lo": -0.1}, "alpha_lo=-0.1 and alpha_hi=1.999 are not ascending within 0..2"),
    ({"alpha_hi": 2.5}, "alpha_hi=2.5 are not ascending"), ({"alpha_lo": 1.0, "alpha_hi": 1.0}, "are not ascending"),
    ({"scale_lo": 0.0}, "scale_lo=0.0 and scale_ref=1.0 are not ascending and positive"),
    ({"scale_ref": 1e-6}, "scale_lo=1e-05 and scale_ref=1e-06"),
])
def test_wrong_limits(pair, options, message):
    with pytest.raises(ValueError, match=message):
        robust.init(3, **options)
    with pytest.raises(ValueError, match=message):
        robust.robust(*pair, **options, params=robust.init(3))


def test_params_of_other_options(pair):
    with pytest.raises(ValueError, match=r"robust: params are .*\(1,\).*, expected \(3,\) each"):
        robust.robust(*pair, params=robust.init(3, per_channel=False))
