"""Reading and writing 8-bit RGB images, with one clear line for every file that is not one."""

import contextlib
import io
from pathlib import Path
import struct
import tempfile
import warnings

import numpy as np
from PIL import Image

from jsr import listing, orientation, stills
from jsr.errors import FileError, UserError
from jsr.files import atomic_write, no_folder, no_picture, open_file
from jsr.libvips import check_jpeg, tidied_jpeg, undecodable, unread_tiff

# The endings of all formats that are read, here by Pillow and in jsr.pictures.
EXTENSIONS = (".avif", ".bmp", ".dib", ".gif", ".icb", ".icns", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg",
              ".jpf", ".jpg", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".ras", ".rgb",
              ".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp", *stills.EXTENSIONS)
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # Pillow's names of formats whose frames are no smaller copies or layers
_OPAQUE, _WITH_ALPHA = ("RGB", "L", "1"), ("P", "PA", "LA", "RGBA")  # Pillow's modes that are read
_ORIENTATION = 0x112  # of EXIF
_JPEG, _TIFF = b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Tags of TIFF: the lowest bit says that a page is a smaller copy; bits of each channel; the number of channels; what
# those are that are no colours
_SUBFILE, _BITS, _CHANNELS, _EXTRA = 254, 258, 277, 338
_TURNS = dict(enumerate((  # that make a picture of this orientation upright
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90), 2))
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ON_ITS_SIDE = [_TURNS[stated] for stated in (5, 6, 7, 8)]


