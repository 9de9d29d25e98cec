"""The Restormer of UESTC+XJU CV: its blocks, and the way of the enlarged image around it."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.layers.resize import bicubic_upsample
from jsr.models.uestc import RDCB


def test_channel_attention_weighs_all_features_before_they_are_fused():
    """Without what the dense layers add, and with weights of a half, the block is x and half of it."""
    block, x = RDCB(num_grow_ch=2, squeeze_factor=3), np.arange(16, dtype=np.float32).reshape(1, 2, 2, 4)
    shapes = jax.eval_shape(block.init, jax.random.key(0), jnp.asarray(x))["params"]
    assert shapes["attention"]["attention_1"]["kernel"].shape == (1, 1, 12, 4)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    params["fusion"]["kernel"][0, 0, :4] = np.eye(4)
    np.testing.assert_allclose(block.apply({"params": params}, x), 1.5 * x)


def test_what_the_network_makes_is_added_to_the_enlarged_image(drawn, run):
    fields = dict(dim=2, num_blocks=(1,), heads=(1,), num_refinement_blocks=0, num_feat=2, num_rdcb=0)
    model = models.create("uestc", scale=4, **fields)
    variables, lr = drawn(model), np.random.default_rng(0).random((1, 3, 4, 3))
    last = variables["params"]["conv_last"]
    last["kernel"][:] = 0
    np.testing.assert_allclose(run(model, variables, lr), bicubic_upsample(lr, 4) + last["bias"], atol=1e-5)
