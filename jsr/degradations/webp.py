"""Lossy WebP by the libwebp inside Pillow.

Images in and out are uint8 RGB as for the other codecs of this folder, so double compression is a chain of calls:
`webp.encode(jpeg.decode(jpeg.encode(image, 40)), 60)`.
"""

import io

from PIL import Image, features

from jsr.images import check_rgb, read_rgb

SUFFIX = ".webp"


def encode(image, quality, *, method=4):
    """An image as the bytes of a WebP file: lossy, YUV 4:2:0.

    Args:
      image: uint8 (H, W, 3), RGB, at most 16383 px a side.
      quality: integer, 0 to 100.
      method: effort, integer, 0 to 6; 4 is libwebp's own default.

    Raises:
      ValueError: wrong type, shape, quality or method.
    """
    check_rgb(image)
    if max(image.shape) > 16383:
        raise ValueError(f"WebP holds at most 16383 px a side, got {image.shape[0]}x{image.shape[1]} (height x width)")
    for name, value, allowed in (("quality", quality, range(101)), ("method", method, range(7))):
        if value not in allowed:
            raise ValueError(f"{name} must be an integer from {allowed[0]} to {allowed[-1]}, got {value!r}")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=int(quality), method=int(method))
    return buffer.getvalue()


def decode(data):
    """The image in the bytes of a WebP file: uint8 (H, W, 3), RGB; UserError where it is damaged or no image."""
    return read_rgb(data)


def library():
    """Name and version of encoder and decoder, for records."""
    return f"libwebp {features.version('webp')}"


def record(quality, *, method=4):
    """Everything that makes the bytes of `encode` with these arguments, besides the image."""
    return {"codec": "webp", "library": library(), "quality": quality, "method": method}
