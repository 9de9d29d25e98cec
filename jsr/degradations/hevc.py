"""HEVC of 8-bit YUV 4:2:0 clips: the HM reference software that NTIRE 2022 and AIM 2022 Track 2 used, and x265.

The two are no substitutes for one another; records say which it was.

"hm" runs the user's own TAppEncoderStatic (HM comes as source, from https://hevc.hhi.fraunhofer.de) by the command that
the organisers print in the README of RenYang-home/NTIRE22_VEnh_SR: HM 16.20, Low-Delay P, QP 37.

"x265" is the libx265 inside PyAV, set to resemble that as far as it can: one intra frame, then P frames with four
references, one fixed QP, no psycho-visual tuning. What it lacks is HM's QP cascade, by which one of every four frames
is coded better than the rest.

QP 37, 24 frames of Big Buck Bunny at 320x176 px; PSNR of YUV against the clip before compression:

| encoder         | bytes | clip     | frames 1 to 5                     |
|-----------------|-------|----------|-----------------------------------|
| HM 16.20        | 3483  | 31.62 dB | 32.13, 31.87, 31.81, 31.59, 31.92 |
| x265 4.2        | 3471  | 31.15 dB | 31.32, 31.25, 31.24, 31.23, 31.24 |

A bicubic x4 of the two has a PSNR of RGB of 25.72 and 25.48 dB, of the clip before compression 30.53 dB.

Clips are arrays as `jsr.degradations._video` lays them out, which also scales them and turns them from and to RGB. The
organisers' steps are `_video.scale_yuv`, `encode(..., 37, encoder="hm")`, `decode_rgb`; scores are taken on RGB.
"""

import functools
import hashlib
import os
from pathlib import Path
import re
import subprocess
import tempfile

import numpy as np

from jsr.degradations import _video
from jsr.errors import UserError, nearest
from jsr.files import writing

SUFFIX = ".hevc"
ENCODERS = ("x265", "hm")

# Sides, px: least and multiple. HM's configuration does not pad to its smallest coding unit.
_SIDES = {"x265": (16, 2), "hm": (8, 8)}

X265_PRESET = "veryslow"
X265_SILENT = {"log-level": "none", "info": 0}  # info: a text with all options in every stream
X265_SINGLE_THREAD = {"pools": "none", "frame-threads": 1, "wpp": 0}  # the number of threads changes the bytes
X265_LOW_DELAY_P = {
    "bframes": 0, "keyint": -1, "scenecut": 0, "ref": 4, "weightp": 0,  # one intra frame, then P frames
    "ipratio": 1, "pbratio": 1, "aq-mode": 0, "cutree": 0, "rc-lookahead": 0,  # one QP for every frame and block
    "psy-rd": 0, "psy-rdoq": 0,  # the least squared error, as HM
}
# x265 4.2 gives other bytes each time for clips just one coding unit wide, beyond which it then seems to read. Its
# largest unit is 64 px, or what fits into a smaller clip; clips 16 px wide can have none that is smaller.
_UNITS = {64: 32, 32: 16}  # width of a clip: the largest unit to take, px
# hash: an MD5 of every frame, which decoding compares. x265 4.2 with B frames gave other bytes each time for clips of
# 64x64 px, half of them not lossless.
X265_LOSSLESS = {"lossless": 1, "hash": 1, "bframes": 0}

HM_ENCODER, HM_CONFIG = "JSR_HM_ENCODER", "JSR_HM_CONFIG"
# In the order of the organisers' command. The second is a placeholder of theirs: the command line overrides it.
HM_CONFIG_FILES = ("encoder_lowdelay_P_main.cfg", "per-sequence/BasketballDrill.cfg")


