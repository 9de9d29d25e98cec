"""JPEG XL files, by OpenImageIO, which brings libjxl; what it does not tell is read from the header."""

import dataclasses

from jsr.errors import FileError, MissingLibrary, install
from jsr.stills.still import STRAIGHT, Header, Still, boxes, straight

_BARE, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_HEAD = 1 << 12  # bytes of a codestream that hold its header
_LARGEST_BOX = 1 << 26  # bytes of EXIF or XMP
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ALPHA = 0  # kind of a channel


def is_one(head):
    """Whether a file begins as JPEG XL does."""
    return head.startswith((_BARE, _CONTAINER))


def header(file, name):
    """The same as in `jsr.stills`."""
    found = _parse(_codestream(file.read(), name), name)
    return Header(found.height, found.width, found.channels, found.bits)


def read(file, name):
    """The same as in `jsr.stills`."""
    try:
        import OpenImageIO as oiio
    except ImportError:
        raise MissingLibrary(f"{name}: is a JPEG XL picture; to read it: {install('jxl')}") from None
    data = file.read()
    head, notes = _parse(_codestream(data, name), name), []
    wanted = oiio.ImageSpec()
    wanted.attribute("oiio:UnassociatedAlpha", 1)  # else it multiplies
    file.seek(0)
    image = oiio.ImageInput.open(f"/dev/fd/{file.fileno()}", wanted)  # whatever its name is
    if image is None:
        oiio.geterror()  # lets go of it, else it is printed at the end
        raise ValueError("JPEG XL decoder error")
    spec = image.spec()
    if (spec.height, spec.width, spec.nchannels) != (head.height, head.width, head.channels):
        raise FileError(f"{name}: is a JPEG XL picture with {spec.nchannels} channels of {spec.width} x {spec.height}, "
                        "which cannot be read; convert it to PNG")
    pixels = image.read_image(format="uint8" if head.bits == 8 else "uint16")
    if pixels is None:
        raise ValueError(image.geterror() or "JPEG XL decoder error")
    if head.premultiplied:
        pixels = straight(pixels)
        notes.append(STRAIGHT)
    profile = spec.getattribute("ICCProfile")
    exif, xmp = _metadata(data, notes)
    return Still(pixels, head.bits, icc=None if profile is None else bytes(bytearray(profile)), exif=exif, xmp=xmp,
                 turned=head.turned, notes=tuple(notes))


def _codestream(data, name):
    """The first bytes of the codestream in a file."""
    if data.startswith(_BARE):
        return data[:_HEAD]
    parts = []
    for kind, start, end in boxes(data):
        if kind == b"jxlc":
            parts = [data[start:min(end, start + _HEAD)]]
            break
        if kind == b"jxlp":  # a part of it, behind its number
            parts.append(data[start + 4:min(end, start + 4 + _HEAD)])
            if sum(map(len, parts)) >= _HEAD:
                break
    found = b"".join(parts)
    if not found.startswith(_BARE):
        raise FileError(f"{name}: damaged or truncated (it holds no picture of JPEG XL); replace or remove the file")
    return found


def _metadata(data, notes):
    """(EXIF, XMP) of a file, each bytes or None."""
    found = {}
    for kind, start, end in boxes(data) if data.startswith(_CONTAINER) else ():
        content = data[start:end] if end - start <= _LARGEST_BOX else b""
        if kind == b"brob":
            kind, content = content[:4], _unpacked(content[4:])
            if content is None and kind in (b"Exif", b"xml "):
                notes.append(f"compressed {'EXIF' if kind == b'Exif' else 'XMP'} dropped")
        if kind == b"jumb":
            notes.append("content credentials (C2PA) dropped" if b"c2pa" in content[:64] else "JUMBF data dropped")
        if kind == b"jhgm":
            notes.append("HDR gain map dropped")
        if content:
            found.setdefault(kind, content)
    exif = found.get(b"Exif", b"")
    exif = exif[4 + int.from_bytes(exif[:4], "big"):] if len(exif) > 4 else b""  # behind the offset that it begins with
    exif = exif.removeprefix(b"Exif\0\0")
    return exif or None, found.get(b"xml ")


