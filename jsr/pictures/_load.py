"""Opening one picture file of any format as a lazy libvips image, with all that the file carries besides pixels."""

import contextlib
import dataclasses
import errno
import functools
import mmap
import os
import struct
import tempfile

import numpy as np
from PIL import Image

from jsr import images, orientation, stills
from jsr.errors import UserError
from jsr.files import no_picture
from jsr.libvips import first_line, tidied_jpeg, undecodable, vips
from jsr.pictures import _exif, _icc, _jpeg

PILLOW = {"BMP": (".bmp", ".dib"), "PCX": (".pcx",), "ICO": (".ico",), "ICNS": (".icns",), "PSD": (".psd",),
          "PPM": (".ppm", ".pgm", ".pbm", ".pnm"), "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
          "SGI": (".sgi", ".rgb"), "SUN": (".ras",), "QOI": (".qoi",), "TGA": (".tga", ".icb", ".vda", ".vst")}
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
          (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"II+\0", "tiff"), (b"MM\0+", "tiff"))
_HDR = (16, 18)  # transfer characteristics of ITU-T H.273, as primaries are
_OF_SDR = (1, 2, 6, 13, 14, 15)  # those that are shown as sRGB's
_P3, _WIDE = 12, (9, 11, 12)  # primaries
# Bytes of samples that one byte of file can stand for: deflate reaches 1032, JPEG 512. A header that says more lies.
_DENSEST = 1100
# Decoders that hold a whole picture: samples that any file may have, bytes; above, those that a byte of the file may
# stand for (blank posters have 5,000), and the memory that one takes
_PLENTY, _BOMB, _COPIES = 1 << 28, 10_000, 4
_AT_ONCE = ("webp", "avif", "gif")  # of the formats that libvips reads
_UNSAID = (1.0, 72 / 25.4, 2.834)  # px/mm that libvips gives where a file says none, by format
BANDS = {1: "uchar", 2: "ushort"}  # libvips's names of samples of 1 and 2 bytes
_ICC = 34675  # tag of TIFF
_ROWS = 256  # of a Pillow image that are copied at a time
_COLOURS = ("b-w", "srgb", "rgb", "rgb16", "grey16")


@dataclasses.dataclass
class Metadata:
    """A picture's data besides its pixels; bytes as in the file, None or empty where it has none."""

    exif: bytes | None = None  # from the byte order on
    xmp: bytes | None = None
    icc: bytes | None = None
    iptc: bytes | None = None  # as the loader of this format gives it; not the same bytes in JPEG and TIFF
    photoshop: bytes | None = None
    resolution: tuple[float, float] | None = None  # across, down; px/mm
    unit: str = "in"
    delays: list[int] | None = None  # ms a frame
    loop: int = 0
    text: tuple[tuple[bytes, bytes], ...] = ()  # PNG chunks of text and time: (kind, data)
    colours: tuple[tuple[bytes, bytes], ...] = ()  # PNG chunks that say what colours the samples are
    lossless: bool | None = None  # of WebP
    turned: int = 1  # orientation of the stored pixels, where the decoder has turned them
    oriented_by: str = "XMP"  # what states the orientation; "EXIF" goes first, a tag of TIFF is of it


