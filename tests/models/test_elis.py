"""ELIS: how near its operations come to the published ones, and which features its convolutions mix."""

import numpy as np

from jsr import models
from jsr.analysis import counts


def test_multiply_accumulates_are_nearly_the_published():
    macs = counts.count(models.create("elis", scale=2), (1, 1080, 1920, 3))[1]
    assert abs(macs / 57.2567e9 - 1) < 0.007


def test_the_parts_of_the_features_are_convolved_apart():
    params = models.abstract("elis", scale=2)["params"]
    assert [params[f"body_{index}"]["split"]["kernel"].shape for index in range(5)] == [(3, 3, 8, 32)] * 5
    attention = params["body_0"]["attention"]
    assert sum(np.prod(leaf.shape) == 9 * 8 * 8 for leaf in (attention[name]["kernel"] for name in attention)) == 4
