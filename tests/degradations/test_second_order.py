"""Real-ESRGAN's degradation, host and device, against the official code: kernels, resizes, what is drawn."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jsr import degradations
from jsr.degradations import kernels, second_order, second_order_device

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "second_order.npz")
ABOUT = json.loads(str(GOLDEN["about"]))
IMAGE = GOLDEN["image"].astype(np.float32) / 255
DRAWS = 1500


@pytest.mark.parametrize("number", range(len(ABOUT["kernels"])))
def test_kernels_are_the_official_ones_to_the_last_digit(number):
    kind, size, its = ABOUT["kernels"][number]
    np.testing.assert_array_equal(kernels.named(kind, size, **its), GOLDEN[f"kernel{number}"])


@pytest.mark.parametrize("number", range(len(ABOUT["resizes"])))
def test_resizes_are_torchs(number):
    mode, size, factor = ABOUT["resizes"][number]
    size = tuple(size) if size else tuple(int(side * factor) for side in IMAGE.shape[:2])
    expected = GOLDEN[f"resize{number}"]
    found = second_order.rescale(IMAGE, size, mode, factor)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    if number % 3 == 0:
        np.testing.assert_allclose(second_order_device.rescale(IMAGE[None], size, mode, factor)[0], expected, rtol=0,
                                   atol=2e-5)


def test_blurs_are_the_official_ones():
    expected = GOLDEN["blurred"]
    np.testing.assert_allclose(second_order.blur(IMAGE, GOLDEN["kernel3"]), expected, rtol=0, atol=1e-6)
    pair = np.stack([GOLDEN["kernel3"], np.eye(9)[4][:, None] * np.eye(9)[4]]).astype(np.float32)
    found = second_order_device.blur(np.stack([IMAGE, IMAGE]), pair)
    np.testing.assert_allclose(found, np.stack([expected, IMAGE]), rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def ours():
    """{quantity: what jsr draws, a list}, by the names of the golden."""
    found = {}

    def note(key, value):
        found.setdefault(key, []).append(value)

    for seed in range(DRAWS):
        steps = degradations.draw("real_esrgan_x4", seed)["steps"]
        for half, (blur, rescale, noise) in enumerate(zip(steps[:5:4], steps[1:6:4], steps[2:7:4], strict=True), 1):
            if half == 2:
                note("blurred2", "no" if blur["kind"] == "none" else "yes")
            if blur["kind"] != "none":
                note(f"kind{half}", blur["kind"])
            if blur["kind"] == "sinc":
                note(f"cutoff_{'small' if blur['size'] < 13 else 'large'}{half}", blur["cutoff"])
            elif blur["kind"] != "none":
                note(f"size{half}", str(blur["size"]))
                for name in ("sigma_x", "sigma_y", "theta"):
                    if name in blur:
                        note(f"{name}{half}", blur[name])
                if "beta" in blur:
                    note(f"beta_{blur['kind'].partition('_')[0]}{half}", blur["beta"])
            note(f"factor{half}", rescale["factor"])
            note(f"mode{half}", rescale["mode"])
            note(f"noise{half}", noise["kind"])
        finish = steps[7]
        note("mode3", finish["mode"])
        note("final", "sinc" if finish["size"] else "none")
        if finish["size"]:
            note("final_cutoff", finish["cutoff"])
        note("jpeg_first", "yes" if finish["jpeg_first"] else "no")
        note("quality1", steps[3]["quality"])
        note("quality2", finish["quality"])
    return found


def test_words_are_drawn_as_often_as_by_the_official_code(ours):
    words = {key: shares for key, shares in ABOUT["words"].items() if not key.startswith("range_")}
    assert words.keys() == {key for key, values in ours.items() if isinstance(values[0], str)}
    for key, shares in words.items():
        assert set(ours[key]) == set(shares), key
        for word, share in shares.items():
            error = np.sqrt(share * (1 - share) * (1 / len(ours[key]) + 1 / ABOUT["counts"][key]))
            assert ours[key].count(word) / len(ours[key]) == pytest.approx(share, abs=4 * error + 1e-3), (key, word)


def test_numbers_have_the_official_distributions(ours):
    """By the test of Kolmogorov and Smirnov; libjpeg's qualities are whole numbers, sizes tell factors to 1e-3."""
    keys = [name.partition("/")[2] for name in GOLDEN.files if name.startswith("quantiles/")]
    assert set(keys) == {key for key, values in ours.items() if not isinstance(values[0], str)}
    for key in keys:
        quantiles, values = GOLDEN[f"quantiles/{key}"], np.array(ours[key])
        grain = {"quality": 0.5, "factor": 1e-3}.get(key[:-1], 1e-6)
        below, above = ((values[:, None] <= quantiles + side * grain).mean(0) for side in (-1, 1))
        place = np.linspace(0.01, 0.99, 99)
        far = np.maximum(below - place, place - above).max()
        assert far < 2 * np.sqrt(1 / len(values) + 1 / ABOUT["counts"][key]) + 0.01, key


