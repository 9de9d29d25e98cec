import jax
import numpy as np
import pytest

from jsr import metrics
from jsr.metrics import device

KEYS = [(metric, profile) for metric in metrics.METRICS for profile in metrics.PROFILES]


@pytest.fixture(scope="module")
def images():
    """(sr, hr), uint8 (3, 45, 61, 3): light noise, 8x8 blocks, and flat images whose difference alone is large."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:45, :61]
    smooth = np.stack([127 + 100 * np.sin(x / (5 + c)) * np.cos(y / (7 - c)) for c in range(3)], -1).astype(np.uint8)
    noisy = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
    blocky = smooth[::8, ::8].repeat(8, 0).repeat(8, 1)[:45, :61]
    black = np.zeros_like(smooth)
    return np.stack([noisy, blocky, black]), np.stack([smooth, smooth, black + 255])


@pytest.mark.parametrize("metric, profile", KEYS)
def test_batch_agrees_with_the_reference(metric, profile, images):
    sr, hr = images
    values = getattr(device, metric)(sr, hr, profile=profile, crop_border=2)
    assert values.shape == (3,) and values.dtype == np.float32
    expected = [metrics.METRICS[metric](a, b, profile=profile, crop_border=2) for a, b in zip(sr, hr, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5 if metric == "ssim" else 1e-4)


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_one_image_gives_a_scalar(metric, images):
    (sr, *_), (hr, *_) = images
    assert getattr(device, metric)(sr, hr).shape == ()
    grey = getattr(device, metric)(sr[..., 0], hr[..., 0])
    expected = metrics.METRICS[metric](sr[..., 0], hr[..., 0])
    assert grey == pytest.approx(expected, abs=1e-5 if metric == "ssim" else 1e-4)


def test_equal_images(images):
    hr = images[1]
    assert np.isinf(device.psnr(hr, hr)).all()
    np.testing.assert_array_equal(device.ssim(hr, hr), np.ones(3, np.float32))


@pytest.mark.parametrize("metric", ["psnr", "psnr_b"])
def test_millions_of_pixels_cost_no_digits(metric):
    # Equal terms: summed one after the other in float32 they would drift by far more than the tolerance.
    hr = np.full((1500, 2000, 3), 200, np.uint8)
    sr = hr + np.array([1, 2, 7], np.uint8)
    assert float(getattr(device, metric)(sr, hr)) == pytest.approx(metrics.METRICS[metric](sr, hr), abs=1e-5)


def test_metrics_compose_with_jit(images):
    sr, hr = images
    np.testing.assert_array_equal(jax.jit(lambda a, b: device.psnr(a, b))(sr, hr), device.psnr(sr, hr))


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_bad_arguments_are_named(metric, images):
    sr, hr = images
    function = getattr(device, metric)
    with pytest.raises(ValueError, match=rf"{metric}\[rgb\]: sr is \(3, 45, 61, 3\) and hr \(2, 45, 61, 3\)"):
        function(sr, hr[:2])
    with pytest.raises(ValueError, match="sr is float32 and hr uint8"):
        function(sr.astype(np.float32), hr)
    with pytest.raises(ValueError, match=r"or \(N, H, W, C\)"):
        function(sr[None], hr[None])
    with pytest.raises(ValueError, match="crop_border 23 leaves nothing of 45x61"):
        function(sr, hr, crop_border=23)


@pytest.mark.parametrize("metric, smallest", [("ssim", 11), ("psnr_b", 16)])
def test_too_small(metric, smallest, images):
    sr, hr = images
    with pytest.raises(ValueError, match=f"too small, needs at least {smallest} px a side"):
        getattr(device, metric)(sr[:, :smallest - 1], hr[:, :smallest - 1])
