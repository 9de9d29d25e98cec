"""RRDBNet: the names of its parameters, its sizes, initialisation and attention."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import convert, models
from jsr.errors import UserError
from jsr.models.rrdbnet import ECA, PyramidAttention, nearest_upsample


def test_basicsrs_names_are_the_ones_written():
    assert list(convert.formats(models.create("rrdbnet", scale=4))) == ["basicsr", "esrgan", "old_esrgan"]


def test_sizes_are_multiples_of_the_unshuffling():
    multiples = {scale: models.card(models.create("rrdbnet", scale=scale)).padding.multiple for scale in (1, 2, 4)}
    assert multiples == {1: 4, 2: 2, 4: 1}
    assert models.card(models.create("rrdbnet/direct", scale=1)).padding.multiple == 1


def test_dense_convolutions_begin_small_and_without_bias():
    """Kaiming's normal times 0.1 in the dense blocks, PyTorch's default elsewhere."""
    params = models.init(models.create("rrdbnet", scale=4, num_block=1), jax.random.key(0))["params"]
    dense = params["body_0"]["rdb2"]["conv4"]
    np.testing.assert_allclose(dense["kernel"].std(), 0.1 * np.sqrt(2 / (9 * 160)), rtol=0.02)
    assert not dense["bias"].any()
    bound = 1 / np.sqrt(9 * 64)
    assert 0.99 * bound < abs(params["conv_hr"]["kernel"]).max() <= bound and params["conv_hr"]["bias"].any()


@pytest.mark.slow
def test_remat_changes_no_gradient():
    lr = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    fields = dict(scale=4, num_feat=4, num_block=1, num_grow_ch=2)
    variables = models.init(models.create("rrdbnet", **fields), jax.random.key(0))

    def gradient(remat):
        model = models.create("rrdbnet", **fields, remat=remat)
        return jax.jit(jax.grad(lambda v: jnp.square(model.apply(v, lr)).sum()))(variables)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), gradient(False), gradient(True))


def test_nearest_upsampling_repeats_pixels():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(nearest_upsample(x, 3), x.repeat(3, 1).repeat(3, 2))


def test_a_features_weight_is_of_its_own_mean_and_its_neighbours():
    x = np.random.default_rng(0).random((2, 3, 5, 4), np.float32)
    means = np.pad(x.mean((1, 2)), [(0, 0), (1, 1)])
    kernel = np.float32([0.5, -1, 2])
    logits = means[:, :-2] * kernel[0] + means[:, 1:-1] * kernel[1] + means[:, 2:] * kernel[2]
    np.testing.assert_allclose(ECA().apply({"params": {"kernel": kernel}}, x), x / (1 + np.exp(-logits))[:, None, None],
                               rtol=1e-5)


def test_spatial_attention_is_edvrs():
    torch = pytest.importorskip("torch", reason="PyTorch is an optional extra")
    x = np.random.default_rng(0).normal(size=(1, 20, 12, 4)).astype(np.float32)
    model = PyramidAttention()
    variables = model.init(jax.random.key(0), x)
    act, functional = torch.nn.LeakyReLU(0.1), torch.nn.functional

    def conv(y, name):
        kernel, bias = (torch.tensor(np.asarray(variables["params"][name][part])) for part in ("kernel", "bias"))
        return functional.conv2d(y, kernel.permute(3, 2, 0, 1), bias, padding=len(kernel) // 2)

    def halved(y):
        return torch.cat([functional.max_pool2d(y, 3, 2, 1), functional.avg_pool2d(y, 3, 2, 1)], 1)

    def doubled(y):
        return functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)

    features = torch.tensor(x).permute(0, 3, 1, 2)
    half = act(conv(halved(act(conv(features, "conv1"))), "conv2"))
    quarter = act(conv(act(conv(halved(act(conv(half, "conv_l1"))), "conv_l2")), "conv_l3"))
    half = act(conv(act(conv(half, "conv3")) + doubled(quarter), "conv4"))
    mask = conv(doubled(half), "conv5")
    expected = 2 * torch.sigmoid(mask) * features + conv(act(conv(mask, "conv_add1")), "conv_add2")
    np.testing.assert_allclose(model.apply(variables, x), expected.permute(0, 2, 3, 1), rtol=0, atol=1e-5)


def test_the_attention_learns():
    model = models.create("rrdbnet/attention", scale=4, num_feat=4, num_block=1, num_grow_ch=2)
    assert models.card(model).padding.multiple == 4
    rng = np.random.default_rng(0)
    lr = rng.random((1, 8, 8, 3), np.float32)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(leaf.dtype),
                             jax.eval_shape(model.init, jax.random.key(0), lr))
    gradient = jax.jit(jax.grad(lambda v: jnp.square(model.apply(v, lr)).sum()),
                       compiler_options={"xla_backend_optimization_level": 0})(variables)["params"]
    for leaf in jax.tree.leaves([gradient["body_0"]["eca"], gradient["spatial_attention"]]):
        assert np.isfinite(leaf).all() and np.any(leaf != 0)


@pytest.mark.parametrize("fields, said", [
    (dict(act="leaky"), "no activation 'leaky'; did you mean 'leaky_relu'?"),
    (dict(channel_attention="eka"), "no channel attention 'eka'; did you mean 'eca'?")])
def test_kinds_that_are_not_there_are_named(fields, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        models.abstract("rrdbnet", scale=4, num_block=1, num_feat=4, **fields)


@pytest.mark.parametrize("field, value", [("channel_attention", "eca"), ("spatial_attention", True)])
def test_attention_has_no_names_elsewhere(field, value):
    with pytest.raises(UserError, match="rrdbnet: no public code has the attention"):
        convert.formats(models.create("rrdbnet", scale=4, **{field: value}))
