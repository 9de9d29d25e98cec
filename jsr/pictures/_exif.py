"""EXIF blocks and TIFF directories: read, put right for another size, carried into a TIFF file, made for plain rows.

A directory is a dict {tag: (type, count, value)}, the value as the bytes of the file, or a directory where the tag
points at one. Layouts after the TIFF 6.0, BigTIFF and EXIF 2.32 specifications.

Reading is bounded by the file's size, wherever its pointers lead: directories lie within each other as the standards
have it, none is read twice, and all that is read of a file, tables and values, is at most twice its size.
"""

import io
import os
import struct
import sys

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_UNITS = {1: 1, 2: 1, 6: 1, 7: 1, 3: 2, 8: 2, 16: 8, 17: 8, 18: 8, 12: 8}  # what a byte swap turns; 4 elsewhere
_EXIF, _GPS, _INTEROP = 0x8769, 0x8825, 0xA005
_SUBJECT = {0x9214, 0xA214}  # SubjectArea, SubjectLocation
_FOCAL_PLANE = (0xA20E, 0xA20F)  # resolution across, down
_BELOW = {None: {_EXIF, _GPS}, _EXIF: {_INTEROP}}  # the pointers of a page, and of the directory that one leads to
_OF_EACH_PAGE = {254, 256, 257, 258, 259, 262, 277, 338, 34675}
_MOST_ENTRIES, _ENTRIES_OF_A_PAGE = 2_000_000, 8  # of all directories of a file; a directory takes as long as some
_KINDS = {"I": 4, "Q": 16}  # the types of a pointer to a directory: a file above 4 GB needs the longer one
_LARGEST = 1 << 24  # bytes of one value; a longer one is pixels or damage

# What says how TIFF pixels are stored, is carried another way (resolution, XMP, IPTC, Photoshop, ICC) or is dropped.
_STRUCTURE = {*range(254, 270), 273, 274, *range(277, 285), 288, 289, 290, 291, 292, 293, 296, 301, 317, 318, 319,
              *range(320, 340), *range(340, 348), *range(512, 522), *range(529, 533), 559, 700, 33723, 34377, 34675,
              50706, 65535, 37724, 52545}
DROPPED = {330: "pictures within the picture (SubIFDs) dropped", 37724: "Photoshop layers dropped",
           52545: "content credentials (C2PA) dropped"}
GEOGRAPHY = {33550, 33922, 34264, 34735, 34736, 34737}  # GeoTIFF: where pixels lie, untrue at another size


DAMAGE = struct.error, KeyError, OverflowError  # what reading a damaged block raises


class _Layout:
    """Byte order and field widths of one TIFF structure, classic or BigTIFF, read from its first 16 bytes."""

    def __init__(self, head):
        self.order = {b"II": "<", b"MM": ">"}[bytes(head[:2])]
        version, = struct.unpack_from(self.order + "H", head, 2)
        self.big = {42: False, 43: True}[version]
        self.count, self.entry, self.inline = ("Q", "HHQ", 8) if self.big else ("H", "HHI", 4)
        self.pointer = "Q" if self.big else "I"
        self.first_at = 8 if self.big else 4

    def unpack(self, code, data, offset=0):
        return struct.unpack_from(self.order + code, data, offset)[0]

    def pack(self, code, *values):
        return struct.pack(self.order + code, *values)


def _entries(layout, file, offset):
    """Yields (tag, type, count, position of the value field) of the directory at `offset`."""
    file.seek(offset)
    number = layout.unpack(layout.count, file.read(struct.calcsize("<" + layout.count)))
    size = struct.calcsize("<" + layout.entry) + layout.inline
    position = file.tell()
    table = file.read(number * size) if number <= _MOST_ENTRIES else b""
    if len(table) < number * size:
        raise struct.error("directory cut off")
    for index in range(number):
        tag, kind, count = struct.unpack_from(layout.order + layout.entry, table, index * size)
        yield tag, kind, count, position + (index + 1) * size - layout.inline


