"""Swin2SR: its heads' and layers' promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.models.swin2sr import CosineWindowAttention


def test_the_clean_image_is_of_the_size_of_lr():
    variables = models.abstract("swin2sr/compressed", scale=4)
    model = models.create("swin2sr/compressed", scale=4)
    outputs = jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct((2, 16, 24, 3), jnp.float32))
    assert {name: image.shape for name, image in outputs.items()} == {"sr": (2, 64, 96, 3), "lr_clean": (2, 16, 24, 3)}


def test_sr_is_made_of_the_clean_image_and_the_input_alone():
    """Where the clean image is fixed, the trunk has no other way to SR."""
    fields = dict(scale=2, embed_dim=6, depths=(1,), num_heads=(1,), window_size=4, num_feat=4)
    model = models.create("swin2sr/compressed", **fields)
    rng, apply = np.random.default_rng(0), jax.jit(model.apply)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
                          models.abstract("swin2sr/compressed", **fields)["params"])
    other = {**params, "layers_0": jax.tree.map(lambda leaf: leaf + 1, params["layers_0"])}
    lr = rng.random((1, 8, 8, 3), np.float32)

    def sr(params, aux_scale):
        aux = jax.tree.map(lambda leaf: leaf * aux_scale, params["head"]["conv_aux"])
        return apply({"params": {**params, "head": {**params["head"], "conv_aux": aux}}}, lr)["sr"]

    assert (sr(params, 1) != sr(other, 1)).any()
    assert (sr(params, 0) == sr(other, 0)).all()


@pytest.mark.slow
def test_high_frequencies_have_a_trunk_of_their_own_with_shared_embedding_and_norm():
    def leaves(upsampler):
        return models.abstract("swin2sr/classical", scale=4, upsampler=upsampler)["params"]

    both, one = leaves("pixelshuffle_hf"), leaves("pixelshuffle")
    groups = {f"layers_hf_{index}" for index in range(6)}
    assert both.keys() - one.keys() == groups | {"conv_first_hf", "conv_after_body_hf", "head_hf"}
    assert {name: both[name] for name in one} == one
    assert sum(leaf.size for leaf in jax.tree.leaves(both)) == 24_544_086  # the original's


def test_high_frequencies_are_what_sr_has_over_its_base():
    """And the base knows nothing of them."""
    fields = dict(scale=2, embed_dim=6, depths=(1,), num_heads=(1,), window_size=4, num_feat=4, img_range=2.0,
                  upsampler="pixelshuffle_hf")
    model, rng = models.create("swin2sr", **fields), np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
                          models.abstract("swin2sr", **fields)["params"])
    other = {**params, "layers_hf_0": jax.tree.map(lambda leaf: leaf + 1, params["layers_hf_0"])}
    lr, apply = rng.random((1, 8, 8, 3), np.float32), jax.jit(model.apply)
    first, second = (apply({"params": p}, lr) for p in (params, other))
    assert {image.shape for image in first.values()} == {(1, 16, 16, 3)}
    added = first["high_frequency"] - np.float32(model.mean)
    np.testing.assert_allclose(first["sr"], first["sr_base"] + added, rtol=0, atol=1e-5 * abs(added).max())
    assert (first["sr_base"] == second["sr_base"]).all()
    assert (first["high_frequency"] != second["high_frequency"]).any()


def test_temperature_starts_at_ten_and_ends_at_a_hundred():
    attention, windows = CosineWindowAttention(num_heads=2), jax.random.normal(jax.random.key(0), (1, 2, 16, 6))
    variables = jax.jit(attention.init)(jax.random.key(1), windows)
    np.testing.assert_allclose(jnp.exp(variables["params"]["logit_scale"]), np.full((2, 1, 1), 10), rtol=1e-6)

    apply = jax.jit(attention.apply)

    def at(temperature):
        params = variables["params"] | {"logit_scale": jnp.full((2, 1, 1), np.log(temperature))}
        return apply({"params": params}, windows)

    assert (at(101.0) == at(1e6)).all() and (at(99.0) != at(101.0)).any()


@pytest.mark.slow
def test_cosines_do_not_suffer_in_bfloat16():
    """At temperature 100 cosines of bfloat16 vectors would be off by a few tenths in the exponent."""
    windows = jax.random.normal(jax.random.key(0), (1, 2, 64, 12))
    variables = jax.jit(CosineWindowAttention(2).init)(jax.random.key(1), windows)
    params = {**variables["params"], "logit_scale": jnp.full((2, 1, 1), np.log(100.0))}
    variables = {"params": params | {"qkv": {"kernel": params["qkv"]["kernel"].astype(jnp.bfloat16) * 20}}}
    windows = windows.astype(jnp.bfloat16)
    low = jax.jit(CosineWindowAttention(2, dtype=jnp.bfloat16).apply)(variables, windows).astype(jnp.float32)
    high = jax.jit(CosineWindowAttention(2).apply)(variables, windows.astype(jnp.float32))
    assert abs(low - high).max() < 0.1 * abs(high).max()


@pytest.mark.slow
def test_no_gradient_is_lost_where_a_query_is_zero():
    attention, windows = CosineWindowAttention(num_heads=1), jnp.zeros((1, 1, 4, 2))
    variables = jax.jit(attention.init)(jax.random.key(1), windows)
    gradient = jax.jit(jax.grad(lambda v: attention.apply(v, windows).sum()))(variables)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_layers_that_are_computed_again_have_the_same_parameters_and_output():
    fields = dict(scale=2, embed_dim=4, depths=(2,), num_heads=(2,), window_size=4, num_feat=2)
    plain, remat = (models.create("swin2sr", **fields, remat=remat) for remat in (False, True))
    variables = models.abstract("swin2sr", **fields)
    assert jax.tree.structure(models.abstract("swin2sr", **fields, remat=True)) == jax.tree.structure(variables)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), variables)
    lr = rng.random((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(*(jax.jit(model.apply)(variables, lr) for model in (plain, remat)), rtol=1e-5)
    assert "remat" in str(jax.make_jaxpr(remat.apply)(variables, lr))
