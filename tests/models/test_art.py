"""ART: its groups of pixels, their biases, and how its variants are told apart."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.convert.identify import identify
from jsr.inference.chain import Chain
from jsr.layers.attention import attend
from jsr.models import art
from jsr.models.art import DynamicPositionBias, TransformerLayer, attend_by_groups, attend_in_groups


@pytest.mark.parametrize("model_id, scale, interval", [("art/base", 1, 4), ("art/small", 3, 8)])
def test_the_variants_are_told_apart(model_id, scale, interval):
    fields = dict(depths=(1,), num_heads=(6,), interval=(interval,))
    model = models.create(model_id, scale=scale, **fields)
    variables = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape),
                             models.abstract(model_id, scale=scale, **fields))
    found = identify(convert.to_torch(variables, convert.formats(model)["official"]))
    assert (found.model, found.scale, found.fields) == (model_id, scale, fields)


@pytest.mark.parametrize("sparse, same_group", [
    (False, lambda a, b: a // 3 == b // 3),
    (True, lambda a, b: a % 3 == b % 3),
])
def test_groups_are_windows_or_pixels_at_a_distance_and_their_rest_is_marked(sparse, same_group):
    """Each pixel becomes the sum of its group: which ones that are shows bit by bit."""
    height, width = 4, 5
    x = 2.0**np.arange(height * width, dtype=np.float32).reshape(1, height, width, 1)

    def attention(groups, regions):
        n, count, rows, columns, _ = groups.shape
        assert regions.shape == (count, rows * columns)
        tokens = groups.reshape(n, count, -1, 1)
        assert ((tokens[0, :, :, 0] > 0) == (regions == 1)).all()
        return jnp.broadcast_to(tokens.sum(2, keepdims=True), tokens.shape)

    y = attend_in_groups(attention, x, 3, sparse)
    row, column = np.divmod(np.arange(height * width), width)
    together = same_group(row[:, None], row) & same_group(column[:, None], column)
    np.testing.assert_array_equal(np.ravel(y), together @ np.ravel(x))


def test_groups_that_fit_have_no_regions():
    x = np.ones((2, 4, 8, 3), np.float32)
    for sparse in (False, True):
        y = attend_in_groups(lambda groups, regions: groups * (1 if regions is None else 0), x, 4, sparse)
        np.testing.assert_array_equal(y, x)


def test_what_completes_a_group_has_no_weight(run):
    """With equal logits a pixel gets the mean of its group's values: two of each pixel, one of the zeros."""
    layer = TransformerLayer(1, 3, 2, mlp_ratio=1.0, drop_path=0.0)
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 16))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape),
                          jax.eval_shape(layer.init, jax.random.key(0), x)["params"])
    params["norm1"]["bias"][:] = 1
    params["attn"]["qkv"]["kernel"][:, 2 * 16:] = params["attn"]["proj"]["kernel"][:] = np.eye(16)
    params["attn"]["qkv"]["bias"][2 * 16:] = 1
    np.testing.assert_allclose(run(layer, {"params": params}, x), x + 2, rtol=1e-12)


def test_biases_follow_the_difference_of_positions():
    positions = DynamicPositionBias(4, 2)
    variables = jax.tree.map(lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape).astype(np.float32),
                             jax.eval_shape(lambda key: positions.init(key, 2, 3), jax.random.key(0)))
    both = jax.jit(lambda variables: [positions.apply(variables, height, 3) for height in (2, 4)])
    bias, larger = map(np.asarray, both(variables))
    row, column = np.divmod(np.arange(6), 3)
    differences = np.stack([row[:, None] - row, column[:, None] - column], axis=-1).reshape(36, 2)
    first = {tuple(d): i for i, d in reversed(list(enumerate(differences)))}
    flat = bias.reshape(2, 36)
    np.testing.assert_allclose(flat, flat[:, [first[tuple(d)] for d in differences]], rtol=1e-6)
    assert bias.shape == (2, 6, 6) and len(np.unique(flat[0])) == len(first) == 15
    np.testing.assert_allclose(larger[:, :6, :6], bias, rtol=1e-5)  # the first two rows of a higher group


def test_an_image_as_small_as_a_window_has_dense_attention_and_changes_nothing_for_the_next():
    """The original's layers stay dense once they had one."""
    fields = dict(num_heads=1, window_size=4, mlp_ratio=1.0, drop_path=0.0)
    sparse, dense = (TransformerLayer(interval=interval, **fields) for interval in (2, 0))
    tiny, large = (jax.ShapeDtypeStruct((1, *size, 32), jnp.float32) for size in ((9, 3), (8, 8)))
    variables = jax.eval_shape(sparse.init, jax.random.key(0), large)

    def program(layer, x):
        return str(jax.make_jaxpr(layer.apply)(variables, x))

    first = program(sparse, large)
    assert program(sparse, tiny) == program(dense, tiny)
    assert program(sparse, large) == first != program(dense, large)


def test_groups_in_turn_get_the_same_results():
    rng = np.random.default_rng(0)
    regions = rng.integers(0, 2, (3, 4), np.int8)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in [(2, 3, 4, 2, 5)] * 3 + [(2, 4, 4)]]

    @jax.jit
    def both(*inputs):
        def loss(inputs, function):
            *qkv, bias = inputs
            return jnp.square(function(*qkv, scale=0.4, bias=bias, regions=regions)).sum()

        return [jax.value_and_grad(loss)(inputs, function)
                for function in (attend, functools.partial(attend_by_groups, at_once=2))]

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *both(*inputs))


@pytest.mark.parametrize("most, scans", [(4 * 64**2, 0), (4 * 64**2 - 1, 2), (0, 2)])
def test_groups_with_many_logits_are_computed_in_turn(monkeypatch, most, scans):
    """Both layers have four groups of 64 pixels."""
    fields = dict(scale=1, embed_dim=16, depths=(2,), num_heads=(1,), interval=(2,))
    variables, lr = models.abstract("art", **fields), jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    monkeypatch.setattr(art, "MOST_LOGITS", most)
    trace = jax.make_jaxpr(models.create("art", **fields).apply)(variables, lr)
    assert str(trace).count("scan[") == scans


def test_tiles_are_never_exact():
    model = models.create("art", scale=1, embed_dim=16, depths=(1,), num_heads=(1,), interval=(2,))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 8, 8, 3), np.float32))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    assert Chain({"sr": model}, {"sr": variables}).reach(1000) is None


def test_layers_that_are_computed_again_have_the_same_parameters():
    fields = dict(scale=1, embed_dim=16, depths=(2,), num_heads=(1,), interval=(2,))
    plain, remat = (models.abstract("art", **fields, remat=remat) for remat in (False, True))
    assert jax.tree.structure(remat) == jax.tree.structure(plain)
    trace = jax.make_jaxpr(models.create("art", **fields, remat=True).apply)(remat, jnp.zeros((1, 8, 8, 3)))
    assert str(trace).count("remat") >= 2
