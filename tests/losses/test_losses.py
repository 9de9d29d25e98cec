"""Losses by hand, and rows that are wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from jsr import losses
from jsr.errors import UserError

PRED = np.array([0.0, 1.0, 3.0], np.float32)
TARGET = np.array([0.0, 2.0, 1.0], np.float32)


@pytest.mark.parametrize("name, expected", [
    ("l1", 1.0), ("mse", 5 / 3),
    ("charbonnier", (1e-3 + np.sqrt(1 + 1e-6) + np.sqrt(4 + 1e-6)) / 3),
])
def test_known_values(name, expected):
    np.testing.assert_allclose(losses.LOSSES[name](PRED, TARGET), expected, rtol=1e-6)


def test_high_frequency_l1_sees_detail_and_not_brightness():
    pred = np.zeros((2, 9, 8, 3), np.float32)
    pred[1, 4, 4, 0] = 1
    center = 1 / np.exp(-np.arange(-2, 3)**2 / (2 * 1.1**2)).sum()
    # an impulse far from the borders: it loses its own weight at its place, and all the other weights lie around it
    expected = 2 * (1 - center**2) / pred.size
    np.testing.assert_allclose(losses.high_frequency_l1(pred, np.zeros_like(pred)), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.high_frequency_l1(pred + 0.25, pred), 0, atol=1e-7)
    across = np.broadcast_to(np.arange(8, dtype=np.float32)[None, None, :, None], pred.shape)
    # a ramp has no detail but where the border turns it back
    blurred_away = np.abs(losses._blur(across) - across)
    np.testing.assert_allclose(blurred_away[:, :, 2:-2], 0, atol=1e-5)
    assert (blurred_away[:, :, 0] > 0.1).all()


def test_rows_are_weighted_and_named():
    rows = [dict(fn="l1", pred="sr", target="hr", weight=1.0), dict(fn="mse", pred="aux", target="hr", weight=0.5)]
    loss, values = losses.total(rows, {"sr": PRED, "aux": PRED}, {"hr": TARGET})
    np.testing.assert_allclose(loss, 1 + 0.5 * 5 / 3, rtol=1e-6)
    np.testing.assert_allclose([values["loss/l1_sr"], values["loss/mse_aux"]], [1, 5 / 3], rtol=1e-6)


def test_bfloat16_predictions_are_compared_in_float32():
    pred = jnp.full((1000,), 1.0, jnp.bfloat16)
    loss, _ = losses.total([dict(fn="l1", pred="sr", target="hr", weight=1.0)], {"sr": pred}, {"hr": jnp.full((1000,), 1.001)})
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, 1e-3, rtol=1e-3)


@pytest.mark.parametrize("row, message", [
    (dict(fn="l3", pred="sr", target="hr", weight=1.0), "loss 'l3' is unknown; did you mean 'l1'"),
    (dict(fn="l1", pred="sr", weight=1.0), "needs exactly the keys"),
])
def test_wrong_rows(row, message):
    with pytest.raises(UserError, match=message):
        losses.check_rows([row])


def test_missing_key_and_shape():
    row = dict(fn="l1", pred="sr", target="hr", weight=1.0)
    with pytest.raises(ValueError, match="no 'hr' in the batch; it has lr"):
        losses.total([row], {"sr": PRED}, {"lr": PRED})
    with pytest.raises(ValueError, match=r"sr is \(3,\), hr is \(2,\)"):
        losses.total([row], {"sr": PRED}, {"hr": PRED[:2]})
