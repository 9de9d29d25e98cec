"""The kernel for attention, interpreted, beside the plain formula: values, gradients, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsr import fused
from jsr.errors import UserError
from jsr.export.pixels import on_pixels
from jsr.layers.attention import attend
from jsr.models import hat


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


def test_a_network_attends_by_the_kernel():
    """Shifted windows and larger windows of keys; chosen by name, for a platform that is not here."""
    model = hat.Model(scale=2, **hat.SMALL | dict(num_heads=(3,)))
    x = np.random.default_rng(0).uniform(size=(1, 8, 8, 3)).astype(np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), x)
    expected = jax.jit(model.apply)(variables, x)
    with fused.attending("tpu", interpret=True):
        np.testing.assert_allclose(jax.jit(model.apply)(variables, x), expected, atol=1e-5)
    upscale = on_pixels({"sr": model}, {"sr": variables}, kernels="attention", platform="cuda")
    assert str(jax.make_jaxpr(upscale)(x.astype(np.uint8))).count("name=window_attention") == 3


def test_what_has_no_kernel_is_refused():
    nothing = pytest.raises(UserError, match="nothing attends within windows by a bias of positions; leave kernels out")
    with nothing, fused.attending("cuda"):
        pass
    with nothing, fused.attending("tpu"):
        attend(*[jnp.ones((1, 1, 8, 1, 4))] * 3, scale=1.0, bias=jnp.zeros((1, 1, 1)))
    with pytest.raises(UserError, match="some for tpu and cuda, none for cpu; leave kernels out"):
        with fused.attending("cpu"):
            pass
