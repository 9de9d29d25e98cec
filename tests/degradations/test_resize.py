"""The resizers against Pillow, published copies of MATLAB's imresize and the ffmpeg command (golden/resize_make.py)."""

from fractions import Fraction
import json
import math
from pathlib import Path
import platform
import sys

import av
import numpy as np
from PIL import Image
import pytest

from jsr.degradations import resize
from jsr.errors import UserError

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "resize.npz")
ROWS = [{**row, "result": f"result{n}"} for n, row in enumerate(json.loads(str(GOLDEN["rows"])))]
MATLAB = [row for row in ROWS if row["name"].startswith("matlab")]
SWSCALE = [row for row in ROWS if "options" in row]
LEVELS = 0 if platform.machine().lower() in ("x86_64", "amd64") else 2  # swscale's vector code of x86 made the goldens


def identity(row):
    return f"{row['name']}-{row['image']}-{row.get('size') or row['scale']}"


def planes(frame):
    """A yuv420p frame as ffmpeg writes it raw."""
    rows = [np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes]
    return np.concatenate([row[:, :plane.width].ravel() for row, plane in zip(rows, frame.planes, strict=True)])


@pytest.mark.parametrize("name,resample", [("pillow_bicubic", Image.BICUBIC), ("pillow_lanczos", Image.LANCZOS)])
@pytest.mark.parametrize("shape", [(40, 24, 3), (17, 33), (1, 9, 3)])
def test_pillow(name, resample, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for height, width in ((shape[0], 5), (shape[0] + 3, shape[1] // 3), shape[:2]):  # no Pillow takes the height first
        expected = np.asarray(Image.fromarray(image).resize((width, height), resample))
        np.testing.assert_array_equal(resize.RESIZES[name](image, (height, width)), expected)


@pytest.mark.parametrize("name", ["pillow_bicubic", "pillow_lanczos"])
def test_pillow_takes_the_width_first_in_tall_images_too(name):
    """Where Pillow 13 by itself takes the height first; the challenges were made with older ones."""
    image = np.random.default_rng(0).integers(0, 256, (80, 16, 3), np.uint8)
    function = resize.RESIZES[name]
    expected = function(function(image, (80, 4)), (20, 4))
    assert np.any(expected != function(function(image, (20, 16)), (20, 4)))
    np.testing.assert_array_equal(function(image, (20, 4)), expected)


@pytest.mark.parametrize("row", MATLAB, ids=identity)
def test_matlab_as_published_copies(row):
    image, expected = GOLDEN[f"image{row['image']}"], GOLDEN[row["result"]]
    how = {"scale": row["scale"]} if "scale" in row else {"size_hw": row["size"]}
    sr = resize.RESIZES[row["name"]](image, **how)
    difference = np.abs(sr.astype(int) - expected)
    # The copies round halves to even and BasicSR's computes in float32: a level where a value lies at a half.
    assert sr.shape == expected.shape and difference.max() <= 1
    assert np.mean(difference != 0) <= 0.003, np.mean(difference != 0)


def exact_pass(x, axis, out, half_up):
    """One pass of imresize in fractions."""
    x = np.moveaxis(x, axis, 0)
    side, scale = x.shape[0], Fraction(out, x.shape[0])
    shrink = min(scale, Fraction(1))

    def cubic(d):
        d = abs(d)
        if d <= 1:
            return (3 * d**3 - 5 * d**2 + 2) / 2
        return (-d**3 + 5 * d**2 - 8 * d + 4) / 2 if d <= 2 else 0

    result = []
    for n in range(out):
        center = (n + Fraction(1, 2)) / scale - Fraction(1, 2)
        taps = range(math.floor(center - 2 / shrink), math.ceil(center + 2 / shrink) + 1)
        weights = [cubic(shrink * (center - tap)) for tap in taps]
        mirrored = [min(tap % (2 * side), (-1 - tap) % (2 * side)) for tap in taps]
        result.append(sum(weight * x[m] for weight, m in zip(weights, mirrored, strict=True)) / sum(weights))
    result = np.moveaxis(np.stack(result), 0, axis)
    return np.vectorize(lambda v: math.floor(min(max(v, 0), 255) + Fraction(1, 2)))(result) if half_up else result


@pytest.mark.parametrize("size,order", [((6, 8), (0, 1)), ((3, 4), (0, 1)), ((6, 4), (1, 0)), ((24, 16), (0, 1))])
def test_matlab_rounds_halves_upwards_and_takes_the_smaller_scale_first(size, order):
    image = np.random.default_rng(3).integers(0, 256, (12, 16), np.uint8)
    x = np.vectorize(Fraction, otypes=[object])(image.astype(object))
    rounded = double = x
    for step, axis in enumerate(order):
        rounded = exact_pass(rounded, axis, size[axis], half_up=True)
        double = exact_pass(double, axis, size[axis], half_up=step == 1)
    np.testing.assert_array_equal(resize.matlab_bicubic(image, size), rounded.astype(np.uint8))
    np.testing.assert_array_equal(resize.matlab_bicubic_double(image, size), double.astype(np.uint8))


def test_matlab_by_scale_rounds_the_size_up_and_keeps_the_scale():
    image = np.random.default_rng(0).integers(0, 256, (13, 15, 3), np.uint8)
    by_scale = resize.matlab_bicubic(image, scale=1 / 4)
    assert by_scale.shape == (4, 4, 3) and np.any(by_scale != resize.matlab_bicubic(image, (4, 4)))
    mirrored = np.pad(image, ((0, 2), (0, 0), (0, 0)), "symmetric")
    np.testing.assert_array_equal(resize.matlab_bicubic(image, scale=1 / 3)[:3],
                                  resize.matlab_bicubic(mirrored, (5, 5))[:3])


@pytest.mark.parametrize("function", [resize.matlab_bicubic, resize.matlab_bicubic_double])
@pytest.mark.parametrize("arguments", [{}, {"size_hw": (2, 2), "scale": 0.5}])
def test_matlab_wants_size_or_scale(function, arguments):
    with pytest.raises(ValueError, match="one of size_hw and scale, got size_hw="):
        function(np.zeros((4, 4, 3), np.uint8), **arguments)


@pytest.mark.parametrize("row", SWSCALE, ids=lambda row: f"{identity(row)}-{row['options'][6:13]}")
def test_swscale_is_the_ffmpeg_command(row):
    image, expected, size = GOLDEN[f"image{row['image']}"], GOLDEN[row["result"]].astype(int), tuple(row["size"])
    if row["name"] in resize.RESIZES:
        assert row["options"] == resize.SWSCALE_OPTIONS[row["name"].removeprefix("swscale_")]
        result = resize.RESIZES[row["name"]](image, size)
    elif row["name"] == "rgb24 to yuv420p":
        result = planes(resize.swscale(av.VideoFrame.from_ndarray(image, "rgb24"), size, "yuv420p", row["options"]))
    else:
        result = planes(resize.swscale(raw_frame(image), size, "yuv420p", row["options"]))
    np.testing.assert_allclose(result, expected, rtol=0, atol=LEVELS)


def raw_frame(image):
    """A yuv420p frame filled with the image's bytes in order."""
    frame = av.VideoFrame(image.shape[1], image.shape[0], "yuv420p")
    rest = image.ravel()
    for plane in frame.planes:
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, :plane.width] = rest[:plane.height * plane.width].reshape(plane.height, plane.width)
        plane.update(padded)
        rest = rest[plane.height * plane.width:]
    return frame


@pytest.mark.parametrize("colour_range", [av.video.reformatter.ColorRange.MPEG, av.video.reformatter.ColorRange.JPEG])
def test_swscale_leaves_colours_and_time_alone(colour_range):
    frame = raw_frame(np.random.default_rng(0).integers(0, 256, (12, 24, 3), np.uint8))
    frame.color_range, frame.colorspace = colour_range, av.video.reformatter.Colorspace.ITU709
    frame.pts, frame.time_base = 7, Fraction(1, 30)
    result = resize.swscale(frame, (12, 24), "yuv420p", resize.SWSCALE_OPTIONS["bicubic"])
    np.testing.assert_array_equal(planes(result), planes(frame))
    assert (result.pts, result.time_base) == (7, Fraction(1, 30))
    assert (result.color_range, result.colorspace) == (frame.color_range, frame.colorspace)


@pytest.mark.parametrize("name", resize.RESIZES)
def test_shapes_and_flat_images(name):
    for shape in ((20, 30, 3), (20, 30)):
        result = resize.RESIZES[name](np.full(shape, 200, np.uint8), (5, 45))
        assert result.dtype == np.uint8 and result.shape == (5, 45, *shape[2:])
        np.testing.assert_allclose(result, 200, rtol=0, atol=1 if name.startswith("swscale") else 0)


@pytest.mark.parametrize("name", resize.RESIZES)
@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 4), np.uint8),
                                   np.zeros(8, np.uint8)])
def test_other_arrays_are_refused(name, image):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\) or \(H, W\), got"):
        resize.RESIZES[name](image, (4, 4))


@pytest.mark.parametrize("name", ["swscale_bicubic", "swscale_lanczos"])
def test_without_pyav_the_extra_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"swscale needs PyAV; run: pip install .*\[video\]"):
        resize.RESIZES[name](np.zeros((8, 8, 3), np.uint8), (4, 4))
