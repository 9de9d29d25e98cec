"""The containers and encoders that clips are written by, and what each can hold."""

import dataclasses
from pathlib import Path

from jsr.errors import UserError, nearest


@dataclasses.dataclass(frozen=True)
class Container:
    """A file format of clips.

    Attributes:
      muxer: FFmpeg's name of it.
      extensions: file name endings; the first is the usual one.
      mark: key of its metadata that says what made a file, one that the format keeps.
      read_mark: the same key as a reader finds it.
      seeks: whether writing goes back in the file, which a pipe does not let.
    """

    muxer: str
    extensions: tuple[str, ...]
    mark: str
    read_mark: str
    seeks: bool


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A video encoder of FFmpeg.

    Attributes:
      codec: FFmpeg's name of what it writes.
      crf: default constant rate factor, None of one that has no such factor.
      worst: largest constant rate factor.
      presets: from slow to fast; () where there are none.
      preset: the default one.
      preset_option: the name of the encoder's option.
      even: whether height and width must be even, of 4:2:0, and the width of 4:2:2.
      options: options of the encoder, {name: value}, always.
      params: name of the option that holds parameters of the library, "" of none.
      hdr: whether it writes mastering display and light levels into its stream.
      alpha_beside: keys of CONTAINERS that hold its alpha, which stands beside the frames; () where it is in them.
      most_bits: most bits of a channel, below which it is no lossy encoder's fault: ProRes 4444 is decoded to 12 bits.
    """

    codec: str
    crf: int | None = None
    worst: int = 0
    presets: tuple[str, ...] = ()
    preset: str = ""
    preset_option: str = "preset"
    even: bool = False
    options: tuple[tuple[str, str], ...] = ()
    params: str = ""
    hdr: bool = False
    most_bits: int = 16
    alpha_beside: tuple[str, ...] = ()


CONTAINERS = {
    "mkv": Container("matroska", (".mkv",), "JSR", "JSR", seeks=False),
    "mp4": Container("mp4", (".mp4", ".m4v"), "encoding_tool", "encoder", seeks=True),
    "mov": Container("mov", (".mov",), "JSR", "JSR", seeks=True),
    "webm": Container("webm", (".webm",), "JSR", "JSR", seeks=False),
}
# Endings that are clips; of those that cannot be written results are Matroska files, which hold whatever these hold.
READABLE = (*(ending for form in CONTAINERS.values() for ending in form.extensions),
            ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp",
            ".3g2", ".ogv", ".ogm", ".mxf", ".dv", ".nut", ".y4m", ".ivf", ".h264", ".264", ".hevc", ".h265", ".265")
OTHERWISE = "mkv"

_X26X = ("placebo", "veryslow", "slower", "slow", "medium", "fast", "faster", "veryfast", "superfast", "ultrafast")
# The default factors write what is 42 dB from the networks' frames, measured on frames of 512x320 px by the network x2,
# of a PSNR of 42.1 dB and 2.9 above bicubic's: written, they have 40.4. FFV1 loses nothing, and takes many times the
# bytes.
ENCODERS = {
    "libx264": Encoder("h264", 16, 51, _X26X, "medium", even=True, params="x264-params", hdr=True),
    "libx265": Encoder("hevc", 16, 51, _X26X, "medium", even=True, params="x265-params", hdr=True),
    "libsvtav1": Encoder("av1", 14, 63, tuple(map(str, range(14))), "6", even=True, params="svtav1-params", hdr=True),
    "libvpx-vp9": Encoder("vp9", 20, 63, tuple(map(str, range(9))), "4", "cpu-used",
                          options=(("b", "0"), ("deadline", "good"), ("row-mt", "1"), ("auto-alt-ref", "0")),
                          alpha_beside=("mkv", "webm")),
    "ffv1": Encoder("ffv1", options=(("level", "3"), ("slicecrc", "1"))),
    "prores_ks": Encoder("prores", most_bits=10),
}
# By the codec of the source; what is not here, and what its encoder does not take, goes by the first that does.
_BY_CODEC = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9", "vp8": "libvpx-vp9",
             "prores": "prores_ks", "dnxhd": "prores_ks", "cfhd": "prores_ks",
             **dict.fromkeys(("ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "png", "v210", "qtrle"),
                             "ffv1")}
_ORDER = {"mkv": ("libx264", "libx265", "ffv1"), "mp4": ("libx264", "libx265"),
          "mov": ("libx264", "libx265", "prores_ks"), "webm": ("libsvtav1", "libvpx-vp9")}
_PLAYED = {"libx264": 8}  # bits that players know of a codec: of H.264 no more


def is_clip(path):
    """Whether a path has the ending of a clip."""
    return Path(path).suffix.lower() in READABLE


def container_of(path):
    """The key of CONTAINERS that an ending names, None of none."""
    suffix = Path(path).suffix.lower()
    return next((name for name, form in CONTAINERS.items() if suffix in form.extensions), None)


def ending(name):
    """".mkv" of "mkv", "MKV" or ".mkv"; UserError where that container cannot be written."""
    wanted = name.lower().removeprefix(".")
    if found := container_of(f"a.{wanted}"):
        return CONTAINERS[found].extensions[0] if wanted == found else f".{wanted}"
    raise UserError(f"--container {name}: cannot be written; choose one of {', '.join(CONTAINERS)}")


def candidates(codec, bits, container, *, hdr):
    """The encoders of ENCODERS that suit a clip, the best first.

    Args:
      codec: FFmpeg's name of the source's.
      bits: bits of its channels.
      container: key of CONTAINERS.
      hdr: whether its stream must hold the data of a mastering display.
    """
    own = _BY_CODEC.get(codec)
    if own in _PLAYED and bits > _PLAYED[own]:
        own = "libx265"
    names = dict.fromkeys([*([own] if own else []), *_ORDER[container], *ENCODERS])
    names = [name for name in names if not hdr or ENCODERS[name].hdr]
    late = [name for name in names if name in _PLAYED and (bits > _PLAYED[name] or hdr)]
    return [name for name in names if name not in late] + late


def encoder(name):
    """The key of ENCODERS by that name or by its codec's, as "hevc"; UserError where there is none."""
    if name in ENCODERS:
        return name
    for key, value in ENCODERS.items():
        if name.lower() in (value.codec, key.removeprefix("lib"), {"h264": "avc", "hevc": "h265"}.get(value.codec)):
            return key
    raise UserError(f"--codec {name}: is none that clips are written by; {nearest(name, ENCODERS)}")
