"""Frames to RGB and back: the arithmetic of the standards, and what a way forth and back leaves."""

import av
import numpy as np
import pytest

from jsr.clips import colour
from jsr.errors import UserError

# Y, Cb, Cr of 8 bits to RGB, computed by hand of the matrices of BT.601, BT.709 and BT.2020
_WHITE, _RED_709 = (235, 128, 128), (63, 102, 240)


def frame_of(codes, pix_fmt, bits=8):
    frame = av.VideoFrame(16, 16, pix_fmt)
    for plane, code in zip(frame.planes, codes, strict=True):
        plane.update(np.full(plane.buffer_size * 8 // (8 if bits == 8 else 16), code,
                             np.uint8 if bits == 8 else np.uint16).tobytes())
    return frame


@pytest.mark.parametrize("pix_fmt, bits, codes, matrix, span, rgb", [
    ("yuv420p", 8, _WHITE, 1, 1, (1, 1, 1)),
    ("yuv420p", 8, (16, 128, 128), 6, 1, (0, 0, 0)),
    ("yuv420p", 8, (255, 128, 128), 6, 2, (1, 1, 1)),
    ("yuv444p10le", 10, (940, 512, 512), 9, 1, (1, 1, 1)),
    ("yuv420p", 8, _RED_709, 1, 1, (1.0008, 0.0012, 0.0)),
    ("yuv444p10le", 10, (502, 512, 512), 9, 1, (0.5, 0.5, 0.5)),
])
def test_codes_to_rgb(pix_fmt, bits, codes, matrix, span, rgb):
    colours = colour.Colours(matrix, span)
    found = colour.to_rgb(frame_of(codes, pix_fmt, bits), colours)
    np.testing.assert_allclose(found[8, 8], np.clip(rgb, 0, 1), atol=2e-3)
    back = colour.from_rgb(found, pix_fmt, colours)
    for plane, code in zip(back.planes, codes, strict=True):
        values = np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)[:8].astype(int)
        assert abs(values - code).max() <= 1, "colours beyond RGB are cut off"


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le",
                                     "yuva420p", "yuva444p10le", "gray", "gray10le", "gbrp", "gbrap", "gbrp10le",
                                     "nv12", "p010le", "ya8", "rgb24", "bgra"])
@pytest.mark.parametrize("span", [colour.LIMITED, colour.FULL])
@pytest.mark.parametrize("place", ["left", "topleft", "center"])
def test_forth_and_back(pix_fmt, span, place):
    """Luma, 4:4:4, RGB, grey and alpha come back to the last bit; subsampled chroma is smoothed a little."""
    kind = colour.layout(pix_fmt)
    colours = colour.Colours(colour.RGB if kind.rgb else colour.BT709, span, place=place)
    height, width = (36, 52) if pix_fmt == "p010le" else (37, 53)  # swscale spoils the last column of odd ones
    y, x = np.mgrid[:height, :width] / 53
    image = np.stack([0.5 + 0.3 * np.sin(5 * x + index) * np.cos(4 * y - index) for index in range(3)], -1)
    image = image[..., :1] if kind.grey else image
    if kind.alpha:
        image = np.concatenate([image, np.clip(x, 0, 1)[..., None]], -1)
    frame = colour.from_rgb(image.astype(np.float32), pix_fmt, colours)
    again = colour.from_rgb(colour.to_rgb(frame, colours), pix_fmt, colours)
    planar = [colour._planes(each, kind, colours) for each in (frame, again)]
    for index, (before, after) in enumerate(zip(*planar, strict=True)):
        subsampled = index in (1, 2) and (kind.across, kind.down) != (1, 1)
        most = 3 << kind.bits - 8 if subsampled else 0
        assert abs(before - after).max() <= most, f"plane {index}"
    assert abs(colour.to_rgb(frame, colours)[4:-4, 4:-4] - image[4:-4, 4:-4]).max() < 0.02


def test_chroma_lies_where_it_is_said():
    """A ramp of chroma is the same ramp when it is doubled, moved by where its samples lie."""
    ramp = np.arange(8, dtype=np.float32)[:, None].repeat(2, 1)
    on, beside = colour._doubled(ramp, on=True)[:-1, 0], colour._doubled(ramp, on=False)[1:-1, 0]
    np.testing.assert_allclose(on, np.arange(15) / 2)
    np.testing.assert_allclose(beside, np.arange(14) / 2 + 0.25)
    np.testing.assert_allclose(colour._halved(colour._doubled(ramp, on=True), on=True)[1:-1], ramp[1:-1])
    np.testing.assert_allclose(colour._halved(colour._doubled(ramp, on=False), on=False)[1:-1], ramp[1:-1])


@pytest.mark.parametrize("size, matrix, span, codec, found", [
    ((480, 640), 2, 0, "h264", (6, 1, "left", ("matrix", "range"))),
    ((720, 1280), 2, 0, "h264", (1, 1, "left", ("matrix", "range"))),
    ((720, 1280), 5, 1, "h264", (5, 1, "left", ())),
    ((2160, 3840), 9, 1, "hevc", (9, 1, "topleft", ())),
    ((480, 640), 2, 2, "mjpeg", (6, 2, "center", ("matrix",))),
])
def test_what_is_not_tagged_follows_from_the_size(size, matrix, span, codec, found):
    frame = av.VideoFrame(size[1], size[0], "yuv420p")
    frame.colorspace, frame.color_range = matrix, span
    colours = colour.colours_of(frame, codec, "a.mkv")
    assert (colours.matrix, colours.range, colours.place, colours.assumed) == found


def test_a_strange_matrix_is_refused():
    frame = av.VideoFrame(64, 64, "yuv420p10le")
    frame.colorspace = 14
    with pytest.raises(UserError, match="ICtCp, which is not converted"):
        colour.colours_of(frame, "hevc", "a.mkv")
