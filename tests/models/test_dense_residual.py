"""Baidu's dense residual network: what is searched for, and its connections between blocks."""

import numpy as np

from jsr import models
from jsr.models.dense_residual import Block


def test_depth_width_and_stages_are_fields():
    params = models.abstract("dense_residual", scale=2, num_feat=32, num_block=3, num_stage=4)["params"]
    assert sum(name.startswith("body_") for name in params) == 3
    assert params["body_2"]["fusion"]["kernel"].shape == (1, 1, 4 * 32, 32)


def test_what_the_block_before_was_given_reaches_both_stages():
    """Stages that pass on what is not negative, and a fusion that takes the second one's: twice `before` is added."""
    identity = np.zeros((3, 3, 2, 2), np.float32)
    identity[1, 1] = np.eye(2)
    bias = np.zeros(2, np.float32)
    params = {f"stage_{i}_conv{half}": dict(kernel=identity, bias=bias) for i in range(2) for half in (1, 2)}
    params["fusion"] = dict(kernel=np.float32([[0, 0], [0, 0], [1, 0], [0, 1]])[None, None], bias=bias)
    half_weight = dict(kernel=np.zeros((1, 1, 2, 2), np.float32), bias=bias)  # an attention of 1 / 2
    params["attention"] = dict(attention_1=half_weight, attention_3=half_weight)
    x, before = np.random.default_rng(0).random((2, 1, 4, 5, 2), np.float32)
    y = Block(2, 1).apply({"params": params}, x, before)
    np.testing.assert_allclose(y, x + (x + 2 * before) / 2, atol=1e-6)
