"""HEIC, the format of many phones: HEVC in HEIF, by the x265 and libde265 inside pillow-heif (the extra `heif`).

Images in and out are uint8 RGB as for the other codecs of this folder.
"""

import io

import numpy as np

from jsr.errors import MissingLibrary, UserError, install
from jsr.images import check_rgb

SUFFIX = ".heic"


def encode(image, quality, *, subsampling="4:2:0"):
    """An image as the bytes of a HEIC file.

    Args:
      image: uint8 (H, W, 3), RGB.
      quality: integer, 0 to 100, libheif's.
      subsampling: subsampling of chroma, "4:2:0", "4:2:2" or "4:4:4".

    Raises:
      ValueError: wrong type, shape, quality or subsampling.
      UserError: pillow-heif is not installed.
    """
    check_rgb(image)
    if quality not in range(101):
        raise ValueError(f"quality must be an integer from 0 to 100, got {quality!r}")
    if subsampling not in ("4:2:0", "4:2:2", "4:4:4"):
        raise ValueError(f"subsampling must be 4:2:0, 4:2:2 or 4:4:4, got {subsampling!r}")
    height, width = image.shape[:2]
    buffer = io.BytesIO()
    made = _library().from_bytes("RGB", (width, height), np.ascontiguousarray(image).tobytes())
    made.save(buffer, quality=int(quality), chroma=int(subsampling.replace(":", "")))
    return buffer.getvalue()


def decode(data):
    """The image in the bytes of a HEIC file: uint8 (H, W, 3), RGB; UserError where it is damaged."""
    library = _library()
    try:
        return np.array(library.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True))[..., :3]
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError) as e:
        raise UserError(f"HEIC: cannot be decoded, damaged ({e}); make it again") from e


def library():
    """Names and versions of encoder and decoder, for records: "libheif 1.23.6, x265 4.3"."""
    its = _library().libheif_info()
    return f"libheif {its['libheif']}, {its['HEIF']}"


def record(quality, *, subsampling="4:2:0"):
    """Everything that makes the bytes of `encode` with these arguments, besides the image."""
    return {"codec": "heic", "library": library(), "quality": quality, "subsampling": subsampling}


def _library():
    try:
        import pillow_heif
    except ImportError:
        raise MissingLibrary(f"HEIC needs pillow-heif: {install('heif')}") from None
    return pillow_heif