class _Reader:
    """Reads the directories of one file.

    Args:
      layout: its _Layout.
      file: open for reading in binary.
    """

    def __init__(self, layout, file):
        self._layout, self._file, self._seen, self._values = layout, file, set(), {}
        self._bytes, self._entries = 2 * file.seek(0, os.SEEK_END), _MOST_ENTRIES

    def directory(self, offset, kind=None, wanted=lambda tag: True):
        """The directory at `offset` with those in it that belong there; {} where that has been read before.

        Args:
          offset: its position.
          kind: tag of the pointer that leads to it, None of a page.
          wanted: function of a tag that says whether its value is read.

        Raises:
          struct.error: damaged, or directories and values overlap so much that they are more than the file.
        """
        layout, file, found = self._layout, self._file, {}
        if offset in self._seen:
            return found
        self._seen.add(offset)
        self._entries -= _ENTRIES_OF_A_PAGE
        for tag, form, count, position in _entries(layout, file, offset):
            self._entries -= 1
            self._take(struct.calcsize("<" + layout.entry) + layout.inline)
            size = _SIZES.get(form, 0) * count
            if not (0 < size <= _LARGEST and wanted(tag)):
                continue
            file.seek(position)
            if size > layout.inline:
                position = layout.unpack(layout.pointer, file.read(layout.inline))
                file.seek(position)
            if (tag, position, size) in self._values:  # pages may share a colour profile
                found[tag] = form, count, self._values[tag, position, size]
                continue
            self._take(size)
            value = file.read(size)
            if len(value) < size:
                continue
            self._values[tag, position, size] = value
            if tag in _BELOW.get(kind, ()):
                value = self.directory(layout.unpack({4: "I", 8: "Q"}[size], value), tag)
            found[tag] = (form, count, value)
        return found

    def _take(self, size):
        self._bytes -= size
        if self._bytes < 0 or self._entries < 0:
            raise struct.error("directories overlap, or have too many entries")


def _of_block(block):
    """(layout, directory) of an EXIF block; raises one of DAMAGE."""
    layout, file = _Layout(block), io.BytesIO(block)
    return layout, _Reader(layout, file).directory(layout.unpack("I", block, 4))


def directories(file):
    """The layout of a TIFF file and the directories of its pages, in order.

    Of all pages but the first it reads only what tells whether they are of one kind.

    Raises:
      one of DAMAGE: no TIFF file, or a damaged one.
    """
    file.seek(0)
    layout = _Layout(head := file.read(16))
    offset, seen, pages = layout.unpack(layout.pointer, head, layout.first_at), set(), []
    reader = _Reader(layout, file)
    while offset and offset not in seen:
        seen.add(offset)
        pages.append(reader.directory(offset, wanted=_OF_EACH_PAGE.__contains__ if pages else lambda tag: True))
        file.seek(_next_at(layout, file, offset))
        offset = layout.unpack(layout.pointer, file.read(layout.inline))
    return layout, pages


def _next_at(layout, file, offset):
    """Position of the pointer that follows the directory at `offset`."""
    file.seek(offset)
    number = layout.unpack(layout.count, file.read(struct.calcsize("<" + layout.count)))
    return file.tell() + number * (struct.calcsize("<" + layout.entry) + layout.inline)


def number(layout, directory, tag, default=None):
    """The first value of an integer tag, or `default`."""
    kind, _, value = directory.get(tag, (None, 0, b""))
    code = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
    return layout.unpack(code, value) if code else default


def from_tiff(layout, directory):
    """An EXIF block (bytes that start with the byte order) of a TIFF page's descriptive tags, or None without any."""
    kept = _descriptive(directory)
    classic = _Layout({"<": b"II*\0", ">": b"MM\0*"}[layout.order])
    head = classic.pack("2sHI", b"II" if layout.order == "<" else b"MM", 42, 8)
    return head + _serialise(classic, kept, 8) if kept else None