@contextlib.contextmanager
def reading(path):
    """Turns errors of the system, libvips and Pillow about `path` into one line."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a picture") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read it") from None
    except Exception as e:  # pyvips.Error; Pillow raises OSError, SyntaxError, ValueError, struct.error and others
        if isinstance(e, MemoryError) or "out of memory" in first_line(e).lower():
            raise UserError(f"{path}: decoding it takes more memory than there is") from e
        if isinstance(e, OSError) and e.errno == errno.ELOOP:
            raise UserError(f"{path}: is a link that leads back to itself; remove it") from e
        raise UserError(undecodable(path, e)) from e


def field(image, name, default=None):
    """A metadata field of a vips image, or `default`."""
    return image.get(name) if image.get_typeof(name) else default


def load(path, file, most_pixels=None):
    """Reads the header of an open picture file.

    Args:
      path: for messages and for the extension of formats without a signature.
      file: open for reading in binary.
      most_pixels: of one frame, which is refused where it has more, before any is decoded; None refuses none.

    Returns:
      (format name, vips image, Metadata, list of notes). The image has 1 to 4 bands of 8 or 16 bits, grey or RGB with
      or without straight alpha, frames below each other ("page-height"), not yet turned ("orientation").

    Raises:
      UserError: its format, or something in it, cannot be read, or not without loss.
    """
    name = _sniff(path, file)
    metadata, notes = Metadata(), []
    if name is None:
        name, image = _through_pillow(path, file, metadata, notes, most_pixels)
    elif name in stills.KINDS:
        image = _of_still(path, file, name, metadata, notes, most_pixels)
    else:
        options, convert = _INSPECT[name](path, file, metadata, notes)
        with _tidied(file) if name == "jpeg" else contextlib.nullcontext(file) as tidied:
            image = _through_vips(path, tidied, name, options, metadata, most_pixels)
        image = convert(image)
    image = _plain(path, image, notes)
    metadata.icc = field(image, "icc-profile-data")
    return name, image, metadata, notes


def _sniff(path, file):
    """The name of the format that the first bytes tell, None for what only Pillow may know."""
    head = file.read(64)
    if not head:
        raise UserError(f"{path}: is empty")
    if name := stills.kind(head):
        return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        if head[8:12] == b"avis":
            raise UserError(f"{path}: is an animated AVIF, which cannot be kept; convert it to animated WebP")
        if b"avif" in head[8:]:
            return "avif"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


@contextlib.contextmanager
def _tidied(file):
    """An open JPEG file, or a copy in its place without flaws of which decoders warn though no sample is missing."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tidied = tidied_jpeg(data)
    if tidied is None:
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        copy.write(tidied)
        copy.flush()
        yield copy


def _through_vips(path, file, name, options, metadata, most_pixels):
    image = open_vips(file, name, "sequential", options)
    _refuse_large(path, field(image, "page-height", image.height), image.width, most_pixels)
    if name == "jpeg":
        _refuse_hollow(path, file, image.height * image.width)
    if name in _AT_ONCE:
        _refuse_greedy(path, file, field(image, "page-height", image.height), image.width, image.bands)
    metadata.xmp, metadata.iptc = field(image, "xmp-data"), field(image, "iptc-data")
    metadata.photoshop = field(image, "photoshop-data")
    metadata.exif = metadata.exif or _bare(field(image, "exif-data"))
    if name == "avif" or metadata.exif and _exif.orientation(metadata.exif) is not None:
        metadata.oriented_by = "EXIF"
    by_exif = metadata.oriented_by == "EXIF"
    if (turned := field(image, "orientation", 1) if by_exif else orientation.of_xmp(metadata.xmp)) > 1:
        image = open_vips(file, name, "random", options)  # turned pictures are not read from top to bottom
        image = _with_orientation(image, turned)
    if image.xres not in _UNSAID or image.xres != 1.0 and field(image, "resolution-unit"):
        metadata.resolution, metadata.unit = (image.xres, image.yres), field(image, "resolution-unit", "in")
    elif metadata.exif:
        metadata.resolution = _exif.resolution(metadata.exif)
    if metadata.resolution and field(image, "orientation", 1) > 4:
        metadata.resolution = metadata.resolution[::-1]
    metadata.delays, metadata.loop = field(image, "delay"), field(image, "loop", 0)
    return image


def _with_orientation(image, turned):
    image = image.copy()
    image.set_type(vips().GValue.gint_type, "orientation", turned)
    return image


