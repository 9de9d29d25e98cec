"""Photographs as images to train on: upright, made smaller, in tiles, without most of the flat ones.

A camera's photograph is soft at the level of pixels: its colours are interpolated, and its file is a JPEG. Made
smaller, it has the sharpness of a clean image. Pillow's bicubic does it, whose kernel grows with the factor. What is
left of a made-up camera's traces (mosaic, noise, JPEG of quality 88; RMS in levels, over the mean gradient of the
result), by 24 photographs:

  shrink    area mean    Hamming    bicubic    Lanczos
     2        0.554       0.534      0.508      0.506
     2.5      0.457       0.429      0.404      0.403
     4        0.276       0.259      0.242      0.244

An area mean leaves most; Lanczos leaves no less than bicubic, and rings more.
"""

import dataclasses
import itertools
from pathlib import Path
import zlib

import numpy as np
from PIL import Image

from jsr.errors import UserError

_FLAT_KEPT = 8  # one in this many flat tiles stays: skies and walls must be known too
_LUMA = np.float32([0.299, 0.587, 0.114])


@dataclasses.dataclass(frozen=True)
class Cut:
    """The form in which a photograph is stored.

    Attributes:
      shrink: size of the photograph over the image's, 1 or more.
      tiles: least side, px, of the tiles that the smaller image is cut into, which cover it; 0 leaves it whole.
      detail: least mean second difference of the luma of a tile, levels. One in eight of the flatter ones is kept,
        always the same. 0 keeps all; 3 leaves out skies and blurred tiles.

    Raises:
      UserError: a value that cannot be.
    """

    shrink: float = 1.0
    tiles: int = 0
    detail: float = 0.0

    def __post_init__(self):
        for key, least in (("shrink", 1), ("tiles", 0), ("detail", 0)):
            value = getattr(self, key)
            kinds = int if key == "tiles" else (int, float)
            if not isinstance(value, kinds) or isinstance(value, bool) or not least <= value < 1 << 16:
                raise UserError(f"{key} {value!r}: give a {'whole ' if kinds is int else ''}number of {least} or more")

    def size(self, height, width):
        """(height, width) of the smaller image."""
        return tuple(max(1, round(side / self.shrink)) for side in (height, width))

    def boxes(self, height, width):
        """The tiles of a smaller image as {"row_column": (top, bottom, left, right)}; the whole has the key ""."""
        if not self.tiles:
            return {"": (0, height, 0, width)}
        down, across = (_parts(side, self.tiles) for side in (height, width))
        return {f"__{row:02d}_{column:02d}": (*rows, *columns)
                for (row, rows), (column, columns) in itertools.product(enumerate(down), enumerate(across))}


WHOLE = Cut()


def sizes(name, height, width, cut):
    """{name: (height, width)} of the tiles of an upright photograph, as `tiles` gives them where `detail` is 0."""
    boxes = cut.boxes(*cut.size(height, width))
    return {f"{name}{key}": (bottom - top, right - left) for key, (top, bottom, left, right) in boxes.items()}


def tiles(image, name, cut):
    """The form in which a photograph is stored: [(name, uint8 (h, w, 3))], from the top left.

    Args:
      image: uint8 (H, W, 3), upright.
      name: name of the photograph, a path perhaps; tiles add their row and column to it.
      cut: Cut.
    """
    size = cut.size(*image.shape[:2])
    if size != image.shape[:2]:
        image = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    cropped = ((f"{name}{key}", image[top:bottom, left:right])
               for key, (top, bottom, left, right) in cut.boxes(*size).items())
    return [(label, tile) for label, tile in cropped if not cut.detail or _is_kept(label, tile, cut.detail)]


def detail(image):
    """The mean size of the second differences of the luma of uint8 (H, W, 3), across and down, in levels."""
    luma = image @ _LUMA
    means = [np.abs(np.diff(luma, 2, axis=axis)).mean() for axis in (0, 1) if luma.shape[axis] > 2]
    return float(np.mean(means)) if means else 0.0


def _is_kept(name, tile, least):
    return detail(tile) >= least or zlib.crc32(Path(name).name.encode()) % _FLAT_KEPT == 0


def _parts(side, least):
    """A side in as many parts as are `least` long: [(start, stop)]; in one where it is shorter."""
    number = max(1, side // least)
    edges = [side * part // number for part in range(number + 1)]
    return list(itertools.pairwise(edges))
