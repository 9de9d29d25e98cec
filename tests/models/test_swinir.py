"""SwinIR: its masks, sizes, and layers in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models


@pytest.mark.parametrize("variant, scale, side", [("classical", 4, 64), ("denoise", 1, 128), ("car", 1, 126)])
def test_masks_are_written_for_the_size_that_the_test_script_constructs(variant, scale, side):
    model = models.create(f"swinir/{variant}", scale=scale)
    written = convert.formats(model)["official"].constants["layers.5.residual_group.blocks.3.attn_mask"]
    assert written.shape == ((side // model.window_size)**2, model.window_size**2, model.window_size**2)


def test_a_size_that_is_no_multiple_of_the_window_is_refused():
    with pytest.raises(ValueError, match="height 64 or width 60 is no multiple of window_size = 8"):
        jax.eval_shape(models.create("swinir", scale=2).init, jax.random.key(0), jnp.zeros((1, 64, 60, 3)))


@pytest.mark.parametrize("variant, multiple", [("classical", 8), ("car", 7)])
def test_images_are_extended_to_the_windows_of_the_variant(variant, multiple):
    padding = models.card(f"swinir/{variant}").padding
    assert (padding.multiple, padding.mode, padding.always) == (multiple, "flip", True)
    model = models.create(f"swinir/{variant}", scale=models.card(f"swinir/{variant}").scales[0], window_size=5)
    assert models.card(model).padding.multiple == 5


@pytest.mark.slow
def test_layers_that_are_computed_again_give_the_same():
    """Output and gradient of remat equal the plain ones, on the same parameters and drop-path draws."""
    fields = dict(scale=1, upsampler="", embed_dim=4, depths=(2,), num_heads=(2,), window_size=4, drop_path_rate=0.5)
    plain, remat = (models.create("swinir/denoise", **fields, remat=remat) for remat in (False, True))
    variables = models.abstract("swinir/denoise", **fields)
    assert jax.tree.structure(models.abstract("swinir/denoise", **fields, remat=True)) == jax.tree.structure(variables)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), variables)
    lr = rng.random((2, 8, 8, 3), np.float32)

    def loss(variables, model):
        return model.apply(variables, lr, train=True, rngs={"dropout": jax.random.key(1)}).mean()

    (a, grad_a), (b, grad_b) = (jax.jit(jax.value_and_grad(loss), static_argnums=1)(variables, model)
                                for model in (plain, remat))
    np.testing.assert_allclose(a, b, rtol=1e-6)
    for x, y in zip(jax.tree.leaves(grad_a), jax.tree.leaves(grad_b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-7)


def test_stochastic_depth_is_for_training_only():
    fields = dict(scale=2, embed_dim=4, depths=(2,), num_heads=(2,), window_size=4, num_feat=2, drop_path_rate=0.9)
    model = models.create("swinir", **fields)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
                             models.abstract("swinir", **fields))
    lr = rng.random((1, 8, 8, 3), np.float32)
    apply = jax.jit(model.apply, static_argnames="train")
    np.testing.assert_allclose(apply(variables, lr), jax.jit(model.clone(drop_path_rate=0.0).apply)(variables, lr))
    trained = [apply(variables, lr, train=True, rngs={"dropout": jax.random.key(k)}) for k in range(4)]
    assert any((trained[0] != other).any() for other in trained[1:])