def encode(yuv, qp, *, encoder="x265", fps=25, hm_encoder=None, hm_config=None):
    """A clip as the bytes of an HEVC stream.

    Args:
      yuv: uint8 (T, H * 3 // 2, W); H and W even, for "hm" multiples of 8.
      qp: integer, 1 to 51 (worst). HM adds to it as its configuration says.
      encoder: one of `ENCODERS`.
      fps: frames a second, a whole number as HM wants it.
      hm_encoder: HM's TAppEncoderStatic; by default the environment variable JSR_HM_ENCODER.
      hm_config: HM's folder cfg; by default the environment variable JSR_HM_CONFIG.

    Raises:
      UserError: unknown encoder; PyAV, HM or its configuration is missing; HM fails.
      ValueError: wrong type, shape, size, QP or fps.
    """
    size_hw = _checked(yuv, encoder, fps)
    if qp not in range(1, 52):
        raise ValueError(f"qp must be an integer from 1 to 51, got {qp!r}")
    if encoder == "x265":
        return _x265(yuv, size_hw, X265_PRESET, _x265_options(qp), fps)
    return _hm(yuv, size_hw, qp, fps, *_hm_files(hm_encoder, hm_config))


def encode_lossless(yuv, *, fps=25):
    """A clip as the bytes of a lossless HEVC stream by x265, for HR clips; arguments and errors as in `encode`.

    `decode` gives the same clip back, or a UserError where a frame is damaged: the stream holds an MD5 of each. Only a
    stream that was cut within its last frame can slip through.
    """
    size_hw = _checked(yuv, "x265", fps)
    return _x265(yuv, size_hw, "medium", {**X265_LOSSLESS, **X265_SINGLE_THREAD, **X265_SILENT}, fps)


def decode(data, *, num_frames=None, name=None):
    """The clip in the bytes of a video file: HEVC as a bare stream, in Matroska or another container.

    A stream that is cut off has fewer frames, which only `num_frames` can tell. Damage within a frame goes unnoticed,
    unless its syntax is broken or the stream holds checksums, as streams of `encode_lossless` do.

    Args:
      data: bytes.
      num_frames: number of frames that there must be; None takes any number.
      name: name for error messages.

    Returns:
      uint8 (T, H * 3 // 2, W); of a stream by HM bit for bit HM's own reconstruction.

    Raises:
      UserError: damaged, no HEVC, not 8-bit YUV 4:2:0, another number of frames; PyAV is not installed.
    """
    return np.stack([frame.to_ndarray() for frame in _frames(data, num_frames, name)])


def decode_rgb(data, *, num_frames=None, name=None):
    """The clip in the bytes of a video file as uint8 (T, H, W, 3); arguments and errors as in `decode`.

    The conversion equals the organisers' command, `ffmpeg -i x.mkv %3d.png`, bit for bit (tried against 5.1.9).
    """
    return np.stack([_video.to_rgb(frame) for frame in _frames(data, num_frames, name)])


def library(encoder="x265", *, hm_encoder=None, hm_config=None):
    """Name and version of the encoder, for records; arguments and errors as in `encode`."""
    _check_encoder(encoder)
    if encoder == "x265":
        return _video.library("x265")
    return f"HM {_hm_version(_hm_files(hm_encoder, hm_config)[0])}"


def record(qp, *, encoder="x265", fps=25, hm_encoder=None, hm_config=None):
    """Everything that makes the bytes of `encode` with these arguments, besides the clip; raises as `encode` does."""
    version = library(encoder, hm_encoder=hm_encoder, hm_config=hm_config)
    common = {"codec": "hevc", "encoder": encoder, "library": version, "qp": qp, "fps": fps, "pix_fmt": "yuv420p"}
    if encoder == "x265":
        return {**common, "preset": X265_PRESET, "x265-params": _joined(_x265_options(qp))}
    files = _hm_files(hm_encoder, hm_config)
    return {**common, "config": list(HM_CONFIG_FILES),
            "sha256": [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]}


def _checked(yuv, encoder, fps):
    """(height, width) of a clip that the encoder takes; ValueError of any other."""
    _check_encoder(encoder)
    _video.checked_yuv(yuv)
    height, width = yuv.shape[1] // 3 * 2, yuv.shape[2]
    least, multiple = _SIDES[encoder]
    if height % multiple or width % multiple or min(height, width) < least:
        raise ValueError(f"{encoder} needs sides of at least {least} px, multiples of {multiple}, got height {height} "
                         f"and width {width}; crop the clip first, an HR clip to multiples of {multiple} x scale")
    if not isinstance(fps, int) or fps < 1:
        raise ValueError(f"fps must be a positive integer, got {fps!r}")
    return height, width


