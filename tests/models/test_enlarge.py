"""Enlargement: against Pillow and by hand, and at the head of a chain."""

import jax
import numpy as np
from PIL import Image
import pytest

import jsr
from jsr import model_file, models
from jsr.analysis import counts


def enlarged(method, scale, image):
    network = models.create(f"enlarge/{method}", scale=scale)
    return np.asarray(jax.jit(network.apply)({}, image[None].astype(np.float32)))[0]


@pytest.mark.parametrize("method, resample", [("bilinear", Image.Resampling.BILINEAR),
                                              ("bicubic", Image.Resampling.BICUBIC)])
@pytest.mark.parametrize("scale", [2, 3])
def test_it_is_pillows_away_from_the_edges(method, resample, scale, photograph):
    image = photograph(12, 15)
    pillow = np.stack([Image.fromarray(channel).convert("F").resize((15 * scale, 12 * scale), resample)
                       for channel in np.moveaxis(image, -1, 0)], -1)
    edge = 2 * scale
    inside = slice(edge, -edge), slice(edge, -edge)
    np.testing.assert_allclose(enlarged(method, scale, image)[inside], pillow[inside], atol=1e-3)


def test_nearest_repeats_pixels(photograph):
    image = photograph(3, 4)
    np.testing.assert_array_equal(enlarged("nearest", 5, image), image.repeat(5, 0).repeat(5, 1))


def test_it_heads_a_chain_of_a_model_file(tmp_path, photograph):
    assert counts.count(models.create("enlarge/nearest", scale=2), (1, 8, 8, 3)) == (0, 0)
    small = {"num_feat": 4, "num_block": 1, "num_grow_ch": 2}
    nets = [{"name": "enlarge", "model": "enlarge/nearest", "scale": 2, "fields": {}, "deployed": False},
            {"name": "sr", "model": "rrdbnet/direct", "scale": 1, "fields": small, "deployed": False}]
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32),
                         models.abstract("rrdbnet/direct", scale=1, **small))
    sr, variables = models.create("rrdbnet/direct", scale=1, **small), {"sr": drawn}
    variables["enlarge"] = models.init(models.create("enlarge", scale=2), jax.random.key(0))
    assert variables["enlarge"] == {"params": {}}
    model_file.save(tmp_path / "a.safetensors", variables, {"networks": nets})
    image = photograph(12, 16)
    found = jsr.load(tmp_path / "a.safetensors").upscale(image)
    large = image.repeat(2, 0).repeat(2, 1).astype(np.float32) / 255
    expected = np.clip(np.asarray(jax.jit(sr.apply)(variables["sr"], large[None]))[0], 0, 1) * 255
    assert found.shape == (24, 32, 3) and np.abs(found - expected).max() <= 0.51
