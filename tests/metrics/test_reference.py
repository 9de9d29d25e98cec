import math
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from jsr import metrics
from jsr.metrics import profiles, reference

ALL = [metrics.psnr, metrics.ssim, metrics.psnr_b]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_one_level_of_difference():
    hr = np.full((16, 20, 3), 100, np.uint8)
    assert metrics.psnr(hr + 1, hr) == pytest.approx(20 * math.log10(255), rel=1e-15)


@pytest.mark.parametrize("profile", metrics.PROFILES)
def test_equal_images(profile):
    image = noise(30, 41, 3)
    assert metrics.psnr(image, image, profile=profile) == math.inf
    assert metrics.ssim(image, image, profile=profile) == 1.0


def test_psnr_b_of_equal_images_is_finite_where_they_are_blocky():
    blocky = noise(4, 4, 3).repeat(8, 0).repeat(8, 1)
    assert metrics.psnr_b(np.full((32, 32), 7, np.uint8), np.full((32, 32), 7, np.uint8)) == math.inf
    assert metrics.psnr_b(blocky, blocky) < 30


def test_psnr_b_looks_only_at_the_restored_image():
    smooth, blocky = np.full((32, 32, 3), 128, np.uint8), noise(4, 4, 3).repeat(8, 0).repeat(8, 1)
    assert metrics.psnr_b(smooth, blocky) == pytest.approx(np.mean(
        [metrics.psnr(smooth[..., c], blocky[..., c]) for c in range(3)]))
    assert metrics.psnr_b(blocky, smooth) < metrics.psnr(blocky, smooth) - 1


def test_luma_of_known_colours():
    colours = np.array([[(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)]], np.uint8)
    luma = {name: profiles.values(colours, profiles.get(name))[0, :, 0] for name in metrics.PROFILES if name != "rgb"}
    np.testing.assert_allclose(luma["y_601"], [16, 235, 81.481, 144.553, 40.966], rtol=1e-6)
    np.testing.assert_array_equal(luma["y_601_rounded"], [16, 235, 81, 145, 41])
    np.testing.assert_allclose(luma["ntire23_script"], [16, 235, 40.966, 144.553, 81.481], rtol=1e-6)


def test_rounded_luma_rounds_halves_up():
    levels = np.arange(256)
    r, g, b = np.meshgrid(levels, levels, levels[:40], indexing="ij")
    tie = np.argwhere((65481 * r + 128553 * g + 24966 * b) % 255_000 == 127_500)[0]
    exact = 16 + (65481 * tie[0] + 128553 * tie[1] + 24966 * tie[2]) / 255_000
    assert exact % 1 == 0.5
    assert profiles.values(tie.astype(np.uint8)[None, None], profiles.get("y_601_rounded")).item() == exact + 0.5


def test_ntire23_script_is_the_luma_of_the_image_with_red_and_blue_exchanged():
    sr, hr = noise(16, 16, 3), noise(16, 16, 3, seed=1)
    script = metrics.psnr(sr, hr, profile="ntire23_script")
    assert script == metrics.psnr(sr[..., ::-1], hr[..., ::-1], profile="y_601")
    assert abs(script - metrics.psnr(sr, hr, profile="y_601")) > 0.01


@pytest.mark.parametrize("metric", ALL)
def test_grey_shapes_agree(metric):
    sr, hr = noise(24, 33), noise(24, 33, seed=1)
    value = metric(sr, hr)
    assert metric(sr[..., None], hr[..., None]) == value
    assert metric(np.stack([sr] * 3, -1), np.stack([hr] * 3, -1)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim])
@pytest.mark.parametrize("profile", metrics.PROFILES)
def test_strips_do_not_show(metric, profile, monkeypatch):
    sr, hr = noise(37, 29, 3), noise(37, 29, 3, seed=1)
    whole = metric(sr, hr, profile=profile)
    for values in (1, 29 * 3 * 4, 29 * 3 * 13):
        monkeypatch.setattr(reference, "STRIP", values)
        assert metric(sr, hr, profile=profile) == pytest.approx(whole, rel=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.integers(16, 40), st.integers(16, 40), st.integers(0, 5), st.integers(0, 2**16),
       st.sampled_from(sorted(metrics.PROFILES)), st.sampled_from(ALL))
def test_crop_border_is_cropping_first(height, width, border, seed, profile, metric):
    full = height + 2 * border, width + 2 * border, 3
    sr, hr = noise(*full, seed=seed), noise(*full, seed=seed + 1)
    inner = slice(border, border + height), slice(border, border + width)
    assert metric(sr, hr, profile=profile, crop_border=border) == metric(sr[inner], hr[inner], profile=profile)


