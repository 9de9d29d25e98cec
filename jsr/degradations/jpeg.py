"""JPEG by the real libraries, baseline with default Huffman codes; encoder and decoder are chosen separately.

"pillow" is the library inside Pillow, libjpeg-turbo in its wheels. The other names of `LIBRARIES` are the versions that
the optional package jpeglib brings; each writes what a Pillow built upon it would write. Pillow 7.2.0, which made the
data of AIM 2022, carried libjpeg 9d. NTIRE 2024 asks for Pillow 10.0.1 with a libjpeg 9 and no libjpeg-turbo: wheels
carry turbo, and Anaconda's build for Linux has libjpeg 9e.

What the choice does, by the mean PSNR of RGB in dB over the 17 colour images of Set5 and Set14, 4:2:0:

  encoder > decoder      pillow > pillow   pillow > 9d   9d > pillow   9e > pillow   9d > 9d   9e > 9e
  x4 down, quality 10             23.06         22.92         23.06         23.08     22.92     22.94
  quality 10                      25.84         25.69         25.84         25.89     25.69     25.74
  quality 40                      30.18         30.01         30.20         30.21     30.02     30.02
  quality 70                      32.82         32.59         32.87         32.87     32.63     32.63

The decoder decides, so a record names both ends (`library`). By output there are few of them:
  decoders   6b, turbo* and mozjpeg* are Pillow's, which filters chroma (they clip otherwise, but only noise made for
             the purpose shows it); 7 to 9 and 9a to 9f scale it by DCTs of 16 samples
  encoders   6b, turbo*, mozjpeg101 and mozjpeg201 are Pillow's; 7 to 9d; 9e and 9f, whose chroma tables start with 16
             instead of 17; mozjpeg300 and mozjpeg403, which search for better coefficients (trellis) and write
             progressive files
"""

import contextlib
import functools
import importlib.metadata
import io
import os
from pathlib import Path
import tempfile
import threading

import numpy as np
from PIL import Image, features

from jsr.errors import MissingLibrary, UserError, install, nearest
from jsr.images import read_rgb

SUFFIX = ".jpg"

# chroma sampling -> how often luma is finer: (vertically, horizontally)
SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}

LIBRARIES = ("pillow", "6b", "7", "8", "8a", "8b", "8c", "8d", "9", "9a", "9b", "9c", "9d", "9e", "9f",
             "turbo120", "turbo130", "turbo140", "turbo150", "turbo200", "turbo210",
             "mozjpeg101", "mozjpeg201", "mozjpeg300", "mozjpeg403")

TRELLIS = ("mozjpeg300", "mozjpeg403")  # encoders that choose coefficients beyond a block

# jpeglib keeps the version in use in a global variable.
_JPEGLIB_LOCK = threading.Lock()


def encode(image, quality, *, subsampling="4:2:0", encoder="pillow"):
    """An image as the bytes of a JPEG file.

    Args:
      image: uint8 (H, W, 3), RGB, or (H, W, 1), grey.
      quality: integer, 1 to 100.
      subsampling: chroma sampling, a key of `SUBSAMPLINGS`; a grey image has none.
      encoder: one of `LIBRARIES`.

    Raises:
      UserError: unknown encoder, or one that is not installed.
      ValueError: wrong type, shape, quality or subsampling.
    """
    _check_library("encoder", encoder)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise ValueError(f"expected uint8 (H, W, 3 or 1), got {image.dtype} {image.shape}")
    if quality not in range(1, 101):
        raise ValueError(f"quality must be an integer from 1 to 100, got {quality!r}")
    if subsampling not in SUBSAMPLINGS:
        raise ValueError(f"subsampling {subsampling!r} is unknown; {nearest(subsampling, SUBSAMPLINGS)}")
    subsampling = None if image.shape[2] == 1 else subsampling
    if encoder == "pillow":
        return _encode_by_pillow(image, int(quality), subsampling)
    return _encode_by_jpeglib(image, int(quality), subsampling, encoder)