def _descriptive(directory):
    return {tag: entry for tag, entry in directory.items() if tag not in _STRUCTURE | GEOGRAPHY}


def _serialise(layout, directory, base, following=0):
    """The bytes of a directory and all its values, to stand at `base` of the file."""
    table = layout.pack(layout.count, len(directory))
    size = struct.calcsize("<" + layout.entry) + layout.inline
    values_at = base + len(table) + len(directory) * size + layout.inline
    values = b""
    for tag, (kind, count, value) in sorted(directory.items()):
        if isinstance(value, dict):
            kind, count, here = _KINDS[layout.pointer], 1, values_at + len(values)
            values += _even(_serialise(layout, value, here))
            value = layout.pack(layout.pointer, here)
        elif len(value) > layout.inline:
            here = values_at + len(values)
            values += _even(value)
            value = layout.pack(layout.pointer, here)
        table += layout.pack(layout.entry, tag, kind, count) + value.ljust(layout.inline, b"\0")
    return table + layout.pack(layout.pointer, following) + values


def _even(data):
    return data + b"\0" * (len(data) % 2)


def _reorder(directory, turn):
    """The directory with every value's bytes turned round, or as it is."""
    if not turn:
        return directory
    return {tag: (kind, count, _reorder(value, turn) if isinstance(value, dict) else
                  _turned(value, _UNITS.get(kind, 4))) for tag, (kind, count, value) in directory.items()}


def _turned(value, unit):
    return b"".join(value[i:i + unit][::-1] for i in range(0, len(value), unit))


def begin_tiff(file):
    """Writes the place of a BigTIFF's header, so that plain rows of samples can follow; `end_tiff` fills it in."""
    file.write(bytes(16))


