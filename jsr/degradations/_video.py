"""Shared parts of FFmpeg's codecs: PyAV, and clips as arrays.

A clip in 8-bit YUV 4:2:0 is one uint8 array (T, H * 3 // 2, W) with the bytes of a raw .yuv file: of every frame H rows
of luma, then both chroma planes of H / 2 x W / 2 px each. H and W are even.
"""

import contextlib
import ctypes
import functools
import importlib.metadata
import io

import numpy as np

from jsr.degradations.resize import SWSCALE_OPTIONS, swscale
from jsr.errors import FileError, UserError
from jsr.native import call_apart, pyav

# SVT-AV1 may take these: thirty times what its slowest preset takes on a free core.
_SECONDS, _SECONDS_PER_MEGAPIXEL = 120, 1200


def library(encoder=None):
    """Versions for records, e.g. "x265 4.2+1, FFmpeg 8.1.2, PyAV 18.1.0".

    Args:
      encoder: "SVT-AV1" or "x265". Its version is unknown where PyAV is not a wheel that carries it. None for what
        FFmpeg does itself.
    """
    av = pyav(encoder or "swscale")
    ffmpeg = f"FFmpeg {av.ffmpeg_version_info}, PyAV {av.__version__}"
    return f"{encoder} {_bundled_version(encoder)}, {ffmpeg}" if encoder else ffmpeg


@functools.cache  # recorded with every image, and looked up among all files of the wheel
def _bundled_version(encoder):
    read = {"SVT-AV1": _svt_av1_version, "x265": _x265_version}[encoder]
    stem = {"SVT-AV1": "libSvtAv1Enc", "x265": "libx265"}[encoder]
    bundled = [file for file in importlib.metadata.files("av") or () if stem in file.name]
    return read(ctypes.CDLL(str(bundled[0].locate()))) if bundled else "(version unknown)"


def _svt_av1_version(lib):
    lib.svt_av1_get_version.restype = ctypes.c_char_p
    return lib.svt_av1_get_version().decode().removeprefix("v")


def _x265_version(lib):
    return ctypes.string_at(ctypes.c_char_p.in_dll(lib, "x265_version_str")).decode()


def encode(frames, size_hw, *, container, codec, options, rate):
    """Encodes yuv420p frames.

    Args:
      frames: iterable of av.VideoFrame.
      size_hw: their (height, width), px.
      container: FFmpeg's name of the file format.
      codec: FFmpeg's name of the encoder.
      options: the encoder's options, {name: text}.
      rate: frames a second.

    Returns:
      The bytes of the file.

    Raises:
      UserError: PyAV is not installed or lacks the encoder, or the encoder hangs.
    """
    av = pyav(codec)
    if codec not in av.codecs_available:
        raise UserError(f"PyAV {av.__version__} is built without {codec}; run: pip install --upgrade av")
    call = functools.partial(_encoded, av, frames, size_hw, container, codec, options, rate)
    if codec != "libsvtav1":
        return call()
    # Root's processes it makes real-time, and versions 3.1.1 and 3.1.2 are known to hang.
    seconds = _SECONDS + _SECONDS_PER_MEGAPIXEL * size_hw[0] * size_hw[1] / 1e6
    return call_apart(call, seconds=seconds, name=f"the encoder {codec}")


def _encoded(av, frames, size_hw, container, codec, options, rate):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        count = 0
        for count, frame in enumerate(frames, 1):
            frame.pts = count - 1
            output.mux(stream.encode(frame))
        output.mux(drained(stream, count))
    return buffer.getvalue()


def drained(stream, frames):
    """The packets that a video stream's encoder still holds at its end.

    Those of x265 are decoded at a random time where a stream has fewer than three frames, too few to be reordered: it
    reads memory that it has not set (its issue 781), which makes writing them fail now and then.

    Args:
      stream: av.VideoStream of an output.
      frames: number of the frames that it has been given, one or more.
    """
    packets = stream.encode(None)
    if frames < 3:
        for packet in packets:
            packet.dts = packet.pts
    return packets


def decode(data, codec, name):
    """The frames in the bytes of a video or AVIF file, one after the other.

    Args:
      data: bytes.
      codec: FFmpeg's name of the codec that the file must have, e.g. "hevc"; None takes any.
      name: name for error messages.

    Yields:
      av.VideoFrame.

    Raises:
      UserError: damaged, no pictures, another codec; PyAV is not installed.
    """
    with opened(data, name) as (container, stream):
        if codec and stream.codec.canonical_name != codec:
            raise UserError(f"{name}: is {stream.codec.canonical_name}, not {codec}; convert it first")
        yield from container.decode(stream)


@contextlib.contextmanager
def opened(data, name):
    """(container, video stream) of a file's bytes; damage met while they are used is a UserError, as in `decode`."""
    av = pyav(name)
    try:
        with av.open(io.BytesIO(data), "r") as container:
            if not container.streams.video:
                raise FileError(f"{name}: holds no pictures; replace or remove it")
            stream = container.streams.video[0]
            # Without this FFmpeg hides damage under something plausible; "crccheck" compares checksums where there are.
            stream.codec_context.options = {"err_detect": "crccheck+bitstream+explode"}
            yield container, stream
    except av.error.FFmpegError as e:
        raise FileError(f"{name}: damaged or truncated ({e.strerror}); replace or remove it") from e