def read_rgb(source, *, name=None, trusted=False):
    """Reads an image file, or its bytes, as RGB, turned upright (jsr.orientation).

    Grey and palette images become RGB with the values they show; an alpha channel is dropped where it is fully
    opaque.

    Args:
      source: a path, or the encoded bytes.
      name: name for error messages; the path by default.
      trusted: leaves out the search for missing samples in JPEG files, which takes half as long again: jsr made it.

    Returns:
      uint8 array of shape (H, W, 3).

    Raises:
      UserError: missing, unreadable, truncated, no image, more than 8 bits a channel, CMYK, transparent, several
        frames or pages, or so large that Pillow takes it for a decompression bomb.
    """
    name = name or (f"<{len(source)} bytes>" if isinstance(source, bytes) else source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _opened(source, name, trusted) as image:
                _check_mode(image, name)
                turn, by_pillow = _turn(image)
                image.load()
                rgb = _to_rgb(image, name)
                return np.asarray(rgb if turn is None or by_pillow else rgb.transpose(turn))
    except UserError:
        raise
    except FileNotFoundError:
        raise FileError(f"{name}: no such file") from None
    except _BOMBS as e:
        raise FileError(_too_many_pixels(name)) from e
    except Exception as e:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise FileError(_unreadable(source, name, e)) from e


def _unreadable(source, name, error):
    """The line for an image file, or its bytes, that Pillow could not read."""
    if isinstance(error, OSError) and error.errno:  # the system's, not Pillow's
        return f"{name}: cannot be read: {error.strerror}"
    if not isinstance(source, bytes):
        with open_file(source) as file:
            source = file.read()
    if source.startswith(_TIFF):  # of which Pillow says no more than a number
        return unread_tiff(source, name)
    if not isinstance(error, Image.UnidentifiedImageError):
        return undecodable(name, error)
    if source.startswith(_JPEG):
        try:
            check_jpeg(tidied_jpeg(source) or source, name)
        except FileError as e:
            return str(e)
    return f"{name}: {no_picture(source[:64]) or 'not an image that Pillow can read; replace or remove the file'}"


def _opened(source, name, trusted):
    """The Pillow image of a path or bytes; a JPEG file is whole, and tidied."""
    if not isinstance(source, bytes):
        with open_file(source) as file:
            source = file.read()
    if kind := stills.kind(source[:64]):
        with tempfile.TemporaryFile() as file:  # a decoder may want a file
            file.write(source)
            file.flush()
            _check_still(stills.header(file, name, kind), name)
            image = Image.fromarray(stills.read(file, name, kind).pixels)
            image.tile = []  # pyright: ignore[reportAttributeAccessIssue]  # as of one that is loaded
            return image
    if source.startswith(_JPEG) and not trusted:
        source = tidied_jpeg(source) or source
        check_jpeg(source, name)
    return Image.open(io.BytesIO(source))


def _check_still(head, name):
    """Raises FileError where the header of a picture of jsr.stills says that it is no 8-bit image, or too large."""
    if head.bits > 8:
        raise FileError(f"{name}: has {head.bits} bits a channel, not 8; convert it first")
    if Image.MAX_IMAGE_PIXELS and head.height * head.width > Image.MAX_IMAGE_PIXELS:
        raise FileError(_too_many_pixels(name))


def _too_many_pixels(name):
    return (f"{name}: more pixels than the safety limit of {Image.MAX_IMAGE_PIXELS:,}; crop it or scale it down "
            "first")


def _check_mode(image, name):
    """Raises UserError where an opened image's header says that it is no 8-bit grey or RGB."""
    if (bits := sample_bits(image)) > 8:
        raise FileError(f"{name}: has {bits} bits a channel, not 8; convert it first")
    if image.mode not in (*_OPAQUE, *_WITH_ALPHA):
        raise FileError(f"{name}: is {image.mode}, not 8-bit grey or RGB; convert it first")
    channels = image.tag_v2.get(_CHANNELS, 1) if image.format == "TIFF" else 1
    # Which Pillow drops, or calls alpha
    if channels > len(image.getbands()) or channels == 4 and not np.any(image.tag_v2.get(_EXTRA, 0)):
        raise FileError(f"{name}: has a channel besides its colours, for example infrared, that is not marked as alpha "
                        "(ExtraSamples); remove it, or mark it as alpha")
    if (frames := _frames(image)) > 1:
        raise FileError(f"{name}: holds {frames} frames or pages, not one image; split it first")


def sample_bits(image):
    """Most bits a channel in the file of an opened Pillow image, of which Pillow may read 8; 8 may stand for fewer."""
    # Pillow opens 16-bit colour as 8-bit "RGB"; only the raw mode tells. "BGR;16" has 5, 6 and 5 bits.
    if image.format == "TIFF":  # planes of 16 bits are of mode RGB too
        return max(np.atleast_1d(image.tag_v2.get(_BITS, 1)))
    if any(";16" in f"{image.mode} {tile.args}".replace("BGR;16", "") for tile in image.tile):
        return 16
    if image.format == "PPM":  # where the file says the largest value, the decoder gets it
        arguments = image.tile[0].args if image.tile else None
        largest = [value for value in arguments if isinstance(value, int)] if isinstance(arguments, tuple) else []
        return 16 if largest and largest[0] > 255 else 8
    if image.format == "AVIF":
        at = image.fp.tell()
        image.fp.seek(0)
        boxes = image.fp.read(1 << 16).split(b"av1C")[1:]
        image.fp.seek(at)
        flags = [box[2] for box in boxes if len(box) > 2]  # high_bitdepth, twelve_bit
        return max([12 if flag & 0x60 == 0x60 else 10 if flag & 0x40 else 8 for flag in flags], default=8)
    if image.format == "JPEG2000":
        at = image.fp.tell()
        image.fp.seek(0)
        head = image.fp.read(1 << 16)
        image.fp.seek(at)
        size = head.find(b"\xff\x4f\xff\x51")  # the SIZ marker
        components, = struct.unpack_from(">H", head, size + 40)
        return max((head[size + 42 + 3 * i] & 0x7F) + 1 for i in range(components))
    return 8


def _frames(image):
    """The number of frames or pages of an opened image, smaller copies of a TIFF file's page left out."""
    if image.format == "TIFF" and image.n_frames > 1:
        kinds = []
        for page in range(image.n_frames):
            image.seek(page)
            kinds.append(image.tag_v2.get(_SUBFILE, 0) & 1)
        image.seek(0)
        return kinds.count(0)
    return getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1


def _turn(image):
    """(the transposition that turns an opened image upright, None for none; whether Pillow turns it as it loads)."""
    packet, is_tiff = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp"), image.format == "TIFF"
    if "exif" not in image.info and not packet and not is_tiff:
        return None, False
    try:
        stated = image.getexif().get(_ORIENTATION)
    except Exception:  # a damaged block: the pixels may be whole
        stated = None
    if stated is None:
        return _TURNS.get(orientation.of_xmp(packet)), False
    return _TURNS.get(stated), is_tiff


def _to_rgb(image, name):
    if image.mode in _OPAQUE:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema()[0] < 255:
        raise FileError(f"{name}: has transparent pixels; flatten it onto a background first")
    return rgba.convert("RGB")


def image_size(path):
    """(height, width) of the image that `read_rgb` gives, from the header, without decoding.

    Raises:
      UserError: as `read_rgb` does, where the header tells.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_file(path) as file, contextlib.ExitStack() as opened:
                if kind := stills.kind(file.read(64)):
                    head = stills.header(file, path, kind)
                    _check_still(head, path)
                    return head.height, head.width
                image = opened.enter_context(Image.open(file))
                _check_mode(image, path)
                turn, _ = _turn(image)
                # Of a TIFF file that states it as a tag Pillow gives the upright size.
                is_swapped = turn in _ON_ITS_SIDE and _ORIENTATION not in getattr(image, "tag_v2", ())
                return image.size if is_swapped else image.size[::-1]
    except UserError:
        raise
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except _BOMBS as e:
        raise FileError(_too_many_pixels(path)) from e
    except Exception as e:
        raise FileError(_unreadable(path, path, e)) from e


def sides_text(sides):
    """A (height, width) as messages have it: width first, "1020x678", and of a square the side alone, "48"."""
    height, width = sides
    return str(height) if height == width else f"{width}x{height}"


def list_images(folder, extensions=EXTENSIONS, *, passed=None, out=None):
    """The files with one of these extensions at any depth below a folder, sorted; images unless told otherwise.

    Args:
      folder: path.
      extensions: endings in small letters.
      passed, out: see `jsr.listing.taken`.

    Raises:
      UserError: no such folder, one that cannot be read, or no such file in it.
    """
    folder, passed = Path(folder), listing.PassedOver() if passed is None else passed
    if not folder.is_dir():
        raise UserError(f"{folder}: {no_folder(folder)}")
    paths = listing.taken(folder, extensions, passed, out=out)
    if not paths and passed.folders and passed.folders[-1][0] == folder:
        raise UserError(f"{folder}: cannot be read: {passed.folders[-1][1]}")
    if not paths:
        what = "images" if extensions is EXTENSIONS else "videos"
        raise UserError(f"{folder}: no {what} in it" + (f" ({passed})" if passed.kinds else ""))
    return paths


def check_rgb(image):
    """Raises ValueError where an array is no RGB image, uint8 (H, W, 3), or an empty one."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"expected uint8 (H, W, 3), got {image.dtype} {image.shape}")


def png_bytes(image):
    """A uint8 (H, W, 3) or (H, W) array as PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def write_png(path, image, *, replace=True):
    """Writes a uint8 (H, W, 3) or (H, W) array as PNG, as `jsr.files.atomic_write` does; raises its UserErrors."""
    with atomic_write(path, replace=replace) as file:
        file.write(png_bytes(image))


def to_uint8(image):
    """Float in [0, 1] to uint8: clipped, then rounded (not truncated)."""
    return np.rint(np.clip(np.asarray(image, np.float32), 0, 1) * 255).astype(np.uint8)
