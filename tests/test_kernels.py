"""Networks in one kernel: interpreted, they give XLA's pixels, for both platforms; what has no kernel is refused."""

import functools

import jax
import numpy as np
import pytest

from jsr import chips, kernels, models, planning, reparam
from jsr.errors import UserError
from jsr.export.pixels import on_pixels


def deployed(stem, scale, **fields):
    """A deployed network, with biases that are not zero and features that are not small."""
    model = reparam.deployed(models.create(stem, scale=scale, use_bias=True, **fields))
    noise = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: leaf + noise.normal(0, 0.1, leaf.shape).astype(np.float32),
                             models.init(model, jax.random.key(0)))
    return {"sr": model}, {"sr": variables}


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setenv("MOSAIC_GPU_CUDA_ROOT", "")  # Pallas sets it when it first lowers a kernel
    monkeypatch.setattr(kernels, "upscaler", functools.partial(kernels.upscaler, interpret=True))


@pytest.mark.parametrize("platform", kernels.PLATFORMS)
@pytest.mark.parametrize("stem, scale, fields, size", [
    ("plain/casr", 4, {}, (61, 175)), ("plain/bicubicpp", 3, {"num_feat": 12, "num_block": 3}, (35, 131)),
    ("plain/bicubicpp", 3, {"num_feat": 40}, (3, 1))])
def test_pixels_are_xlas(stem, scale, fields, size, platform, interpreted):
    """Several tiles a side, some cut; sizes that are padded; a skip over more rows than a convolution sees."""
    networks, variables = deployed(stem, scale, **fields)
    lr = np.random.default_rng(1).integers(0, 256, (1, *size, 3), np.uint8)
    expected = np.asarray(jax.jit(on_pixels(networks, variables))(lr))
    sr = np.asarray(jax.jit(on_pixels(networks, variables, kernels="pallas", platform=platform))(lr))
    assert sr.dtype == np.uint8 and sr.shape == expected.shape and expected.std() > 20
    off = np.abs(sr - expected.astype(int))
    assert off.max() <= 1 and off.mean() < 1e-4  # by rounding: a thousandth of a level at most


def test_what_has_no_kernel_is_refused():
    networks, variables = deployed("plain/bicubicpp", 3, num_feat=4)
    others, theirs = deployed("plain/anunet", 4, num_feat=4)
    pallas = functools.partial(on_pixels, kernels="pallas")
    with pytest.raises(UserError, match="some for tpu and cuda, none for cpu; leave kernels out"):
        pallas(networks, variables)
    with pytest.raises(UserError, match="some for tpu and cuda, none for cpu; leave kernels out"):
        on_pixels(networks, variables, kernels="attention")
    with pytest.raises(UserError, match="only the deployed networks plain/casr and plain/bicubicpp .* not this Plain"):
        pallas(others, theirs, platform="tpu")
    with pytest.raises(UserError, match="not this Plain and Plain"):
        pallas(networks | {"again": networks["sr"]}, variables, platform="cuda")
    with pytest.raises(UserError, match="for images of uint8, not of float32"):
        pallas(networks, variables, dtype=np.float32, platform="tpu")
    with pytest.raises(UserError, match="kernels = palas: did you mean"):
        on_pixels(networks, variables, kernels="palas")
    two = planning.Target("h200:2", chips.CHIPS["h200"], (None, None))
    with pytest.raises(UserError, match="--on h200:2: kernels = pallas is for one chip"):
        planning.of_deployed(None, (8, 8), two, kernels="pallas")
