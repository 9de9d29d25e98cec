"""ADCSR: CETC-CSKT's attention."""

import numpy as np
import pytest

from jsr import convert, models
from jsr.errors import UserError
from jsr.layers.colour import RGB_MEAN
from jsr.models.adcsr import SpatialAttention


def test_a_pixels_mask_is_of_its_largest_feature_and_their_mean():
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 3)).astype(np.float32)
    kernel = np.zeros((7, 7, 2, 1), np.float32)
    kernel[3, 3, :, 0] = 2, -3
    mask = 1 / (1 + np.exp(3 * x.mean(-1, keepdims=True) - 2 * x.max(-1, keepdims=True)))
    y = SpatialAttention().apply({"params": {"conv": {"kernel": kernel}}}, x)
    np.testing.assert_allclose(y, x * mask, atol=1e-6)


def test_the_attention_has_no_names_elsewhere():
    with pytest.raises(UserError, match="adcsr: no public code has the spatial attention"):
        convert.formats(models.create("adcsr/spatial", scale=2))


def test_without_groups_it_is_the_skip_connection_alone():
    alone = models.create("adcsr", scale=2, num_group=0)
    params = models.abstract("adcsr", scale=2, num_group=0)["params"]
    assert params.keys() == {"skip_0"}
    zeros = {name: np.zeros(leaf.shape, np.float32) for name, leaf in params["skip_0"].items()}
    zeros["kernel"][2, 2] = 1  # of which the magnitude, 0, leaves nothing
    zeros["bias"] += 0.5
    sr = alone.apply({"params": {"skip_0": zeros}}, np.zeros((1, 2, 3, 3), np.float32))
    np.testing.assert_allclose(sr, np.broadcast_to(np.add(RGB_MEAN, 0.25), (1, 4, 6, 3)), atol=1e-6)
