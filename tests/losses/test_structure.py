"""SSIM and MS-SSIM against scikit-image and pytorch-msssim."""

import jax
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from jsr.losses import structure


def test_ssim_is_scikit_images(quick, pictures):
    pred, target = pictures(2, 40, 56)
    expected = [structural_similarity(a.astype(np.float64), b.astype(np.float64), data_range=1, channel_axis=-1,
                                      gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
                for a, b in zip(pred, target, strict=True)]
    np.testing.assert_allclose(quick(structure.ssim)(pred, target), 1 - np.mean(expected), rtol=2e-6)


# Of pytorch-msssim 1.0.0 in float64, with the first weights over their sum where there are fewer than five scales; the
# gradient's absolute sum.
@pytest.mark.parametrize("scales, expected, gradient", [(5, 0.023990312541912195, 0.9455802105304618),
                                                        (3, 0.03732146693147964, 1.4571839537663325)])
def test_ms_ssim_is_the_published_one_of_odd_sizes_too(ms_ssim, pictures, scales, expected, gradient):
    loss, found = ms_ssim(*pictures(1, 173, 163), scales)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(np.abs(found).sum(dtype=np.float64), gradient, rtol=1e-4)


@pytest.fixture(scope="module")
def ms_ssim(quick):
    """Function of (pred, target, scales) to loss and gradient."""
    return quick(jax.value_and_grad(structure.ms_ssim), static_argnums=2)


def test_one_scale_is_ssim(quick, pictures):
    both = quick(lambda *images: (structure.ms_ssim(*images, scales=1), structure.ssim(*images)))
    np.testing.assert_allclose(*both(*pictures(1, 20, 24)), rtol=1e-6)


def test_equal_images_have_no_loss_bright_ones_either(ms_ssim, pictures):
    for image in (pictures(1, 24, 32)[1], np.full((1, 24, 32, 3), 0.999, np.float32)):
        np.testing.assert_allclose(ms_ssim(image, image, 2)[0], 0, atol=1e-6)


def test_the_opposite_picture_has_a_finite_gradient(ms_ssim, pictures):
    """Its structure terms are below zero at all scales, where the original's gradient is none or infinite."""
    target = pictures(1, 24, 32)[1]
    loss, gradient = ms_ssim(1 - target, target, 2)
    np.testing.assert_allclose(loss, 1 - structure._FLOOR, atol=1e-6)
    assert np.isfinite(gradient).all()


def test_small_crops_and_other_scales_are_refused(pictures):
    images = pictures(1, 10, 24)
    with pytest.raises(ValueError, match="ssim: 10x24 px .* is too small, sides must be above 10 px; crop more"):
        structure.ssim(*images)
    images = pictures(1, 160, 176)
    with pytest.raises(ValueError, match="ms_ssim: 160x176 px .* above 160 px; crop more or take fewer scales"):
        structure.ms_ssim(*images)
    for scales in (0, 6):
        with pytest.raises(ValueError, match=f"ms_ssim: scales={scales} is none of 1 to 5"):
            structure.ms_ssim(*images, scales=scales)