def test_long_thin_image():
    sr, hr = noise(200, 12000), noise(200, 12000, seed=1)
    assert 7 < metrics.psnr(sr, hr) < 9 and -0.1 < metrics.ssim(sr, hr) < 0.1 and 7 < metrics.psnr_b(sr, hr) < 9


def test_one_pixel_has_a_psnr():
    sr, hr = np.array([[3]], np.uint8), np.array([[5]], np.uint8)
    assert metrics.psnr(sr, hr) == pytest.approx(10 * math.log10(255**2 / 4))


IMAGE = noise(32, 32, 3)
BAD = [
    ({"profile": "y601"}, IMAGE, IMAGE, r"metric profile 'y601' is unknown; did you mean 'y_601'\?"),
    ({}, IMAGE, IMAGE[:-1], r"\[rgb\]: sr is \(32, 32, 3\) and hr \(31, 32, 3\)"),
    ({}, IMAGE.astype(np.float32), IMAGE, r"\[rgb\]: sr is float32 and hr uint8, expected uint8"),
    ({}, IMAGE[..., :2], IMAGE[..., :2], r"images are \(32, 32, 2\), expected"),
    ({}, IMAGE[None], IMAGE[None], r"images are \(1, 32, 32, 3\), expected"),
    ({"profile": "y_601"}, IMAGE[..., 0], IMAGE[..., 0], r"a luma needs RGB, but the images are \(32, 32\)"),
    ({"crop_border": -1}, IMAGE, IMAGE, "crop_border -1 leaves nothing of 32x32"),
    ({"crop_border": 16}, IMAGE, IMAGE, "crop_border 16 leaves nothing of 32x32"),
]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("options, sr, hr, message", BAD)
def test_bad_arguments_are_named(metric, options, sr, hr, message):
    with pytest.raises(ValueError, match=message):
        metric(sr, hr, **options)


@pytest.mark.parametrize("metric, smallest", [(metrics.ssim, 11), (metrics.psnr_b, 16)])
def test_too_small(metric, smallest):
    image = noise(smallest, 50, 3)
    metric(image, image)
    with pytest.raises(ValueError, match=rf"\[rgb\]: {smallest}x50 px with crop_border 1 is too small, needs at least "
                                         f"{smallest} px"):
        metric(image, image, crop_border=1)


def test_nothing_heavy_is_imported():
    code = ("import sys, jsr.metrics, jsr.challenges, jsr.cli.evaluate\n"
            "print([m for m in ('jax', 'tensorflow', 'torch', 'scipy', 'cv2') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("metric", ALL)
def test_within_a_traced_function_it_names_what_works_there(metric):
    image = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match=rf"{metric.__name__}\[rgb\]: .* use jsr.metrics.device.{metric.__name__}"):
        jax.jit(metric)(image, image)


def test_tcc_is_the_ssim_of_changes(photograph):
    """Of a clip that moves alike it is 1, whatever its level; of one that flickers or stands still less."""
    hr = np.stack([photograph(24, 32, 3)[:, t:t + 20] // 2 for t in range(4)])
    assert metrics.tcc(hr + 20, hr) == 1.0
    flicker = hr + np.array([0, 9, 0, 9], np.uint8)[:, None, None, None]
    changes = [np.abs(np.diff(clip.astype(int), axis=0)).astype(np.uint8) for clip in (flicker, hr)]
    expected = np.mean([metrics.ssim(*pair) for pair in zip(*changes, strict=True)])
    assert metrics.tcc(flicker, hr) == pytest.approx(expected) and expected < 0.9
    assert metrics.tcc(hr[[0, 0, 0, 0]], hr) < 0.9
    pairs = list(zip(flicker, hr, strict=True))
    rows = [metrics.frame_score(*pair, ["psnr[rgb]", "tcc[rgb]"], before=before)
            for before, pair in zip([None, *pairs], pairs, strict=False)]
    means = metrics.clip_scores(rows, ["tcc[rgb]", "psnr[rgb]"])
    assert means["tcc[rgb]"] == pytest.approx(expected) and "tcc[rgb]" not in rows[0]
    assert metrics.clip_scores(rows[:1], ["tcc[rgb]"]) == {"tcc[rgb]": 1.0}


@pytest.mark.parametrize("sr, hr, message", [
    ((1, 16, 16, 3), (1, 16, 16, 3), "expected clips"), ((16, 16, 3), (16, 16, 3), "expected clips"),
    ((3, 16, 16, 3), (2, 16, 16, 3), "expected clips"), ((2, 8, 8, 3), (2, 8, 8, 3), "too small")])
def test_tcc_of_no_clips(sr, hr, message):
    with pytest.raises(ValueError, match=message):
        metrics.tcc(np.zeros(sr, np.uint8), np.zeros(hr, np.uint8))
