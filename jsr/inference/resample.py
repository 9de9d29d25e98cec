"""Pillow's bicubic resize in float, of whole images and of images that come in bands."""

from collections.abc import Callable, Iterable, Iterator
import math

import numpy as np
from PIL import Image

REACH = 2   # px of the cubic kernel on each side, of the image or, where that shrinks, of the result
_ROWS = 64   # of the result made at a time: what is float at once is little


def resize(image: np.ndarray, size_hw: tuple[int, int], box: tuple[float, float, float, float] | None = None
           ) -> np.ndarray:
    """An image in another size by Pillow's BICUBIC, which is antialiased where it shrinks (jsr.degradations.resize).

    Args:
      image: float32 (H, W, C).
      size_hw: (height, width) of the result, px.
      box: (left, top, right, bottom) of the part that becomes the result, px, fractions too; the whole by default.

    Returns:
      float32 (height, width, C), not clipped.
    """
    planes = [Image.fromarray(np.ascontiguousarray(image[..., channel])) for channel in range(image.shape[2])]
    return np.stack([np.asarray(plane.resize(size_hw[::-1], Image.Resampling.BICUBIC, box)) for plane in planes], -1)


def resampled(bands: Iterable[np.ndarray], size_hw: tuple[int, int], wanted_hw: tuple[int, int],
              start: Callable[[np.ndarray], np.ndarray], finish: Callable[[np.ndarray], np.ndarray]
              ) -> Iterator[np.ndarray]:
    """An image that comes in bands in another size, as `resize` makes it of the whole; it is never there as a whole.

    Args:
      bands: arrays (n, W, C), top to bottom.
      size_hw, wanted_hw: (height, width) of the image and of the result, px.
      start: function of rows of the bands to float32 rows that may be averaged.
      finish: function of float32 rows of the result to those wanted.

    Yields:
      Arrays (n, width, C) of `finish`, top to bottom.
    """
    (height, width), (rows, columns) = size_hw, wanted_hw
    step = height / rows
    reach = REACH * max(step, 1) + 1
    held, top, done = np.empty((0, 0, 0)), 0, 0
    for band in bands:
        held = np.concatenate([held, band]) if len(held) else band
        bottom = top + len(held)
        ready = rows if bottom == height else math.floor((bottom - reach) / step)
        while done < ready:
            stop = min(ready, done + _ROWS)
            first, last = max(math.floor(done * step - reach), 0), min(math.ceil(stop * step + reach), bottom)
            box = 0, done * step - first, width, min(stop * step, height) - first
            yield finish(resize(start(held[first - top:last - top]), (stop - done, columns), box))
            done = stop
        first = max(math.floor(done * step - reach), top)
        held, top = held[first - top:], first
