"""Attention, MLP, norm and stochastic depth against what they are defined as, and their precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr.layers.attention import MLP, DropPath, WindowAttention, attend, attend_between_channels, split_heads
from jsr.layers.norm import LayerNorm
from jsr.layers.window import relative_position_index


def test_attention_is_the_weighted_mean_of_the_values():
    """One head at a time, in float64 numpy; keys of other regions have no part."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, 4, 2, 5)).astype(np.float32) for _ in range(3))
    bias, regions = rng.normal(size=(2, 4, 4)).astype(np.float32), rng.integers(0, 2, (3, 4))
    y = attend(q, k, v, scale=0.5, bias=bias, regions=regions)
    for n, w, h in np.ndindex(2, 3, 2):
        logits = 0.5 * q[n, w, :, h].astype(np.float64) @ k[n, w, :, h].T + bias[h]
        weights = np.exp(logits) * (regions[w][:, None] == regions[w])
        expected = weights / weights.sum(-1, keepdims=True) @ v[n, w, :, h]
        np.testing.assert_allclose(y[n, w, :, 5 * h:5 * h + 5], expected, atol=1e-5)


def test_keys_on_another_grid_have_regions_of_their_own():
    """One key of four is of the queries' region: its value is the output."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 2, count, 1, 3)).astype(np.float32) for count in (2, 4, 4))
    of_queries, of_keys = np.array([[1, 2], [2, 2]]), np.array([[0, 1, 0, 2], [2, 1, 0, 1]])
    y = attend(q, k, v, scale=1.0, bias=np.zeros((1, 2, 4), np.float32), regions=(of_queries, of_keys))
    for w, query, key in [(0, 0, 1), (0, 1, 3), (1, 0, 0), (1, 1, 0)]:
        np.testing.assert_allclose(y[0, w, query], v[0, w, key, 0], atol=1e-6)


def test_attention_between_channels_weighs_them_by_their_cosines():
    """One head at a time, in float64 numpy, where channels are rows of pixels; a channel of zeros has cosine zero."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, 4, 2, 5)).astype(np.float32) for _ in range(3))
    q[..., 1] = 0
    temperature = np.float32([0.5, 3]).reshape(2, 1, 1)
    y = attend_between_channels(q, k, v, temperature)
    for n, h in np.ndindex(2, 2):
        query, key, value = (part[n, :, :, h].reshape(12, 5).T.astype(np.float64) for part in (q, k, v))
        query, key = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (query, key))
        weights = np.exp(temperature[h] * query @ key.T)
        expected = weights / weights.sum(1, keepdims=True) @ value
        np.testing.assert_allclose(y[n, :, :, 5 * h:5 * h + 5].reshape(12, 5).T, expected, atol=1e-5)


def test_logits_and_softmax_are_float32_in_bfloat16():
    """Logits near 300, where bfloat16 has steps of 2, and a bias of 1 between two keys: their weights stay apart."""
    q = jnp.full((1, 1, 1, 1, 4), 8.66, jnp.bfloat16)
    k = jnp.full((1, 1, 2, 1, 4), 8.66, jnp.bfloat16)
    v = jnp.array([0.0, 1.0], jnp.bfloat16).reshape(1, 1, 2, 1, 1)
    y = attend(q, k, v, scale=1.0, bias=jnp.array([[[0.0, 1.0]]]))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32).item(), jax.nn.sigmoid(1.0), rtol=4e-3)


def test_heads_are_split_as_queries_keys_and_values_lie():
    x = np.arange(24).reshape(1, 24)
    q, k, v = split_heads(x, 3, 2)
    assert q.tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]] and k.min() == 8 and v.min() == 16
    with pytest.raises(ValueError, match="24 channels do not split into 3 parts of num_heads = 5"):
        split_heads(x, 3, 5)


def test_the_bias_table_belongs_to_differences_of_positions():
    """With zero queries the attention of a pixel is the softmax of its row of biases."""
    attention, windows = WindowAttention(num_heads=1), jax.random.normal(jax.random.key(0), (1, 1, 9, 2))
    params = attention.init(jax.random.key(1), windows)["params"]
    kernel = jnp.zeros((2, 6)).at[:, 4:].set(jnp.eye(2))  # values are the input
    table = jax.random.normal(jax.random.key(2), (25, 1))
    params |= {"qkv": {"kernel": kernel, "bias": jnp.zeros(6)}, "relative_position_bias_table": table,
               "proj": {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}}
    expected = jax.nn.softmax(table[relative_position_index(3), 0]) @ windows[0, 0]
    np.testing.assert_allclose(attention.apply({"params": params}, windows)[0, 0], expected, atol=1e-6)


def test_linear_layers_start_normal_with_zero_bias():
    params = WindowAttention(num_heads=2).init(jax.random.key(0), jnp.zeros((1, 1, 64, 60)))["params"]
    for values in (params["qkv"]["kernel"], params["relative_position_bias_table"]):
        assert 0.018 < values.std() < 0.022
        assert abs(values).max() > 0.05  # not cut at two standard deviations
    assert not params["qkv"]["bias"].any() and not params["proj"]["bias"].any()


def test_gelu_is_the_exact_one():
    """The tanh form, JAX's default, is up to 4.7e-4 off."""
    x = jnp.linspace(-4, 4, 81)[:, None]
    one = {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}
    y = MLP(ratio=1.0).apply({"params": {"fc1": one, "fc2": one}}, x)
    np.testing.assert_allclose(y, x * 0.5 * (1 + jax.scipy.special.erf(x / 2**0.5)), atol=1e-6)


def test_layer_norm_has_the_epsilon_of_torch():
    """On activations of the size of the square root of epsilon, 1e-5 against Flax's 1e-6 is a factor of 1.35."""
    x = jnp.array([[-1.0, 1.0]]) * 1e-5**0.5
    y, _ = LayerNorm().init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(y, [[-(0.5**0.5), 0.5**0.5]], rtol=1e-5)


def test_layer_norm_is_exact_far_from_zero_and_float32_inside():
    """The variance is no difference of large squares; bfloat16 rounds only input, parameters and output."""
    x = jnp.array([[1000.0, 1001.0, 1002.0, 1003.0]])
    y, _ = LayerNorm().init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(y, [(np.arange(4) - 1.5) / 1.25**0.5], rtol=1e-4)
    x = jax.random.normal(jax.random.key(1), (5, 64)).astype(jnp.bfloat16)
    low, variables = LayerNorm(dtype=jnp.bfloat16).init_with_output(jax.random.key(0), x)
    assert low.dtype == jnp.bfloat16
    high = LayerNorm().apply(variables, x.astype(jnp.float32))
    np.testing.assert_allclose(low.astype(jnp.float32), high, rtol=2**-8)


def test_stochastic_depth_drops_samples_whole_and_keeps_the_mean():
    x = jnp.ones((4000, 2, 3))
    y = DropPath(0.25).apply({}, x, rngs={"dropout": jax.random.key(0)})
    per_sample = y.reshape(4000, -1)
    assert (per_sample == per_sample[:, :1]).all()
    assert set(np.unique(y).tolist()) == {0.0, np.float32(4 / 3).item()}
    np.testing.assert_allclose(y.mean(), 1, atol=0.03)
    assert DropPath(0.0).apply({}, x) is x