def _check_encoder(encoder):
    if encoder not in ENCODERS:
        raise UserError(f"HEVC encoder {encoder!r} is unknown; {nearest(encoder, ENCODERS)}")


def _frames(data, num_frames, name):
    """The frames of a clip, decoded one by one; UserError where they are not what `decode` promises."""
    name = name or f"<{len(data)} bytes>"
    count = 0
    for frame in _video.decode(data, "hevc", name):
        if frame.format.name != "yuv420p":
            raise UserError(f"{name}: is {frame.format.name}, not 8-bit YUV 4:2:0 (yuv420p); convert it first")
        count += 1
        yield frame
    if count != (num_frames or max(count, 1)):
        raise UserError(f"{name}: holds {count} frames{f', not {num_frames}' if num_frames else ''}; "
                        "it is cut off or another clip, replace or remove it")


def _x265_options(qp):
    return {"qp": qp, **X265_LOW_DELAY_P, **X265_SINGLE_THREAD, **X265_SILENT}


def _x265(yuv, size_hw, preset, params, fps):
    params = params | ({"ctu": _UNITS[size_hw[1]]} if size_hw[1] in _UNITS else {})
    return _video.encode(map(_video.from_yuv, yuv), size_hw, container="hevc", codec="libx265",
                         options={"preset": preset, "x265-params": _joined(params)}, rate=fps)


def _joined(params):
    return ":".join(f"{key}={value}" for key, value in params.items())


def _hm(yuv, size_hw, qp, fps, encoder, *config):
    with tempfile.TemporaryDirectory() as folder:  # also for the reconstruction that HM leaves where it runs
        source, target = Path(folder, "lr.yuv"), Path(folder, "lr.mkv")  # the organisers' suffix; it is a bare stream
        with writing(source):
            source.write_bytes(yuv.tobytes())
        status, printed = _run_hm(
            encoder, "-c", config[0], "-c", config[1], "-i", source.name,
            "-q", qp, "-wdt", size_hw[1], "-hgt", size_hw[0], "-f", len(yuv), "-fr", fps, "-b", target.name, cwd=folder)
        if status or not target.is_file():
            raise UserError(f"{encoder}: failed with status {status}: {_complaint(printed)}")
        data = target.read_bytes()
    decode(data, num_frames=len(yuv), name=f"output of {encoder}")
    return data


def _hm_files(hm_encoder, hm_config):
    """Absolute paths of HM's encoder and its two configuration files."""
    hm_encoder, hm_config = hm_encoder or os.environ.get(HM_ENCODER), hm_config or os.environ.get(HM_CONFIG)
    if not (hm_encoder and hm_config):
        raise UserError(f"HEVC encoder 'hm' is not set up: build HM 16.20, set {HM_ENCODER} to its TAppEncoderStatic "
                        f"and {HM_CONFIG} to its folder cfg, or choose 'x265' (which gives other streams)")
    files = [Path(hm_encoder), *(Path(hm_config, file) for file in HM_CONFIG_FILES)]
    for file, variable in zip(files, (HM_ENCODER, HM_CONFIG, HM_CONFIG), strict=True):
        if not file.is_file():
            raise UserError(f"{file}: no such file; correct {variable}")
    return [file.absolute() for file in files]


def _run_hm(encoder, *arguments, cwd=None):
    """Runs HM; returns its exit status and its output: standard output, then standard error.

    In one pipe the two would mix by chance: standard output waits in a buffer, mostly to the program's end.
    """
    try:
        done = subprocess.run([encoder, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace")
    except OSError as e:
        raise UserError(f"{encoder}: cannot be run: {e.strerror}; correct {HM_ENCODER}") from e
    return done.returncode, f"{done.stdout}\n{done.stderr}"


def _complaint(printed):
    """HM's line about its failure: the first that speaks of an error, else its last."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "it says nothing")


@functools.cache
def _hm_version(encoder):
    """HM's name and version in the first line that it prints, e.g. "16.20"."""
    _, printed = _run_hm(encoder, "--help")  # HM's exit status for that is 1
    match = re.search(r"Encoder Version \[([^\]]+)\]", printed)
    return match.group(1) if match else "(version unknown)"