def end_tiff(file, height, width, channels, bits):
    """Makes a BigTIFF of the rows written since `begin_tiff`: native byte order, alpha straight, uncompressed."""
    start = struct.pack("=2sHHHQ", b"II" if sys.byteorder == "little" else b"MM", 43, 8, 0, 0)
    layout, row = _Layout(start), width * channels * bits // 8
    rows = max(1, (1 << 20) // row)  # of a strip of 1 MiB
    tops = range(0, height, rows)
    numbers = {256: ("I", [width]), 257: ("I", [height]), 258: ("H", [bits] * channels), 259: ("H", [1]),
               262: ("H", [2 if channels > 2 else 1]), 273: ("Q", [16 + top * row for top in tops]),
               277: ("H", [channels]), 278: ("I", [rows]), 284: ("H", [1]),
               279: ("Q", [min(rows, height - top) * row for top in tops])}
    if channels in (2, 4):
        numbers[338] = ("H", [2])
    directory = {tag: ({"H": 3, "I": 4, "Q": 16}[code], len(values), layout.pack(f"{len(values)}{code}", *values))
                 for tag, (code, values) in numbers.items()}
    end = file.seek(0, io.SEEK_END)
    file.write(_serialise(layout, directory, end))
    file.seek(0)
    file.write(start[:8] + struct.pack("=Q", end))


def into_tiff(file, block):
    """Adds the tags of an EXIF block to the first page of an open TIFF file, where it has none of them yet.

    The new directory is put at the end of the file, the old one is left unused.
    """
    source, pages = directories(io.BytesIO(block))
    file.seek(0)
    layout = _Layout(head := file.read(16))
    old = layout.unpack(layout.pointer, head, layout.first_at)
    file.seek(_next_at(layout, file, old))
    following = layout.unpack(layout.pointer, file.read(layout.inline))
    entries = {}
    for tag, kind, count, position in _entries(layout, file, old):
        file.seek(position)
        entries[tag] = (kind, count, file.read(layout.inline))
    # Old entries keep their value field, which may be a pointer: as inline bytes it is copied as it is.
    merged = {**_reorder(_descriptive(pages[0]), source.order != layout.order), **entries}
    end = file.seek(0, 2)
    file.write(b"\0" * (end % 2))
    end += end % 2
    file.write(_serialise(layout, merged, end, following))
    file.seek(layout.first_at)
    file.write(layout.pack(layout.pointer, end))


def upright(block, height, width, before=None, turned=1):
    """The EXIF block for upright pixels of another size: orientation 1, sizes and places in px put right, no thumbnail.

    All else stays byte for byte where it is, so that maker notes, which hold offsets, stay readable.

    Args:
      block: bytes that start with the byte order ("II" or "MM").
      height, width: size of the picture to be written, px.
      before: (height, width) of the upright picture that it is made of; by default the same.
      turned: orientation, 1..8, of the pixels that the block was about.

    Returns:
      bytes as long as `block`, or None for a damaged block.
    """
    patched, wanted = bytearray(block), {0x100: width, 0x101: height, 0xA002: width, 0xA003: height}
    try:
        file = io.BytesIO(block)
        layout = _Layout(block)
        first = layout.unpack("I", block, 4)
        old_height, old_width = before or (height, width)
        factors = width / old_width, height / old_height
        for offset in (first, _pointed(layout, file, first, _EXIF)):
            for tag, kind, count, position in _entries(layout, file, offset) if offset else ():
                if tag == 0x112:
                    patched[position:position + 4] = layout.pack("I", 1) if kind == 4 else layout.pack("HH", 1, 0)
                elif tag in wanted and kind in (3, 4) and count == 1:
                    patched[position - 6:position + 4] = layout.pack("HII", 4, 1, wanted[tag])
                elif tag in _SUBJECT and kind == 3 and 2 <= count <= 4:
                    at = position if count == 2 else layout.unpack("I", block, position)
                    place = _upright_place(struct.unpack_from(f"{layout.order}{count}H", block, at),
                                           (old_height, old_width), turned)
                    grown = (min(max(round(value * factors[n % 2]), 0), 0xFFFF) for n, value in enumerate(place))
                    patched[at:at + 2 * count] = layout.pack(f"{count}H", *grown)
                elif tag in _FOCAL_PLANE and kind == 5 and count == 1:  # px a length on the sensor
                    at = layout.unpack("I", block, position)
                    grown = round(layout.unpack("I", block, at) * factors[(tag == _FOCAL_PLANE[1]) ^ (turned > 4)])
                    if grown <= 0xFFFFFFFF:
                        patched[at:at + 4] = layout.pack("I", grown)
        patched[(at := _next_at(layout, file, first)):at + 4] = bytes(4)
    except DAMAGE:
        return None
    return bytes(patched) if len(patched) == len(block) else None


def _upright_place(place, size, turned):
    """(x, y, and perhaps a diameter or width and height) in stored pixels to that in upright ones of a size (h, w)."""
    x, y, *extent = place
    height, width = size[::-1] if turned > 4 else size  # of the stored pixels
    left, top = width - x, height - y
    x, y = ((x, y), (left, y), (left, top), (x, top), (y, x), (top, x), (top, left), (y, left))[turned - 1]
    return x, y, *(extent[::-1] if turned > 4 else extent)


def orientation(block):
    """The orientation that an EXIF block states, or None."""
    try:
        return number(*_of_block(block), 0x112)
    except DAMAGE:
        return None


def resolution(block):
    """(across, down) in px/mm that an EXIF block says, or None."""
    try:
        layout, directory = _of_block(block)
        per_mm = {2: 25.4, 3: 10}[number(layout, directory, 0x128, 2)]
        across, down = (struct.unpack_from(layout.order + "II", directory[tag][2]) for tag in (0x11A, 0x11B))
        found = across[0] / across[1] / per_mm, down[0] / down[1] / per_mm
        return found if min(found) > 0 else None
    except (*DAMAGE, ZeroDivisionError):
        return None


def _pointed(layout, file, offset, wanted):
    for tag, _, _, position in _entries(layout, file, offset):
        if tag == wanted:
            file.seek(position)
            return layout.unpack("I", file.read(4))
    return 0
