"""Dual domain: its two outputs, its ensemble and its fusion."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr import models
from jsr.inference.ensemble import self_ensemble
from jsr.models.dual_domain import SMALL, PixelAttention, haar, inverse_haar, mean_of_eight


def test_the_clean_image_is_of_the_size_of_lr_and_the_ensemble_needs_no_parameters():
    def traced(geometric):
        model = models.create("dual_domain", scale=4, **SMALL | dict(geometric=geometric))
        lr = jax.ShapeDtypeStruct((2, 16, 24, 3), jnp.float32)
        return jax.eval_shape(model.init_with_output, jax.random.key(0), lr)

    outputs, variables = traced(True)
    assert {name: image.shape for name, image in outputs.items()} == {"sr": (2, 64, 96, 3), "lr_clean": (2, 16, 24, 3)}
    assert traced(False) == (outputs, variables)


def test_the_ensemble_inside_is_the_one_outside():
    rng = np.random.default_rng(0)
    weights, lr = rng.random((12, 12, 1), np.float32), rng.random((2, 6, 4, 3), np.float32)

    def network(x):  # depends on the place, which flips and turns change
        large, small = (weights[:factor * x.shape[1], :factor * x.shape[2]] for factor in (2, 1))
        return x.repeat(2, 1).repeat(2, 2) * large, x * small

    for index, images in enumerate(jax.jit(lambda lr: mean_of_eight(network, lr))(lr)):
        for image, one in zip(images, lr, strict=True):
            expected = self_ensemble(lambda x, index=index: network(x[None])[index][0], one)
            np.testing.assert_allclose(image, expected, rtol=1e-5)


def test_fusion_weighs_each_value_of_one_image_against_the_others():
    module, rng = PixelAttention(4), np.random.default_rng(0)
    one, other = rng.random((1, 5, 6, 3), np.float32), rng.random((1, 5, 6, 3), np.float32) + 2
    shapes = jax.eval_shape(module.init, jax.random.key(0), one, other)
    fused = jax.jit(module.apply)(jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape), shapes), one, other)
    share = (fused - other) / (one - other)
    assert -1e-6 < share.min() < 0.4 and 0.6 < share.max() < 1 + 1e-6


def test_haar_keeps_energy_and_is_undone():
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
    bands = haar(x)
    assert bands.shape == (2, 3, 2, 12)
    np.testing.assert_allclose(np.square(bands).sum(), np.square(x).sum(), rtol=1e-5)
    np.testing.assert_allclose(bands[..., :3], x.reshape(2, 3, 2, 2, 2, 3).sum((2, 4)) / 2, atol=1e-6)
    np.testing.assert_allclose(inverse_haar(bands), x, atol=1e-6)
