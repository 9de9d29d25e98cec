"""Pictures of phones that neither libvips nor Pillow reads: HEIC by libheif, JPEG XL by libjxl, each an extra of jsr.

Both decoders turn a picture upright themselves, as its container says; the orientation that its EXIF states too is that
of the sensor, and is not applied again.
"""

import dataclasses

import numpy as np

from jsr.stills import heif, jpegxl
from jsr.stills.still import Header, Still

__all__ = ["EXTENSIONS", "KINDS", "Header", "Still", "header", "kind", "read"]

EXTENSIONS = (".heic", ".heif", ".hif", ".jxl")
_READERS = {"heif": heif, "jpegxl": jpegxl}
KINDS = tuple(_READERS)


def kind(head):
    """"heif" or "jpegxl", by the first 16 bytes of a file; None of another one."""
    return next((name for name, reader in _READERS.items() if reader.is_one(head)), None)


def header(file, name, kind):
    """The Header of an open file.

    Args:
      file: open for reading in binary.
      name: name for error messages.
      kind: result of `kind`.

    Raises:
      MissingLibrary: what reads it is not installed.
      FileError: something in it cannot be read.
      Exception: of the library's, of a damaged file.
    """
    file.seek(0)
    return _READERS[kind].header(file, name)


def read(file, name, kind):
    """The Still of an open file; arguments and exceptions are those of `header`."""
    file.seek(0)
    still = _READERS[kind].read(file, name)
    pixels = still.pixels[..., 0] if still.pixels.shape[2:] == (1,) else still.pixels
    return dataclasses.replace(still, pixels=np.ascontiguousarray(pixels))