def _unpacked(content):
    """The content of a box that Brotli has compressed; None where it is damaged, too large, or the library missing."""
    try:
        import brotli

        decoder, parts, size = brotli.Decompressor(), [], 0
        for at in range(0, len(content), 1 << 12):
            parts.append(decoder.process(content[at:at + (1 << 12)]))
            size += len(parts[-1])
            if size > _LARGEST_BOX:
                return None
        return b"".join(parts) if decoder.is_finished() else None
    except Exception:  # no library, or its own
        return None


class _Bits:
    """Reads numbers from bytes, the lowest bit first."""

    def __init__(self, data):
        self._number, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count):
        if count > self._left:
            raise ValueError("the header is cut off")
        found, self._number = self._number & (1 << count) - 1, self._number >> count
        self._left -= count
        return found

    def choice(self, *ways):
        """One of four ways, chosen by two bits: (base, bits to add to it)."""
        base, count = ways[self.take(2)]
        return base + self.take(count)


@dataclasses.dataclass(frozen=True)
class _Head:
    height: int
    width: int
    channels: int
    bits: int
    turned: int = 1
    premultiplied: bool = False


def _parse(data, name):
    """The _Head of a codestream (ISO/IEC 18181-1); raises FileError where it is of a kind that cannot be read."""
    def refuse(what):
        raise FileError(f"{name}: is a JPEG XL picture {what}, which cannot be read; convert it to PNG")

    bits = _Bits(data[2:])
    height, width = _size(bits)
    if bits.take(1):  # all as by default
        return _Head(height, width, 3, 8)
    turned = 1
    extended = bits.take(1)
    if extended:
        turned = bits.take(3) + 1
        if bits.take(1):
            _size(bits)
        if bits.take(1):
            _preview(bits)
        if bits.take(1):
            refuse("with several frames")
    if bits.take(1):
        refuse("of floating-point samples")
    depth = bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)  # whether 16 bits are enough to decode
    extra = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
    if depth > 16:
        refuse(f"of {depth} bits a channel")
    alphas = [_extra_channel(bits) for _ in range(min(extra, 2))]
    if extra > 1 or extra and alphas[0][0] != _ALPHA:
        refuse("with channels besides its colours")
    bits.take(1)  # XYB
    grey = _is_grey(bits)
    height, width = (width, height) if turned > 4 else (height, width)
    return _Head(height, width, (1 if grey else 3) + extra, max(depth, 8), turned,
                 bool(extra) and alphas[0][1])


def _size(bits):
    """(height, width)."""
    def side(small):
        return 8 * (bits.take(5) + 1) if small else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    small = bits.take(1)
    height = side(small)
    ratio = bits.take(3)
    if not ratio:
        return height, side(small)
    across, down = _RATIOS[ratio - 1]
    return height, height * across // down


def _preview(bits):
    def side(small):
        return (bits.choice((16, 0), (32, 0), (1, 5), (33, 9)) if small
                else bits.choice((1, 6), (65, 8), (321, 10), (1345, 12)))

    small = bits.take(1)
    side(small)
    if not bits.take(3):
        side(small)


def _enumerated(bits):
    return bits.choice((0, 0), (1, 0), (2, 4), (18, 6))


def _extra_channel(bits):
    """(the kind of a channel, whether colours are multiplied by it); reads on to its end."""
    if bits.take(1):  # all as by default: alpha of 8 bits
        return _ALPHA, False
    kind = _enumerated(bits)
    if bits.take(1):
        bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))  # sizes of its own
    bits.take(8 * bits.choice((0, 0), (0, 4), (16, 5), (48, 10)))  # its name
    return kind, kind == _ALPHA and bool(bits.take(1))


def _is_grey(bits):
    """Whether the colour encoding is of grey."""
    if bits.take(1):  # all as by default: sRGB
        return False
    bits.take(1)  # a profile
    return _enumerated(bits) == 1
