"""PixelBE's network: its two outputs in training, its fused form and its counts."""

import numpy as np

from jsr import models, reparam
from jsr.analysis import counts
from jsr.models import pixelbe


def test_multiply_accumulates_are_nearly_the_published():
    macs = counts.count(models.create("pixelbe", scale=2, deploy=True), (1, 1080, 1920, 3))[1]
    assert macs == 14_631_321_600 and abs(macs / 14.7226e9 - 1) < 0.007


def test_fused_it_computes_the_same_and_training_has_the_clean_image_too(drawn, run):
    model = models.create("pixelbe", scale=2, **pixelbe.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((1, 10, 8, 3))
    deployed, fused, report = reparam.fuse(model, variables)
    assert list(report) == ["clean_0", "clean_1", "up_0", "up_1"] and max(report.values()) < 1e-13
    trained, used = run(model, variables, lr, train=True), run(deployed, fused, lr)
    assert trained["lr_clean"].shape == lr.shape and used.shape == (1, 20, 16, 3)
    assert np.abs(trained["sr"] - used).max() < 1e-12 * np.abs(used).max()


def test_sr_is_made_of_the_clean_image_alone(drawn, run):
    model = models.create("pixelbe", scale=2, deploy=True, **pixelbe.SMALL)
    variables, lr = drawn(model), np.random.default_rng(1).random((2, 6, 6, 3))
    variables["params"]["clean_1"] = dict(kernel=np.zeros((3, 3, 4, 12)), bias=np.repeat([0.1, 0.2, 0.3], 4))
    outputs = run(model, variables, lr, train=True)
    np.testing.assert_allclose(outputs["lr_clean"], np.broadcast_to([0.1, 0.2, 0.3], lr.shape))
    np.testing.assert_array_equal(outputs["sr"][0], outputs["sr"][1])