def open_vips(file, name, access, options):
    """The open file as a lazy vips image of format `name`; access is "sequential" or "random"."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # Python's own seek may stay within its buffer
    source = vips().Source.new_from_descriptor(file.fileno())  # duplicates the descriptor; no name to misread
    loader = getattr(vips().Image, f"{'heif' if name == 'avif' else name}load_source")
    # libjpeg only warns where data is missing in the middle and fills it with grey.
    return loader(source, access=access, fail_on="warning" if name == "jpeg" else "error", **options)


def _bare(block):
    """An EXIF block without the name that JPEG puts before it."""
    return block[6:] if block and block.startswith(b"Exif\0\0") else block


def _refuse_hollow(path, file, claimed, densest=_DENSEST):
    """Refuses a header that claims more bytes of samples than its file can hold, before memory is taken for them."""
    size = os.fstat(file.fileno()).st_size
    if claimed > densest * size + 65536:
        raise UserError(f"{path}: damaged or truncated picture (its header claims {claimed:,} bytes of pixels, more "
                        f"than its {size:,} bytes can hold); replace or remove the file")


def _refuse_large(path, height, width, most_pixels):
    if most_pixels is not None and height * width > most_pixels:
        raise UserError(f"{path}: has {width:,} x {height:,} pixels, more than the {most_pixels / 1e6:,.0f} million "
                        "allowed here; make it smaller")


def _refuse_greedy(path, file, height, width, bands):
    """Refuses a picture that is decoded as a whole where that takes more memory than its file is worth, or there is."""
    size, claimed = os.fstat(file.fileno()).st_size, height * width * bands
    if claimed <= _PLENTY:
        return
    if claimed > _BOMB * size:
        raise UserError(f"{path}: claims {width} x {height} pixels in {size:,} bytes, like a file made to exhaust a "
                        "machine; if you trust it, convert it to PNG first")
    from jsr.device import machine_memory  # which imports JAX

    if (free := machine_memory()) < _COPIES * claimed:
        raise UserError(f"{path}: decoding its {width} x {height} pixels takes about {_COPIES * claimed / 1e9:.1f} GB "
                        f"of memory, of which {free / 1e9:.1f} GB are free; convert it to PNG or TIFF elsewhere")


def _plain(path, image, notes):
    """The image in grey or RGB of 8 or 16 bits."""
    if image.format not in ("uchar", "ushort"):
        raise UserError(f"{path}: has {image.format} samples, not 8 or 16 bits; convert it to a 16-bit TIFF first")
    if image.interpretation == "cmyk":
        profile = field(image, "icc-profile-data")
        if not (profile and _icc.converts_cmyk(profile)):  # libvips would take another one
            raise UserError(f"{path}: is CMYK {'with a damaged' if profile else 'without a'} colour profile, so its "
                            "colours are unknown; convert it to sRGB")
        image = image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True,
                                    depth=8 if image.format == "uchar" else 16)
        notes.append("CMYK became sRGB through its profile")
    if image.interpretation not in _COLOURS or image.bands > 4:
        raise UserError(f"{path}: has {image.bands} channels of colour space {image.interpretation}, not grey or RGB "
                        "with or without alpha; convert it to sRGB first")
    return image


# -- what is looked up before libvips reads a file: (path, file, metadata, notes) -> (loader options, conversion)

_C2PA = "content credentials (C2PA) dropped"
# PNG chunks that libvips reads, or that speak of the samples as they were
_PNG_READ = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"pHYs", b"sBIT", b"hIST", b"iDOT"}
_WEBP_READ = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "}
_GIF_SIGNS = ((b"\xfe", "comment dropped"), (b"\x01", "text over the picture dropped"),
              (b"\xffXMP Data", "XMP dropped"), (b"\xffICCRGBG1", "colour profile dropped"), (b"\xffC2PA", _C2PA))
_NAMED = 3  # chunks that a note names
_TRAILER, _CUT = 0x3B, "cut"
# What in the first bytes of an AVIF file tells of more than the picture
_AVIF_SIGNS = ((b"tmap", "HDR gain map dropped"), (b"c2pa", _C2PA), (b"auxid:2\0", "depth map dropped"))


def _same(image):
    return image


def _inspect_png(path, file, metadata, notes):
    kept = {**dict.fromkeys((b"tEXt", b"zTXt", b"iTXt", b"tIME"), "text"),
            **dict.fromkeys((b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"), "colours")}
    found, unknown, position = {"text": [], "colours": []}, [], 8
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", file.read(10))
            if colour == 3:
                notes.append("palette became RGB")
            elif depth < 8:
                notes.append(f"grey of {depth} bit became 8 bit")
            samples = {2: 3, 4: 2, 6: 4}.get(colour, 1)
            _refuse_hollow(path, file, height * width * depth * samples // 8)
        elif kind == b"acTL":
            raise UserError(f"{path}: is an animated PNG, which cannot be kept; convert it to animated WebP or GIF")
        elif kind == b"tRNS" and colour != 3:
            notes.append("its transparent colour became alpha")
        elif kind == b"eXIf":
            metadata.exif = _bare(file.read(length))
        elif kind in kept:
            data = file.read(length)
            if not data.startswith(b"XML:com.adobe.xmp\0"):
                found[kept[kind]].append((kind, data))
        elif kind not in _PNG_READ:
            unknown.append(kind)
        position += length + 12
        file.seek(position)
    metadata.text, metadata.colours = (tuple(found[key]) for key in ("text", "colours"))
    _note_chunks("PNG", unknown, notes)
    return {}, _same


def _note_chunks(name, kinds, notes):
    """Adds to the notes which chunks are dropped."""
    kinds = dict.fromkeys(kinds)
    if any(kind in (b"caBX", b"C2PA") for kind in kinds):
        notes.append(_C2PA)
    others = [kind.decode("ascii", "backslashreplace") for kind in kinds if kind not in (b"caBX", b"C2PA")]
    shown = [name if name.isprintable() else repr(name)[1:-1] for name in others[:_NAMED]]
    if others:
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        notes.append(f"{name} chunk{'s' * (len(others) > 1)} {', '.join(shown)}{more} dropped")


def _inspect_jpeg(path, file, metadata, notes):
    notes += _jpeg.left_behind(file)
    return {}, _same


def _inspect_gif(path, file, metadata, notes):
    notes.append("palette became RGB")
    file.seek(0)
    blocks, frames, end = _gif_blocks(file.read())
    if end == _CUT:
        raise UserError(f"{path}: damaged or truncated (it is cut off in frame {frames}); replace or remove the file")
    if end != _TRAILER:
        notes.append("its end is missing, and with it any further frames")
    notes += [note for start, note in _GIF_SIGNS if any(block.startswith(start) for block in blocks)]
    return {"n": -1}, _same


def _gif_blocks(data):
    """(the first 16 bytes of each extension, its label first; the number of frames; how it ends), of a GIF file.

    It ends with the byte _TRAILER, or with another or none where that is missing, or is _CUT in a block.
    """
    found, frames, at = [], 0, 13 + _gif_palette(data[10:11])
    while at < len(data) and data[at] in (0x21, 0x2C):
        if data[at] == 0x21:
            found.append(data[at + 1:at + 2] + data[at + 3:at + 18])
            at += 2
        else:
            frames += 1
            at += 11 + _gif_palette(data[at + 9:at + 10])
        while at < len(data) and data[at]:  # pieces of up to 255 bytes, an empty one last
            at += 1 + data[at]
        at += 1
        while at < len(data) and not data[at]:  # padding
            at += 1
    return found, frames, data[at] if at < len(data) else None if at == len(data) else _CUT


def _gif_palette(flags):
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _inspect_webp(path, file, metadata, notes):
    unknown = []
    file.seek(4)
    position, end = 12, min(os.fstat(file.fileno()).st_size, 8 + struct.unpack("<I", file.read(4))[0])
    while position + 8 <= end:
        file.seek(position)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind not in _WEBP_READ:
            unknown.append(kind)
        if metadata.lossless is not None:  # is known: only what follows is looked at
            position += 8 + length + length % 2
            continue
        if kind == b"ANMF":
            file.seek(position + 24)
            kind = file.read(4)
            if kind == b"ALPH":  # only lossy frames have a separate one
                kind = b"VP8 "
        if kind in (b"VP8 ", b"VP8L"):
            metadata.lossless = kind == b"VP8L"
        position += 8 + length + length % 2
    _note_chunks("WebP", unknown, notes)
    return {"n": -1}, _same


def _inspect_avif(path, file, metadata, notes):
    file.seek(0)
    head = file.read(1 << 16)
    profile, own = b"colrprof" in head or b"colrrICC" in head, None
    if (at := head.find(b"colrnclx")) >= 0 and not profile:
        primaries, transfer = struct.unpack_from(">HH", head, at + 8)
        own = _profile_of(path, primaries, transfer)
    notes += [note for sign, note in _AVIF_SIGNS if sign in head]
    boxes = head.split(b"av1C")[1:]
    grey = bool(boxes) and all(len(box) > 2 and box[2] & 0x10 for box in boxes)  # the bit `monochrome`
    return {}, functools.partial(_avif_pixels, path, file, grey, own)


def _avif_pixels(path, file, grey, profile, image):
    """The AVIF as Pillow decodes it where it can: libheif repeats chroma samples, libavif interpolates them."""
    if field(image, "n-pages", 1) > 1:
        raise UserError(f"{path}: holds {image.get('n-pages')} pictures; split it into one file a picture first")
    if image.format == "uchar":
        file.seek(0)
        picture = _plugins()["AVIF"][0](file, str(path))
        turned, icc = picture.getexif().get(0x112, 1), field(image, "icc-profile-data")
        image = _with_orientation(_vips_image(np.asarray(picture), icc), turned)
        image.set_type(vips().GValue.gint_type, "bits-per-sample", 8)
    if grey:  # given as RGB
        alpha = [image.extract_band(3)] if image.bands == 4 else []
        image = image.extract_band(0).bandjoin(alpha) if alpha else image.extract_band(0)
        image = image.copy(interpretation="b-w" if image.format == "uchar" else "grey16")
    if profile:
        image = image.copy()
        image.set_type(vips().GValue.blob_type, "icc-profile-data", profile)
    return image


def _inspect_tiff(path, file, metadata, notes):
    try:
        layout, pages = _exif.directories(file)
    except _exif.DAMAGE as e:
        raise UserError(f"{path}: damaged or truncated picture ({first_line(e)}); replace or remove the file") from e
    value = functools.partial(_exif.number, layout)
    first = pages[0] if pages else {}
    if 50706 in first or value(first, 254, 0) & 1:
        raise UserError(f"{path}: is a camera's raw file or begins with a small copy; develop it to TIFF or JPEG first")
    full = [page for page in pages if not value(page, 254, 0) & 1]
    if len(full) < len(pages):
        notes.append("smaller copies of the picture dropped")
    kinds = {tuple(value(page, tag) for tag in (256, 257, 258, 262, 277)) for page in full}
    if len(kinds) > 1 or full != pages[:len(full)]:
        raise UserError(f"{path}: has pages of different sizes or kinds; split it into one file a page first")
    if value(first, 277, 1) - 1 == {0: 1, 1: 1, 2: 3}.get(value(first, 262)) and value(first, 338, 0) == 0:
        raise UserError(f"{path}: has a channel besides its colours, for example infrared, that is not marked as alpha "
                        "(ExtraSamples); remove it, or mark it as alpha")
    if value(first, 262) in (8, 9, 10):
        raise UserError(f"{path}: is in Lab colours; convert it to sRGB first")
    if value(first, 259, 1) == 1:  # not compressed
        samples = value(first, 256, 0) * value(first, 257, 0) * value(first, 277, 1)
        _refuse_hollow(path, file, samples * value(first, 258, 1) // 8, 1)
    if value(first, 262) == 3:
        notes.append("palette became RGB")
    elif value(first, 258, 1) < 8:
        notes.append(f"grey of {value(first, 258, 1)} bit became 8 bit")
    if _exif.GEOGRAPHY & first.keys():
        notes.append("GeoTIFF placement dropped")
    notes += [note for tag, note in _exif.DROPPED.items() if tag in first]
    if len({page.get(_ICC, (0, 0, b""))[2] for page in full}) > 1:
        notes.append("colour profiles dropped: the pages have different ones")
    metadata.exif = _exif.from_tiff(layout, first)
    metadata.oriented_by = "EXIF" if 0x112 in first else "XMP"
    if value(first, 338) == 1:  # libvips divides by it
        notes.append("premultiplied alpha became straight")
    return {"n": len(full)}, _same


_INSPECT = {"png": _inspect_png, "jpeg": _inspect_jpeg, "gif": _inspect_gif, "webp": _inspect_webp,
            "avif": _inspect_avif, "tiff": _inspect_tiff}


def _profile_of(path, primaries, transfer):
    """The profile of colours that a file names by numbers instead; None of sRGB's."""
    if primaries == _P3 and transfer in _OF_SDR:
        return vips().Operation.call("profile_load", "p3")
    if primaries in _WIDE or transfer in _HDR:
        raise UserError(f"{path}: has wide or HDR colours (primaries {primaries}, transfer {transfer}) without a "
                        "colour profile, which cannot be kept; convert it to sRGB first")
    return None


