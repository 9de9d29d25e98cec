"""Reading and writing 8-bit RGB images, with one clear line for every file that is not one."""

import io
from pathlib import Path
import warnings

import numpy as np
from PIL import Image

from jsr import orientation
from jsr.errors import UserError
from jsr.files import atomic_write

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff")
_OPAQUE, _WITH_ALPHA = ("RGB", "L", "1"), ("P", "PA", "LA", "RGBA")  # Pillow's modes that are read
_ORIENTATION = 0x112  # of EXIF
_TURNS = dict(enumerate((  # that make a picture of this orientation upright
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90), 2))
_ON_ITS_SIDE = [_TURNS[stated] for stated in (5, 6, 7, 8)]


def read_rgb(source, *, name=None):
    """Reads an image file, or its bytes, as RGB, turned upright (jsr.orientation).

    Grey and palette images become RGB with the values they show; an alpha channel is dropped where it is fully
    opaque.

    Args:
      source: a path, or the encoded bytes.
      name: what error messages call the image; the path by default.

    Returns:
      uint8 array of shape (H, W, 3).

    Raises:
      UserError: missing, unreadable, truncated, no image, more than 8 bits a channel, CMYK, transparent, or so
        large that Pillow takes it for a decompression bomb.
    """
    name = name or (f"<{len(source)} bytes>" if isinstance(source, bytes) else source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                _check_mode(image, name)
                turn, by_pillow = _turn(image)
                image.load()
                rgb = _to_rgb(image, name)
                return np.asarray(rgb if turn is None or by_pillow else rgb.transpose(turn))
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise UserError(f"{name}: more pixels than the safety limit of {Image.MAX_IMAGE_PIXELS:,}; "
                        "crop it or scale it down first") from e
    except Image.UnidentifiedImageError as e:
        raise UserError(f"{name}: not an image that Pillow can read; replace or remove the file") from e
    except Exception as e:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise UserError(f"{name}: damaged or truncated image ({e}); replace or remove the file") from e


def _check_mode(image, name):
    """Raises UserError where an opened image's header says that it is no 8-bit grey or RGB."""
    # Pillow opens 16-bit colour as 8-bit "RGB"; only the raw mode tells.
    if any(";16" in str(tile.args) for tile in image.tile):
        raise UserError(f"{name}: has 16 bits a channel, not 8; convert it first")
    if image.mode not in (*_OPAQUE, *_WITH_ALPHA):
        raise UserError(f"{name}: is {image.mode}, not 8-bit grey or RGB; convert it first")


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
        raise UserError(f"{name}: has transparent pixels; flatten it onto a background first")
    return rgba.convert("RGB")


def image_size(path):
    """(height, width) of what `read_rgb` gives, from the header, without decoding.

    Raises:
      UserError: as `read_rgb` does, where the header tells.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_mode(image, image.filename)
                turn, _ = _turn(image)
                # Of a TIFF file that states it as a tag Pillow gives the upright size.
                is_swapped = turn in _ON_ITS_SIDE and _ORIENTATION not in getattr(image, "tag_v2", ())
                return image.size if is_swapped else image.size[::-1]
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as e:
        raise UserError(f"{path}: not an image that Pillow can read; replace or remove the file") from e


def list_images(folder, extensions=EXTENSIONS):
    """The files with one of these extensions directly in `folder`, sorted by name; images unless told otherwise.

    Raises:
      UserError: no such folder, or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in extensions and not p.name.startswith("."))
    except OSError as e:
        raise UserError(f"{folder}: cannot be listed: {e.strerror}") from e
    if not paths:
        what = "images" if extensions is EXTENSIONS else "videos"
        raise UserError(f"{folder}: no {what} in it (looked for {', '.join(extensions)})")
    return paths


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
