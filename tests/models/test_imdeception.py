"""IMDeception: its areas of attention."""

import jax
import numpy as np

from jsr import models
from jsr.inference.chain import Chain
from jsr.models.imdeception import AreaAttention


def test_zeros_of_an_area_that_the_image_does_not_fill_are_keys():
    """With all logits equal and all values one, a pixel of an 8x12 image has 6 of 64 cells of its area."""
    module, x = AreaAttention(), np.zeros((1, 8, 12, 4), np.float32)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32),
                          jax.eval_shape(module.init, jax.random.key(0), x)["params"])
    params["conv_qkv"]["bias"][2] = 1
    params["conv_out"]["kernel"][:] = 1
    np.testing.assert_allclose(jax.jit(module.apply)({"params": params}, x), np.full(x.shape, 6 / 64), rtol=1e-6)


def test_tiles_are_never_exact():
    model = models.create("imdeception", scale=2, num_feat=16, num_block=2, attention=(0,))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(
        model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 16, 16, 3), np.float32)))
    assert Chain({"sr": model}, {"sr": variables}).reach(1000) is None
