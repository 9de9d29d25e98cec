"""Makes a folder of odd picture files: every format, depth, profile, orientation and damage that jsr.pictures meets.

Written by Pillow, by the few lines of PNG and TIFF below where Pillow cannot (16-bit RGB, planar, premultiplied), and
by libvips only for what neither can (interlaced PNG, 10-bit AVIF, tiled TIFF, a CMYK profile).
"""

import importlib.util
import io
import struct
from typing import NamedTuple
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
import pyvips

XMP = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
       b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
       b'</rdf:RDF></x:xmpmeta>')
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Odd(NamedTuple):
    """One file: its name, what it is, and what is expected of it.

    `expected` is (format, channels, bits, frames), or a phrase of the one-line error.
    `pixels` is the upright picture, (H, W, C), or (frames, H, W, C), `tolerance` the largest difference allowed.
    """

    name: str
    what: str
    expected: tuple | str
    pixels: np.ndarray | None = None
    tolerance: int = 0


def png(pixels, *, width=None, height=None, data=None):
    """A PNG of uint8 or uint16 (H, W, C); header and data may be given to lie."""
    pixels = np.atleast_3d(pixels)
    depth, colour = 8 * pixels.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(len(pixels), -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows) if data is None else data
    header = struct.pack(">IIBBBBB", width or pixels.shape[1], height or len(pixels), depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def chunk(kind, data):
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(pixels, *, order="<", big=False, planar=False, photometric=None, extra=None, tags=()):
    """An uncompressed TIFF of uint8 or uint16 (H, W, C): either byte order, classic or BigTIFF, planar or not."""
    height, width, channels = pixels.shape
    planes = np.moveaxis(pixels, 2, 0) if planar else pixels[None]
    strips = [plane.astype(pixels.dtype.newbyteorder(order)).tobytes() for plane in planes]
    head = 16 if big else 8
    offsets = [head + sum(map(len, strips[:i])) for i in range(len(strips))]
    if photometric is None:
        photometric = 2 if channels > 2 else 1
    entries = [(256, 3, [width]), (257, 3, [height]), (258, 3, [8 * pixels.itemsize] * channels), (259, 3, [1]),
               (262, 3, [photometric]), (273, 4, offsets), (277, 3, [channels]), (278, 4, [height]),
               (279, 4, [len(s) for s in strips]), (284, 3, [2 if planar else 1]), *tags]
    if extra is not None:
        entries.append((338, 3, [extra]))
    count, entry, pointer, inline = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    base = head + sum(map(len, strips))
    table = struct.pack(order + count, len(entries))
    values, at = b"", base + len(table) + len(entries) * (struct.calcsize("<" + entry) + inline) + inline
    for tag, kind, numbers in sorted(entries):
        data = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(data) > inline:
            values, data = values + data, struct.pack(order + pointer, at + len(values))
        table += struct.pack(order + entry, tag, kind, len(numbers)) + data.ljust(inline, b"\0")
    start = (b"II" if order == "<" else b"MM") + (struct.pack(order + "HHHQ", 43, 8, 0, base) if big
                                                  else struct.pack(order + "HI", 42, base))
    return start + b"".join(strips) + table + struct.pack(order + pointer, 0) + values


def exif(orientation=1):
    """An EXIF block with a bit of everything, 300 dpi."""
    block = Image.Exif()
    block.update({0x112: orientation, 0x10F: "Maker", 0x8298: "(c) someone", 0x11A: 300, 0x11B: 300, 0x128: 2})
    block.get_ifd(0x8769).update({0x829A: (1, 125), 0x9003: "2020:01:02 03:04:05", 0x927C: b"MakerNote\0\1\2" * 9,
                                  0x9286: b"UNICODE\0h\0i\0", 0xA002: 31, 0xA003: 23})
    block.get_ifd(0x8825).update({1: "N", 2: (10.0, 20.0, 30.5)})
    return block


def _saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _vips(pixels):
    bits16, colour = pixels.dtype == np.uint16, pixels.shape[2] > 2
    names = {(False, False): "b-w", (False, True): "srgb", (True, False): "grey16", (True, True): "rgb16"}
    return pyvips.Image.new_from_array(pixels).copy(interpretation=names[bits16, colour])


def _pillow(data, mode):
    return np.atleast_3d(np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(mode)))


