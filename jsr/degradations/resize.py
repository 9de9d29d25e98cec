"""Resizing by the libraries that made the challenges' images, each under its own name.

Every function of `RESIZES` takes a uint8 image (H, W, 3) or (H, W) and the (height, width) wanted, px, and gives uint8.
All widen their kernel when they shrink an image (antialiasing) and put pixel centres at half-integers.

| name                  | kernel          | outside the image       | rounded to 8 bits   | first pass    |
|-----------------------|-----------------|-------------------------|---------------------|---------------|
| pillow_bicubic        | cubic, a = -0.5 | weight 0, renormalised  | after each pass     | width         |
| pillow_lanczos        | sinc, 3 lobes   | weight 0, renormalised  | after each pass     | width         |
| matlab_bicubic        | cubic, a = -0.5 | mirrored, edge repeated | after each pass     | smaller scale |
| matlab_bicubic_double | cubic, a = -0.5 | mirrored, edge repeated | at the end          | smaller scale |
| swscale_bicubic       | cubic, a = -0.6 | edge pixel repeated     | at the end, YUV too | width         |
| swscale_lanczos       | sinc, 5 lobes   | edge pixel repeated     | at the end, YUV too | width         |

How far apart the LR images are, as mean PSNR in dB over the RGB of Set5 at x4:

|                       | pillow_lanczos | matlab_bicubic | matlab_bicubic_double | swscale_bicubic | swscale_lanczos |
|-----------------------|----------------|----------------|-----------------------|-----------------|-----------------|
| pillow_bicubic        | 42.9           | 53.3           | 54.0                  | 51.6            | 39.7            |
| pillow_lanczos        |                | 42.8           | 42.8                  | 44.6            | 46.0            |
| matlab_bicubic        |                |                | 58.0                  | 51.8            | 39.7            |
| matlab_bicubic_double |                |                |                       | 52.2            | 39.7            |
| swscale_bicubic       |                |                |                       |                 | 40.8            |

`jsr.degradations.resize_device` has the first four in JAX.
"""

from fractions import Fraction
import math

import numpy as np
from PIL import Image

from jsr.native import pyav

# The options of ffmpeg's `scale` filter. AIM 2022 compressed SR, Track 2: `bicubic`; AIS 2024 real-time SR: `lanczos`.
SWSCALE_OPTIONS = {
    "bicubic": "flags=bicubic",
    "lanczos": "flags=lanczos+accurate_rnd+full_chroma_int:sws_dither=none:param0=5",
}


def pillow_bicubic(image, size_hw):
    """Pillow's BICUBIC, the width always first, as in every Pillow up to 12.

    Pillow 13 by itself takes the height first where it takes away more than twice as many rows as columns, so also at
    x4 in an image more than twice as high as wide. The challenges' organisers had older ones.

    Args:
      image: uint8 (H, W, 3) or (H, W).
      size_hw: (height, width) of the result, px.

    Returns:
      uint8 (height, width, 3) or (height, width).

    Raises:
      ValueError: another type or shape.
    """
    return _pillow(image, size_hw, Image.Resampling.BICUBIC)


def pillow_lanczos(image, size_hw):
    """Pillow's LANCZOS, the width always first; arguments and result as `pillow_bicubic`."""
    return _pillow(image, size_hw, Image.Resampling.LANCZOS)


def _pillow(image, size_hw, resample):
    image, (height, width) = Image.fromarray(_checked(image)), size_hw
    return np.asarray(image.resize((width, image.height), resample).resize((width, height), resample))


def matlab_bicubic(image, size_hw=None, *, scale=None):
    """MATLAB's imresize of a uint8 image, which rounds to 8 bits after each of its two passes, halves upwards.

    Written without MATLAB at hand, and equal in every pixel to images that it made: the 123x234 uint8 example of
    fatheral/matlab_imresize and the x2, x3 and x4 LR images of Set5 in the repositories of SwinIR and IMDN (that these
    are MATLAB's is inferred). The Python copies in wide use, BasicSR's and KAIR's, are `matlab_bicubic_double`.

    Args:
      image: uint8 (H, W, 3) or (H, W).
      size_hw: (height, width) of the result, px: imresize(image, [height width]).
      scale: size of the result over size of the image, in place of `size_hw`: imresize(image, scale). The result has
        ceil(scale * H) x ceil(scale * W) px. Where these products are integers both ways give the same.

    Returns:
      uint8 (height, width, 3) or (height, width).

    Raises:
      ValueError: another type or shape; both or none of `size_hw` and `scale` given.
    """
    return _matlab(image, size_hw, scale, round_between=True)


def matlab_bicubic_double(image, size_hw=None, *, scale=None):
    """MATLAB's imresize of im2double(image) and im2uint8 of its result; arguments and result as `matlab_bicubic`.

    Equal in every pixel to the 123x234 double example of fatheral/matlab_imresize, made by MATLAB, and to the x8 LR
    images of Set5 in the SwinIR repository. BasicSR's and KAIR's `imresize` do the same in float32, always by scale
    and rows first.
    """
    return _matlab(image, size_hw, scale, round_between=False)


def _matlab(image, size_hw, scale, round_between):
    image = _checked(image)
    x = image.astype(np.float64)
    for axis, indices, weights in matlab_passes(image.shape[:2], size_hw, scale):
        x = _weighted(np.moveaxis(x, axis, 0), indices, weights)
        x = np.moveaxis(x, 0, axis)
        if round_between:
            x = _round(x)
    return _round(x).astype(np.uint8)


