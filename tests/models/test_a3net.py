"""A3Net: what the report states of it, and that its controller sees the whole image."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.layers.pool import local_means
from jsr.layers.resize import bilinear
from jsr.models.a3net import Controller


def test_the_blocks_are_as_many_and_as_wide_as_the_report_says():
    params = models.abstract("a3net", scale=4)["params"]
    naf = {name: block["conv3"]["bias"].size for name, block in params.items() if "sca_1" in block}
    assert naf == {f"encoder{level}_{index}": 32 * 2**level for level in (1, 2, 3, 4) for index in range(2)} | {
        f"reconstructor_{index}": 64 for index in range(8)}
    modulated = {name: block["res"]["conv_1"]["bias"].size for name, block in params.items() if "res" in block}
    assert modulated == {f"decoder{level}_{index}": 32 * 2**level for level in (1, 2, 3) for index in range(4)}
    for level in (1, 2, 3):  # the MLP's three last layers
        assert {part["kernel"].shape for part in params[f"modulation{level}"].values()} == {(512, 32 * 2**level)}


def test_without_its_last_convolution_it_enlarges_bilinearly(drawn, run):
    none = dict.fromkeys(("num_encoder_block", "num_decoder_block", "num_reconstructor_block"), 0)
    model = models.create("a3net", scale=4, num_feat=2, **none)
    variables, lr = drawn(model), np.random.default_rng(0).random((1, 8, 16, 3))
    assert np.abs(run(model, variables, lr) - bilinear(lr, 32, 64)).max() > 0.1
    variables["params"]["conv_last"] = jax.tree.map(np.zeros_like, variables["params"]["conv_last"])
    np.testing.assert_allclose(run(model, variables, lr), bilinear(lr, 32, 64), atol=1e-6)


def test_the_controller_takes_the_mean_of_the_whole_image_where_others_take_windows():
    with local_means(8, 16, 16):
        artifacts = jax.eval_shape(Controller().init_with_output, jax.random.key(0), jnp.zeros((2, 16, 16, 4)))[0]
    assert artifacts.shape == (2, 1, 1, 4)