# -- formats that neither libvips nor Pillow reads

def _of_still(path, file, name, metadata, notes, most_pixels):
    head = stills.header(file, path, name)
    _refuse_large(path, head.height, head.width, most_pixels)
    _refuse_greedy(path, file, head.height, head.width, head.channels * (1 if head.bits == 8 else 2))
    still = stills.read(file, path, name)
    icc = still.icc or still.cicp and _profile_of(path, *still.cicp)
    image = _vips_image(still.pixels, icc)
    image.set_type(vips().GValue.gint_type, "bits-per-sample", still.bits)
    metadata.exif, metadata.xmp, metadata.turned, metadata.oriented_by = still.exif, still.xmp, still.turned, "EXIF"
    if metadata.exif:
        metadata.resolution = _exif.resolution(metadata.exif)
        if metadata.resolution and still.turned > 4:
            metadata.resolution = metadata.resolution[::-1]
    notes += still.notes
    return image


# -- formats that only Pillow reads

def _through_pillow(path, file, metadata, notes, most_pixels):
    picture = _open_pillow(path, file)
    _refuse_large(path, picture.height, picture.width, most_pixels)
    name = picture.format.lower()
    depth = images.sample_bits(picture)
    if depth > 8 and len(picture.getbands()) > 1:
        raise UserError(f"{path}: has {depth} bits a channel, but reading {name} keeps only 8; convert it to a 16-bit "
                        "PNG or TIFF first")
    if name != "jpeg2000":  # of which a few bytes may be a large blank picture
        _refuse_hollow(path, file, picture.height * picture.width)
    _refuse_greedy(path, file, picture.height, picture.width, len(picture.getbands()))
    if name in ("ico", "icns") and len(picture.info.get("sizes", ())) > 1:
        notes.append("the largest of its icons")
    if name == "psd" and getattr(picture, "n_frames", 1) > 1:
        notes.append("layers flattened")
    metadata.exif, metadata.xmp = _bare(picture.info.get("exif")), picture.info.get("xmp")
    if dpi := picture.info.get("dpi"):
        metadata.resolution = tuple(float(v) / 25.4 for v in dpi)
    image, turned = _as_vips(path, picture, depth, notes), metadata.exif and _exif.orientation(metadata.exif)
    return name, _with_orientation(image, turned or orientation.of_xmp(metadata.xmp))


