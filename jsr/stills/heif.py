"""HEIC and HEIF files, by pillow-heif, which brings libheif."""

import numpy as np

from jsr.errors import FileError, MissingLibrary, install
from jsr.stills.still import STRAIGHT, Header, Still, boxes, straight

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"mif3", b"miaf", b"msf1")
_GAIN_MAPS = ("hdrgainmap", "21496")  # in the names of kinds of auxiliary pictures
_DEPTHS = ("depth", "auxid:2")
_ORIENTATION = 0x112


def is_one(head):
    """Whether a file begins as HEIF does, and not as its cousin AVIF."""
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS and b"avif" not in head[8:]


def header(file, name):
    """Reads the header, as `jsr.stills` says."""
    return _header(_primary(file, name)[0])


def read(file, name):
    """Reads the picture, as `jsr.stills` says: the primary picture."""
    image, others = _primary(file, name)
    head, info = _header(image), image.info
    pixels = np.asarray(image)  # decodes
    notes = [*_left_behind(file, info, others)]
    if image.premultiplied_alpha:
        pixels = straight(pixels)
        notes.append(STRAIGHT)
    if head.bits > 8:  # in the high bits; the low ones are filled, so that white is 65535
        pixels = pixels | pixels >> head.bits
    icc, nclx = info.get("icc_profile") or None, info.get("nclx_profile")
    cicp = (nclx["color_primaries"], nclx["transfer_characteristics"]) if nclx and not icc else None
    exif = info.get("exif") or None
    exif = exif[6:] if exif and exif.startswith(b"Exif\0\0") else exif
    return Still(pixels, head.bits, icc=icc, exif=exif, xmp=info.get("xmp") or None, cicp=cicp,
                 turned=_turned(image), notes=tuple(notes))


def _primary(file, name):
    """(pillow_heif's image, number of others) of an open file; nothing is decoded."""
    try:
        import pillow_heif
    except ImportError:
        raise MissingLibrary(f"{name}: is a HEIC picture; to read it: {install('heif')}") from None
    found = pillow_heif.HeifFile(file, convert_hdr_to_8bit=False, hdr_to_16bit=True)
    if not len(found):
        raise FileError(f"{name}: holds no picture that can be read; replace or remove the file")
    return found[found.primary_index], len(found) - 1


def _header(image):
    width, height = image.size
    channels = len(image.mode.partition(";")[0])
    return Header(height, width, channels, int(image.info["bit_depth"]))


def _turned(image):
    """The EXIF orientation, where the container has turned the pixels as it says."""
    if not any(step[0] in ("irot", "imir") for step in getattr(image._c_image, "transformations", ())):
        return 1
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        stated = exif.get(_ORIENTATION, 1)
    except Exception:  # of a damaged block, of many classes
        return 1
    return stated if stated in range(1, 9) else 1


def _left_behind(file, info, others):
    """Yields a note on all that is beside the picture."""
    kinds = [kind.lower() for kind, pictures in info.get("aux", {}).items() for _ in pictures]
    is_depth = [any(word in kind for word in _DEPTHS) for kind in kinds]
    is_gain = [any(word in kind for word in _GAIN_MAPS) for kind in kinds]
    file.seek(0)
    data = file.read()
    tops = [kind for kind, _, _ in boxes(data)]
    if any(is_gain) or b"tmap" in data[:1 << 16]:
        yield "HDR gain map dropped"
    if info.get("depth_images") or any(is_depth):
        yield "depth map dropped"
    if rest := sum(not (depth or gain) for depth, gain in zip(is_depth, is_gain, strict=True)):
        yield "a further layer of the picture dropped" if rest == 1 else f"{rest} further layers of the picture dropped"
    if others:
        yield "a second picture dropped" if others == 1 else f"{others} further pictures dropped"
    if b"mpvd" in tops:
        yield "motion video dropped"
    if b"c2pa" in data[:1 << 16]:
        yield "content credentials (C2PA) dropped"
