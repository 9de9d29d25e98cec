"""Restormer: its variant without biases; what networks that build on its trunk rely on."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.inference.chain import Chain
from jsr.models.restormer import BiasFreeNorm, Trunk

TINY = dict(scale=1, dim=2, num_blocks=(1, 1), heads=(1, 1), num_refinement_blocks=0)


def test_the_variant_without_biases_is_told_apart(drawn):
    model = models.create("restormer/bias_free", **TINY | dict(dim=4, num_refinement_blocks=1, ffn_factor=1.5))
    found = identify(convert.to_torch(drawn(model), convert.formats(model)["official"]))
    assert found.model == "restormer/bias_free"
    assert models.create(found.model, scale=found.scale, **found.fields) == model


def test_the_norm_without_bias_does_not_subtract_the_mean():
    x, scale = np.random.default_rng(0).normal(1, 2, (3, 5)).astype(np.float32), np.arange(5, dtype=np.float32)
    y = BiasFreeNorm().apply({"params": {"scale": scale}}, x)
    np.testing.assert_allclose(y, x / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale, rtol=1e-5)


def test_sizes_are_multiples_of_as_many_halvings_as_there_are():
    assert models.card("restormer").padding.multiple == 8
    assert models.card(models.create("restormer", **TINY)).padding.multiple == 2
    with pytest.raises(ValueError, match="height 5 or width 6 is no multiple of factor = 2"):
        jax.eval_shape(models.create("restormer", **TINY).init, jax.random.key(0), jnp.zeros((1, 5, 6, 3)))


def test_attention_is_of_the_whole_image():
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), models.abstract("restormer", **TINY))
    assert Chain({"sr": models.create("restormer", **TINY)}, {"sr": variables}).reach(1000) is None


def test_decoder_levels_can_be_modulated_by_submodules_of_another_network():
    trunk = Trunk(dim=2, num_blocks=(1, 1, 1), heads=(1, 1, 1), num_refinement_blocks=1)

    def modulate(x, name):
        return x * nn.Dense(x.shape[-1], name=f"modulate_{name}")(jnp.ones((1, 1)))

    shapes = jax.eval_shape(lambda key: trunk.init(key, jnp.zeros((1, 8, 8, 3)), modulate), jax.random.key(0))
    found = {name: leaf["kernel"].shape for name, leaf in shapes["params"].items() if name.startswith("modulate")}
    assert found == {"modulate_decoder_level1": (1, 4), "modulate_decoder_level2": (1, 4)}


def test_blocks_that_are_computed_again_have_the_same_parameters():
    plain, remat = (models.abstract("restormer", **TINY, remat=remat) for remat in (False, True))
    assert jax.tree.structure(remat) == jax.tree.structure(plain)
    traced = jax.make_jaxpr(models.create("restormer", **TINY, remat=True).apply)
    assert str(traced(remat, jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32))).count("remat") >= 3  # one a block
