"""JPEG XL, by the libjxl inside OpenImageIO (the extra `jxl`).

Images in and out are uint8 RGB as for the other codecs of this folder.
"""

from pathlib import Path
import tempfile

import numpy as np

from jsr.errors import MissingLibrary, UserError, install
from jsr.images import check_rgb

SUFFIX = ".jxl"


def encode(image, quality):
    """An image as the bytes of a JPEG XL file.

    Args:
      image: uint8 (H, W, 3), RGB.
      quality: integer, 1 to 100, libjxl's, which makes a distance of it; 100 loses nothing.

    Raises:
      ValueError: wrong type, shape or quality.
      UserError: OpenImageIO is not installed, or cannot write.
    """
    check_rgb(image)
    if quality not in range(1, 101):
        raise ValueError(f"quality must be an integer from 1 to 100, got {quality!r}")
    oiio = _library()
    height, width = image.shape[:2]
    spec = oiio.ImageSpec(width, height, 3, "uint8")
    spec.attribute("compression", f"jpegxl:{quality}")
    with tempfile.TemporaryDirectory() as folder:  # its writer for memory is not in Python
        path = Path(folder, "a.jxl")
        out = oiio.ImageOutput.create(str(path))
        if out is None or not (
                out.open(str(path), spec) and out.write_image(np.ascontiguousarray(image)) and out.close()):
            raise UserError(f"JPEG XL: cannot be encoded ({out and out.geterror() or oiio.geterror()})")
        return path.read_bytes()


def decode(data):
    """The image in the bytes of a JPEG XL file: uint8 (H, W, 3), RGB; UserError where it is damaged."""
    oiio = _library()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jxl")
        path.write_bytes(data)
        image = oiio.ImageInput.open(str(path))
        pixels = image and image.read_image(format="uint8")
        if image is None or pixels is None:
            why = image and image.geterror() or oiio.geterror() or "libjxl says no more"
            raise UserError(f"JPEG XL: cannot be decoded, damaged ({why}); make it again")
        image.close()
    return pixels[..., :3]


def library():
    """Names and versions of encoder and decoder, for records: "libjxl 0.12.0, OpenImageIO 3.2.2.0"."""
    oiio = _library()
    libraries = [part.split(":") for part in oiio.get_string_attribute("library_list").split(";")]
    its = next(name for kind, name in libraries if kind == "jpegxl")
    return f"{its}, OpenImageIO {oiio.__version__}"


def record(quality):
    """Everything that makes the bytes of `encode` with these arguments, besides the image."""
    return {"codec": "jpegxl", "library": library(), "quality": quality}


def _library():
    try:
        import OpenImageIO
    except ImportError:
        raise MissingLibrary(f"JPEG XL needs OpenImageIO: {install('jxl')}") from None
    return OpenImageIO
