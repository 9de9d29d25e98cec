"""The plain enlargement beside which networks are shown."""

import math

import numpy as np

from jsr.cubic import cubic
from jsr.degradations.resize import matlab_bicubic, pillow_bicubic, swscale_lanczos


def enlarge(lr, scale, kernel="pillow_bicubic"):
    """The plain upscaling beside which networks are shown: uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3).

    Args:
      lr: uint8 (H, W, 3), or a clip (T, H, W, 3), whose frames are enlarged one by one.
      scale: integer.
      kernel: key of `KERNELS`; of a challenge its `Protocol.kernel`.
    """
    if lr.ndim == 4:
        return np.stack([enlarge(frame, scale, kernel) for frame in lr])
    return KERNELS[kernel](lr, (lr.shape[0] * scale, lr.shape[1] * scale))


def torch_bicubic(image, size_hw):
    """torch.nn.functional.interpolate(mode="bicubic", align_corners=False) of an image in [0, 1], clamped and rounded.

    The cubic kernel has a = -0.75, where Pillow and MATLAB have -0.5; edge pixels are repeated. A value halfway between
    two levels, which x3 has often (3 in 1000 of noise), can go the other way.

    Args:
      image: uint8 (H, W, 3).
      size_hw: (height, width) of the result, px, multiples of H and W.

    Returns:
      uint8 (height, width, 3).
    """
    x = image.astype(np.float32)
    for axis, (side, out) in enumerate(zip(image.shape[:2], size_hw, strict=True)):
        x = np.moveaxis(_phases(np.moveaxis(x, axis, 0), out // side), 0, axis)
    return np.clip(x, 0, 255).round().astype(np.uint8)


def _phases(x, factor):
    """The first axis `factor` times as long: each phase is the same weighted sum of four neighbours everywhere."""
    padded = np.pad(x, [(2, 2), *((0, 0) for _ in x.shape[1:])], mode="edge")
    result = np.empty((len(x) * factor, *x.shape[1:]), np.float32)
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        first = math.floor(position) - 1
        result[phase::factor] = sum(np.float32(cubic(position - tap, -0.75)) * padded[tap + 2:tap + 2 + len(x)]
                                    for tap in range(first, first + 4))
    return result


def unchanged(image, size_hw):
    """The image itself: what restoration begins with. ValueError where the sizes differ."""
    if image.shape[:2] != tuple(size_hw):
        raise ValueError(f"an image of {image.shape[:2]} is not of {tuple(size_hw)}")
    return image

KERNELS = {"input": unchanged, "pillow_bicubic": pillow_bicubic, "matlab_bicubic": matlab_bicubic,
           "torch_bicubic": torch_bicubic, "swscale_lanczos": swscale_lanczos}
