"""Images that are decoded by region: a tiled TIFF, lossless, that every reader of TIFF opens whole.

Training takes a small crop of a large photograph, and the decoding of a whole PNG costs far more than all that follows.
Here a crop costs the tiles that it touches. They are stored as they are where that takes little more than compressed
they would: a crop is then copied. Others are compressed by Zstandard: `Tiled` makes a small TIFF file of those that it
needs, their bytes as they are, which Pillow decodes. What was measured on photographs of 2040x1356 px, as CPU time of
348x348 px at a random place, as a degraded crop of 256 px needs them, and bytes over Pillow's PNG's:

  form                                        a crop    the whole    bytes
  PNG                                                      161 ms     1.00
  TIFF, Zstandard, tiles of 96                3.9 ms        38 ms     1.03
  TIFF, Zstandard, tiles of 64                3.7 ms        39 ms     1.04    <- this one, or
  TIFF, pixels, tiles of 96                   0.7 ms        19 ms     1.98
  TIFF, pixels, tiles of 64                   0.7 ms        22 ms     1.88    <- this one
  TIFF, pixels, tiles of 32                   1.0 ms        38 ms     1.84

Of the 3.7 ms Zstandard itself takes 2. LZ4, a third of that, takes 0.8 of the pixels' bytes. Before, with the ratios of
an idle machine, PNG in tiles of 128 took 4.4 times as much as Zstandard, lossless WebP 3.6 times, deflate 2.6 times.

Of 60 photographs of 320 to 1411 px Zstandard takes 1.06 times the bytes of PNG in the median, so that pixels which take
`_WORTH` times the bytes of Zstandard take twice those of PNG at most; of a single one it was 2.07 times.

pyvips, which can read regions of TIFF itself, takes 1.5 to 2 ms more a crop, and its wheels know no Zstandard.
"""

import io
import struct
import zlib

import numpy as np
import PIL
from PIL import Image

from jsr import images
from jsr.errors import FileError, UserError

_NONE, _ZSTANDARD = 1, 50000  # TIFF's numbers of compressions
_TILE = 64  # side of a tile, px; TIFF wants a multiple of 16
_PREDICTORS = {_NONE: 1, _ZSTANDARD: 2}  # 2: each pixel as its difference from the left one
_WORTH = 1.85  # times the bytes of Zstandard that pixels as they are may take

_START = struct.Struct("<2sHIH")  # byte order, 42, where the directory is, how many entries it has
_ENTRY = struct.Struct("<HHII")  # tag, type, how many values, the value or where the values are
_SHORT, _LONG = 3, 4
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _OFFSETS, _COUNTS = 256, 257, 258, 259, 324, 325
_STRIP_OFFSETS, _STRIP_COUNTS = 273, 279


def _fixed(compression):
    """{tag: value} that every file of a compression has."""
    return {
        _COMPRESSION: compression,
        262: 2,  # RGB
        266: 1,  # the order of bits within bytes, which no reader wants to know: it tells these files from others
        277: 3,  # samples a pixel
        284: 1,  # stored pixel by pixel
        317: _PREDICTORS[compression],
        322: _TILE, 323: _TILE,
    }


_TAGS = sorted([_WIDTH, _HEIGHT, _BITS, *_fixed(_NONE), _OFFSETS, _COUNTS])
_BITS_AT = _START.size + _ENTRY.size * len(_TAGS) + 4  # behind the directory and the 0 that says there is no other
_TABLE_AT = _BITS_AT + 6  # of the tiles: all offsets, all counts, and all CRC-32, which no tag names


def encode(image):
    """An image as the bytes of a tiled TIFF file; the same image gives the same bytes, by one version of the libraries.

    Args:
      image: uint8 (H, W, 3).

    Raises:
      UserError: Pillow's libtiff is one without Zstandard.
    """
    (height, width), (down, across) = image.shape[:2], map(_tiles, image.shape[:2])
    padded = np.pad(image, ((0, down * _TILE - height), (0, across * _TILE - width), (0, 0)), "edge")
    plain = padded.reshape(down, _TILE, across, _TILE, 3).swapaxes(1, 2).reshape(-1, _TILE, _TILE, 3)
    tiles, compression = _zstandard(plain), _ZSTANDARD
    if plain.nbytes <= _WORTH * sum(map(len, tiles)):
        tiles, compression = [tile.tobytes() for tile in plain], _NONE
    return _file(height, width, tiles, compression, [*map(zlib.crc32, tiles)])


def _zstandard(tiles):
    """The compressed bytes of tiles, uint8 (number, _TILE, _TILE, 3)."""
    buffer = io.BytesIO()
    # Pillow writes no tiles; but the tiles below each other, in strips of the height of a tile, are the same bytes.
    try:
        Image.fromarray(tiles.reshape(-1, _TILE, 3)).save(
            buffer, "TIFF", compression="zstd", tiffinfo={317: _PREDICTORS[_ZSTANDARD]}, strip_size=tiles[0].size)
    except OSError as e:
        raise UserError(f"Pillow {PIL.__version__} writes no TIFF with Zstandard here ({e}); the wheels of Pillow 12 "
                        "and later do: pip install --upgrade pillow") from e
    strips = Image.open(buffer).tag_v2
    data = buffer.getvalue()
    return [data[start:start + size] for start, size in
            zip(strips[_STRIP_OFFSETS], strips[_STRIP_COUNTS], strict=True)]


