"""JPEG by the libjpeg inside Pillow: baseline, Annex K tables scaled to the quality, default Huffman codes."""

import functools
import io

from PIL import Image, features

SUFFIX = ".jpg"


def encode(image, *, quality, subsampling):
    """JPEG bytes of a uint8 (H, W, 3) image; `quality` 1 to 100, `subsampling` "4:4:4", "4:2:2" or "4:2:0"."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


@functools.cache
def library():
    """Name and version of the library that encodes and decodes: "libjpeg-turbo 3.1.0" or "libjpeg 9.0"."""
    turbo = features.version_feature("libjpeg_turbo")
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version_codec('jpg')}"
