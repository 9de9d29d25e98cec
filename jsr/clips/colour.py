"""Frames as float RGB and back: the matrix, the range and the place of chroma samples are explicit.

A frame of any pixel format becomes planes of its own depth and sampling by swscale, which only moves samples about;
planes become RGB here, in float32: chroma by linear interpolation between its samples, then the matrix. The way back is
the same matrix, chroma by the tent that fits its place ([1 2 1] / 4 where its samples lie on luma's, [1 1] / 2 between
two), and rounding to the depth of the stream. Transfer functions are left alone: networks see codes, as of pictures.

What a way forth and back changes: luma nothing; 4:4:4 nothing; subsampled chroma is smoothed by the tent.

FFmpeg's own conversion to 16-bit RGB is half a level of 8 bits off in the mean, and PyAV does not say where chroma
samples lie. They are taken to lie where the standards put them if nothing is said: left (MPEG-2 to HEVC), on every
second luma sample (BT.2020, as UHD has it), in the middle (JPEG and MPEG-1).
"""

import dataclasses
import re

import numpy as np

from jsr.errors import UserError
from jsr.native import pyav

# FFmpeg's numbers of matrices, and (Kr, Kb) of each.
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
            9: (0.2627, 0.0593)}
_NAMES = {0: "RGB", 1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
RGB, BT709, UNTOLD, BT601, BT2020 = 0, 1, 2, 6, 9
_STRANGE = {3: "reserved", 8: "YCgCo", 10: "BT.2020 constant luminance", 11: "SMPTE 2085", 12: "derived",
            13: "derived constant luminance", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re", 17: "YCgCo-Ro"}
LIMITED, FULL = 1, 2
TRANSFERS = {16: "PQ", 18: "HLG"}  # of HDR
_LARGEST_SD = 1024, 576  # width and height up to which untagged clips are taken for BT.601


@dataclasses.dataclass(frozen=True)
class Colours:
    """The meaning of a stream's codes, as FFmpeg's numbers.

    Attributes:
      matrix, range: as tagged, or else as assumed.
      primaries, transfer: as tagged; 2 where they are not.
      place: place of chroma samples, "left", "topleft" or "center".
      assumed: what was not tagged, in words.
    """

    matrix: int
    range: int
    primaries: int = UNTOLD
    transfer: int = UNTOLD
    place: str = "left"
    assumed: tuple[str, ...] = ()

    @property
    def hdr(self):
        """"PQ" or "HLG", "" of others."""
        return TRANSFERS.get(self.transfer, "")

    def __str__(self):
        span = "full" if self.range == FULL else "limited"
        of = _NAMES[self.matrix]
        return f"{of}, {span} range" + (f" ({' and '.join(self.assumed)} assumed)" if self.assumed else "")


def colours_of(frame, codec, name):
    """The Colours of a frame; missing tags follow from its size and format.

    Raises:
      UserError: a matrix that is none of luma and two differences; XYZ.
    """
    matrix, span, assumed = int(frame.colorspace), int(frame.color_range), []
    kind = layout(frame.format.name)
    if frame.format.name.startswith("xyz"):
        raise UserError(f"{name}: its colours are XYZ, those of digital cinema, which are not converted; convert it to "
                        "BT.709 or BT.2020 first")
    full = frame.format.name.startswith("yuvj")
    if kind.rgb or kind.grey:
        span, matrix = span or FULL, RGB if kind.rgb else matrix
    if matrix in _STRANGE or matrix == RGB and not (kind.rgb or kind.grey):
        raise UserError(f"{name}: its colour matrix is {_STRANGE.get(matrix, 'RGB in YUV')}, which is not converted; "
                        "convert it to BT.709 or BT.2020 first")
    if matrix not in _WEIGHTS and not kind.rgb:
        matrix = BT601 if frame.width <= _LARGEST_SD[0] and frame.height <= _LARGEST_SD[1] else BT709
        assumed += [] if kind.grey else ["matrix"]
    if not span:
        span = FULL if full else LIMITED
        assumed += [] if full else ["range"]
    place = "center" if codec in ("mjpeg", "mpeg1video") or full else "topleft" if matrix == BT2020 else "left"
    return Colours(matrix, span, int(frame.color_primaries), int(frame.color_trc), place, tuple(assumed))


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of a pixel format's channels.

    Attributes:
      rgb, grey, alpha: whether it has red, green and blue; no colours; alpha.
      bits: bits per channel.
      across, down: luma samples over chroma samples along a row and a column.
      planar: the pixel format of the same channels, each a plane of its own, least significant bits used.
    """

    rgb: bool
    grey: bool
    alpha: bool
    bits: int
    across: int
    down: int
    planar: str


_DEPTHS = (8, 9, 10, 12, 14, 16)


def sampling(pix_fmt):
    """(across, down) of a pixel format by FFmpeg's name: luma samples over chroma samples, 1 without any chroma."""
    form = pyav("a clip").VideoFormat(pix_fmt, 16, 16)
    return 16 // form.chroma_width(16), 16 // form.chroma_height(16)


def layout(pix_fmt):
    """The Layout of a pixel format by FFmpeg's name; what has no planar twin goes by one of more samples or bits."""
    av = pyav("a clip")
    form = av.VideoFormat(pix_fmt, 16, 16)
    names = [component for component in form.components if not component.is_alpha]
    alpha = any(component.is_alpha for component in form.components) or pix_fmt == "pal8"
    rgb = form.is_rgb or pix_fmt == "pal8" or "bayer" in pix_fmt
    grey = not rgb and len(names) == 1
    bits = 8 if pix_fmt == "pal8" else max(component.bits for component in form.components)
    bits = next((depth for depth in _DEPTHS if depth >= bits), 16)
    across = down = 1
    if not (rgb or grey):
        across, down = sampling(pix_fmt)
        if (across, down) not in ((1, 1), (2, 1), (2, 2)):
            across, down = 1, 1  # 4:1:1, 4:4:0, 4:1:0: written as 4:4:4
    if alpha and bits in (9, 14):
        bits += 1 if bits == 9 else 2
    le = "le" if bits > 8 else ""
    if rgb:
        bits = {9: 10, 14: 16}.get(bits, bits)
        planar = f"gbr{'a' if alpha else ''}p{bits if bits > 8 else ''}{'le' if bits > 8 else ''}"
    elif grey:
        bits = 16 if alpha and bits > 8 else bits
        planar = (f"ya{bits}{'le' if bits > 8 else ''}" if alpha else
                  f"gray{bits if bits > 8 else ''}{'le' if bits > 8 else ''}")
    else:
        planar = f"yuv{'a' if alpha else ''}4{_digits(across, down)}p{bits if bits > 8 else ''}{le}"
    return Layout(rgb, grey, alpha, bits, across, down, planar)


def _digits(across, down):
    return {(1, 1): "44", (2, 1): "22", (2, 2): "20"}[across, down]


def to_rgb(frame, colours):
    """A frame as float32 (H, W, C) in [0, 1]: RGB, or grey, with straight alpha where it has some.

    Args:
      frame: av.VideoFrame.
      colours: Colours.
    """
    kind = layout(frame.format.name)
    planes = _planes(frame, kind, colours)
    top = np.float32((1 << kind.bits) - 1)
    if kind.grey:
        luma, *alpha = planes
        channels = [_luma(luma, kind.bits, colours.range)]
    elif kind.rgb:
        green, blue, red, *alpha = planes
        channels = [plane / top for plane in (red, green, blue)]
    else:
        luma, blue, red, *alpha = planes
        y = _luma(luma, kind.bits, colours.range)
        cb, cr = (_up(_chroma(plane, kind.bits, colours.range), kind, colours.place, y.shape) for plane in (blue, red))
        kr, kb = map(np.float32, _WEIGHTS[colours.matrix])
        one = np.float32(1)
        channels = [y + 2 * (one - kr) * cr, None, y + 2 * (one - kb) * cb]
        channels[1] = (y - kr * channels[0] - kb * channels[2]) / (one - kr - kb)
    channels += [plane / top for plane in alpha]
    return np.clip(np.stack(channels, axis=-1), 0, 1, dtype=np.float32)


def from_rgb(image, pix_fmt, colours, carrier=None):
    """An av.VideoFrame of float32 (H, W, C) in [0, 1], the channels as in `to_rgb`.

    Args:
      image: array; sides that subsampled chroma does not divide have a sample more.
      pix_fmt: pixel format of the frame.
      colours: Colours.
      carrier: av.VideoFrame of that size and format that takes the pixels, and keeps what else it has; None makes one.
    """
    av, kind = pyav("a clip"), layout(pix_fmt)
    height, width = image.shape[:2]
    top = (1 << kind.bits) - 1
    alpha = [_coded(image[..., -1] * np.float32(top), kind.bits)] if kind.alpha else []
    if kind.grey:
        planes = [_coded(_luma_code(image[..., 0], kind.bits, colours.range), kind.bits)]
    elif kind.rgb:
        planes = [_coded(image[..., channel] * np.float32(top), kind.bits) for channel in (1, 2, 0)]
    else:
        kr, kb = map(np.float32, _WEIGHTS[colours.matrix])
        red, green, blue = (image[..., channel] for channel in range(3))
        y = kr * red + (1 - kr - kb) * green + kb * blue
        differences = [(blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))]
        planes = [_coded(_luma_code(y, kind.bits, colours.range), kind.bits)]
        planes += [_coded(_chroma_code(_down(c, kind, colours.place), kind.bits, colours.range), kind.bits)
                   for c in differences]
    planes += alpha
    if kind.planar.startswith("ya"):  # the one whose channels share a plane
        planes = [np.stack(planes, axis=-1).reshape(height, 2 * width)]
    frame = carrier if carrier is not None and kind.planar == pix_fmt else av.VideoFrame(width, height, kind.planar)
    for plane, array in zip(frame.planes, planes, strict=True):
        step = plane.line_size // array.itemsize
        padded = np.zeros((plane.height, step), array.dtype)
        padded[:, :array.shape[1]] = array
        plane.update(padded.tobytes())
    _tag(frame, colours)
    if kind.planar != pix_fmt:
        frame = moved(frame, pix_fmt)
        _tag(frame, colours)
    return frame


def moved(frame, pix_fmt, size=None, flags="bicubic+accurate_rnd+full_chroma_int"):
    """A frame in another pixel format, and size (height, width), by swscale; its tags and side data are kept."""
    graph = pyav("a clip").filter.Graph()
    height, width = size or (frame.height, frame.width)
    source = graph.add("buffer", video_size=f"{frame.width}x{frame.height}", pix_fmt=frame.format.name,
                       time_base="1/1000", colorspace=str(int(frame.colorspace)), range=str(int(frame.color_range)))
    graph.link_nodes(source, graph.add("scale", f"w={width}:h={height}:flags={flags}:sws_dither=none"),
                     graph.add("format", pix_fmt), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _tag(frame, colours):
    rgb = frame.format.is_rgb
    frame.colorspace, frame.color_range = RGB if rgb else colours.matrix, FULL if rgb else colours.range
    frame.color_primaries, frame.color_trc = colours.primaries, colours.transfer


def _planes(frame, kind, colours):
    """The planes of a frame at its depth: float32 arrays."""
    if frame.format.name.replace("yuvj", "yuv") != kind.planar:
        _tag(frame, colours)
        frame = moved(frame, kind.planar)
    dtype = np.uint8 if kind.bits == 8 else np.dtype("<u2")
    planes = [np.frombuffer(plane, dtype).reshape(plane.height, -1) for plane in frame.planes]
    if kind.planar.startswith("ya"):
        both = planes[0][:, :2 * frame.width].reshape(frame.height, frame.width, 2)
        return [both[..., channel].astype(np.float32) for channel in range(2)]
    return [array[:, :plane.width].astype(np.float32) for array, plane in zip(planes, frame.planes, strict=True)]


def _scales(bits, span):
    """(black, codes from black to white, grey of chroma, codes of chroma's whole extent)."""
    if span == FULL:
        return 0, (1 << bits) - 1, 1 << bits - 1, (1 << bits) - 1
    unit = 1 << bits - 8
    return 16 * unit, 219 * unit, 128 * unit, 224 * unit


def _luma(codes, bits, span):
    black, extent, _, _ = _scales(bits, span)
    return (codes - np.float32(black)) / np.float32(extent)


def _chroma(codes, bits, span):
    _, _, grey, extent = _scales(bits, span)
    return (codes - np.float32(grey)) / np.float32(extent)


def _luma_code(luma, bits, span):
    black, extent, _, _ = _scales(bits, span)
    return luma * np.float32(extent) + np.float32(black)


def _chroma_code(chroma, bits, span):
    _, _, grey, extent = _scales(bits, span)
    return chroma * np.float32(extent) + np.float32(grey)


def _coded(values, bits):
    return np.clip(np.rint(values), 0, (1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)


def _up(chroma, kind, place, size):
    """Chroma at the size of luma."""
    if kind.down == 2:
        chroma = _doubled(chroma, on=place == "topleft")
    if kind.across == 2:
        chroma = _doubled(chroma.T, on=place != "center").T
    return chroma[:size[0], :size[1]]


def _down(chroma, kind, place):
    """Chroma at its own size."""
    if kind.across == 2:
        chroma = _halved(chroma.T, on=place != "center").T
    return _halved(chroma, on=place == "topleft") if kind.down == 2 else chroma


def _doubled(x, *, on):
    """Twice as many rows by linear interpolation; `on`: the first of each pair lies on a sample, else both beside."""
    after = np.concatenate([x[1:], x[-1:]])
    if on:
        pair = x, (x + after) * np.float32(0.5)
    else:
        before = np.concatenate([x[:1], x[:-1]])
        pair = (before + 3 * x) * np.float32(0.25), (3 * x + after) * np.float32(0.25)
    return np.stack(pair, axis=1).reshape(2 * len(x), -1)


def _halved(x, *, on):
    """Half as many rows, of an odd number one more: the tent around those that lie on a sample, or the mean of two."""
    x = np.concatenate([x, x[-1:]]) if len(x) % 2 else x
    even, odd = x[::2], x[1::2]
    if not on:
        return (even + odd) * np.float32(0.5)
    before = np.concatenate([odd[:1], odd[:-1]])
    return (before + 2 * even + odd) * np.float32(0.25)


def master_display(data):
    """The text that encoders take of AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, "" where it says too little."""
    numbers = np.frombuffer(data[:80], np.int32).reshape(10, 2)
    has_primaries, has_luminance = np.frombuffer(data[80:88], np.int32)
    if not (has_primaries and has_luminance):
        return ""
    values = [numerator / denominator if denominator else 0 for numerator, denominator in numbers.tolist()]
    x_y = [round(value * 50000) for value in values[:8]]
    low, high = (round(value * 10000) for value in values[8:])
    red, green, blue, white = (f"({x_y[i]},{x_y[i + 1]})" for i in (0, 2, 4, 6))
    return f"G{green}B{blue}R{red}WP{white}L({high},{low})"


def light_level(data):
    """"maximum,average" of AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, cd/m2."""
    return ",".join(map(str, np.frombuffer(data[:8], np.uint32).tolist()))


def svt_master_display(text):
    """`master_display`'s text as SVT-AV1 takes it, in the units of colours and candela."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    names, parts = ("G", "B", "R", "WP"), []
    for index, name in enumerate(names):
        parts.append(f"{name}({numbers[2 * index] / 50000:.4f},{numbers[2 * index + 1] / 50000:.4f})")
    return "".join(parts) + f"L({numbers[8] / 10000:.4f},{numbers[9] / 10000:.4f})"
