"""CFN: its levels."""

import jax
import jax.numpy as jnp
import pytest

from jsr import models


@pytest.mark.parametrize("scale, levels", [(2, {}), (3, {}), (4, {"sr_x2": 2}), (8, {"sr_x2": 2, "sr_x4": 4})])
def test_every_level_has_an_image_of_its_size(scale, levels):
    model = models.create("cfn", scale=scale, num_feat=4, num_block=1)
    lr = jax.ShapeDtypeStruct((1, 5, 6, 3), jnp.float32)
    images = jax.eval_shape(lambda lr: model.init_with_output(jax.random.key(0), lr)[0], lr)
    assert {name: image.shape for name, image in images.items()} == {
        name: (1, 5 * factor, 6 * factor, 3) for name, factor in {**levels, "sr": scale}.items()}