def _plugins():
    """{format: (factory, acceptance)} of Pillow, which imports forty modules for them."""
    Image.init()
    return Image.OPEN


def _open_pillow(path, file):
    """An image of Pillow by one of its plugins, past its limit on pixels: hollow files are refused in another way."""
    file.seek(0)
    if said := no_picture(head := file.read(64)):
        raise UserError(f"{path}: {said}")
    for name, extensions in PILLOW.items():
        factory, accept = _plugins()[name]
        if accept and not accept(head) or not accept and path.suffix.lower() not in extensions:
            continue  # a format without a signature must have the extension
        file.seek(0)
        with contextlib.suppress(SyntaxError):  # how a plugin says that the file is none of its own
            return factory(file, str(path))
    raise UserError(f"{path}: is not a picture that can be read; replace or remove the file")


def _as_vips(path, picture, depth, notes):
    """The pixels of a Pillow image as a vips image with its profile."""
    mode = picture.mode
    if mode == "P":
        notes.append("palette became RGB")
    elif mode == "1":
        notes.append("grey of 1 bit became 8 bit")
    clear = "RGBA" if "transparency" in picture.info else "RGB"
    target = {"1": "L", "P": clear, "PA": "RGBA", "YCbCr": "RGB"}.get(mode, mode)
    picture.load()
    if mode.startswith("I"):
        pixels = np.asarray(picture).astype(np.uint16)
    elif target in ("L", "LA", "RGB", "RGBA", "CMYK"):
        pixels = np.empty((picture.height, picture.width, len(target)), np.uint8)
        for top in range(0, picture.height, _ROWS):  # each copy of all of it could be gigabytes
            box = (0, top, picture.width, min(top + _ROWS, picture.height))
            pixels[top:box[3]] = np.asarray(picture.crop(box).convert(target)).reshape(-1, *pixels.shape[1:])
    else:
        raise UserError(f"{path}: is of mode {mode}, not grey or RGB; convert it to sRGB first")
    return _vips_image(pixels, picture.info.get("icc_profile"), "cmyk" if target == "CMYK" else None)


def _vips_image(pixels, icc, colours=None):
    """A vips image of uint8 or uint16 pixels (H, W) or (H, W, C) in memory, with a profile."""
    pixels = np.ascontiguousarray(np.atleast_3d(pixels))
    height, width, bands = pixels.shape
    image = vips().Image.new_from_memory(pixels, width, height, bands, BANDS[pixels.itemsize])
    image = image.copy(interpretation=colours or interpretation(bands, pixels.dtype))
    if icc:
        image.set_type(vips().GValue.blob_type, "icc-profile-data", icc)
    return image


def interpretation(channels, dtype):
    """libvips's name for grey or RGB of this many channels."""
    names = {(False, 1): "b-w", (False, 2): "grey16", (True, 1): "srgb", (True, 2): "rgb16"}
    return names[channels > 2, np.dtype(dtype).itemsize]