def _weighted(x, indices, weights):
    """Sums along the first axis, left to right: the rounding of halves depends on the order."""
    weights = weights.reshape(*weights.shape, *(1,) * (x.ndim - 1))
    return sum((weight * x[index] for index, weight in zip(indices, weights, strict=True)), np.zeros(()))


def _round(x):
    return np.floor(np.clip(x, 0, 255) + 0.5)


def matlab_passes(image_hw, size_hw=None, scale=None):
    """The two one-dimensional passes of MATLAB's bicubic imresize, first to last.

    Args:
      image_hw: (H, W) of the image.
      size_hw: (height, width) of the result.
      scale: in place of `size_hw`, as in `matlab_bicubic`.

    Returns:
      [(axis, indices, weights)], axis 0 or 1; int (taps, length) source pixels; float64 (taps, length) weights.

    Raises:
      ValueError: both or none of `size_hw` and `scale` given.
    """
    if size_hw is not None and scale is None:
        scales = [out / side for out, side in zip(size_hw, image_hw, strict=True)]
    elif size_hw is None and scale is not None:
        scales, size_hw = [scale, scale], [math.ceil(scale * side) for side in image_hw]
    else:
        raise ValueError(f"give one of size_hw and scale, got size_hw={size_hw} and scale={scale}")
    return [(axis, *_matlab_taps(image_hw[axis], size_hw[axis], scales[axis]))
            for axis in sorted((0, 1), key=lambda axis: scales[axis])]


def _matlab_taps(side, out, scale):
    shrink = min(scale, 1.0)
    width = 4 / shrink
    center = np.arange(1, out + 1) / scale + 0.5 * (1 - 1 / scale)  # MATLAB counts pixels from 1
    pixels = np.floor(center - width / 2) + np.arange(math.ceil(width) + 2)[:, None]
    weights = shrink * _cubic(shrink * (center - pixels))
    mirrored = np.concatenate([np.arange(side), np.arange(side)[::-1]])
    return mirrored[np.mod(pixels - 1, 2 * side).astype(int)], weights / weights.sum(0)


def _cubic(x):
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def swscale_bicubic(image, size_hw):
    """FFmpeg's `scale` filter with flags=bicubic, RGB to RGB; arguments and result as `pillow_bicubic`.

    swscale scales RGB as luma and chroma, the chroma at half the width where the image shrinks to half or less. No
    challenge goes from RGB to RGB: AIM 2022 Track 2 scales YUV 4:2:0, AIS 2024 goes from RGB to YUV 4:2:0 in the same
    step. For these there is `swscale`.

    Raises:
      ValueError: another type or shape.
      UserError: PyAV is not installed.
    """
    return _swscale_image(image, size_hw, "bicubic")


def swscale_lanczos(image, size_hw):
    """The `scale` filter as AIS 2024 set it, but RGB to RGB: see `swscale_bicubic`."""
    return _swscale_image(image, size_hw, "lanczos")


def _swscale_image(image, size_hw, name):
    image = _checked(image)
    pix_fmt = "rgb24" if image.ndim == 3 else "gray"
    frame = pyav("swscale").VideoFrame.from_ndarray(np.ascontiguousarray(image), pix_fmt)
    return swscale(frame, size_hw, pix_fmt, SWSCALE_OPTIONS[name]).to_ndarray()


def swscale(frame, size_hw, pix_fmt, options):
    """A video frame through FFmpeg's `scale` filter: size and pixel format in one step, as on ffmpeg's command line.

    PyAV 14.0 and 18.1 (FFmpeg 7.1 and 8.1) and the command of FFmpeg 5.1 gave the same bits but for two cases: RGB of
    an odd width, where the command halves the chroma's width first and FFmpeg 8.1 does not, and full-range YUV.
    swscale's vector code for x86 and its plain C differ by up to 2 levels, unless `options` hold both `accurate_rnd`
    and `bitexact`.

    Args:
      frame: av.VideoFrame; its colour range and space are heeded, its time is kept.
      size_hw: (height, width) of the result, px.
      pix_fmt: pixel format of the result, e.g. "yuv420p".
      options: options of the `scale` filter, e.g. a value of `SWSCALE_OPTIONS`.

    Returns:
      av.VideoFrame.

    Raises:
      UserError: PyAV is not installed.
    """
    graph = pyav("swscale").filter.Graph()
    height, width = size_hw
    # add_buffer would leave range and space untold, and the filter would convert between the untold and the frame's.
    source = graph.add("buffer", video_size=f"{frame.width}x{frame.height}", pix_fmt=frame.format.name,
                       time_base=str(frame.time_base or Fraction(1, 25)),
                       colorspace=str(int(frame.colorspace)), range=str(int(frame.color_range)))
    graph.link_nodes(source, graph.add("scale", f"w={width}:h={height}:{options}"), graph.add("format", pix_fmt),
                     graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _checked(image):
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"expected uint8 (H, W, 3) or (H, W), got {image.dtype} {image.shape}")
    return image


RESIZES = {
    "pillow_bicubic": pillow_bicubic,
    "pillow_lanczos": pillow_lanczos,
    "matlab_bicubic": matlab_bicubic,
    "matlab_bicubic_double": matlab_bicubic_double,
    "swscale_bicubic": swscale_bicubic,
    "swscale_lanczos": swscale_lanczos,
}