def is_tiled(data):
    """Whether bytes, or what can be sliced as such, begin as a file of `encode` does."""
    head = bytes(data[:_TABLE_AT])
    if len(head) < _TABLE_AT or head[:_START.size] != _START.pack(b"II", 42, 8, len(_TAGS)):
        return False
    entries = {tag: value for tag, _, _, value in _entries(head)}
    return (entries.keys() == set(_TAGS) and entries[_COMPRESSION] in _PREDICTORS
            and all(entries[tag] == value for tag, value in _fixed(entries[_COMPRESSION]).items()))


def identity(data):
    """Bytes that tell the image in an image file's bytes from others; of one of `encode` its sizes and checksums."""
    return Tiled(data, "").head() if is_tiled(data) else bytes(data)


def summed(data):
    """Bytes whose checksum tells damage that tiles do not tell themselves: all, of a file of `encode` its directory."""
    return bytes(data[:_TABLE_AT] if is_tiled(data) else data)


class Tiled:
    """The image in bytes of `encode`, as an array of which slices are read and decoded alone.

    Args:
      data: bytes, or what can be sliced as such, for which `is_tiled`.
      name: name for error messages.

    Attributes:
      shape: (H, W, 3).
    """

    def __init__(self, data, name):
        self._data, self._name = data, name
        entries = {tag: value for tag, _, _, value in _entries(bytes(data[:_TABLE_AT]))}
        self.shape, self._compression = (entries[_HEIGHT], entries[_WIDTH], 3), entries[_COMPRESSION]

    def __getitem__(self, slices):
        """uint8 of the rows and columns of two slices without steps; raises FileError where a tile is damaged."""
        rows, columns = (slice(*part.indices(length)[:2]) for part, length in zip(slices, self.shape, strict=False))
        down, across = (range(part.start // _TILE, _tiles(part.stop)) for part in (rows, columns))
        tiles = self._read(down, across)
        if self._compression == _NONE:
            region = _joined(tiles, len(down), len(across))
        else:
            file = _file(len(down) * _TILE, len(across) * _TILE, tiles, self._compression, [0] * len(tiles))
            region = images.read_rgb(file, name=self._name)
        top, left = down.start * _TILE, across.start * _TILE
        return region[rows.start - top:rows.stop - top, columns.start - left:columns.stop - left]

    def head(self):
        """The bytes in front of the tiles."""
        return bytes(self._data[:_TABLE_AT + 4 * np.prod(self._table_shape)])

    @property
    def _table_shape(self):
        return 3, _tiles(self.shape[0]), _tiles(self.shape[1])

    def _read(self, down, across):
        """The bytes of the tiles of these rows and columns of tiles; those of a row lie one behind the other."""
        shape, table, found = self._table_shape, self.head()[_TABLE_AT:], []
        if len(table) == 4 * np.prod(shape):
            part = np.frombuffer(table, "<u4").reshape(shape)[:, down.start:down.stop, across.start:across.stop]
            for offsets, counts, sums in part.swapaxes(0, 1).tolist():
                first, last = offsets[0], offsets[-1] + counts[-1]
                run = memoryview(self._data[first:last])
                tiles = [run[at - first:at - first + count] for at, count in zip(offsets, counts, strict=True)]
                if list(map(zlib.crc32, tiles)) != sums:
                    break
                found += tiles
        if len(found) != len(down) * len(across):
            raise FileError(f"{self._name}: damaged or truncated image; replace or remove the file")
        return found


def _joined(tiles, down, across):
    """The image of tiles of pixels, row by row."""
    image = np.empty((down, _TILE, across, _TILE, 3), np.uint8)
    for number, tile in enumerate(tiles):
        image[number // across, :, number % across] = np.frombuffer(tile, np.uint8).reshape(_TILE, _TILE, 3)
    return image.reshape(down * _TILE, across * _TILE, 3)


def _tiles(length):
    return -(-length // _TILE)


def _entries(data):
    return _ENTRY.iter_unpack(data[_START.size:_START.size + _ENTRY.size * len(_TAGS)])


def _file(height, width, tiles, compression, sums):
    """A TIFF file of the encoded tiles of an image of this size, and of their checksums."""
    number = len(tiles)
    counts_at, sums_at = _TABLE_AT + 4 * number, _TABLE_AT + 8 * number
    sizes = [len(tile) for tile in tiles]
    offsets = np.cumsum([sums_at + 4 * number, *sizes])[:-1].tolist()
    entries = {tag: (_LONG if value > 0xffff else _SHORT, 1, value) for tag, value in _fixed(compression).items()}
    entries |= {_WIDTH: (_LONG, 1, width), _HEIGHT: (_LONG, 1, height), _BITS: (_SHORT, 3, _BITS_AT)}
    at = {_OFFSETS: _TABLE_AT, _COUNTS: counts_at} if number > 1 else {_OFFSETS: offsets[0], _COUNTS: sizes[0]}
    entries |= {tag: (_LONG, number, value) for tag, value in at.items()}
    return b"".join([
        _START.pack(b"II", 42, 8, len(_TAGS)), *(_ENTRY.pack(tag, *entries[tag]) for tag in _TAGS), bytes(4),
        struct.pack(f"<3H{3 * number}I", 8, 8, 8, *offsets, *sizes, *sums), *tiles])
