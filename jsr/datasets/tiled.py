"""Images that are decoded by region: a tiled TIFF, lossless, that every reader of TIFF with Zstandard opens whole.

Training takes a small crop of a large photograph, and the decoding of a whole PNG costs far more than all that follows.
Here a crop costs the tiles that it touches: `Tiled` makes a small TIFF file of them, their bytes as they are, which
Pillow decodes. What was measured on photographs of 2040x1356 px, as CPU time for a crop of 256 px at a random place,
and bytes over Pillow's PNG's:

  form                                        a crop    the whole    bytes
  PNG                                                       75 ms     1.00
  PNG in tiles of 128                         4.0 ms                  1.01
  lossless WebP in tiles of 128               3.2 ms                  0.72
  TIFF, deflate, tiles of 128                 2.3 ms        41 ms     1.03
  TIFF, deflate, tiles of 64                  1.9 ms        45 ms     1.06
  TIFF, Zstandard, tiles of 128               0.9 ms        17 ms     1.06
  TIFF, Zstandard, tiles of 96                0.7 ms        16 ms     1.08    <- this one
  TIFF, Zstandard, tiles of 64                0.7 ms        14 ms     1.12

pyvips, which can read regions of TIFF itself, takes 1.5 to 2 ms more a crop, and its wheels know no Zstandard.
"""

import io
import struct

import numpy as np
import PIL
from PIL import Image

from jsr import images
from jsr.errors import FileError, UserError

TILE = 96  # side of a tile, px; TIFF wants a multiple of 16

_START = struct.Struct("<2sHIH")  # byte order, 42, where the directory is, how many entries it has
_ENTRY = struct.Struct("<HHII")  # tag, type, how many values, the value or where the values are
_SHORT, _LONG = 3, 4
_WIDTH, _HEIGHT, _BITS, _OFFSETS, _COUNTS = 256, 257, 258, 324, 325
_FIXED = {  # tag: value of every file
    259: 50000,  # compression: Zstandard
    262: 2,  # RGB
    277: 3,  # samples a pixel
    284: 1,  # stored pixel by pixel
    317: 2,  # each pixel as its difference from the left one
    322: TILE, 323: TILE,
}
_TAGS = sorted([_WIDTH, _HEIGHT, _BITS, *_FIXED, _OFFSETS, _COUNTS])
_BITS_AT = _START.size + _ENTRY.size * len(_TAGS) + 4  # behind the directory and the 0 that says there is no other
_OFFSETS_AT = _BITS_AT + 6
_STRIP_OFFSETS, _STRIP_COUNTS = 273, 279


def encode(image):
    """An image as the bytes of a tiled TIFF file; the same image gives the same bytes, by one version of the libraries.

    Args:
      image: uint8 (H, W, 3).

    Raises:
      UserError: Pillow's libtiff is one without Zstandard.
    """
    height, width = image.shape[:2]
    down, across = _tiles(height), _tiles(width)
    padded = np.pad(image, ((0, down * TILE - height), (0, across * TILE - width), (0, 0)), "edge")
    # Pillow writes no tiles; but the tiles below each other, in strips of the height of a tile, are the same bytes.
    column = padded.reshape(down, TILE, across, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, 3)
    buffer = io.BytesIO()
    try:
        Image.fromarray(column).save(buffer, "TIFF", compression="zstd", tiffinfo={317: _FIXED[317]},
                                     strip_size=TILE * TILE * 3)
    except OSError as e:
        raise UserError(f"Pillow {PIL.__version__} writes no TIFF with Zstandard here ({e}); the wheels of Pillow 12 "
                        "and later do: pip install --upgrade pillow") from e
    strips = Image.open(buffer).tag_v2
    data = buffer.getvalue()
    return _file(height, width, [data[start:start + size] for start, size in
                                 zip(strips[_STRIP_OFFSETS], strips[_STRIP_COUNTS], strict=True)])


def is_tiled(data):
    """Whether bytes begin as a file of `encode` does."""
    if len(data) < _OFFSETS_AT or data[:_START.size] != _START.pack(b"II", 42, 8, len(_TAGS)):
        return False
    entries = {tag: value for tag, _, _, value in _entries(data)}
    return entries.keys() == set(_TAGS) and all(entries[tag] == value for tag, value in _FIXED.items())


class Tiled:
    """The image in bytes of `encode`, as an array that decodes only its slices.

    Args:
      data: bytes, or a memoryview, for which `is_tiled`.
      name: name for error messages.

    Attributes:
      shape: (H, W, 3).
    """

    def __init__(self, data, name):
        self._data, self._name = data, name
        entries = {tag: value for tag, _, _, value in _entries(data)}
        self.shape = entries[_HEIGHT], entries[_WIDTH], 3

    def __getitem__(self, slices):
        """uint8 of the rows and columns of two slices without steps; raises UserError where a tile is damaged."""
        rows, columns = (slice(*part.indices(side)[:2]) for part, side in zip(slices, self.shape, strict=False))
        down, across = (range(part.start // TILE, _tiles(part.stop)) for part in (rows, columns))
        offsets, counts = self._table()
        stride, tiles = _tiles(self.shape[1]), []
        for row in down:
            for index in range(row * stride + across.start, row * stride + across.stop):
                tiles.append(self._data[offsets[index]:offsets[index] + counts[index]])
        region = images.read_rgb(_file(len(down) * TILE, len(across) * TILE, tiles), name=self._name)
        top, left = down.start * TILE, across.start * TILE
        return region[rows.start - top:rows.stop - top, columns.start - left:columns.stop - left]

    def _table(self):
        """The offset and the number of bytes of each tile."""
        number = _tiles(self.shape[0]) * _tiles(self.shape[1])
        try:
            table = struct.unpack_from(f"<{2 * number}I", self._data, _OFFSETS_AT)
        except struct.error:
            raise FileError(f"{self._name}: damaged or truncated image; replace or remove the file") from None
        return table[:number], table[number:]


def _tiles(side):
    return -(-side // TILE)


def _entries(data):
    return _ENTRY.iter_unpack(data[_START.size:_START.size + _ENTRY.size * len(_TAGS)])


def _file(height, width, tiles):
    """A TIFF file of the encoded tiles of an image of this size."""
    number = len(tiles)
    counts_at = _OFFSETS_AT + 4 * number
    sizes = [len(tile) for tile in tiles]
    offsets = np.cumsum([counts_at + 4 * number, *sizes])[:-1].tolist()
    entries = {tag: (_LONG if value > 0xffff else _SHORT, 1, value) for tag, value in _FIXED.items()}
    entries |= {_WIDTH: (_LONG, 1, width), _HEIGHT: (_LONG, 1, height), _BITS: (_SHORT, 3, _BITS_AT)}
    at = {_OFFSETS: _OFFSETS_AT, _COUNTS: counts_at} if number > 1 else {_OFFSETS: offsets[0], _COUNTS: sizes[0]}
    entries |= {tag: (_LONG, number, value) for tag, value in at.items()}
    return b"".join([
        _START.pack(b"II", 42, 8, len(_TAGS)), *(_ENTRY.pack(tag, *entries[tag]) for tag in _TAGS), bytes(4),
        struct.pack(f"<3H{2 * number}I", 8, 8, 8, *offsets, *sizes), *tiles])
