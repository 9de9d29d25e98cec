"""Attention of cosines: positions on grids of one density and of two."""

import jax
import jax.numpy as jnp
import numpy as np

from jsr.layers.cosine import CosineAttention, pairwise, relative_coordinates, unit


def test_coordinates_are_logarithmic():
    table = relative_coordinates((8, 8), (8, 8))
    assert table.shape == (15, 15, 2) and table.dtype == np.float32
    assert np.allclose(table[7, 7], 0) and np.allclose(table[0, 14], [-np.log2(9) / 3, np.log2(9) / 3])
    assert np.allclose(table[7, 8], [0, np.log2(8 / 7 + 1) / 3])


def test_coordinates_of_a_coarser_grid():
    """Of eight rows and two the differences are -1 to 7, less half of six, of which 4 is the largest."""
    rows, columns = np.moveaxis(relative_coordinates((8, 4), (2, 4)), -1, 0)
    differences = np.arange(-4, 5) / 4 * 8
    assert np.allclose(rows, (np.sign(differences) * np.log2(abs(differences) + 1) / 3)[:, None])
    assert columns.shape == (9, 7)
    assert (relative_coordinates((2, 4), (8, 4)) == relative_coordinates((8, 4), (2, 4))).all()


def test_every_pair_has_the_value_of_its_difference():
    query_size, key_size = (4, 3), (2, 6)
    table = np.arange(5 * 8 * 2).reshape(5, 8, 2)
    values = pairwise(jnp.asarray(table), query_size, key_size)
    assert values.shape == (2, 12, 12)
    for q, (qy, qx) in enumerate(np.ndindex(query_size)):
        for k, (ky, kx) in enumerate(np.ndindex(key_size)):
            assert (values[:, q, k] == table[qy - ky + 1, qx - kx + 5]).all()


def test_the_bias_is_between_0_and_16():
    """With one query and equal keys, all the attention goes to the positions of the largest bias."""
    attention = CosineAttention((1, 2), (2, 4))
    query, key = np.ones((1, 1, 2, 1, 3), np.float32), np.ones((1, 1, 8, 1, 3), np.float32)
    value = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1, 1)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32),
                          jax.eval_shape(attention.init, jax.random.key(0), query, key, value)["params"])
    params["cpb_mlp_0"]["kernel"][1, :2] = 1, -1  # max(c, 0), max(-c, 0) of the column's coordinate c
    params["cpb_mlp_2"]["kernel"][:2] = [[100], [-100]]  # the sigmoid is 1, 1/2, 0 right of, at and left of the key
    y = attention.apply({"params": params}, query, key, value)[0, 0, :, 0]
    coordinate = relative_coordinates((1, 2), (2, 4))[0, :, 1]
    for column in range(2):
        bias = 8 + 8 * np.sign([coordinate[column - k + 3] for k in (0, 1, 2, 3, 0, 1, 2, 3)])
        np.testing.assert_allclose(y[column], (np.exp(bias) * np.arange(8)).sum() / np.exp(bias).sum(), rtol=1e-5)


def test_unit_vectors_keep_zero():
    assert np.allclose(unit(jnp.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])
