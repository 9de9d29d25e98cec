"""AVIF by SVT-AV1, as AIS 2024 real-time SR (section 2.2 of its report) made its LR images.

The report's command, at QP 31, 39, 47, 55 and 63:

    ffmpeg -i 1.png
           -vf 'scale=ceil(iw/4):ceil(ih/4):flags=lanczos+accurate_rnd+full_chroma_int:sws_dither=none:param0=5'
           -c:v libsvtav1 -qp 31 -preset 5 1_4x_qp31.avif

`encode(image, 31, scale=4)` gives the encoder the same frame, bit for bit (tried against ffmpeg 5.1.9), and the same
options. What the encoder makes of it depends on its version, and the report names none: 13 images of Set14, x4, PSNR of
luma against the frame given, mean bytes:

| SVT-AV1             | QP 31                | QP 63                |
|---------------------|----------------------|----------------------|
| 1.4.1 (Debian 12)   | 45.83 dB, 6528 bytes | 28.90 dB, 1285 bytes |
| 3.0.0 (PyAV 15.0.0) | 45.11 dB, 6461 bytes | 28.24 dB, 1132 bytes |
| 4.1.0 (PyAV 18.1.0) | 45.02 dB, 6483 bytes | 28.19 dB, 1123 bytes |

The number of threads changes nothing. Repeated runs give the same bytes.
"""

import numpy as np
from PIL import features

from jsr.degradations import _video
from jsr.degradations.resize import SWSCALE_OPTIONS, swscale
from jsr.errors import UserError, nearest
from jsr.images import read_rgb
from jsr.native import environment

SUFFIX = ".avif"
DECODERS = ("ffmpeg", "pillow")

_RANGES = {"qp": range(1, 64), "preset": range(14), "scale": range(1, 9)}
_MIN_SIDE = 4  # px, of SVT-AV1; version 1.4.1 wanted 64 and even sizes


def encode(image, qp, *, preset=5, scale=1):
    """An image as the bytes of an AVIF file, YUV 4:2:0 with 8 bits.

    Args:
      image: uint8 (H, W, 3), RGB.
      qp: constant quantiser, integer, 1 to 63 (worst).
      preset: SVT-AV1's, integer, 0 (slowest) to 13.
      scale: integer, 1 to 8. The image is first shrunk to ceil(H / scale) x ceil(W / scale) by the report's filter, in
        the same step that makes it YUV; 1 leaves its size.

    Raises:
      UserError: PyAV is not installed, or the encoder hangs.
      ValueError: wrong type, shape, QP, preset or scale; less than 4 px high or wide after scaling.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    for name, value in (("qp", qp), ("preset", preset), ("scale", scale)):
        if value not in _RANGES[name]:
            raise ValueError(f"{name} must be an integer from {_RANGES[name][0]} to {_RANGES[name][-1]}, got {value!r}")
    size_hw = tuple(-(-side // scale) for side in image.shape[:2])
    if min(size_hw) < _MIN_SIDE:
        raise ValueError(f"SVT-AV1 needs at least {_MIN_SIDE} px, got {size_hw[0]}x{size_hw[1]} (height x width)")
    frame = swscale(_video.from_rgb(image), size_hw, "yuv420p", _resize(scale))
    # One thread (lp): the images of a data set are what runs in parallel.
    options = {"qp": str(qp), "preset": str(preset), "svtav1-params": "lp=1"}
    with environment("SVT_LOG", "1"):  # the encoder writes its settings to stderr unless told to report errors only
        return _video.encode([frame], size_hw, container="avif", codec="libsvtav1", options=options, rate=25)


def decode(data, *, decoder="ffmpeg"):
    """The image in the bytes of an AVIF file.

    The decoders differ in how they make RGB of YUV: "ffmpeg" gives bit for bit what `ffmpeg -i FILE x.png` writes (see
    `_video.to_rgb`; tried against 5.1.9), "pillow" interpolates chroma, as libvips does too. The programs of the two
    teams that read AVIF, VPEG-S and CASR, use Pillow; what the organisers used is not known. On Set14, made by
    `encode(image, qp, scale=4)`, the two are 39 dB (QP 31) and 41 dB (QP 63) apart, and a bicubic x4 of theirs has a
    PSNR of RGB of 23.87 ("ffmpeg") and 23.93 dB ("pillow") at QP 31, 21.47 and 21.51 dB at QP 63.

    Args:
      data: bytes.
      decoder: one of `DECODERS`; "pillow" needs a Pillow that reads AVIF, as its wheels from 11.3 on do.

    Returns:
      uint8 (H, W, 3); of an image sequence the first.

    Raises:
      UserError: damaged, truncated or no AVIF; unknown decoder, or it is not installed.
    """
    reader(decoder)
    if decoder == "pillow":
        return read_rgb(data)
    name = f"<{len(data)} bytes>"
    frame = next(_video.decode(data, "av1", name), None)
    if frame is None:
        raise UserError(f"{name}: holds no picture; replace or remove it")
    return _video.to_rgb(frame)


def library():
    """Names and versions of the encoder's libraries, for records; raises UserError where PyAV is not installed."""
    return _video.library("SVT-AV1")


def reader(decoder="ffmpeg"):
    """Name and version of the decoder, for records; `decoder` and errors as in `decode`."""
    if decoder not in DECODERS:
        raise UserError(f"AVIF decoder {decoder!r} is unknown; {nearest(decoder, DECODERS)}")
    return f"libavif {features.version('avif')}" if decoder == "pillow" else _video.library()


def record(qp, *, preset=5, scale=1):
    """Everything that makes the bytes of `encode` with these arguments, besides the image."""
    return {"codec": "avif", "library": library(), "qp": qp, "preset": preset, "pix_fmt": "yuv420p",
            "scale": scale, "resize": f"swscale {_resize(scale)}"}


def _resize(scale):
    return SWSCALE_OPTIONS["bicubic" if scale == 1 else "lanczos"]