def test_ranges_of_noise_are_the_official_ones():
    rows = [step for half in second_order.REAL_ESRGAN for step in half if step["fn"] == "noise"]
    for half, row in enumerate(rows, 1):
        for kind, name in (("gaussian", "sigma"), ("poisson", "poisson")):
            (official, share), = ABOUT["words"][f"range_{kind}{half}"].items()
            assert share == 1 and [*map(float, official.split())] == [*row[name], row["grey"]]


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("kind, strength", [("gaussian", 25.0), ("poisson", 1.5)])
def test_noise_is_of_its_strength_and_colour_on_host_and_device(kind, strength, grey):
    image = np.broadcast_to((np.arange(64)[:, None] + 90) / np.float32(255), (64, 64, 3)).astype(np.float32)
    host = second_order.apply_noise(image, None, kind=kind, strength=strength, grey=grey, seed=3) - image
    device = second_order_device.noise(
        jax.random.key(3), image[None], [kind == "poisson"], [strength], [grey])[0] - image
    # 64 levels: Poisson's variance is value / 64; both hardly reach the ends, where they are clipped
    expected = strength / 255 if kind == "gaussian" else strength * np.sqrt(image.mean() / 64)
    for noise in (host, np.asarray(device)):
        assert np.allclose(noise[..., 0], noise[..., 1], atol=1e-6) == grey
        assert noise.std() == pytest.approx(expected, rel=0.06) and abs(noise.mean()) < expected / 10
    again = second_order.apply_noise(image, None, kind=kind, strength=strength, grey=grey, seed=3) - image
    np.testing.assert_array_equal(again, host)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_record_makes_the_same_file_again(photograph, scale):
    hr = photograph(64, 80, 1)
    for seed in range(4):
        made = degradations.degrade(f"real_esrgan_x{scale}", hr, seed=seed)
        assert made.decode().shape == (64 // scale, 80 // scale, 3) and made.suffix == ".png"
        again = degradations.replay(json.loads(json.dumps(made.record)), hr)
        assert again.lr_bytes == made.lr_bytes and again.record == made.record
        assert "libjpeg" in degradations.codecs(made.record)
    assert degradations.degrade(f"real_esrgan_x{scale}", hr, seed=99).lr_bytes != made.lr_bytes


def test_the_smallest_image_and_a_setting(photograph):
    made = degradations.degrade("real_esrgan_x4", photograph(4, 4), seed=1, quality=50)
    assert made.decode().shape == (1, 1, 3) and made.record["steps"][3]["quality"] == 50
    with pytest.raises(Exception, match="has no parameter 'sigma'"):
        degradations.draw("real_esrgan_x4", sigma=2)


def test_a_part_is_degraded_with_what_is_around_it(photograph):
    hr = photograph(128, 160, 2)
    lr, part, record = degradations.degrade_part("real_esrgan_x4", hr, (8, 24), (10, 30), seed=5)
    assert lr.shape == (16, 20, 3) and record == degradations.draw("real_esrgan_x4", 5)
    np.testing.assert_array_equal(part, hr[32:96, 40:120])
    whole = degradations.degrade("real_esrgan_x4", hr, seed=5).decode()
    lr, _, _ = degradations.degrade_part("real_esrgan_x4", hr, (0, 32), (0, 40), seed=5)
    np.testing.assert_array_equal(lr, whole)


def test_the_steps_are_shown(photograph):
    hr = photograph(64, 64, 3)
    record = degradations.draw("real_esrgan_x4", 2)
    shown = [image for _, image in degradations.trace(record, hr)]
    assert len(shown) == 9 and shown[-1] is None
    assert all(image.dtype == np.uint8 for image in shown[:-1]) and shown[7].shape == (16, 16, 3)
