"""Attention as one kernel, interpreted: values and gradients of the plain formula; what it cannot do is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import fused, models
from jsr.errors import UserError
from jsr.export.pixels import on_pixels
from jsr.layers.attention import attend
from jsr.models import grl, hat


@pytest.mark.parametrize("platform", fused.PLATFORMS)
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_are_the_plain_formulas(platform, masked, monkeypatch):
    """Several blocks of queries and keys, the last ones filled up; an odd number of heads; values of other channels."""
    monkeypatch.setenv("MOSAIC_GPU_CUDA_ROOT", "")  # Pallas sets it when it first lowers a kernel
    monkeypatch.setitem(fused._BLOCKS, platform, (16, 32, 32))
    noise = np.random.default_rng(0)
    n, windows, queries, keys, heads = 2, 3, 41, 83, 3
    query, key, value = (noise.normal(size=(n, windows, *shape)).astype(np.float32) for shape in (
        (queries, heads, 5), (keys, heads, 5), (keys, heads, 7)))
    bias = noise.normal(size=(heads, queries, keys)).astype(np.float32)
    scale = noise.uniform(0.2, 2, (heads, 1, 1)).astype(np.float32)
    regions = tuple(noise.integers(0, 3, (windows, pixels)) for pixels in (queries, keys)) if masked else None
    direction = noise.normal(size=(n, windows, queries, heads * 7)).astype(np.float32)

    def both():
        @jax.jit
        def given(*arrays):
            y, back = jax.vjp(lambda query, key, value, scale, bias: attend(
                query, key, value, scale=scale, bias=bias, regions=regions), *arrays)
            return y, back(direction)

        return given(query, key, value, scale, bias)

    expected, gradients = both()
    with fused.attending(platform, interpret=True):
        y, theirs = both()
    np.testing.assert_allclose(y, expected, atol=1e-5)
    for its, plain in zip(theirs, gradients, strict=True):
        np.testing.assert_allclose(its, plain, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("module, scale", [(hat, 2), (grl, 1)])
def test_a_networks_output_is_the_same(module, scale):
    """Shifted windows, larger windows of keys, and stripes by way of anchors."""
    model = module.Model(scale=scale, **module.SMALL)
    x = np.random.default_rng(0).uniform(size=(1, 8, 16, 3)).astype(np.float32)
    variables = model.init(jax.random.key(0), x)
    expected = jax.jit(model.apply)(variables, x)
    with fused.attending("tpu", interpret=True):
        np.testing.assert_allclose(jax.jit(model.apply)(variables, x), expected, atol=1e-5)


def test_what_has_no_kernel_is_refused():
    network = {"sr": models.create("plain/anunet", scale=4, num_feat=4)}
    variables = {"sr": models.init(network["sr"], jax.random.key(0))}
    lr = jnp.zeros((1, 8, 8, 3), jnp.uint8)
    with pytest.raises(UserError, match="kernels = attention: nothing attends within windows .* leave kernels out"):
        on_pixels(network, variables, kernels="attention", platform="tpu")(lr)
    with pytest.raises(UserError, match="some for tpu and cuda, none for cpu; leave kernels out"):
        on_pixels(network, variables, kernels="attention")(lr)
