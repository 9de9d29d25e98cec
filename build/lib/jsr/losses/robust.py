"""Barron's adaptive robust loss, whose shape and scale are learnt beside the network."""

import math

import jax
import jax.numpy as jnp
import numpy as np

_LEAST = 1e-6          # of alpha and of 2 - alpha, at which the formula has its limits
_TIMES, _STEP = np.linspace(0, 21, 1024, retstep=True)  # of the integral; its integrand is below 1e-8 behind
_SOFTPLUS_ZERO = math.log(math.expm1(1))  # where softplus is 1


def robust(pred, target, alpha_lo=0.001, alpha_hi=1.999, scale_lo=1e-5, scale_ref=1.0, per_channel=True, *, params):
    """The negative log-likelihood of the residuals: mean of rho(residual, alpha, scale) + log scale + log Z(alpha).

    Barron, A General and Adaptive Robust Loss Function (CVPR 2019), defaults as in jonbarron/robust_loss_pytorch. It is
    below zero where residuals are small. Z is integrated in place, exact to 1e-6, where that code has a table.

    Args:
      pred, target: (N, H, W, C).
      alpha_lo, alpha_hi: between which alpha lies: 0 is Cauchy's, 1 Charbonnier's, 2 the square's.
      scale_lo: below which the scale never is.
      scale_ref: at which the scale starts.
      per_channel: each channel has its own alpha and scale.
      params: as `init` makes them.

    Raises:
      ValueError: params of other options, or limits that are not ascending or not in 0..2.
    """
    _check(alpha_lo, alpha_hi, scale_lo, scale_ref)
    shape = pred.shape[-1] if per_channel else 1,
    if any(leaf.shape != shape for leaf in params.values()):
        raise ValueError(f"robust: params are {({k: v.shape for k, v in params.items()})}, expected {shape} each")
    alpha, scale = learnt(params, alpha_lo, alpha_hi, scale_lo, scale_ref).values()
    return jnp.mean(rho((pred - target) / scale, alpha) + jnp.log(scale) + log_partition(alpha))


def init(channels, alpha_lo=0.001, alpha_hi=1.999, scale_lo=1e-5, scale_ref=1.0, per_channel=True):
    """{"alpha", "scale"}: float32 zeros, the middle of alpha's range and `scale_ref`; options as `robust`."""
    _check(alpha_lo, alpha_hi, scale_lo, scale_ref)
    return {name: jnp.zeros(channels if per_channel else 1, jnp.float32) for name in ("alpha", "scale")}


def learnt(params, alpha_lo=0.001, alpha_hi=1.999, scale_lo=1e-5, scale_ref=1.0, per_channel=True):
    """{"alpha", "scale"}: what the params stand for, of their shape; options of `robust`."""
    del per_channel
    return {"alpha": alpha_lo + (alpha_hi - alpha_lo) * jax.nn.sigmoid(params["alpha"]),
            "scale": scale_lo + (scale_ref - scale_lo) * jax.nn.softplus(params["scale"] + _SOFTPLUS_ZERO)}


def rho(residual, alpha):
    """The loss of residuals in units of the scale; alpha in [0, 2], of a shape that broadcasts."""
    alpha = jnp.maximum(alpha, _LEAST)
    b = jnp.maximum(2 - alpha, _LEAST)
    # log1p and expm1 keep the digits of residuals far below the scale, which a power of 1 + x would lose
    return b / alpha * jnp.expm1(alpha / 2 * jnp.log1p(residual**2 / b))


def log_partition(alpha):
    """log Z(alpha), Z being the integral of exp(-rho(x, alpha)) over all x; float32 of alpha's shape.

    The trapezoidal rule in t, x = sinh(t), where the integrand falls off as exp(-|t|) even for alpha = 0.
    """
    weights = np.where(_TIMES > 0, 2, 1) * _STEP * np.cosh(_TIMES)
    values = jnp.exp(-rho(np.sinh(_TIMES).astype(np.float32), alpha[..., None]))
    return jnp.log(jnp.sum(values * weights.astype(np.float32), axis=-1))


def _check(alpha_lo, alpha_hi, scale_lo, scale_ref):
    if not 0 <= alpha_lo < alpha_hi <= 2:
        raise ValueError(f"robust: alpha_lo={alpha_lo} and alpha_hi={alpha_hi} are not ascending within 0..2")
    if not 0 < scale_lo < scale_ref:
        raise ValueError(f"robust: scale_lo={scale_lo} and scale_ref={scale_ref} are not ascending and positive")