def check_420(frame, name):
    """Raises FileError where an av.VideoFrame, or a stream, is not 8-bit YUV 4:2:0; `name` is what it calls the file.
    """
    if frame.format is None:  # of a stream that says nothing of its pixels before they are decoded
        raise FileError(f"{name}: damaged or truncated (no pixel format); replace or remove it")
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        raise FileError(f"{name}: is {frame.format.name}, not 8-bit YUV 4:2:0; convert it with "
                        "ffmpeg -i FILE -pix_fmt yuv420p -c:v libx265 -x265-params lossless=1 OUT.mkv")


def read_clip(data, name):
    """A video file of any codec as (clip in YUV, frames a second).

    Args:
      data: the bytes of the file.
      name: name for error messages.

    Raises:
      UserError: damaged, no video, not 8-bit YUV 4:2:0, or PyAV is not installed.
    """
    frames, rate = [], None
    for frame in decode(data, None, name):
        check_420(frame, name)
        frames.append(frame.to_ndarray())
        if rate is None and frame.duration and frame.time_base:
            rate = 1 / float(frame.duration * frame.time_base)
    if not frames:
        raise UserError(f"{name}: holds no pictures; replace or remove it")
    return np.stack(frames), rate or 25.0


def crop_to_multiple(yuv, multiple):
    """A clip without the rows at the bottom and the columns at the right beyond multiples of an even number, px.

    Raises:
      ValueError: a side is shorter than `multiple`.
    """
    height, width = yuv.shape[1] // 3 * 2, yuv.shape[2]
    new_height, new_width = height - height % multiple, width - width % multiple
    if not new_height or not new_width:
        raise ValueError(f"{height}x{width} (height x width) is smaller than {multiple} px")
    luma = yuv[:, :new_height, :new_width]
    chroma = yuv[:, height:].reshape(len(yuv), 2, height // 2, width // 2)[:, :, :new_height // 2, :new_width // 2]
    return np.concatenate([luma, chroma.reshape(len(yuv), new_height // 2, new_width)], axis=1)


def from_yuv(yuv):
    """One frame (H * 3 // 2, W) of a YUV clip as av.VideoFrame."""
    return pyav("YUV").VideoFrame.from_ndarray(np.ascontiguousarray(yuv), "yuv420p")


def from_rgb(rgb):
    """An image, uint8 (H, W, 3), as av.VideoFrame."""
    return pyav("YUV").VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")


def to_rgb(frame):
    """An av.VideoFrame as uint8 (H, W, 3), bit for bit as `ffmpeg -i FILE %3d.png` writes it.

    Where the stream names no colour space that is BT.601 in limited range. swscale's shortcut repeats each chroma value
    over its 2x2 pixels where the height is even; an odd height takes the long way, which interpolates vertically.
    """
    return _convert(frame, "rgb24").to_ndarray()


def rgb_to_yuv(rgb):
    """An RGB clip in YUV, bit for bit as `ffmpeg -i %3d.png -pix_fmt yuv420p` makes it: BT.601 in limited range.

    Args:
      rgb: uint8 (T, H, W, 3).

    Returns:
      uint8 (T, H * 3 // 2, W).

    Raises:
      UserError: PyAV is not installed.
      ValueError: another type or shape, or an odd height or width.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 4 or rgb.shape[3] != 3 or not rgb.size:
        raise ValueError(f"expected uint8 (T, H, W, 3), got {rgb.dtype} {rgb.shape}")
    if rgb.shape[1] % 2 or rgb.shape[2] % 2:
        raise ValueError(f"4:2:0 needs even sizes, got height {rgb.shape[1]} and width {rgb.shape[2]}; "
                         "crop to multiples of 2 first")
    return np.stack([_convert(from_rgb(image), "yuv420p").to_ndarray() for image in rgb])


def yuv_to_rgb(yuv):
    """A YUV clip as uint8 (T, H, W, 3), each frame by `to_rgb`; raises as `scale_yuv` does."""
    return np.stack([to_rgb(from_yuv(frame)) for frame in checked_yuv(yuv)])


def scale_yuv(yuv, size_hw):
    """A YUV clip at another size, bit for bit as `ffmpeg -pix_fmt yuv420p -s WxH -i x.yuv -vf scale=wxh:flags=bicubic`.

    AIM 2022 Track 2 and NTIRE 2022 made their LR clips so; luma and chroma are scaled each by itself.

    Args:
      yuv: uint8 (T, H * 3 // 2, W).
      size_hw: (height, width) of the result, px, even.

    Returns:
      uint8 (T, height * 3 // 2, width).

    Raises:
      UserError: PyAV is not installed.
      ValueError: another type or shape, or an odd size.
    """
    if size_hw[0] % 2 or size_hw[1] % 2:
        raise ValueError(f"4:2:0 needs even sizes, got height {size_hw[0]} and width {size_hw[1]}; "
                         "crop the clip to multiples of twice the scale first")
    return np.stack([swscale(from_yuv(frame), size_hw, "yuv420p", SWSCALE_OPTIONS["bicubic"]).to_ndarray()
                     for frame in checked_yuv(yuv)])


def checked_yuv(yuv):
    """The clip; ValueError where it is no uint8 (T, H * 3 // 2, W) with even H and W."""
    if yuv.dtype != np.uint8 or yuv.ndim != 3 or yuv.shape[1] % 3 or yuv.shape[2] % 2 or not yuv.size:
        raise ValueError(f"expected uint8 (T, H * 3 // 2, W) with even H and W, got {yuv.dtype} {yuv.shape}")
    return yuv


def _convert(frame, pix_fmt):
    """Another pixel format at the same size, by the scaler that the ffmpeg command puts in: its default is bicubic."""
    return swscale(frame, (frame.height, frame.width), pix_fmt, SWSCALE_OPTIONS["bicubic"])
