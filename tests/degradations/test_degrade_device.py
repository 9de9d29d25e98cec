"""Degrading on the device: the host's bits wherever a crop lies, and what has no form there."""

import jax
import numpy as np
import pytest

from jsr import degradations
from jsr.degradations import degrade_device
from jsr.errors import UserError


# With libjpeg 9 and without, odd sizes of images and crops; at x1 and x3; without JPEG
@pytest.mark.slow
@pytest.mark.parametrize("name, sides, size", [
    ("photo_x2", (151, 98), (16, 9)), ("aim22_t1", (143, 177), (12, 20)), ("ntire24", (70, 53), (8, 8)),
    ("photo_x4_clean", (101, 90), (8, 12)), ("ntire23_x3", (300, 200), (16, 16)), ("bicubic_x2", (90, 71), (20, 8)),
    ("bicubic_x3", (97, 100), (8, 16)), ("bicubic_x4", (101, 90), (9, 11))])
def test_a_crop_has_the_bits_of_the_host(photograph, name, sides, size):
    if name in ("aim22_t1", "ntire24"):
        pytest.importorskip("jpeglib", reason="an optional package (extra `codecs`)")
    hr, form, rng = photograph(*sides, 1), degrade_device.form(name, size), np.random.default_rng(0)
    last = [side // form.scale - length for side, length in zip(sides, size, strict=True)]
    corners = [(0, 0), last, (0, last[1]), (last[0], 0), *rng.integers(np.add(last, 1), size=(12, 2)).tolist()]
    parts, wanted = [], []
    for seed, (y, x) in enumerate(corners):
        parts.append(degrade_device.part(form, hr, (y, x), degradations.draw(name, seed)))
        wanted.append(degradations.degrade_part(name, hr, (y, y + size[0]), (x, x + size[1]), seed=seed))
    found = jax.jit(lambda batch: degrade_device.degraded(form, batch))(
        {key: np.stack([part[key] for part in parts]) for key in parts[0]} | {"quality": np.zeros(len(corners))})
    assert sorted(found) == ["hr", "lr", "quality"]
    for number, (lr, hr_part, _) in enumerate(wanted):
        np.testing.assert_array_equal(found["lr"][number], lr, err_msg=str(corners[number]))
        np.testing.assert_array_equal(found["hr"][number], hr_part)


@pytest.mark.parametrize("name, size, fixed, line", [
    ("ais24", (16, 16), {}, "ais24: avif has no form on the device, which has pillow_bicubic, "),
    ("real_esrgan_x4", (16, 16), {}, "real_esrgan_x4: blur has no form on the device"),
    ("aim22_t2", (16, 16), {}, "aim22_t2: clips have no form on the device; leave it to the host"),
    ("ntire24_again", (16, 16), {}, "ntire24_again: jpeg before another codec has no form on the device"),
    ("jpeg_webp", (16, 16), {}, "jpeg_webp: jpeg before another codec has no form on the device"),
    ("photo_x2", (16, 16), {"encoder": "mozjpeg403"}, "photo_x2: the JPEG of mozjpeg403 has no form on the device"),
    ("photo_x2", (16, 4), {}, "photo_x2: the device makes LR crops of 8 px at least, not of 16x4; take a larger crop")])
def test_what_has_no_form_is_said_in_a_line(name, size, fixed, line):
    with pytest.raises(UserError, match=line) as found:
        degrade_device.form(name, size, **fixed)
    assert "\n" not in str(found.value)
