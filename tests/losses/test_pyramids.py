"""Losses of pyramids, wavelets and block transforms."""

import functools

import numpy as np
from PIL import Image
import pytest
from scipy.fft import dctn

from jsr.losses import detail, frequency, pixel
from jsr.metrics import profiles


# Of hzwer/ECCV2022-RIFE's model/laplacian.py in float64, with the small image that it leaves out.
@pytest.mark.parametrize("options, expected", [({}, 0.060350554266002276), ({"levels": 3}, 0.05762032532016032)])
def test_the_laplacian_pyramid_is_the_published_one(quick, pictures, options, expected):
    pred, target = pictures(2, 64, 96)
    loss = quick(functools.partial(detail.laplacian_pyramid, **options))(pred, target)
    np.testing.assert_allclose(loss, expected, rtol=2e-6)


def test_the_laplacian_pyramid_of_a_constant_is_the_constant(quick, pair):
    """Odd sizes too: the bands are empty, what is left is the difference."""
    image = np.full((1, 9, 11, 3), 0.5, np.float32)
    loss = quick(functools.partial(detail.laplacian_pyramid, levels=3))(image, image - 0.25)
    np.testing.assert_allclose(loss, 0.25, rtol=1e-6)
    with pytest.raises(ValueError, match=r"laplacian_pyramid: 12x8 px .* too small for 5 levels, which need 32 px"):
        detail.laplacian_pyramid(*pair)


def test_haar_by_hand(quick):
    """One block of 4x4: each level's bands are inner products with the signs of the four pixels, halved."""
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)**2 / 100
    blocks = image.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(2, 2, 4)  # block row, block column, p q r s
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    first = blocks @ signs.T
    second = first[..., 0].reshape(4) @ signs.T
    expected = (np.square(first[..., 0]).mean() + np.abs(first[..., 1:]).mean()
                + second[0]**2 + np.abs(second[1:]).mean())
    np.testing.assert_allclose(quick(detail.haar_wavelet)(image, np.zeros_like(image)), expected, rtol=1e-6)
    np.testing.assert_allclose(np.square(first).sum(), np.square(image).sum(), rtol=1e-6)  # orthonormal
    with pytest.raises(ValueError, match="haar_wavelet: 4x4 px .* is no multiple of 8 px a side, for 3 levels"):
        detail.haar_wavelet(image, image, levels=3)


def test_block_dct_is_scipys(quick, pictures):
    pred, target = pictures(1, 16, 24)
    blocks = (pred - target).astype(np.float64).reshape(1, 2, 8, 3, 8, 3)
    expected = np.abs(dctn(blocks, axes=(2, 4), norm="ortho")).mean()
    np.testing.assert_allclose(quick(frequency.block_dct_l1)(pred, target), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="block_dct_l1: 15x24 px .* is no multiple of 8 px a side"):
        frequency.block_dct_l1(pred[:, 1:], target[:, 1:])


def test_luma_is_that_of_the_metric_but_for_its_third_digit(quick, pictures):
    pred, target = pictures(1, 16, 24)
    luma = [profiles.values((image[0] * 255).round().astype(np.uint8), profiles.get("y_601")) / 255
            for image in (pred, target)]
    np.testing.assert_allclose(quick(pixel.luma_mse)(pred, target), np.square(luma[0] - luma[1]).mean(), rtol=0.02)


def test_ycbcr_is_pillows_but_for_its_rounding(quick, photograph):
    pictures = [photograph(32, 40, seed) for seed in (0, 1)]
    expected = np.abs(np.subtract(*(np.asarray(Image.fromarray(p).convert("YCbCr"), np.float64) for p in pictures)))
    value = quick(pixel.ycbcr_l1)(*(p[None].astype(np.float32) / 255 for p in pictures))
    np.testing.assert_allclose(value, expected.mean() / 255, atol=0.5 / 255 / 10)
