"""SRResDNet: its noise estimate, its projection, and the start of its weights."""

import jax
import numpy as np
import pytest

from jsr.models.srresdnet import lower_median, noise_level, project


@pytest.mark.parametrize("length", [1, 4, 7])
def test_the_median_is_pytorchs(length):
    x = np.random.default_rng(0).normal(size=(2, 3, length)).astype(np.float32)
    np.testing.assert_array_equal(lower_median(x), np.sort(x)[..., (length - 1) // 2])


def test_white_noise_is_measured_and_a_smooth_image_has_none():
    ramp = np.broadcast_to(np.linspace(0, 1, 48)[None, :, None, None], (1, 48, 48, 3))
    noise = np.random.default_rng(0).normal(0, 0.05, (1, 48, 48, 3))
    noisy, smooth = jax.jit(noise_level)(np.concatenate([ramp + noise, ramp]).astype(np.float32)).ravel()
    assert noisy == pytest.approx(0.05, rel=0.1) and smooth < 1e-3


def test_only_what_is_longer_is_shortened():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 3)) * np.array([0.1, 10]).reshape(2, 1, 1, 1)
    y = project(x, np.full((2, 1, 1, 1), 9.0))
    np.testing.assert_allclose(y[0], x[0])
    np.testing.assert_allclose(np.linalg.norm(y[1]), 3, rtol=1e-5)
