"""The self-ensemble against all eight done by hand, and in the upscaler."""

import jax
import numpy as np
import pytest

import jsr
from jsr import models
from jsr.inference import model_file
from jsr.inference.ensemble import self_ensemble


def enlarge(image):
    """Something that treats no direction like another, x2."""
    height, width, _ = image.shape
    ramp = np.arange(4 * height * width).reshape(2 * height, 2 * width, 1) / 100
    return image.repeat(2, 0).repeat(2, 1) * np.float32([1, 2, 3]) + ramp


def by_hand(image, upscale):
    """Through transposes, not rotations."""
    total = 0
    for transpose in (False, True):
        for rows in (1, -1):
            for columns in (1, -1):
                turned = image[::rows, ::columns]
                sr = upscale(turned.transpose(1, 0, 2) if transpose else turned)
                sr = sr.transpose(1, 0, 2) if transpose else sr
                total = total + sr[::rows, ::columns].astype(np.float64)
    return total / 8


def test_it_is_the_mean_of_all_eight():
    image = np.random.default_rng(0).random((3, 5, 3), np.float32)
    found = self_ensemble(enlarge, image)
    assert found.dtype == np.float32 and found.shape == (6, 10, 3)
    np.testing.assert_allclose(found, by_hand(image, enlarge), rtol=1e-5)


def test_what_turns_with_the_image_is_left_as_it_is():
    image = np.random.default_rng(0).random((4, 6, 3), np.float32)
    np.testing.assert_allclose(self_ensemble(lambda x: x.repeat(2, 0).repeat(2, 1), image),
                               image.repeat(2, 0).repeat(2, 1), rtol=1e-6)


@pytest.mark.parametrize("ensemble", [{"self": True}, {"self": False}, None])
def test_a_model_file_is_used_with_its_ensemble(tmp_path, photograph, ensemble):
    fields = {"num_feat": 4, "num_block": 1, "img_range": 1.0}
    model = models.create("edsr", scale=2, **fields)
    rng = np.random.default_rng(2)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32),
                             models.abstract("edsr", scale=2, **fields))
    net = {"name": "sr", "model": "edsr/baseline", "scale": 2, "fields": fields, "deployed": False}
    model_file.save(tmp_path / "a.safetensors", {"sr": variables}, {"networks": [net], "ensemble": ensemble})
    lr = photograph(4, 6)
    apply = jax.jit(model.apply)

    def run(image):
        return np.asarray(apply(variables, image[None])[0])

    expected, alone = by_hand(lr / np.float32(255), run), run(lr / np.float32(255))
    chosen, other = (expected, alone) if ensemble and ensemble["self"] else (alone, expected)
    sr = jsr.load(tmp_path / "a.safetensors").upscale(lr)
    assert np.abs(sr - np.clip(chosen, 0, 1) * 255).max() <= 0.51
    assert np.abs(sr - np.clip(other, 0, 1) * 255).max() > 1