def decode(data, *, decoder="pillow"):
    """The image in the bytes of a JPEG file.

    Args:
      data: bytes.
      decoder: one of `LIBRARIES`.

    Returns:
      uint8 (H, W, 3), RGB, or (H, W, 1) where the file is grey.

    Raises:
      UserError: damaged, truncated or no JPEG; unknown decoder, or one that is not installed.
    """
    _check_library("decoder", decoder)
    # Pillow looks at every file first: libjpeg fills missing parts with grey and says nothing.
    image = read_rgb(data, trusted=True)
    with Image.open(io.BytesIO(data)) as header:
        if header.format not in ("JPEG", "MPO"):
            raise UserError(f"<{len(data)} bytes>: is {header.format}, not JPEG; decode it with read_rgb")
        channels = len(header.getbands())
    if decoder != "pillow":
        image = _decode_by_jpeglib(data, decoder)
    return image[..., :channels]


@functools.cache
def library(codec="pillow"):
    """Name and version of an encoder or decoder, for records.

    Args:
      codec: one of `LIBRARIES`.

    Returns:
      "libjpeg-turbo 3.1.0", "libjpeg 9e (jpeglib 1.0.2)" and the like.

    Raises:
      UserError: unknown codec, or one that is not installed.
    """
    _check_library("codec", codec)
    if codec == "pillow":
        turbo = features.version_feature("libjpeg_turbo")
        return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version_codec('jpg')}"
    _jpeglib(codec)
    family = next((prefix for prefix in ("turbo", "mozjpeg") if codec.startswith(prefix)), "")
    version = codec.removeprefix(family)
    name = {"": "libjpeg", "turbo": "libjpeg-turbo", "mozjpeg": "mozjpeg"}[family]
    version = ".".join(version) if family else version  # "turbo210" is 2.1.0
    return f"{name} {version} (jpeglib {importlib.metadata.version('jpeglib')})"


@functools.cache
def is_here(name):
    """Whether a library, one of `LIBRARIES`, can be used on this machine."""
    try:
        library(name)
    except MissingLibrary:
        return False
    return True


def _check_library(role, name):
    if name not in LIBRARIES:
        raise UserError(f"JPEG {role} {name!r} is unknown; {nearest(name, LIBRARIES)}")


def _jpeglib(version):
    """The module jpeglib; raises UserError where it is missing or lacks the version."""
    try:
        import jpeglib
    except ImportError:
        raise MissingLibrary(f"JPEG library {version!r} comes with the package jpeglib, which is not installed; "
                             f"{install('codecs')}, or choose 'pillow'") from None
    if version not in jpeglib.version.versions():
        raise MissingLibrary(f"JPEG library {version!r} is not in the installed jpeglib; install the newest, or choose "
                             f"one of {', '.join(sorted(jpeglib.version.versions()))}")
    return jpeglib


def _chosen(jpeglib, version):
    if jpeglib.version.get() != version:  # it binds all functions anew
        jpeglib.version.set(version)


@contextlib.contextmanager
def _named_file():
    """The path of an empty file, gone afterwards: jpeglib knows no bytes. In memory where the system can do so."""
    if hasattr(os, "memfd_create"):  # a folder in /tmp costs six times as much as the codec
        descriptor = os.memfd_create("image.jpg")
        try:
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, "image.jpg")


def _encode_by_pillow(image, quality, subsampling):
    buffer = io.BytesIO()
    if subsampling is None:
        Image.fromarray(image[..., 0]).save(buffer, "JPEG", quality=quality)
    else:
        Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def _encode_by_jpeglib(image, quality, subsampling, version):
    jpeglib = _jpeglib(version)
    with _JPEGLIB_LOCK, _named_file() as path:
        _chosen(jpeglib, version)
        jpeg = jpeglib.from_spatial(image)
        if subsampling is not None:
            jpeg.samp_factor = subsampling
        # Pillow asks for baseline tables (steps of at most 255); libjpeg's own default allows 16 bits.
        jpeg.write_spatial(str(path), qt=quality, flags=["+FORCE_BASELINE"])
        return path.read_bytes()


def _decode_by_jpeglib(data, version) -> np.ndarray:
    """uint8 (H, W, 3), also of a grey file."""
    jpeglib = _jpeglib(version)
    with _JPEGLIB_LOCK, _named_file() as path:
        _chosen(jpeglib, version)
        path.write_bytes(data)
        return np.asarray(jpeglib.read_spatial(str(path)).spatial)
