"""ESRGAN's critic: what it judges, and its statistics."""

import functools

import jax
import numpy as np

from jsr import models
from jsr.convert.identify import identify
from jsr.models import discriminator


def test_a_larger_image_has_a_logit_every_32_px():
    model, variables = (make("discriminator", scale=1, num_feat=1) for make in (models.create, models.abstract))
    image = jax.ShapeDtypeStruct((1, 256, 128, 3), np.float32)
    assert jax.eval_shape(model.apply, variables, image).shape == (1, 5, 1, 1)


def test_other_state_dicts_are_not_recognised(golden):
    state_dict = golden("discriminator", "srrescgan").state_dict
    assert identify(state_dict | {"bn5_0.weight": np.zeros(8)}) is None


def test_srrescgans_looks_at_detail_alone():
    model = models.create("discriminator/srrescgan", scale=1)
    assert (model.high_pass, model.img_range, model.size_multiple) == (9, 255, 128)


def test_flat_images_have_no_detail_to_judge():
    """What the high pass leaves of them is 0.5, away from the borders, whatever their brightness."""
    image = np.full((1, 16, 16, 3), 0.7, np.float32)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(discriminator._without_mean(image, 9)[inner], 0.5, rtol=1e-6)
    np.testing.assert_allclose(discriminator._without_mean(image, 9)[0, 0, 0], 0.5 + 0.35 * (1 - 25 / 81), rtol=1e-6)


def test_statistics_follow_the_images_in_training_alone():
    fields = dict(size=32, num_feat=1, num_hidden=2)
    model = models.create("discriminator", scale=1, **fields)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, leaf.dtype),
                             models.abstract("discriminator", scale=1, **fields))
    image = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)

    @functools.partial(jax.jit, static_argnums=1, compiler_options={"xla_backend_optimization_level": 0})
    def run(variables, train):
        return model.apply(variables, image, train=train, mutable=["batch_stats"])[1]["batch_stats"]

    assert all((new == 0.1).all() for new in jax.tree.leaves(run(variables, False)))
    assert all((new != 0.1).all() for new in jax.tree.leaves(run(variables, True)))
