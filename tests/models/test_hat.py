"""HAT: its overlapping windows and their strange index."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import models
from jsr.layers.attention import MLP
from jsr.models.hat import OverlapLayer, neighbouring_patches, overlap_index, overlapping_windows


def test_overlapping_windows_are_cut_around_the_plain_ones_with_zeros_outside():
    x = np.arange(1, 2 * 8 * 12 + 1, dtype=np.float32).reshape(2, 8, 12, 1)
    windows = overlapping_windows(x, 4, 2)
    assert windows.shape == (2, 6, 36, 1)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    for i in range(2):
        for j in range(3):
            expected = padded[:, 4 * i:4 * i + 6, 4 * j:4 * j + 6].reshape(2, 36, 1)
            assert (windows[:, 3 * i + j] == expected).all()


def test_negative_indices_count_from_the_end_of_the_table():
    """Window 16, overlap 8: the first query and key differ by nothing and land on row -7 * 39 - 7 = -280."""
    index = overlap_index(16, 8)
    assert index.shape == (256, 576) and index[0, 0] == -280
    assert index.min() == -22 * 39 - 22 and index.max() == 16 * 39 + 16
    table = np.arange(39**2)
    assert (table[index] == index % 39**2).all()
    assert len(np.unique(index % 39**2)) == 39**2  # every row of the table is used, and none twice


def test_zeros_around_the_image_are_keys():
    """With all logits equal, a query's output is the mean over 36 keys: in a corner 11 of them are the zeros."""
    layer, x = OverlapLayer(1, 4, 2, functools.partial(MLP, 1.0)), jnp.zeros((1, 8, 8, 1))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32),
                          jax.eval_shape(layer.init, jax.random.key(0), x)["params"])
    params["qkv"]["bias"][2] = 1  # every value of the image is one
    params["proj"]["kernel"][:] = 1
    y = layer.apply({"params": params}, x)
    np.testing.assert_allclose(y, np.full((1, 8, 8, 1), 25 / 36), rtol=1e-6)


def test_sizes_must_be_multiples_of_the_window():
    with pytest.raises(ValueError, match="height 40 or width 48 is no multiple of window_size = 16"):
        jax.eval_shape(models.create("hat", scale=4).init, jax.random.key(0), jnp.zeros((1, 40, 48, 3)))
    padding = models.card("hat").padding
    assert (padding.multiple, padding.mode, padding.always) == (16, "reflect", False)


def test_layers_that_are_computed_again_have_the_same_parameters_and_output():
    fields = dict(scale=1, embed_dim=4, depths=(2,), num_heads=(2,), window_size=4, num_feat=2, squeeze_factor=2)
    plain, remat = (models.create("hat", **fields, remat=remat) for remat in (False, True))
    variables = models.abstract("hat", **fields)
    assert jax.tree.structure(models.abstract("hat", **fields, remat=True)) == jax.tree.structure(variables)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), variables)
    lr = rng.random((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(*(jax.jit(model.apply)(variables, lr) for model in (plain, remat)), rtol=1e-5)
    assert str(jax.make_jaxpr(remat.apply)(variables, lr)).count("remat") >= 3  # two hybrid layers, one overlap layer


def test_neighbouring_patches_go_row_by_row():
    """Of 3x3 patches, with pixels that say where they are, those in the middle have all."""
    rows, columns = np.indices((6, 6))
    x = np.stack([rows // 2 * 3 + columns // 2, rows % 2 * 2 + columns % 2], axis=-1)[None]  # patch, place in it
    y = neighbouring_patches(x, 2).reshape(1, 2, 2, 9, 2)
    assert (y[..., 0] == np.arange(9)).all()
    assert (y[..., 1] == np.array([[0, 1], [2, 3]])[:, :, None]).all()
    with pytest.raises(ValueError, match="height 4 or width 6 has no middle between two patches of patch_size = 2"):
        neighbouring_patches(x[:, :4], 2)


def test_training_takes_the_surroundings_from_the_crop_and_use_mirrors_them(drawn, run):
    model = models.create("hat/mphat", scale=4, embed_dim=4, depths=(1,), num_heads=(1,), window_size=4, num_feat=2,
                          squeeze_factor=2, drop_path_rate=0.0, patch_size=3)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 4, 8, 3))
    crop = np.pad(lr, [(0, 0), (3, 3), (3, 3), (0, 0)], mode="reflect")
    trained = run(model, variables, crop, train=True)
    assert trained.shape == (1, 16, 32, 3)
    np.testing.assert_array_equal(trained, run(model, variables, lr))