def make(folder, photograph):
    """Writes the files into `folder` (a Path); returns the list of `Odd` rows."""
    rows = []

    def add(name, what, data, expected, pixels=None, tolerance=0):
        (folder / name).write_bytes(data)
        if pixels is not None and pixels.ndim == 2:
            pixels = pixels[..., None]
        rows.append(Odd(name, what, expected, pixels, tolerance))

    rng = np.random.default_rng(0)
    rgb = photograph(23, 31)
    alpha = rng.integers(0, 256, (23, 31, 1), np.uint8)
    alpha[:9], alpha[9:12] = 0, 255
    rgba, grey = np.concatenate([rgb, alpha], 2), rgb[..., 1:2].copy()
    grey_alpha = np.concatenate([grey, alpha], 2)
    deep = rng.integers(0, 65536, (23, 31, 4)).astype(np.uint16)
    deep[:5] //= 300  # dark: by content it would pass for 8 bits
    photo = Image.fromarray(rgb)
    whole = {"png": _saved(photo, "PNG")}

    # PNG
    for pixels, name in ((grey, "grey"), (grey_alpha, "grey_alpha"), (rgb, "rgb"), (rgba, "rgba")):
        add(f"{name}.png", "PNG of 8 bits", png(pixels), ("png", pixels.shape[2], 8, 1), pixels)
    for channels, name in enumerate(("grey16", "grey_alpha16", "rgb16", "rgba16"), 1):
        add(f"{name}.png", "PNG of 16 bits", png(deep[..., :channels]), ("png", channels, 16, 1), deep[..., :channels])
    add("dark16.png", "16 bits, all below 256", png(deep[:5, :, :3]), ("png", 3, 16, 1), deep[:5, :, :3])
    one = photo.convert("1")
    add("bilevel.png", "1 bit", _saved(one, "PNG"), ("png", 1, 8, 1), np.asarray(one.convert("L")))
    palette = photo.quantize(16)
    add("palette.png", "palette of 16", _saved(palette, "PNG"), ("png", 3, 8, 1), np.asarray(palette.convert("RGB")))
    data = _saved(palette, "PNG", transparency=3)
    add("palette_clear.png", "palette with a transparent entry", data, ("png", 4, 8, 1), _pillow(data, "RGBA"))
    data = _saved(photo, "PNG", transparency=tuple(int(v) for v in rgb[2, 3]))
    add("colour_key.png", "RGB with a transparent colour", data, ("png", 4, 8, 1), _pillow(data, "RGBA"))
    add("interlaced.png", "Adam7", _vips(rgb).pngsave_buffer(interlace=True), ("png", 3, 8, 1), rgb)
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a title")
    text.add_itxt("Ü", "wörld", "de")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    data = _saved(photo, "PNG", pnginfo=text, exif=exif(6).tobytes(), icc_profile=ICC, dpi=(300, 300))
    add("everything.png", "EXIF, XMP, ICC, text, 300 dpi, on its side", data, ("png", 3, 8, 1), np.rot90(rgb, -1))
    add("1x1.png", "one pixel", png(rgb[:1, :1]), ("png", 3, 8, 1), rgb[:1, :1])
    add("1xN.png", "one row", png(rgb[:1]), ("png", 3, 8, 1), rgb[:1])
    add("Nx1.png", "one column", png(rgb[:, :1]), ("png", 3, 8, 1), rgb[:, :1])
    add("ein [n=2,page=1] schönes Bild ☃.png", "a name with brackets", whole["png"], ("png", 3, 8, 1), rgb)
    add("no extension", "a name without extension", whole["png"], ("png", 3, 8, 1), rgb)

    # JPEG
    for name, mode, options in (("420", "RGB", dict(subsampling="4:2:0")), ("444", "RGB", dict(subsampling="4:4:4")),
                                ("grey", "L", {}), ("progressive", "RGB", dict(progressive=True))):
        whole[name] = data = _saved(photo.convert(mode), "JPEG", quality=80, **options)
        add(f"{name}.jpg", f"JPEG {name}", data, ("jpeg", 1 if mode == "L" else 3, 8, 1), _pillow(data, mode))
    add("lying.png", "a JPEG called PNG", whole["444"], ("jpeg", 3, 8, 1), _pillow(whole["444"], "RGB"))
    for orientation in range(2, 9):
        data = _saved(photo, "JPEG", quality=90, exif=exif(orientation).tobytes())
        add(f"turned{orientation}.jpg", "turned by EXIF", data, ("jpeg", 3, 8, 1), _pillow(data, "RGB"))
    data = _saved(photo, "JPEG", quality=95, exif=exif(6).tobytes(), xmp=XMP, icc_profile=ICC, dpi=(300, 300))
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x05\0\x07a title"
    data = data[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + data[2:]
    add("everything.jpg", "EXIF, XMP, IPTC, ICC, 300 dpi, on its side", data, ("jpeg", 3, 8, 1), _pillow(data, "RGB"))
    cmyk = _vips(rgb).icc_transform("cmyk", input_profile="srgb", depth=8)
    for name, data in (("jpg", cmyk.jpegsave_buffer(Q=95)), ("tif", cmyk.tiffsave_buffer())):
        image = Image.open(io.BytesIO(data))
        srgb = ImageCms.profileToProfile(image, io.BytesIO(image.info["icc_profile"]), ImageCms.createProfile("sRGB"),
                                         ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB", False,
                                         ImageCms.Flags.BLACKPOINTCOMPENSATION)
        kind = {"jpg": "jpeg", "tif": "tiff"}[name]
        add(f"cmyk.{name}", "CMYK with a profile", data, (kind, 3, 8, 1), np.asarray(srgb), 2)
    data = _saved(photo.convert("CMYK"), "JPEG")
    add("cmyk_bare.jpg", "CMYK without a profile", data, "CMYK without a colour profile")

    # WebP, AVIF, GIF
    data = _saved(photo, "WEBP", quality=90, icc_profile=ICC, exif=exif(6).tobytes(), xmp=XMP)
    add("everything.webp", "lossy, EXIF, XMP, ICC", data, ("webp", 3, 8, 1), _pillow(data, "RGB"))
    data = _saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True)
    add("lossless.webp", "lossless with alpha", data, ("webp", 4, 8, 1), rgba)
    frames = [photograph(20, 30, seed) for seed in range(3)]
    moving = dict(save_all=True, append_images=[Image.fromarray(f) for f in frames[1:]], duration=[50, 70, 90], loop=3)
    data = _saved(Image.fromarray(frames[0]), "WEBP", lossless=True, **moving)
    add("moving.webp", "3 frames", data, ("webp", 3, 8, 3), np.stack(frames))
    data = _saved(photo, "AVIF", quality=90, icc_profile=ICC, exif=exif(6).tobytes(), xmp=XMP)
    add("everything.avif", "AVIF, EXIF, XMP, ICC", data, ("avif", 3, 8, 1), _pillow(data, "RGB"))
    data = _saved(Image.fromarray(rgba), "AVIF", quality=90)
    add("alpha.avif", "AVIF with alpha", data, ("avif", 4, 8, 1), _pillow(data, "RGBA"))
    data = _saved(Image.fromarray(rgb[..., 0]), "AVIF", quality=95)
    add("grey.avif", "monochrome AVIF", data, ("avif", 1, 8, 1), _pillow(data, "RGB")[..., :1])
    ten = ((deep[..., :3] >> 6) * (65535 / 1023) + 0.5).astype(np.uint16)
    for bits in (10, 12):
        data = _vips(ten).heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
        add(f"avif{bits}.avif", f"AVIF of {bits} bits", data, ("avif", 3, bits, 1), ten, 16)
    data = _vips(rgb[:22]).heifsave_buffer(compression="av1", page_height=11)
    add("two.avif", "two pictures", data, "holds 2 pictures")
    few = [Image.fromarray(f).quantize(32) for f in frames]
    add("still.gif", "GIF", _saved(few[0], "GIF"), ("gif", 3, 8, 1), np.asarray(few[0].convert("RGB")))
    data = _saved(few[0], "GIF", transparency=2)
    shown = _pillow(data, "RGBA")
    add("clear.gif", "GIF with a transparent colour", data, ("gif", 4, 8, 1), shown * (shown[..., 3:] > 0))
    moving["append_images"] = few[1:]
    data = _saved(few[0], "GIF", disposal=2, **moving)
    image = Image.open(io.BytesIO(data))
    shown = np.stack([_frame(image, index) for index in range(3)])
    add("moving.gif", "3 frames", data, ("gif", 3, 8, 3), shown)

    # TIFF
    data = _saved(photo, "TIFF", compression="tiff_lzw", dpi=(300, 300), icc_profile=ICC)
    add("lzw.tif", "LZW", data, ("tiff", 3, 8, 1), rgb)
    data = _saved(photo, "TIFF", compression="jpeg", quality=90)
    add("jpeg.tif", "JPEG in TIFF", data, ("tiff", 3, 8, 1), _pillow(data, "RGB"))
    data = _vips(rgb).tiffsave_buffer(tile=True, tile_width=16, tile_height=16)
    add("tiled.tif", "tiles of 16", data, ("tiff", 3, 8, 1), rgb)
    add("big_endian16.tif", "16 bits, big-endian", tiff(deep[..., :3], order=">"), ("tiff", 3, 16, 1), deep[..., :3])
    add("planar16.tif", "16 bits, planar", tiff(deep[..., :3], planar=True), ("tiff", 3, 16, 1), deep[..., :3])
    add("grey16.tif", "16 bits, grey", tiff(deep[..., :1]), ("tiff", 1, 16, 1), deep[..., :1])
    add("bigtiff.tif", "BigTIFF with straight alpha", tiff(rgba, big=True, extra=2), ("tiff", 4, 8, 1), rgba)
    add("miniswhite.tif", "white is 0", tiff(255 - grey, photometric=0), ("tiff", 1, 8, 1), grey)
    premultiplied = np.concatenate([np.rint(rgb * (alpha / 255.0)).astype(np.uint8), alpha], 2)
    straight = np.divide(premultiplied[..., :3] * 255.0, alpha, out=np.zeros(rgb.shape), where=alpha > 0)
    add("premultiplied.tif", "associated alpha", tiff(premultiplied, extra=1), ("tiff", 4, 8, 1),
        np.concatenate([np.clip(straight, 0, 255).astype(np.uint8), alpha], 2), 1)
    add("turned.tif", "orientation 6 in TIFF", tiff(rgb, tags=[(274, 3, [6])]), ("tiff", 3, 8, 1), np.rot90(rgb, -1))
    add("pages.tif", "3 pages", _saved(Image.fromarray(frames[0]), "TIFF", save_all=True,
        append_images=[Image.fromarray(f) for f in frames[1:]]), ("tiff", 3, 8, 3), np.stack(frames))
    data = _saved(photo, "TIFF", save_all=True, append_images=[photo.resize((9, 9))])
    add("pages_differ.tif", "pages of two sizes", data, "pages of different sizes")
    add("float.tif", "float samples", _saved(photo.convert("F"), "TIFF"), "has float samples")
    add("int32.tif", "32-bit samples", _saved(photo.convert("I"), "TIFF"), "has int samples")
    add("lab.tif", "Lab", _saved(photo.convert("LAB"), "TIFF"), "is in Lab colours")
    add("five.tif", "5 channels", tiff(np.zeros((9, 8, 5), np.uint8), extra=0), "has 5 channels")
    data = _saved(photo, "TIFF", compression="tiff_lzw")
    add("half_lzw.tif", "LZW, its directory cut off", data[:len(data) // 2], "truncated")
    add("raw.tif", "camera raw", tiff(rgb, tags=[(50706, 4, [1])]), "camera's raw file")

    # What Pillow reads
    for name, kind, mode in (("x.bmp", "BMP", "RGB"), ("grey.bmp", "BMP", "L"), ("x.tga", "TGA", "RGBA"),
                             ("x.pcx", "PCX", "RGB"), ("x.ppm", "PPM", "RGB"), ("x.jp2", "JPEG2000", "RGBA"),
                             ("x.ico", "ICO", "RGBA"), ("x.sgi", "SGI", "RGB"), ("x.qoi", "QOI", "RGBA")):
        image = Image.fromarray(rgba).convert(mode)
        options = dict(sizes=[image.size]) if kind == "ICO" else {}
        data = _saved(image, kind, **options)
        add(name, kind, data, (kind.lower(), len(mode), 8, 1), np.asarray(image))
    deep_grey = deep[..., 0].astype(">u2")
    add("grey16.pgm", "PGM of 16 bits", b"P5 31 23 65535\n" + deep_grey.tobytes(), ("ppm", 1, 16, 1), deep[..., 0])
    data = b"P6 31 23 65535\n" + deep[..., :3].astype(">u2").tobytes()
    add("rgb16.ppm", "PPM of 16 bits", data, "has 16 bits a channel")

    # What cannot be read
    whole.update(jpg=whole.pop("420"), webp=_saved(photo, "WEBP"), tif=_saved(photo, "TIFF"),
                 gif=_saved(palette, "GIF"), avif=_saved(photo, "AVIF"), bmp=_saved(photo, "BMP"))
    for extension in ("png", "jpg", "webp", "tif", "gif", "avif", "bmp"):
        data = whole[extension]
        add(f"half.{extension}", "the first half", data[:len(data) // 2], "truncated")
        add(f"almost.{extension}", "all but the last 30 bytes", data[:-30], "truncated")
    add("hole.jpg", "its middle is gone", whole["444"][:600] + whole["444"][-2:], "truncated")
    data = png(rgb, width=100_000, height=100_000, data=b"")
    add("claims.png", "2 bytes that claim 100000 x 100000", data, "truncated")
    size = whole["444"].index(b"\xff\xc0") + 5
    add("claims.jpg", "a small JPEG that claims 65000 x 65000",
        whole["444"][:size] + struct.pack(">HH", 65_000, 65_000) + whole["444"][size + 4:], "truncated")
    add("claims.bmp", "a small BMP that claims 100000 x 100000",
        whole["bmp"][:18] + struct.pack("<ii", 100_000, 100_000) + whole["bmp"][26:], "truncated")
    add("claims.tif", "a TIFF that claims 100000 x 100000",
        tiff(rgb, tags=()).replace(struct.pack("<HHIHH", 256, 3, 1, 31, 0), struct.pack("<HHII", 256, 4, 1, 100_000))
        .replace(struct.pack("<HHIHH", 257, 3, 1, 23, 0), struct.pack("<HHII", 257, 4, 1, 100_000)), "truncated")
    first, *others = [Image.fromarray(f) for f in frames]
    add("moving.png", "animated PNG", _saved(first, "PNG", save_all=True, append_images=others), "animated PNG")
    add("moving.avif", "animated AVIF", _saved(first, "AVIF", save_all=True, append_images=others), "animated AVIF")
    add("empty.png", "no bytes", b"", "is empty")
    add("text.png", "text", b"hello, this is not a picture", "is not a picture that can be read")
    add("text.tga", "text called TGA", b"hello, this is not a picture", "text.tga: ")
    add("drawing.svg", "SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "an SVG drawing")
    add("phone.heic", "HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40),
        "damaged or truncated" if importlib.util.find_spec("pillow_heif") else "HEIC")
    (folder / "folder.png").mkdir()
    rows.append(Odd("folder.png", "a folder", "is a folder"))
    rows.append(Odd("missing.png", "nothing", "no such file"))
    return rows


def _frame(image, index):
    image.seek(index)
    return np.asarray(image.convert("RGB"))
